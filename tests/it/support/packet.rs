//! MySQL's packets made and read by hand, after the protocol's documentation.
//!
//! Shares nothing with the crate's own codec, so that a mistake there cannot hide here.

/// A packet's longest payload; one more byte needs a second packet.
pub(crate) const LARGEST_PAYLOAD: usize = 0x00ff_ffff;

/// [Capability flags](https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html).
pub(crate) mod flag {
    pub(crate) const LONG_PASSWORD: u32 = 1;
    pub(crate) const LONG_FLAG: u32 = 1 << 2;
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const COMPRESS: u32 = 1 << 5;
    pub(crate) const LOCAL_FILES: u32 = 1 << 7;
    pub(crate) const PROTOCOL_41: u32 = 1 << 9;
    pub(crate) const SSL: u32 = 1 << 11;
    pub(crate) const TRANSACTIONS: u32 = 1 << 13;
    pub(crate) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(crate) const MULTI_STATEMENTS: u32 = 1 << 16;
    pub(crate) const MULTI_RESULTS: u32 = 1 << 17;
    pub(crate) const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub(crate) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(crate) const CONNECT_ATTRS: u32 = 1 << 20;
    pub(crate) const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
    pub(crate) const ZSTD: u32 = 1 << 26;
}

/// One packet: its header's sequence number and what follows the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) sequence: u8,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    /// The ERR that this packet holds, if it is one.
    pub(crate) fn error(&self) -> Option<ErrorPacket> {
        let rest = self.payload.strip_prefix(&[0xff])?;
        let (code, rest) = rest.split_at_checked(2)?;
        let (state, message) = match rest
            .strip_prefix(b"#")
            .and_then(|rest| rest.split_at_checked(5))
        {
            Some((state, message)) => (Some(text(state)), message),
            None => (None, rest),
        };
        Some(ErrorPacket {
            sequence: self.sequence,
            code: u16::from_le_bytes([code[0], code[1]]),
            state,
            message: text(message),
        })
    }

    /// The number of the packet behind this message, whose first packet has [`Packet::sequence`].
    pub(crate) fn next_sequence(&self) -> u8 {
        let more = u8::try_from(self.payload.len() / LARGEST_PAYLOAD).expect("few packets");
        self.sequence.wrapping_add(more).wrapping_add(1)
    }

    /// Whether it is an OK (with either of its headers).
    pub(crate) fn is_ok(&self) -> bool {
        self.payload.first() == Some(&0) && self.payload.len() >= 7
    }
}

/// An ERR packet in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorPacket {
    pub(crate) sequence: u8,
    pub(crate) code: u16,
    /// `None` where there is no `#`, as before the greeting.
    pub(crate) state: Option<String>,
    pub(crate) message: String,
}

impl ErrorPacket {
    /// Code and SQLSTATE, as clients print them.
    pub(crate) fn code_and_state(&self) -> (u16, &str) {
        (self.code, self.state.as_deref().unwrap_or(""))
    }
}

/// A physical packet with its header.
pub(crate) fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("payloads in tests are short");
    assert!(
        payload.len() <= LARGEST_PAYLOAD,
        "one packet holds at most 16 MiB - 1"
    );
    let mut bytes = length.to_le_bytes()[..3].to_vec();
    bytes.push(sequence);
    bytes.extend_from_slice(payload);
    bytes
}

/// A message in as many packets as it needs: one that fills a packet is followed by another, if need be empty.
pub(crate) fn message(first_sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    let mut sequence = first_sequence;
    let mut rest = payload;
    loop {
        let (now, later) = rest.split_at(rest.len().min(LARGEST_PAYLOAD));
        bytes.extend(packet(sequence, now));
        if now.len() < LARGEST_PAYLOAD {
            return bytes;
        }
        sequence = sequence.wrapping_add(1);
        rest = later;
    }
}

/// [OK](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html) with these status flags.
pub(crate) fn ok(status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    vec![0x00, 0, 0, low, high, 0, 0]
}

/// The OK that ends a result set under `DEPRECATE_EOF`.
pub(crate) fn ok_as_end(status: u16) -> Vec<u8> {
    let mut payload = ok(status);
    payload[0] = 0xfe;
    payload
}

/// [ERR](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html) with SQLSTATE.
pub(crate) fn err(code: u16, state: &str, message: &str) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend(code.to_le_bytes());
    payload.push(b'#');
    payload.extend(state.bytes());
    payload.extend(message.bytes());
    payload
}

/// An ERR as it stands in place of a greeting: the client's capabilities are not known yet, so it has no SQLSTATE.
pub(crate) fn err_without_state(code: u16, message: &str) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend(code.to_le_bytes());
    payload.extend(message.bytes());
    payload
}

/// A [length-encoded integer](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html).
pub(crate) fn length_encoded(value: usize) -> Vec<u8> {
    match value {
        0..251 => vec![u8::try_from(value).expect("below 251")],
        251..0x1_0000 => [&[0xfc], &value.to_le_bytes()[..2]].concat(),
        _ => [&[0xfd], &value.to_le_bytes()[..3]].concat(),
    }
}

/// Bytes behind their length-encoded length.
pub(crate) fn length_encoded_bytes(bytes: &[u8]) -> Vec<u8> {
    [&length_encoded(bytes.len()), bytes].concat()
}

/// A [column definition](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html).
pub(crate) const COLUMN: &[u8] = b"\x03def\0\0\0\x01v\0\x0c\xff\0\0\x04\0\0\xfd\x01\0\0\0\0";

/// The start of a text result set of one column under `DEPRECATE_EOF`; its rows have numbers from 3.
pub(crate) fn one_column() -> Vec<u8> {
    [packet(1, &[1]), packet(2, COLUMN)].concat()
}

/// A whole text result set of one column and one row under `DEPRECATE_EOF`.
pub(crate) fn one_value(value: &[u8]) -> Vec<u8> {
    let row = packet(3, &length_encoded_bytes(value));
    [one_column(), row, packet(4, &ok_as_end(2))].concat()
}

/// An [EOF](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html).
pub(crate) const EOF: &[u8] = &[0xfe, 0, 0, 2, 0];

/// A row of a text result set.
pub(crate) fn text_row(values: &[Option<&[u8]>]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| match value {
            Some(value) => length_encoded_bytes(value),
            None => vec![0xfb],
        })
        .collect()
}

/// A walk through a payload; each step is `None` when the bytes run out.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.bytes(2)
            .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.bytes(4)
            .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Up to a NUL, which is consumed; or to the end.
    pub(crate) fn until_nul(&mut self) -> Vec<u8> {
        let end = self.0.iter().position(|&byte| byte == 0);
        let bytes = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or(&[], |end| &self.0[end + 1..]);
        bytes.to_vec()
    }

    pub(crate) fn length_encoded(&mut self) -> Option<usize> {
        let width = match self.byte()? {
            0xfc => 2,
            0xfd => 3,
            short => return Some(usize::from(short)),
        };
        Some(
            self.bytes(width)?
                .iter()
                .rev()
                .fold(0, |value, &byte| value << 8 | usize::from(byte)),
        )
    }

    pub(crate) fn length_encoded_bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.length_encoded()?;
        self.bytes(length).map(<[u8]>::to_vec)
    }
}

/// Bytes as text, for messages.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
