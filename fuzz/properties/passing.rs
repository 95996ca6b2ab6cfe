//! Nobody passes whom the oracle refuses: from a client's packets to the packets for the server, as a session does it.
//!
//! The oracle knows nothing of how mytls reads a packet. It reads what would be *sent* as a lenient server might, in each
//! way that a server might, and no reading may name a user who lacks something.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use mytls::protocol::capabilities::Capabilities;
use mytls::protocol::change_user::{BackendChangeUser, ChangeUser};
use mytls::protocol::login::{BackendLogin, Login, LoginHead};
use mytls::protocol::server_kind::ServerKind;
use mytls::protocol::user_name::UserName;
use mytls::rules::{
    AccountRule, AlternativeNames, Attribute, Certificate, ClientAddress, Identity, ImportPolicy,
    ImportedAccount, ImportedAccounts, Name, Rules, Settings, Transport,
};

/// User, beginning of the address (all of it, where no `%` ends it), requirement. Names that are near one another.
type Accounts = &'static [(&'static str, &'static str, &'static str)];

const ACCOUNTS: Accounts = &[
    ("lax", "%", "NONE"),
    ("app", "%", "NONE"),
    ("app", "10.%", "X509"),
    ("app", "10.0.0.7", "NONE"),
    ("ap", "%", "SUBJECT '/CN=dm'"),
    ("appé", "%", "SUBJECT '/CN=dm'"),
    ("app?", "%", "X509"),
    ("é", "%", "SSL"),
    ("é'", "%", "X509"),
    ("lllllllllllllllllllllllllllllll", "%", "NONE"),
    ("llllllllllllllllllllllllllllllll", "%", "X509"),
    ("", "192.168.%", "X509"),
];
/// Where the anonymous account is missing, `DEFAULT` is for users whom no account names.
const NAMED: Accounts = ACCOUNTS.split_at(ACCOUNTS.len() - 1).0;
const DEFAULT: &str = "SSL";
const ADDRESSES: [&str; 4] = ["10.0.0.7", "10.0.0.8", "192.168.1.1", "2001:db8::1"];

/// What the oracle goes by.
#[derive(Debug, Clone, Copy)]
struct Oracle {
    accounts: Accounts,
    is_imported: bool,
    server: ServerKind,
    address: &'static str,
    tls: bool,
    common_name: Option<&'static str>,
}

impl Oracle {
    /// Ten lines: the account of the longest host counts, and of these the named one.
    fn refuses(&self, name: &str) -> bool {
        let admits = |host: &str| match host.strip_suffix('%') {
            Some(beginning) => self.address.starts_with(beginning),
            None => self.address == host,
        };
        let is_mine = |user: &str| user == name || user.is_empty();
        let mine = self.accounts.iter().filter(|(user, _, _)| is_mine(user));
        let fitting = mine.clone().filter(|(_, host, _)| admits(host));
        let best = fitting.max_by_key(|(user, host, _)| (host.len(), !user.is_empty()));
        let requirement = match best {
            Some((_, _, requirement)) => requirement,
            None if self.is_imported || mine.count() > 0 => return true,
            None => DEFAULT,
        };
        match requirement {
            "NONE" => false,
            "SSL" => !self.tls,
            "X509" => self.common_name.is_none(),
            _ => self.common_name != Some("dm"),
        }
    }

    /// Every name that the server could take these bytes for. What collation ids mean is what `SHOW COLLATION` says.
    fn readings(&self, bytes: &[u8], collation: u16, strips_quotes: bool) -> Vec<String> {
        let is_replaced = |c| c > '\u{FFFF}' || c == char::REPLACEMENT_CHARACTER;
        let utf8 = String::from_utf8_lossy(bytes).replace(is_replaced, "?");
        let latin1: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        let valid = bytes.utf8_chunks().next();
        let cut = valid.map_or("", |chunk| chunk.valid()).to_owned();
        let read = match (collation, self.server) {
            (_, ServerKind::TiDb)
            | (255, ServerKind::MySql)
            | (33 | 45 | 46 | 83 | 192..=215 | 223..=247, _) => vec![utf8, cut],
            (5 | 8 | 15 | 31 | 47..=49 | 94, _) => vec![latin1],
            _ => vec![utf8, latin1, cut],
        };
        let longest = match self.server {
            ServerKind::MariaDb => 128,
            _ => 32,
        };
        let in_quotes = |name: &str| Some(name.strip_prefix('\'')?.strip_suffix('\'')?.to_owned());
        let stripped = |name: String| in_quotes(&name).filter(|_| strips_quotes).unwrap_or(name);
        let clipped = |name: String| name.chars().take(longest).collect();
        read.into_iter().map(stripped).map(clipped).collect()
    }

    /// Judges what is sent to the server.
    fn check(&self, user: &[u8], collation: u16, strips_quotes: bool) {
        for name in self.readings(user, collation, strips_quotes) {
            assert!(
                !self.refuses(&name),
                "{name:?} passes; sent as {user:?} in collation {collation}; {self:?}"
            );
        }
    }
}

