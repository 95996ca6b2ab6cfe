//! Whether a mytls that runs is ready, asked from beside it: `mytls health` and `mytls wait`.
//!
//! Without a runtime, TLS or a login, so that an orchestrator may ask every few seconds. The HTTP port answers best. Where
//! there is none the data port's greeting does: mytls greets by itself, so no database hears of it.

mod connection;
mod http_get;

use std::io::{self, Read as _, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use self::connection::Connection;
use self::http_get::Answer;
use crate::backend::Endpoint;
use crate::config::{self, Config};
use crate::net::ListenAddress;
use crate::protocol::err_packet::ErrPacket;

/// Between two questions of `wait`.
const PAUSE: Duration = Duration::from_millis(100);

/// A greeting or an ERR in its place; a server's version is the longest part.
const MOST_GREETING_BYTES: usize = 4096;

/// The first byte of a greeting: the protocol's version.
const GREETING: u8 = 10;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether clients are welcome.
    Ready,
    /// Whether it answers at all.
    Live,
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// The HTTP port.
    Http(Endpoint),
    /// The data port.
    Data(Endpoint),
    /// The HTTP port at its usual address; if nobody listens there, the data port at its own.
    Usual,
}

/// Why the answer is no, in one line.
#[derive(Debug, Error)]
pub enum No {
    /// Nobody listens there, or nothing is heard in time.
    #[error("no answer at {0}: {1}")]
    Silent(Endpoint, #[source] io::Error),
    /// mytls itself says so.
    #[error("{0}")]
    Said(String),
    /// Whoever listens there is no mytls.
    #[error("what listens at {0} does not answer as mytls does")]
    Stranger(Endpoint),
}

impl Port {
    /// That of a mytls with this configuration: the HTTP port if it has one.
    pub fn of(config: &Config) -> Self {
        let http = config.http.iter().flat_map(|http| &http.listen).next();
        match (http, config.listen.first()) {
            (Some(address), _) => Self::Http(dialled(address)),
            (None, Some(address)) => Self::Data(dialled(address)),
            (None, None) => Self::Usual,
        }
    }

    fn ask(&self, question: Question) -> Result<String, No> {
        match self {
            Self::Http(endpoint) => ask_http(endpoint, question),
            Self::Data(endpoint) => ask_for_greeting(endpoint, question),
            Self::Usual => {
                let address = |usual| dialled(&ListenAddress::Tcp(usual));
                match ask_http(&address(config::HTTP_LISTEN), question) {
                    Err(No::Silent(_, error))
                        if error.kind() == io::ErrorKind::ConnectionRefused =>
                    {
                        ask_for_greeting(&address(config::LISTEN), question)
                    }
                    answer => answer,
                }
            }
        }
    }
}

/// `mytls health`: prints a line, and says whether it is a good one.
pub fn health(port: &Port, question: Question, out: &mut dyn Write) -> io::Result<bool> {
    let answer = port.ask(question);
    print(out, &answer)?;
    Ok(answer.is_ok())
}

/// `mytls wait`: asks until the answer is good, and says whether it was in time.
pub fn wait(port: &Port, most: Duration, out: &mut dyn Write) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        let answer = port.ask(Question::Ready);
        if answer.is_ok() || begun.elapsed() + PAUSE > most {
            print(out, &answer)?;
            return Ok(answer.is_ok());
        }
        thread::sleep(PAUSE);
    }
}

/// What a stranger sends must not make lines of its own.
fn print(out: &mut dyn Write, answer: &Result<String, No>) -> io::Result<()> {
    let line = match answer {
        Ok(line) => line.clone(),
        Err(no) => no.to_string(),
    };
    let line: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    writeln!(out, "{}", line.trim_end())
}

fn ask_http(endpoint: &Endpoint, question: Question) -> Result<String, No> {
    let path = match question {
        Question::Ready => "/readyz",
        Question::Live => "/livez",
    };
    let silent = |error| No::Silent(endpoint.clone(), error);
    let mut connection = Connection::open(endpoint).map_err(silent)?;
    match http_get::get(&mut connection, path).map_err(silent)? {
        Some(Answer { status: 200, .. }) => Ok(good(question)),
        Some(Answer { status: 503, body }) => Err(No::Said(body)),
        Some(_) | None => Err(No::Stranger(endpoint.clone())),
    }
}

fn ask_for_greeting(endpoint: &Endpoint, question: Question) -> Result<String, No> {
    let silent = |error| No::Silent(endpoint.clone(), error);
    let stranger = || No::Stranger(endpoint.clone());
    let mut connection = Connection::open(endpoint).map_err(silent)?;
    let mut header = [0; 4];
    connection.read_exact(&mut header).map_err(silent)?;
    let [low, middle, high, _sequence] = header;
    let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
    if length > MOST_GREETING_BYTES {
        return Err(stranger());
    }
    let mut payload = vec![0; length];
    connection.read_exact(&mut payload).map_err(silent)?;
    if payload.first() == Some(&GREETING) {
        return Ok(good(question));
    }
    let error = ErrPacket::decode(&payload).map_err(|_| stranger())?;
    match question {
        Question::Live => Ok(good(question)),
        Question::Ready => Err(No::Said(format!("not ready: {}", error.message))),
    }
}

fn good(question: Question) -> String {
    match question {
        Question::Ready => "ready",
        Question::Live => "alive",
    }
    .to_owned()
}

/// Where to find who listens there.
fn dialled(address: &ListenAddress) -> Endpoint {
    match address {
        ListenAddress::Unix(path) => Endpoint::Unix(path.clone()),
        ListenAddress::Tcp(tcp) => {
            let host = match tcp.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            };
            Endpoint::Tcp {
                host: host.to_string(),
                port: tcp.port(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn who_listens_everywhere_is_found_on_this_machine() {
        for (listen, host, port) in [
            ("0.0.0.0:9307", "127.0.0.1", 9307),
            ("[::]:1", "::1", 1),
            ("10.0.0.1:2", "10.0.0.1", 2),
        ] {
            let listen = config::parse_listen(listen).expect("an address");
            assert_eq!(dialled(&listen), endpoint(host, port));
        }
        let socket = ListenAddress::Unix("/run/h.sock".into());
        assert_eq!(dialled(&socket), Endpoint::Unix("/run/h.sock".into()));
    }

    #[test]
    fn a_stranger_makes_no_lines_of_his_own() {
        let mut out = Vec::new();
        let said = Err(No::Said("not\nready\u{1b}[2J\n".to_owned()));
        print(&mut out, &said).expect("a vector takes all");
        assert_eq!(out, b"not ready [2J\n");
    }
}
