//! How mytls proves that it knows its own account's password: the first answers of three plugins.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA512};
use aws_lc_rs::signature::Ed25519KeyPair;
use zeroize::Zeroizing;

use crate::protocol::greeting::SALT_BYTES;
use crate::protocol::packet::{Malformed, PayloadReader};

/// A server asks for 1024 iterations, doubled at most three times.
const PARSEC_ITERATIONS: u32 = 1024;
const PARSEC_MOST_DOUBLINGS: u8 = 3;
const PARSEC_SCRAMBLE_BYTES: usize = 32;

/// `mysql_native_password`: SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))).
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html>
pub(super) fn native(password: &[u8], salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    let sha1 = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let once = sha1(password);
    let stored = sha1(once.as_ref());
    xor(
        once.as_ref(),
        sha1(&[&salt[..], stored.as_ref()].concat()).as_ref(),
    )
}

/// `caching_sha2_password`: SHA256(password) XOR SHA256(SHA256(SHA256(password)), salt).
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html>
pub(super) fn caching_sha2(password: &[u8], salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    let sha256 = |bytes: &[u8]| digest(&SHA256, bytes);
    let once = sha256(password);
    let stored = sha256(once.as_ref());
    xor(
        once.as_ref(),
        sha256(&[stored.as_ref(), &salt[..]].concat()).as_ref(),
    )
}

/// `parsec`: a random scramble of ours, and both scrambles signed with the key that the password is stretched to.
/// `extended_salt` is the server's answer to an empty packet.
/// <https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-parsec>
pub(super) fn parsec(
    password: &[u8],
    scramble: &[u8],
    extended_salt: &[u8],
) -> Result<Vec<u8>, Malformed> {
    let key = parsec_key(password, extended_salt)?;
    let mut ours = [0; PARSEC_SCRAMBLE_BYTES];
    aws_lc_rs::rand::fill(&mut ours).map_err(|_| Malformed {
        field: "parsec: random bytes",
    })?;
    let signature = key.sign(&[scramble, &ours].concat());
    Ok([&ours, signature.as_ref()].concat())
}

fn parsec_key(password: &[u8], extended_salt: &[u8]) -> Result<Ed25519KeyPair, Malformed> {
    let mut reader = PayloadReader::new(extended_salt);
    let kind = reader.u8("parsec: extended salt")?;
    let doublings = reader.u8("parsec: extended salt")?;
    if kind != b'P' || doublings > PARSEC_MOST_DOUBLINGS {
        return Err(Malformed {
            field: "parsec: extended salt",
        });
    }
    let iterations =
        std::num::NonZeroU32::new(PARSEC_ITERATIONS << doublings).ok_or(Malformed {
            field: "parsec: iterations",
        })?;
    let mut seed = Zeroizing::new([0; 32]);
    let salt = reader.rest();
    pbkdf2::derive(PBKDF2_HMAC_SHA512, iterations, salt, password, &mut *seed);
    Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| Malformed {
        field: "parsec: key",
    })
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter()
        .zip(right)
        .map(|(left, right)| left ^ right)
        .collect()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, KeyPair as _, UnparsedPublicKey};
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};

    use super::*;

    const SALT: &[u8; SALT_BYTES] = b"\x0a/JoKI\"0XLrJ%\x0d\x03PR\x02\x17\x15";

    fn hex(bytes: &[u8]) -> String {
        bytes
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    // As a server checks it, by what MariaDB 10.11 keeps of the password `app-pw`.
    #[test]
    fn mysql_native_password_proves_what_a_server_keeps() {
        let kept = "72b37e3f4d899edc98a9363172669e192ce424d5";
        let sha1 = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
        let bytes: Vec<u8> = (0..kept.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&kept[at..at + 2], 16).expect("hex"))
            .collect();
        let mask = sha1(&[&SALT[..], &bytes].concat());
        let once = xor(&native(b"app-pw", SALT), mask.as_ref());
        assert_eq!(hex(sha1(&once).as_ref()), kept);
        let wrong = xor(&native(b"app-pv", SALT), mask.as_ref());
        assert_ne!(hex(sha1(&wrong).as_ref()), kept);
    }

    // The values are those of go-sql-driver's own test.
    #[test]
    fn caching_sha2_password_proves_as_another_client_does() {
        for (password, proof) in [
            (
                "secret",
                "f490e76f66d9d86665ce54d98c78d0acfe2fb0b08b423da807144873d30b312c",
            ),
            (
                "secret2",
                "abc3934a012cf342e876071c8ee202de51785b430258a7a0138bc79c4d800bc6",
            ),
        ] {
            assert_eq!(
                hex(&caching_sha2(password.as_bytes(), SALT)),
                proof,
                "{password}"
            );
        }
    }

    // What MariaDB 11.8 keeps of the password `app-pw`: `P0`, the salt, the public key.
    #[test]
    fn parsec_signs_with_the_key_that_a_server_keeps() {
        let salt = BASE64.decode("n/IB5TusRmcrs+xFnqB+Mu75").expect("base64");
        let kept = BASE64
            .decode("9UBc6boQMrTzTzp1gI4OS0CGDJmHqREqnt0XNjMjr7A")
            .expect("base64");
        let extended = [&b"P\0"[..], &salt].concat();
        let key = parsec_key(b"app-pw", &extended).expect("a key");
        assert_eq!(key.public_key().as_ref(), kept);
        let proof = parsec(b"app-pw", &[7; 32], &extended).expect("a proof");
        let (ours, signature) = proof.split_at(PARSEC_SCRAMBLE_BYTES);
        UnparsedPublicKey::new(&ED25519, kept)
            .verify(&[&[7; 32], ours].concat(), signature)
            .expect("signed");
    }

    #[test]
    fn an_odd_extended_salt_is_refused() {
        for odd in [&b""[..], b"P", b"Q\0salt", b"P\x04salt", b"P\xffsalt"] {
            assert!(parsec_key(b"app-pw", odd).is_err(), "{odd:?}");
        }
    }
}
