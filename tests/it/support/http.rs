//! An HTTP client that sends what it is told to, byte for byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::wire::PATIENCE;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A connection that says nothing of its own.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect to the HTTP port");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("set a time-out");
    stream
}

/// Asks for a path as curl does.
#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"),
    )
}

/// Sends this and reads the answer to the end of the connection.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, request: &str) -> Answer {
    exchange(connect(address), request).expect("an answer")
}

/// The same over a Unix socket.
#[track_caller]
pub(crate) fn ask_unix(path: &Path, request: &str) -> Answer {
    let stream = UnixStream::connect(path).expect("connect to the HTTP port's socket");
    exchange(stream, request).expect("an answer")
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // whoever sends more than is read is answered and then cut off
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !bytes.is_empty() => {}
        other => {
            other?;
        }
    }
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    Answer::parse(&text).ok_or_else(|| io::Error::other(text))
}

impl Answer {
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?;
        let status = status.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_ascii_lowercase(), value.to_owned()))
        };
        Some(Self {
            status,
            headers: lines.map(header).collect::<Option<_>>()?,
            body: body.to_owned(),
        })
    }

    /// The only header of this name.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut all = self.headers.iter().filter(|(each, _)| each == name);
        let (_, value) = all
            .next()
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert!(all.next().is_none(), "{name} twice in {self:?}");
        value
    }
}
