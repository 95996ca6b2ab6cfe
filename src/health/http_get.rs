//! As much of HTTP/1.1 as it takes to ask a mytls one question.

use std::io::{self, Read, Write};

/// The longest answer that is read. A probe's is one line behind a few headers.
const MOST_BYTES: u64 = 64 * 1024;

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The body as it came: mytls sends it in one piece.
    pub(super) body: String,
}

/// Asks for a path; none if what comes back is not HTTP.
///
/// `Host` is always `localhost`: that it is a name of the other side is for browsers to prove.
pub(super) fn get(stream: &mut (impl Read + Write), path: &str) -> io::Result<Option<Answer>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(Answer::parse(&String::from_utf8_lossy(&bytes)))
}

impl Answer {
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let rest = head.strip_prefix("HTTP/1.1 ")?;
        let (status, behind) = rest.split_at_checked(3)?;
        let is_number = status.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || !(behind.is_empty() || behind.starts_with([' ', '\r'])) {
            return None;
        }
        let status = status.parse().ok()?;
        Some(Self {
            status,
            body: body.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_http_is_no_answer() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 +20 OK\r\n\r\nx",
            "HTTP/1.1 éé OK\r\n\r\n",
            "J\0\0\0\n9.7.0\r\n\r\n",
        ] {
            assert_eq!(Answer::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let text =
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 20\r\n\r\nnot ready: draining\n";
        let expected = Answer {
            status: 503,
            body: "not ready: draining\n".to_owned(),
        };
        assert_eq!(Answer::parse(text), Some(expected));
    }
}