/// Four bytes choose who the client is, what the server is and where the rules come from, the fifth says how long the
/// login is that follows; the rest is a `COM_CHANGE_USER`.
pub(crate) fn nobody_passes_whom_the_oracle_refuses(data: &[u8]) {
    let Some((&[address, transport, server, place, length], packets)) = data.split_first_chunk()
    else {
        return;
    };
    let (login, command) = packets.split_at(usize::from(length).min(packets.len()));
    let (accounts, rules, imported) = match place % 3 {
        0 => (ACCOUNTS, &*RULES, None),
        1 => (NAMED, &*RULES_FOR_NAMED, None),
        _ => (ACCOUNTS, &*NO_RULES, Some(&*IMPORTED)),
    };
    // TiDB gives anonymous accounts to nobody else; it has a test of its own
    let servers = match imported {
        None => 4,
        Some(_) => 3,
    };
    let (transport, common_name) = &TRANSPORTS[usize::from(transport) % TRANSPORTS.len()];
    let oracle = Oracle {
        accounts,
        is_imported: imported.is_some(),
        server: SERVERS[usize::from(server) % servers],
        address: ADDRESSES[usize::from(address) % ADDRESSES.len()],
        tls: !matches!(transport, Transport::Plaintext),
        common_name: *common_name,
    };
    let ip: IpAddr = oracle.address.parse().expect("an address");
    let identity = Identity {
        address: ClientAddress::from(ip),
        transport: transport.clone(),
    };
    let passes = |user: &UserName| rules.authorize(&identity, user, imported).is_ok();

    let sends_login = |sent: &[u8]| oracle.check(until_nul(&sent[32..]), sent[8].into(), true);
    let Some(flags) = log_in(login, oracle.server, passes, sends_login) else {
        return;
    };
    let sends_command =
        |sent: &[u8], collation| oracle.check(until_nul(&sent[1..]), collation, false);
    change_user(command, flags, oracle.server, passes, sends_command);
}

const SERVERS: [ServerKind; 4] = [
    ServerKind::MySql,
    ServerKind::MariaDb,
    ServerKind::OldMySql,
    ServerKind::TiDb,
];

/// As a session does it: reads, makes canonical, judges, writes.
fn log_in(
    packet: &[u8],
    server: ServerKind,
    passes: impl Fn(&UserName) -> bool,
    sends: impl Fn(&[u8]),
) -> Option<Capabilities> {
    let flags = LoginHead::decode(packet).ok()?.capabilities;
    if !flags.contains(Capabilities::REQUIRED) {
        return None;
    }
    let login = Login::decode(packet, flags).ok()?;
    let collation = login.head.collation;
    let user = UserName::from_login(login.user, collation, server).ok()?;
    if passes(&user) {
        let user = user.encode(collation.into(), server).ok()?;
        let login = BackendLogin {
            head: login.head,
            user: &user,
            using_password: login.using_password,
            database: login.database,
            attributes: &login.attributes.encode_behind(&[]),
        };
        sends(&login.encode());
    }
    Some(flags)
}

fn change_user(
    packet: &[u8],
    flags: Capabilities,
    server: ServerKind,
    passes: impl Fn(&UserName) -> bool,
    sends: impl Fn(&[u8], u16),
) -> Option<()> {
    let command = ChangeUser::decode(packet, flags).ok()?;
    let user = UserName::from_change_user(command.user, command.collation, server).ok()?;
    if passes(&user) {
        let command = BackendChangeUser {
            user: &user.encode(command.collation, server).ok()?,
            using_password: command.using_password,
            database: command.database,
            collation: command.collation,
            attributes: &command.attributes.encode_behind(&[]),
        };
        sends(&command.encode(flags), command.collation);
    }
    Some(())
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

static TRANSPORTS: LazyLock<[(Transport, Option<&str>); 4]> = LazyLock::new(|| {
    let over_tls = |common_name: Option<&'static str>| {
        let certificate = common_name.map(|value| {
            let attribute = Attribute {
                kind: "CN",
                value: value.as_bytes(),
                text: Some(value),
            };
            Arc::new(Certificate {
                subject: Name::new(&[vec![attribute]]),
                issuer: Name::new(&[vec![attribute]]),
                common_name: Some(value.to_owned()),
                alternative_names: AlternativeNames::default(),
            })
        });
        (
            Transport::Tls {
                cipher: "TLS_AES_256_GCM_SHA384",
                certificate,
            },
            common_name,
        )
    };
    [
        (Transport::Plaintext, None),
        over_tls(None),
        over_tls(Some("dm")),
        over_tls(Some("mallory")),
    ]
});

static NO_RULES: LazyLock<Rules> = LazyLock::new(|| rules(&[], "NONE"));
static RULES: LazyLock<Rules> = LazyLock::new(|| rules(ACCOUNTS, DEFAULT));
static RULES_FOR_NAMED: LazyLock<Rules> = LazyLock::new(|| rules(NAMED, DEFAULT));

fn rules(accounts: Accounts, default_requirement: &str) -> Rules {
    let rule = |(user, host, requirement): &(&str, &str, &str)| AccountRule {
        name: format!("\"{user}\"@'{host}'").parse().expect("an account"),
        requirement: requirement.parse().expect("a requirement"),
    };
    let settings = Settings {
        accounts: accounts.iter().map(rule).collect(),
        default_requirement: default_requirement.parse().expect("a requirement"),
        ..Settings::default()
    };
    Rules::new(settings).expect("no contradictions")
}

static IMPORTED: LazyLock<ImportedAccounts> = LazyLock::new(|| {
    let account = |(user, host, requirement): &(&str, &str, &str)| ImportedAccount {
        user: (*user).to_owned(),
        host: (*host).to_owned(),
        requirement: requirement.parse().expect("a requirement"),
        peer_credential: false,
    };
    let accounts = ACCOUNTS.iter().map(account).collect();
    ImportedAccounts::new(accounts, ServerKind::MySql, ImportPolicy::default())
});
