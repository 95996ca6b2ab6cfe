//! How a client begins, on the data port and on the admin port: it is greeted, asks for TLS or not, shows a certificate or
//! not, and sends its login.

use std::sync::Arc;

use rustls::crypto::SecureRandom;
use rustls::pki_types::UnixTime;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::slots::Slot;
use crate::net::stream::{Stream, StreamError};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::greeting::SALT_BYTES;
use crate::protocol::login::{HEAD_BYTES, Login, LoginHead};
use crate::rules::Transport;
use crate::tls::{Acceptor, CertificateRefusal, Negotiated, TlsCounts};

/// The longest packet of a login. Connection attributes, of which servers take 64 KiB, and tickets of as much are the
/// longest parts. Clients that nobody knows yet make us hold one each, `limits.connections-before-login` in all.
pub(crate) const LOGIN_BYTES: usize = 128 * 1024;

/// What a client has sent up to its login packet.
pub(crate) struct Hello {
    pub(crate) packet: LoginPacket,
    /// A certificate that is not accepted is told of only now: an error before the login packet was read is lost to a
    /// TCP reset.
    pub(crate) transport: Result<Transport, CertificateRefusal>,
}

/// A login packet, whole but not looked into.
pub(crate) struct LoginPacket {
    /// Flags and character set that count: those of an `SSLRequest`, if there was one.
    pub(crate) head: LoginHead,
    /// Some clients put their password into it.
    bytes: Zeroizing<Vec<u8>>,
}

impl Hello {
    /// Reads what the client answers to the greeting: a login in plaintext, or an `SSLRequest`, TLS, and the login in it.
    /// With a `slot`, TLS waits for its turn.
    pub(crate) async fn hear(
        client: &mut Stream,
        acceptor: Option<&Acceptor>,
        slot: Option<&Slot>,
        counts: &TlsCounts,
    ) -> Result<Self, Failure> {
        let first = match client.read_packet(LOGIN_BYTES).await {
            Ok(packet) => Zeroizing::new(packet),
            Err(StreamError::Closed(_) | StreamError::Io(..)) => return Err(Failure::Left),
            Err(error) => return Err(Failure::Client(error)),
        };
        let head = LoginHead::decode(&first)?;
        if !head.capabilities.contains(Capabilities::SSL) {
            return Ok(Self {
                packet: LoginPacket { head, bytes: first },
                transport: Ok(Transport::Plaintext),
            });
        }
        if first.len() != HEAD_BYTES {
            return Err(Failure::ClientBreaks(
                "an SSLRequest is longer than 32 bytes",
            ));
        }
        let acceptor = acceptor.ok_or(Failure::ClientBreaks(
            "the client asks for TLS, which it was not offered",
        ))?;
        let tls = async {
            let config = Arc::clone(acceptor.config());
            let accepted = client.accept_tls(config, counts).await;
            accepted.map_err(Failure::Client)
        };
        match slot {
            Some(slot) => slot.handshake(tls).await?,
            None => tls.await?,
        }
        let transport = judge(acceptor, client);
        let bytes = client
            .read_packet(LOGIN_BYTES)
            .await
            .map(Zeroizing::new)
            .map_err(Failure::Client)?;
        Ok(Self {
            packet: LoginPacket { head, bytes },
            transport,
        })
    }
}

impl LoginPacket {
    /// What stands in it.
    pub(crate) fn login(&self) -> Result<Login<'_>, Failure> {
        if !self.head.capabilities.contains(Capabilities::REQUIRED) {
            return Err(Failure::OldClient);
        }
        let login = Login::decode(&self.bytes, self.head.capabilities)?;
        if login.head.collation != self.head.collation {
            return Err(Failure::ClientBreaks(
                "the character set in the login is not that of the SSLRequest",
            ));
        }
        Ok(login)
    }
}

/// Random bytes that are neither NUL, which would end the salt, nor `$`, which ends it in stored hashes.
pub(crate) fn salt(random: &dyn SecureRandom) -> Result<[u8; SALT_BYTES], Failure> {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt).map_err(|_| Failure::NoRandom)?;
    Ok(salt.map(|byte| match byte & 0x7F {
        0 | b'$' => b'x',
        other => other,
    }))
}

/// Judges the certificate that the client has shown, by the clock of now, also when the session was resumed.
fn judge(acceptor: &Acceptor, client: &Stream) -> Result<Transport, CertificateRefusal> {
    let tls = client.tls();
    let shown = tls.and_then(|tls| tls.peer_certificates());
    let certificate = acceptor.judge(shown, UnixTime::now())?.map(Arc::new);
    let negotiated = tls.and_then(|tls| Negotiated::of(tls));
    Ok(Transport::Tls {
        cipher: negotiated.map_or("", |tls| tls.cipher),
        certificate,
    })
}
