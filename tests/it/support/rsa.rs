//! RSA as servers and clients use it for passwords, by the manual: PEM, OAEP with SHA-1, and the salt mixed in.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

/// A server's key.
#[derive(Debug)]
pub(crate) struct ServerKey {
    private: OaepPrivateDecryptingKey,
    pub(crate) public_pem: String,
}

/// Every scripted backend's.
pub(crate) static SERVER_KEY: LazyLock<ServerKey> = LazyLock::new(|| {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("make an RSA key");
    let der: PublicKeyX509Der<'_> = private.public_key().as_der().expect("encode the key");
    let base64 = STANDARD.encode(der.as_ref());
    ServerKey {
        private: OaepPrivateDecryptingKey::new(private).expect("a key for OAEP"),
        public_pem: format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n"),
    }
});

impl ServerKey {
    /// What was encrypted for it, the salt taken out again.
    pub(crate) fn decrypt(&self, ciphertext: &[u8], salt: &[u8]) -> Option<Vec<u8>> {
        let mut plaintext = vec![0; self.private.min_output_size()];
        let plaintext = self
            .private
            .decrypt(&OAEP_SHA1_MGF1SHA1, ciphertext, &mut plaintext, None)
            .ok()?;
        Some(mixed(plaintext, salt))
    }
}

/// What a client sends to a server with this key.
pub(crate) fn encrypt(public_pem: &[u8], plaintext: &[u8], salt: &[u8]) -> Vec<u8> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(public_pem).expect("a key in PEM");
    let key = PublicEncryptingKey::from_der(&der).expect("an RSA key");
    let key = OaepPublicEncryptingKey::new(key).expect("a key for OAEP");
    let mut ciphertext = vec![0; key.ciphertext_size()];
    key.encrypt(
        &OAEP_SHA1_MGF1SHA1,
        &mixed(plaintext, salt),
        &mut ciphertext,
        None,
    )
    .expect("short enough for the key")
    .to_vec()
}

fn mixed(bytes: &[u8], salt: &[u8]) -> Vec<u8> {
    let salt = &salt[..20];
    bytes
        .iter()
        .enumerate()
        .map(|(place, byte)| byte ^ salt[place % 20])
        .collect()
}
