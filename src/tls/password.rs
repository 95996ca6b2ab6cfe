//! A password itself, as `caching_sha2_password` and `sha256_password` send it: in clear over a secure side, RSA-encrypted
//! over an insecure one.
//!
//! Both forms end in a NUL; before it is encrypted it is mixed with the salt of the `AuthSwitchRequest`.

pub(crate) mod rsa;

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    protocol::greeting::SALT_BYTES,
    tls::password::rsa::{RsaKey, RsaPublicKey},
};

/// Stands for whatever cannot be a password: the backend refuses it in its own words, as it would any wrong one. That
/// it is known gives nobody more than one guess at a password.
const WRONG: &[u8] = b"(no password)\0";

/// A password with its NUL; wiped when it is dropped.
pub struct Password(Zeroizing<Vec<u8>>);

/// Never shown.
impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password")
    }
}

impl Password {
    /// As a client sends it in clear.
    pub fn from_clear(answer: &[u8]) -> Self {
        Self::checked(Zeroizing::new(answer.to_vec()))
    }

    /// As a client encrypted it for `key`.
    pub fn decrypt(answer: &[u8], key: &RsaKey, salt: [u8; SALT_BYTES]) -> Self {
        let mut bytes = key.decrypt(answer).unwrap_or_default();
        mix(&mut bytes, salt);
        Self::checked(bytes)
    }

    /// Exactly one NUL, at the end, and something before it.
    fn checked(bytes: Zeroizing<Vec<u8>>) -> Self {
        match bytes.iter().position(|&byte| byte == 0) {
            Some(end @ 1..) if end + 1 == bytes.len() => Self(bytes),
            _ => Self(Zeroizing::new(WRONG.to_vec())),
        }
    }

    /// For a backend that gets it in clear.
    pub fn as_clear(&self) -> &[u8] {
        &self.0
    }

    /// For a backend that gets it encrypted. A password longer than its key can take is a wrong one there; the result is
    /// none if not even that can be encrypted.
    pub fn encrypt(&self, key: &RsaPublicKey, salt: [u8; SALT_BYTES]) -> Option<Vec<u8>> {
        let encrypt = |bytes: &[u8]| {
            let mut bytes = Zeroizing::new(bytes.to_vec());
            mix(&mut bytes, salt);
            key.encrypt(&bytes)
        };
        encrypt(&self.0).or_else(|| encrypt(WRONG))
    }
}

fn mix(bytes: &mut [u8], salt: [u8; SALT_BYTES]) {
    for (byte, salt) in bytes.iter_mut().zip(salt.iter().cycle()) {
        *byte ^= salt;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_with_one_nul_at_its_end_is_a_password() {
        for wrong in [
            &b""[..],
            b"\0",
            b"open",
            b"open\0\0",
            b"op\0en\0",
            b"\0open\0",
        ] {
            assert_eq!(Password::from_clear(wrong).as_clear(), WRONG, "{wrong:?}");
        }
        assert_eq!(Password::from_clear(b"open\0").as_clear(), b"open\0");
    }

    #[test]
    fn a_password_longer_than_the_salt_comes_back_whole() {
        let key = RsaKey::kept_or_new(None).expect("made");
        let public = RsaPublicKey::from_pem(key.public_pem().as_bytes()).expect("a key");
        let (salt, other) = (*b"twenty-bytes-of-salt", *b"twenty-bytes-of-sale");
        let text = b"a password of more than twenty bytes\0";
        let sent = Password::from_clear(text)
            .encrypt(&public, salt)
            .expect("encrypted");
        assert_eq!(Password::decrypt(&sent, &key, salt).as_clear(), text);
        let replayed = Password::decrypt(&sent, &key, other);
        assert_ne!(replayed.as_clear(), text, "it is bound to its salt");
        assert_eq!(Password::decrypt(&[7; 256], &key, salt).as_clear(), WRONG);
    }

    #[test]
    fn a_password_too_long_for_the_key_is_a_wrong_one() {
        let key = RsaKey::kept_or_new(None).expect("made");
        let public = RsaPublicKey::from_pem(key.public_pem().as_bytes()).expect("a key");
        let salt = *b"twenty-bytes-of-salt";
        let text = [&[b'a'; 300][..], b"\0"].concat();
        let sent = Password::from_clear(&text)
            .encrypt(&public, salt)
            .expect("encrypted");
        assert_eq!(Password::decrypt(&sent, &key, salt).as_clear(), WRONG);
    }

    #[test]
    fn debug_output_has_no_password() {
        let shown = format!("{:?}", Password::from_clear(b"open\0"));
        assert_eq!(shown, "Password");
    }
}
