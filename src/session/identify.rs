//! The first step: who is there? Greeting, TLS, certificate, login packet. The backend hears nothing of it.

use std::sync::Arc;

use rustls::pki_types::UnixTime;
use zeroize::Zeroizing;

use super::DataPort;
use super::outcome::{Failure, Record};
use crate::net::stream::{Stream, StreamError};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::greeting::{BackendGreeting, ClientGreeting, SALT_BYTES};
use crate::protocol::login::{HEAD_BYTES, Login, LoginHead};
use crate::protocol::server_kind::ServerKind;
use crate::protocol::user_name::UserName;
use crate::rules::{ClientAddress, Identity, Transport};
use crate::tls::{Acceptor, CertificateRefusal, Negotiated};

/// The longest packet of a login. Connection attributes, of which servers take 64 KiB, and tickets of as much are the
/// longest parts. Clients that nobody knows yet make us hold one each, `limits.connections-before-login` in all.
pub(super) const LOGIN_BYTES: usize = 128 * 1024;

/// A client that has said who it is and what it wants. Nobody has judged it yet.
#[derive(Debug)]
pub(super) struct Identified {
    pub(super) identity: Identity,
    pub(super) user: UserName,
    pub(super) wishes: Wishes,
}

/// What a login asks for, for the backend.
#[derive(Debug)]
pub(super) struct Wishes {
    /// What client and backends have in common; without TLS and compression.
    pub(super) granted: Capabilities,
    /// The client's own flags: its packets are laid out by them.
    pub(super) flags: Capabilities,
    pub(super) max_packet_bytes: u32,
    pub(super) collation: u8,
    pub(super) server: ServerKind,
    pub(super) using_password: bool,
    pub(super) database: Option<Vec<u8>>,
    /// The attributes for the backend, encoded.
    pub(super) attributes: Vec<u8>,
}

/// The client's login packet, and what was seen on the way to it.
struct Hello {
    /// Flags and character set that count: those of an `SSLRequest`, if there was one.
    head: LoginHead,
    /// Some clients put their password into it.
    packet: Zeroizing<Vec<u8>>,
    /// A certificate that is not accepted is told of only now: an error before the login packet was read is lost to a
    /// TCP reset.
    transport: Result<Transport, CertificateRefusal>,
}

impl DataPort {
    /// Greets a client, does TLS with it if it asks, and reads its login.
    pub(super) async fn identify(
        &self,
        client: &mut Stream,
        address: ClientAddress,
        record: &mut Record,
    ) -> Result<Identified, Failure> {
        let greeting = self
            .handles
            .backends
            .routed()
            .greeting()
            .ok_or(Failure::BackendNotSeen(record.route))?;
        // one generation from the greeting to the judgement
        let tls = self.handles.tls.fresh().await;
        let acceptor = tls.as_deref().map(|generation| &generation.tls);
        let offered = self
            .greet(client, &greeting, record.id, acceptor.is_some())
            .await?;
        let hello = self.hear(client, acceptor, record).await?;
        if !hello.head.capabilities.contains(Capabilities::REQUIRED) {
            return Err(Failure::OldClient);
        }
        let login = Login::decode(&hello.packet, hello.head.capabilities)?;
        if login.head.collation != hello.head.collation {
            return Err(Failure::ClientBreaks(
                "the character set in the login is not that of the SSLRequest",
            ));
        }
        let server = greeting.server_kind();
        let user = UserName::from_login(login.user, login.head.collation, server)?;
        record.user = Some(user.as_str().to_owned());
        let transport = hello.transport?;
        record.subject = transport
            .certificate()
            .map(|certificate| certificate.subject.to_string());
        let wishes = Wishes {
            granted: granted(hello.head.capabilities, offered),
            flags: hello.head.capabilities,
            max_packet_bytes: login.head.max_packet_bytes,
            collation: login.head.collation,
            server,
            using_password: login.using_password,
            database: login.database.map(<[u8]>::to_vec),
            attributes: login
                .attributes
                .encode_behind(&own_attributes(record, address)),
        };
        Ok(Identified {
            identity: Identity { address, transport },
            user,
            wishes,
        })
    }

