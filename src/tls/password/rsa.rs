//! RSA for passwords where a side has no TLS: the key of ours that clients encrypt for, and a server's that we do.
//!
//! OAEP with SHA-1, as MySQL's plugins have it; what is weak in SHA-1 as a signature's hash does no harm there.

use std::path::{Path, PathBuf};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    error::Unspecified,
    rsa::{
        KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        PrivateDecryptingKey, PublicEncryptingKey,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
use zeroize::Zeroizing;

use crate::tls::store::{Store, StoreError};

/// Kept under this name in the state directory.
const FILE: &str = "password.key";
/// As MySQL's own.
const SIZE: KeySize = KeySize::Rsa2048;
/// Characters in a line of a PEM file.
const PEM_LINE: usize = 64;

/// Why there is no RSA key.
#[derive(Debug, thiserror::Error)]
pub enum RsaKeyError {
    /// Its file, or the state directory.
    #[error("{0}")]
    File(#[from] StoreError),
    /// A kept key that is none. It is not replaced: clients may have pinned it.
    #[error("{} is no RSA key of 2048 to 8192 bits in PKCS#8; put the right one back, or delete it to have a new one made", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Making one failed.
    #[error("make an RSA key: {0}")]
    Make(#[from] Unspecified),
}

/// A private key of ours.
#[derive(Debug)]
pub struct RsaKey {
    private: OaepPrivateDecryptingKey,
    public_pem: String,
}

impl RsaKey {
    /// The one in the state directory, made if it is not there yet. Without a directory it lives as long as the process.
    ///
    /// Blocks: on the disk, and up to half a second for making one.
    pub fn kept_or_new(state: Option<&Path>) -> Result<Self, RsaKeyError> {
        let mut store = Store::open(state)?;
        if let Some((path, pem)) = store.read(FILE)? {
            let pem = Zeroizing::new(pem);
            return PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
                .ok()
                .and_then(|der| PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der()).ok())
                .and_then(|private| Self::new(private).ok())
                .ok_or(RsaKeyError::NotOurs { path });
        }
        let private = PrivateDecryptingKey::generate(SIZE)?;
        let der: Pkcs8V1Der<'_> = private.as_der()?;
        let pem = Zeroizing::new(pem("PRIVATE KEY", der.as_ref()));
        store.write(FILE, &pem, 0o600)?;
        Ok(Self::new(private)?)
    }

    fn new(private: PrivateDecryptingKey) -> Result<Self, Unspecified> {
        let public: PublicKeyX509Der<'_> = private.public_key().as_der()?;
        Ok(Self {
            public_pem: pem("PUBLIC KEY", public.as_ref()),
            private: OaepPrivateDecryptingKey::new(private)?,
        })
    }

    /// What others encrypt for us with, as servers send theirs.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// What somebody encrypted for us; none if nobody did.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut plaintext = Zeroizing::new(vec![0; self.private.min_output_size()]);
        let length = self
            .private
            .decrypt(&OAEP_SHA1_MGF1SHA1, ciphertext, &mut plaintext, None)
            .ok()?
            .len();
        plaintext.truncate(length);
        Some(plaintext)
    }
}

/// A server's key.
#[derive(Debug)]
pub struct RsaPublicKey(OaepPublicEncryptingKey);

impl RsaPublicKey {
    /// Reads PEM text; none if it is not a key of 2048 to 8192 bits.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        let key = PublicEncryptingKey::from_der(&der).ok()?;
        OaepPublicEncryptingKey::new(key).ok().map(Self)
    }

    /// None if it is too long for the key.
    pub fn encrypt(&self, plaintext: &[u8]) -> Option<Vec<u8>> {
        let mut ciphertext = vec![0; self.0.ciphertext_size()];
        let length = self
            .0
            .encrypt(&OAEP_SHA1_MGF1SHA1, plaintext, &mut ciphertext, None)
            .ok()?
            .len();
        ciphertext.truncate(length);
        Some(ciphertext)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = Zeroizing::new(BASE64.encode(der));
    // reserved whole: growing would leave pieces of a private key behind
    let mut pem = String::with_capacity(base64.len() * 2);
    pem.extend(["-----BEGIN ", label, "-----"]);
    for (index, character) in base64.char_indices() {
        if index % PEM_LINE == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.extend(["\n-----END ", label, "-----\n"]);
    pem
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use tempfile::TempDir;

    use super::*;
    use crate::tls::testing::openssl;

    #[test]
    fn a_kept_key_that_is_damaged_is_not_replaced() {
        let state = TempDir::new().expect("a folder");
        let path = state.path().join(FILE);
        for damage in [
            "",
            "not a key",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            fs::write(&path, damage).expect("written");
            let error = RsaKey::kept_or_new(Some(state.path())).expect_err("refused");
            assert!(matches!(error, RsaKeyError::NotOurs { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).expect("there"), damage);
        }
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let state = TempDir::new().expect("a folder");
        let first = RsaKey::kept_or_new(Some(state.path())).expect("made");
        let second = RsaKey::kept_or_new(Some(state.path())).expect("found");
        assert_eq!(first.public_pem(), second.public_pem());
        let file = fs::metadata(state.path().join(FILE)).expect("there");
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        let other = RsaKey::kept_or_new(None).expect("made");
        assert_ne!(first.public_pem(), other.public_pem());
    }

    #[test]
    fn what_is_not_encrypted_for_us_decrypts_to_nothing() {
        let ours = RsaKey::kept_or_new(None).expect("made");
        let others = RsaKey::kept_or_new(None).expect("made");
        let public = RsaPublicKey::from_pem(others.public_pem().as_bytes()).expect("a key");
        let ciphertext = public.encrypt(b"secret").expect("short enough");
        for wrong in [
            &ciphertext[..],
            &[0; 256],
            &[0xff; 256],
            &[7; 255],
            &[7; 257],
            b"",
        ] {
            assert!(ours.decrypt(wrong).is_none(), "{wrong:?}");
        }
        assert_eq!(&others.decrypt(&ciphertext).expect("ours")[..], b"secret");
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        let ec = rcgen::KeyPair::generate().expect("made").public_key_pem();
        for pem in [&b""[..], b"\x04", ec.as_bytes()] {
            assert!(RsaPublicKey::from_pem(pem).is_none(), "{pem:?}");
        }
    }

    #[test]
    fn a_text_too_long_for_the_key_is_not_encrypted() {
        let key = RsaKey::kept_or_new(None).expect("made");
        let public = RsaPublicKey::from_pem(key.public_pem().as_bytes()).expect("a key");
        assert!(public.encrypt(&[b'a'; 214]).is_some());
        assert!(public.encrypt(&[b'a'; 215]).is_none());
    }

    #[test]
    fn openssl_encrypts_for_us() {
        let state = TempDir::new().expect("a folder");
        let key = RsaKey::kept_or_new(Some(state.path())).expect("made");
        fs::write(state.path().join("public.pem"), key.public_pem()).expect("written");
        fs::write(state.path().join("plain"), "secret").expect("written");
        openssl(
            state.path(),
            "pkeyutl -encrypt -pubin -inkey public.pem -in plain -out sealed \
             -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1",
        );
        let sealed = fs::read(state.path().join("sealed")).expect("there");
        assert_eq!(&key.decrypt(&sealed).expect("ours")[..], b"secret");
    }
}
