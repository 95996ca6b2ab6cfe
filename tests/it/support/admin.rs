//! The admin port of a running mytls, and a raw client of it.

use super::backend::{Backend, Server};
use super::client::Client;
use super::handshake::Login;
use super::packet::{ErrorPacket, Fields, Packet, flag};
use super::pki::{Identity, PKI};
use super::plugin::{ClientPlugin, PASSWORD};
use super::proxy::{Config, Proxy};

/// `authentication_string` of an account of MySQL 9.7, and its password.
pub(crate) const STORED: &str = "0x244124303041240E160D1E785D0A2B6351272F367F501219554477667A317A556B7954737A49554A7776672E663749433567566C414E36683645547677394E417032426E5541";
pub(crate) const STORED_PASSWORD: &str = "admin-pw";

/// Certificates, a user by password, one by a password of which only the hash is there, two by certificate.
const USERS: &str = "
  users:
    - { user: ops, password-file: ops.secret }
    - { user: hashed, password-file: hashed.secret }
    - { user: rotate, require: X509 }
    - { user: other, require: \"SUBJECT '/CN=somebody-else'\" }
    - { user: both, password-file: ops.secret, require: X509 }
";

/// A result set as a client reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    /// Column definitions, whole.
    pub(crate) definitions: Vec<Vec<u8>>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// The value in the row whose first column is this.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> &str {
        let named = |row: &&Vec<Option<String>>| row[0].as_deref() == Some(name);
        let row = self.rows.iter().find(named);
        let row = row.unwrap_or_else(|| panic!("no {name} in {self:?}"));
        row[1].as_deref().expect("a value")
    }

    /// A column's values.
    #[track_caller]
    pub(crate) fn column(&self, name: &str) -> Vec<Option<&str>> {
        let place = self.columns.iter().position(|column| column == name);
        let place = place.unwrap_or_else(|| panic!("no column {name} in {:?}", self.columns));
        self.rows.iter().map(|row| row[place].as_deref()).collect()
    }
}

/// The scripted backend that stands behind every data port here.
pub(crate) fn backend() -> Backend {
    Backend::start(Server::mysql())
}

/// mytls with an admin port, its TLS and users as ever; `security` is more of that section.
pub(crate) fn config(backend: &Backend, security: &str) -> Config {
    let config = Config::before(backend);
    std::fs::write(config.path("ops.secret"), format!("{PASSWORD}\n")).expect("write a password");
    std::fs::write(config.path("hashed.secret"), STORED).expect("write a hash");
    config.with(&format!(
        "admin:\n  listen: 127.0.0.1:0\n  security: {{ ssl-ca: ca.pem, ssl-cert: server.pem, ssl-key: server.key{security} }}{USERS}"
    ))
}

/// The same, started.
#[track_caller]
pub(crate) fn start(backend: &Backend) -> Proxy {
    Proxy::start(config(backend, ""))
}

/// A login over TLS.
#[track_caller]
pub(crate) fn try_to_log_in(
    proxy: &Proxy,
    user: &str,
    password: Option<&'static str>,
    identity: Option<&Identity>,
) -> Result<Client, ErrorPacket> {
    let mut client = Client::greeted(proxy.admin_address());
    let login = match password {
        Some(_) => Login::of(user),
        None => Login::of(user).without_password(),
    };
    client.start_tls(&login, &PKI.client_tls(identity));
    client.send_login(&login);
    let plugin = password.map_or_else(ClientPlugin::default, ClientPlugin::with);
    match client.authenticate(plugin).error() {
        Some(error) => Err(error),
        None => Ok(client),
    }
}

/// A login of the user by password.
#[track_caller]
pub(crate) fn log_in(proxy: &Proxy) -> Client {
    try_to_log_in(proxy, "ops", Some(PASSWORD), None).expect("logged in")
}

/// What a statement is answered with.
#[track_caller]
pub(crate) fn ask(client: &mut Client, sql: &str) -> Packet {
    client.query(sql);
    client.sequence = 1;
    client.read()
}

/// A statement that is refused.
#[track_caller]
pub(crate) fn refused(client: &mut Client, sql: &str) -> ErrorPacket {
    let packet = ask(client, sql);
    packet
        .error()
        .unwrap_or_else(|| panic!("{sql} was answered with {packet:?}"))
}

/// A statement that is done without rows.
#[track_caller]
pub(crate) fn done(client: &mut Client, sql: &str) -> Packet {
    let packet = ask(client, sql);
    assert!(packet.is_ok(), "{sql}: {:?}", packet.error());
    packet
}

/// Ends the only session of the data port with `KILL`.
#[track_caller]
pub(crate) fn kill_the_only_session(operator: &mut Client) {
    let list = rows(operator, "SHOW PROCESSLIST");
    assert_eq!(list.rows.len(), 1, "{list:?}");
    let id = list.column("Id")[0].expect("an id");
    done(operator, &format!("KILL {id}"));
}

/// A statement that gives rows.
#[track_caller]
pub(crate) fn rows(client: &mut Client, sql: &str) -> Table {
    let first = ask(client, sql);
    assert_eq!(first.error(), None, "{sql}");
    read_rows(client, &first, true)
}

/// A result set behind its first packet, without an EOF in its middle or with one.
#[track_caller]
pub(crate) fn read_rows(client: &mut Client, first: &Packet, deprecate_eof: bool) -> Table {
    let definitions: Vec<_> = (0..first.payload[0])
        .map(|_| client.read().payload)
        .collect();
    if !deprecate_eof {
        assert_eq!(client.read().payload, super::packet::EOF);
    }
    let mut rows = Vec::new();
    loop {
        let payload = client.read().payload;
        if payload[0] == 0xfe && payload.len() < 9 {
            let length = if deprecate_eof { 7 } else { 5 };
            assert_eq!(payload.len(), length, "the end of a result set");
            break;
        }
        rows.push(values(&payload, definitions.len()));
    }
    Table {
        columns: definitions.iter().map(|bytes| name(bytes)).collect(),
        definitions,
        rows,
    }
}

fn values(payload: &[u8], count: usize) -> Vec<Option<String>> {
    let mut fields = Fields(payload);
    let values = (0..count)
        .map(|_| {
            if fields.0.first() == Some(&0xfb) {
                fields.byte();
                return None;
            }
            let text = fields.length_encoded_bytes().expect("a value");
            Some(String::from_utf8(text).expect("UTF-8"))
        })
        .collect();
    assert!(fields.0.is_empty(), "more values than columns");
    values
}

/// The name in a column definition: the fifth of its strings.
fn name(definition: &[u8]) -> String {
    let mut fields = Fields(definition);
    let strings: Vec<_> = (0..6)
        .map(|_| fields.length_encoded_bytes().expect("a string"))
        .collect();
    String::from_utf8(strings[4].clone()).expect("UTF-8")
}

/// A login that asks for the older ending of result sets.
pub(crate) fn without_deprecate_eof(user: &str) -> Login {
    Login::of(user).with_flags(0, flag::DEPRECATE_EOF)
}
