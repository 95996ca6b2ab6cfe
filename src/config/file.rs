//! The YAML file as it is written: every key that mytls knows, each with the place where it stands.
//!
//! Nothing is judged here but names and kinds of values. Plain structs only: serde's `flatten`, `untagged` and `tag`
//! lose the place of a value.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny};
use serde_saphyr::{Location, Spanned};

use super::problem::Fault;

/// A key that may be left out. Written with nothing behind it, it is still written, which `Option` would forget:
/// `security:` with all its keys commented out must not mean "plaintext", nor `cert-allowed-cn:` "everybody".
#[derive(Debug, Clone)]
pub(super) struct Key<T>(Option<Spanned<T>>);

impl<T> Key<T> {
    /// The value with its place, if the key is written.
    pub(super) fn written(&self) -> Option<&Spanned<T>> {
        self.0.as_ref()
    }

    /// Where the value stands, if the key is written.
    pub(super) fn location(&self) -> Option<Location> {
        self.0.as_ref().map(|written| written.referenced)
    }
}

impl<T: Copy> Key<T> {
    /// The value, or what holds when the key is not written.
    pub(super) fn or(&self, default: T) -> T {
        self.0.as_ref().map_or(default, |written| written.value)
    }
}

impl<T: Default + Clone> Key<T> {
    /// The section, empty when it is not written.
    pub(super) fn or_empty(&self) -> T {
        self.0
            .as_ref()
            .map_or_else(T::default, |written| written.value.clone())
    }
}

impl<T> Default for Key<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

/// A string, or a list of strings.
#[derive(Debug, Clone)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<Spanned<String>>),
}

impl OneOrMany {
    /// Each string with its place; `at` is the place of the whole.
    pub(super) fn strings(at: &Spanned<Self>) -> Vec<Spanned<String>> {
        match &at.value {
            Self::One(text) => vec![Spanned::new(text.clone(), at.referenced, at.defined)],
            Self::Many(texts) => texts.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StringOrList {
            expected: "an address or a list of addresses",
            one: Self::One,
            many: Self::Many,
            item: PhantomData,
        })
    }
}

/// PEM inside the file: text, or as DM writes it, a list of its bytes.
#[derive(Debug, Clone)]
pub(super) enum PemBytes {
    Text(String),
    Bytes(Vec<u8>),
}

impl PemBytes {
    pub(super) fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for PemBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StringOrList {
            expected: "PEM text or a list of its bytes",
            one: Self::Text,
            many: Self::Bytes,
            item: PhantomData,
        })
    }
}

/// Reads what may be a string or a list, without serde's `untagged`.
struct StringOrList<V, I> {
    expected: &'static str,
    one: fn(String) -> V,
    many: fn(Vec<I>) -> V,
    item: PhantomData<I>,
}

impl<'de, V, I: Deserialize<'de>> de::Visitor<'de> for StringOrList<V, I> {
    type Value = V;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<V, E> {
        Ok((self.one)(text.to_owned()))
    }

    // A number or nothing is handed on as text, so that the error stands at the value: serde would place its own at the
    // section.
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<V, E> {
        Ok((self.one)(number.to_string()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<V, E> {
        Ok((self.one)(String::new()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<V, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(self.many)
    }
}

/// Declares a section of the file: a struct whose keys may all be left out and of which no other is known.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $key:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, serde::Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub(super) struct $name {
            $($(#[$meta])* pub(super) $key: Key<$type>,)*
        }
    };
}

section! {
    /// The whole file.
    File {
        listen: OneOrMany,
        security: Security,
        require_secure_transport: bool,
        reread_certificates: bool,
        require_valid_certificates: bool,
        enforcement: String,
        default_require: String,
        accounts: Vec<Spanned<Account>>,
        import_accounts: ImportAccounts,
        from: Backend,
        backend: Backend,
        target_database: Backend,
        route: String,
        tls_status: String,
        compression: bool,
        proxy_protocol: ProxyProtocol,
        admin: Admin,
        http: Http,
        state_dir: String,
        sandbox: bool,
        log: Log,
        drain: Drain,
        limits: Limits,
    }
}

impl File {
    /// Reads the YAML.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        // Our own errors show the line, since they know the key's path.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(Fault::from)
    }
}

section! {
    /// `security`, with the same keys at every place.
    Security {
        ssl_ca: String,
        ssl_cert: String,
        ssl_key: String,
        ssl_ca_base64: String,
        ssl_cert_base64: String,
        ssl_key_base64: String,
        ssl_ca_bytes: PemBytes,
        ssl_cert_bytes: PemBytes,
        ssl_key_bytes: PemBytes,
        ssl_crl: String,
        auto_tls: bool,
        tls_version: String,
        tls_cipher: String,
        tls_ciphersuites: String,
        cert_allowed_cn: Vec<String>,
        ssl_mode: String,
    }
}

section! {
    /// One of `accounts`.
    Account {
        user: String,
        require: String,
    }
}

section! {
    /// `import-accounts`.
    ImportAccounts {
        user: String,
        password: String,
        password_file: String,
        interval: String,
        hosts: String,
        enforcement: String,
    }
}

section! {
    /// `from` (or `backend`) and `target-database`.
    Backend {
        host: String,
        port: u16,
        socket: String,
        endpoints: OneOrMany,
        user: String,
        password: String,
        allow_plaintext: bool,
        security: Security,
    }
}

section! {
    /// `from` of DM's source file, `target-database` of its task file: all that DM knows there. What is about DM's own
    /// statements is passed over.
    DmBackend {
        host: String,
        port: u16,
        user: String,
        password: String,
        security: Security,
        max_allowed_packet: IgnoredAny,
        session: IgnoredAny,
        /// Not DM's, but what an error about a plaintext connection offers.
        allow_plaintext: bool,
    }
}

impl From<DmBackend> for Backend {
    fn from(section: DmBackend) -> Self {
        let DmBackend {
            host,
            port,
            user,
            password,
            security,
            allow_plaintext,
            max_allowed_packet: _,
            session: _,
        } = section;
        Self {
            host,
            port,
            user,
            password,
            allow_plaintext,
            security,
            ..Self::default()
        }
    }
}

/// A file of DM's. Of its other keys none is about connections, and they may be any.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct DmFile {
    /// In the source file.
    pub(super) from: Key<DmBackend>,
    /// In the task file.
    pub(super) target_database: Key<DmBackend>,
}

impl DmFile {
    /// Reads the YAML.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(Fault::from)
    }
}

section! {
    /// `proxy-protocol`.
    ProxyProtocol {
        accept_from: Vec<Spanned<String>>,
        send: String,
    }
}

section! {
    /// `admin`.
    Admin {
        listen: OneOrMany,
        security: Security,
        users: Vec<Spanned<AdminUser>>,
    }
}

section! {
    /// One of `admin.users`.
    AdminUser {
        user: String,
        password_file: String,
        require: String,
    }
}

section! {
    /// `http`.
    Http {
        listen: OneOrMany,
        hosts: Vec<Spanned<String>>,
    }
}

section! {
    /// `log`.
    Log {
        format: String,
        level: String,
    }
}

section! {
    /// `drain`.
    Drain {
        min: String,
        max: String,
    }
}

section! {
    /// `limits`.
    Limits {
        connections: u32,
        connections_per_client: u32,
        connections_before_login: u32,
        handshakes: u32,
        login_time: String,
        connect_time: String,
        idle_time: String,
        life_time: String,
        keep_alive: String,
        unacknowledged_time: String,
    }
}