    async fn greet(
        &self,
        client: &mut Stream,
        greeting: &BackendGreeting,
        id: u32,
        offers_tls: bool,
    ) -> Result<Capabilities, Failure> {
        let offered = self.handles.backends.offered();
        let tls = if offers_tls {
            Capabilities::SSL
        } else {
            Capabilities::default()
        };
        let payload = ClientGreeting {
            version: &greeting.version,
            connection_id: id,
            salt: &self.salt()?,
            capabilities: offered | tls,
            collation: greeting.collation,
        }
        .encode();
        client
            .write_packet(&payload)
            .await
            .map_err(|_| Failure::Left)?;
        Ok(offered)
    }

    /// Random bytes that are neither NUL, which would end the salt, nor `$`, which ends it in stored hashes.
    fn salt(&self) -> Result<[u8; SALT_BYTES], Failure> {
        let mut salt = [0; SALT_BYTES];
        self.handles
            .random
            .fill(&mut salt)
            .map_err(|_| Failure::NoRandom)?;
        Ok(salt.map(|byte| match byte & 0x7F {
            0 | b'$' => b'x',
            other => other,
        }))
    }

    /// Reads what the client answers to the greeting: a login in plaintext, or an `SSLRequest`, TLS, and the login in it.
    async fn hear(
        &self,
        client: &mut Stream,
        acceptor: Option<&Acceptor>,
        record: &mut Record,
    ) -> Result<Hello, Failure> {
        let first = match client.read_packet(LOGIN_BYTES).await {
            Ok(packet) => Zeroizing::new(packet),
            Err(StreamError::Closed(_) | StreamError::Io(..)) => return Err(Failure::Left),
            Err(error) => return Err(Failure::Client(error)),
        };
        let head = LoginHead::decode(&first)?;
        if !head.capabilities.contains(Capabilities::SSL) {
            return Ok(Hello {
                head,
                packet: first,
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
        client
            .accept_tls(Arc::clone(acceptor.config()))
            .await
            .map_err(Failure::Client)?;
        record.client_tls = client.tls().and_then(|tls| Negotiated::of(tls));
        let cipher = record.client_tls.map_or("", |tls| tls.cipher);
        let transport = judge(acceptor, client, cipher);
        let packet = client
            .read_packet(LOGIN_BYTES)
            .await
            .map(Zeroizing::new)
            .map_err(Failure::Client)?;
        Ok(Hello {
            head,
            packet,
            transport,
        })
    }
}

/// Judges the certificate that the client has shown, by the clock of now, also when the session was resumed.
fn judge(
    acceptor: &Acceptor,
    client: &Stream,
    cipher: &'static str,
) -> Result<Transport, CertificateRefusal> {
    let shown = client.tls().and_then(|tls| tls.peer_certificates());
    let certificate = acceptor.judge(shown, UnixTime::now())?.map(Arc::new);
    Ok(Transport::Tls {
        cipher,
        certificate,
    })
}

/// What both sides will speak. Bit 0 stays set unless the client, too, says that it speaks MariaDB.
fn granted(client: Capabilities, offered: Capabilities) -> Capabilities {
    let both = (client & offered).without(Capabilities::SSL);
    let is_mysql = (client | offered).contains(Capabilities::CLIENT_MYSQL);
    let common = if is_mysql {
        Capabilities::from_mysql(both.mysql()) | Capabilities::CLIENT_MYSQL
    } else {
        both
    };
    common | Capabilities::PLUGIN_AUTH | offered & Capabilities::CONNECT_ATTRS
}

/// What the backend learns of the client's side, in `performance_schema.session_connect_attrs`.
pub(super) fn own_attributes(
    record: &Record,
    address: ClientAddress,
) -> Vec<(&'static str, String)> {
    let mut attributes = vec![("_mytls_client_addr", address.to_string())];
    if let Some(tls) = record.client_tls {
        attributes.push(("_mytls_tls_version", tls.version.to_owned()));
        attributes.push(("_mytls_tls_cipher", tls.cipher.to_owned()));
    }
    if let Some(subject) = &record.subject {
        attributes.push(("_mytls_client_subject", subject.clone()));
    }
    attributes
}
