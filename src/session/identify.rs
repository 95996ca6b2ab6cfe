//! The first step: who is there? Greeting, TLS, certificate, login packet. The backend hears nothing of it.

use super::DataPort;
use super::failure::Failure;
use super::hello::{Hello, salt};
use super::record::Record;
use super::slots::Slot;
use crate::backend::Backend;
use crate::net::stream::{Stream, StreamError};
use crate::protocol::capabilities::Capabilities;
use crate::protocol::compression::Algorithm;
use crate::protocol::greeting::{BackendGreeting, ClientGreeting};
use crate::protocol::proxy_header::ProxyHeader;
use crate::protocol::server_kind::ServerKind;
use crate::protocol::user_name::UserName;
use crate::rules::Identity;
use crate::tls::Negotiated;

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
    /// How the client's packets travel from its login on.
    pub(super) compression: Option<Algorithm>,
    pub(super) max_packet_bytes: u32,
    pub(super) collation: u8,
    pub(super) server: ServerKind,
    pub(super) using_password: bool,
    pub(super) database: Option<Vec<u8>>,
    /// The attributes for the backend, encoded.
    pub(super) attributes: Vec<u8>,
}

impl DataPort {
    /// Greets a client, does TLS with it if it asks, and reads its login.
    pub(super) async fn identify(
        &self,
        client: &mut Stream,
        slot: &Slot,
        backend: &Backend,
        record: &mut Record,
    ) -> Result<Identified, Failure> {
        let greeting = backend
            .greeting()
            .ok_or(Failure::BackendNotSeen(record.route))?;
        // one generation from the greeting to the judgement
        let tls = self.handles.tls.fresh().await;
        let acceptor = tls.as_deref().map(|generation| &generation.tls);
        let offered = self
            .greet(client, &greeting, record.id, acceptor.is_some())
            .await?;
        record.greeted = true;
        let hello = Hello::hear(client, acceptor, Some(slot), self.handles.tls.counts()).await;
        if let Some(tls) = client.tls().and_then(|tls| Negotiated::of(tls)) {
            record.over_tls(tls);
        }
        let hello = hello.map_err(|failure| match failure {
            Failure::Client(StreamError::Sequence { .. })
                if record.via.is_none() && ProxyHeader::is_begun_by(client.received()) =>
            {
                Failure::UnlistedBalancer(record.client)
            }
            other => other,
        })?;
        let login = hello.packet.login()?;
        let server = greeting.server_kind();
        let user = UserName::from_login(login.user, login.head.collation, server)?;
        record.user = Some(user.as_str().to_owned());
        let transport = hello.transport?;
        record.subject = transport
            .certificate()
            .map(|certificate| certificate.subject.to_string());
        record.database = login
            .database
            .filter(|name| !name.is_empty())
            .map(|name| String::from_utf8_lossy(name).into_owned());
        let offered_compression = self.offered_compression();
        let wishes = Wishes {
            compression: Algorithm::agreed(
                hello.packet.head.capabilities & offered_compression,
                login.zstd_level,
            )?,
            granted: granted(hello.packet.head.capabilities, offered),
            flags: hello.packet.head.capabilities,
            max_packet_bytes: login.head.max_packet_bytes,
            collation: login.head.collation,
            server,
            using_password: login.using_password,
            database: login.database.map(<[u8]>::to_vec),
            attributes: login.attributes.encode_behind(&own_attributes(record)),
        };
        Ok(Identified {
            identity: Identity {
                address: record.client,
                transport,
            },
            user,
            wishes,
        })
    }

    fn offered_compression(&self) -> Capabilities {
        if self.handles.compression {
            Algorithm::offered()
        } else {
            Capabilities::default()
        }
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
            salt: &salt(self.handles.random)?,
            capabilities: offered | tls | self.offered_compression(),
            collation: greeting.collation,
        }
        .encode();
        client
            .write_packet(&payload)
            .await
            .map_err(|_| Failure::Left)?;
        Ok(offered)
    }
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
pub(super) fn own_attributes(record: &Record) -> Vec<(&'static str, String)> {
    let mut attributes = vec![("_mytls_client_addr", record.client.to_string())];
    if let Some(tls) = record.client_tls {
        attributes.push(("_mytls_tls_version", tls.version.to_owned()));
        attributes.push(("_mytls_tls_cipher", tls.cipher.to_owned()));
    }
    if let Some(subject) = &record.subject {
        attributes.push(("_mytls_client_subject", subject.clone()));
    }
    attributes
}
