//! The bytes named after `HAPROXY` are what HAProxy 2.6.12 sent (`send-proxy`, `send-proxy-v2`, `proxy-v2-options
//! crc32c,unique-id`, `send-proxy-v2-ssl`) for a client at 127.0.0.7, at `::1`, and on a Unix socket.

use proptest::prelude::*;

use super::*;

const HAPROXY_1_TCP_4: &[u8] = b"PROXY TCP4 127.0.0.7 127.0.0.1 34927 32843\r\n";
const HAPROXY_1_TCP_6: &[u8] = b"PROXY TCP6 ::1 ::1 55534 45741\r\n";
const HAPROXY_1_UNIX: &[u8] = b"PROXY UNKNOWN\r\n";
const HAPROXY_2_TCP_4: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x07\x7f\0\0\x01\xac\x11\xd9\x05";
const HAPROXY_2_TCP_6: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x82\x20\x86\x2f";
const HAPROXY_2_UNIX: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const HAPROXY_2_CHECKSUM_TCP_4: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x1e\x7f\0\0\x07\x7f\0\0\x01\xaa\xa3\xea\xf3\x03\0\x04\x82\xe1\x95\x8b\x05\0\x087F000007";
const HAPROXY_2_CHECKSUM_TCP_6: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x4e\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xc6\x72\xc7\xef\x03\0\x04\x40\xff\x64\x68\x05\0\x2000000000000000000000000000000001";
const HAPROXY_2_CHECKSUM_UNIX: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x0a\x03\0\x04\x82\x63\x74\xb8\x05\0\0";
const HAPROXY_2_TLS_TCP_4: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14\x7f\0\0\x07\x7f\0\0\x01\xcd\x67\xba\xe1\x20\0\x05\0\0\0\0\0";

fn client(client: &str, server: &str) -> ProxyHeader {
    let end = |text: &str| text.parse().expect("a literal address");
    ProxyHeader::Client(Ends::new(end(client), end(server)))
}

/// What HAProxy has sent, and what it meant.
fn sent_by_haproxy() -> Vec<(&'static [u8], ProxyHeader)> {
    let local = ProxyHeader::Local;
    vec![
        (
            HAPROXY_1_TCP_4,
            client("127.0.0.7:34927", "127.0.0.1:32843"),
        ),
        (HAPROXY_1_TCP_6, client("[::1]:55534", "[::1]:45741")),
        (HAPROXY_1_UNIX, local),
        (
            HAPROXY_2_TCP_4,
            client("127.0.0.7:44049", "127.0.0.1:55557"),
        ),
        (HAPROXY_2_TCP_6, client("[::1]:33312", "[::1]:34351")),
        (HAPROXY_2_UNIX, local),
        (
            HAPROXY_2_CHECKSUM_TCP_4,
            client("127.0.0.7:43683", "127.0.0.1:60147"),
        ),
        (
            HAPROXY_2_CHECKSUM_TCP_6,
            client("[::1]:50802", "[::1]:51183"),
        ),
        (HAPROXY_2_CHECKSUM_UNIX, local),
        (
            HAPROXY_2_TLS_TCP_4,
            client("127.0.0.7:52583", "127.0.0.1:47841"),
        ),
    ]
}

/// A header of version 2 with this behind its signature.
fn binary(rest: &[u8]) -> Vec<u8> {
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], rest].concat()
}

/// A header about TCP over IPv4 with these extensions.
fn with_extensions(extensions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(12 + extensions.len())
        .expect("a short header")
        .to_be_bytes();
    let head = [
        &[0x21, 0x11][..],
        &length,
        &[10, 0, 0, 7, 10, 0, 0, 1, 1, 2, 3, 4],
    ]
    .concat();
    binary(&[&head, extensions].concat())
}

#[test]
fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
    // a login, a ClientHello, HTTP
    for bytes in [
        &b"\x20\0\0\x01"[..],
        b"\x16\x03\x01",
        b"GET / HTTP/1.1\r\n",
        b"PROXX",
        b"\r\n\r\r",
    ] {
        assert_eq!(
            ProxyHeader::decode(bytes),
            Err(BadHeader::None),
            "{bytes:?}"
        );
        assert!(!ProxyHeader::is_begun_by(bytes));
    }
}

#[test]
fn lines_that_version_1_does_not_prescribe_are_refused() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY tcp4 10.0.0.7 10.0.0.1 1 2\r\n",
        "PROXY TCP5 10.0.0.7 10.0.0.1 1 2\r\n",
        "PROXY UDP4 10.0.0.7 10.0.0.1 1 2\r\n",
        "PROXY  TCP4 10.0.0.7 10.0.0.1 1 2\r\n",
        "PROXY TCP4 10.0.0.7  10.0.0.1 1 2\r\n",
        "PROXY TCP4 10.0.0.7 10.0.0.1 1\r\n",
        "PROXY TCP4 10.0.0.7 10.0.0.1 1 2 3\r\n",
        "PROXY TCP4 10.0.0.7 10.0.0.1 1 2 \r\n",
        "PROXY TCP4 10.0.0.07 10.0.0.1 1 2\r\n",
        "PROXY TCP4 10.0.0 10.0.0.1 1 2\r\n",
        "PROXY TCP4 10.0.0.256 10.0.0.1 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 10.0.0.7 10.0.0.1 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP4 10.0.0.7 10.0.0.1 01 2\r\n",
        "PROXY TCP4 10.0.0.7 10.0.0.1 +1 2\r\n",
        "PROXY TCP4 10.0.0.7 10.0.0.1 -1 2\r\n",
        "PROXY TCP4 10.0.0.7 10.0.0.1 65536 2\r\n",
        "PROXY TCP4 10.0.0.7 10.0.0.1 1 2\n",
        "PROXY TCP4 10.0.0.7 10.0.0.1 1 2\r\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNKNOWN\n",
    ] {
        assert_eq!(
            ProxyHeader::decode(line.as_bytes()),
            Err(BadHeader::Line),
            "{line:?}"
        );
    }
}

#[test]
fn a_line_ends_within_107_bytes() {
    let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "f".repeat(length - 16));
    let longest = line(107);
    assert_eq!(longest.len(), 107);
    assert_eq!(
        ProxyHeader::decode(longest.as_bytes()),
        Ok(Some((ProxyHeader::Local, 107)))
    );
    assert_eq!(
        ProxyHeader::decode(line(108).as_bytes()),
        Err(BadHeader::TooLong(107))
    );
    let endless = line(1000);
    assert_eq!(ProxyHeader::decode(&endless.as_bytes()[..106]), Ok(None));
    assert_eq!(
        ProxyHeader::decode(&endless.as_bytes()[..107]),
        Err(BadHeader::TooLong(107))
    );
}

#[test]
fn headers_of_version_2_that_the_specification_does_not_know_are_refused() {
    let addresses = [10, 0, 0, 7, 10, 0, 0, 1, 1, 2, 3, 4];
    for (head, expected) in [
        ([0x11, 0x11, 0, 12], BadHeader::Version(1)),
        ([0x31, 0x11, 0, 12], BadHeader::Version(3)),
        ([0x22, 0x11, 0, 12], BadHeader::Command(2)),
        ([0x2F, 0x00, 0, 12], BadHeader::Command(15)),
        // UDP, a Unix socket, its datagrams, what is not defined
        ([0x21, 0x12, 0, 12], BadHeader::Family(0x12)),
        ([0x21, 0x31, 0, 12], BadHeader::Family(0x31)),
        ([0x21, 0x32, 0, 12], BadHeader::Family(0x32)),
        ([0x21, 0x10, 0, 12], BadHeader::Family(0x10)),
        ([0x21, 0x41, 0, 12], BadHeader::Family(0x41)),
        ([0x21, 0x11, 0, 0], BadHeader::Addresses),
        ([0x21, 0x11, 0, 11], BadHeader::Addresses),
        ([0x21, 0x21, 0, 12], BadHeader::Addresses),
    ] {
        let header = binary(&[&head[..], &addresses].concat());
        assert_eq!(ProxyHeader::decode(&header), Err(expected), "{head:x?}");
    }
}

#[test]
fn a_header_of_version_2_is_refused_by_its_length_before_it_came() {
    let head = |length: u16| binary(&[&[0x20, 0][..], &length.to_be_bytes()].concat());
    assert_eq!(ProxyHeader::decode(&head(4080)), Ok(None));
    assert_eq!(
        ProxyHeader::decode(&head(4081)),
        Err(BadHeader::TooLong(4096))
    );
    assert_eq!(
        ProxyHeader::decode(&head(u16::MAX)),
        Err(BadHeader::TooLong(4096))
    );
}

#[test]
fn extensions_are_skipped_and_must_fit() {
    let expected = client("10.0.0.7:258", "10.0.0.1:772");
    for extensions in [
        &b""[..],
        b"\x04\0\0",
        b"\x04\0\x02xy\xee\0\x01z",
        b"\x20\0\x05\x07\0\0\0\0",
    ] {
        let header = with_extensions(extensions);
        assert_eq!(
            ProxyHeader::decode(&header),
            Ok(Some((expected, header.len()))),
            "{extensions:?}"
        );
    }
    for extensions in [
        &b"\x04"[..],
        b"\x04\0",
        b"\x04\0\x01",
        b"\x04\0\0\x04\0\x03xy",
        b"\x03\0\x03abc",
        b"\x03\0\0",
    ] {
        let header = with_extensions(extensions);
        assert_eq!(
            ProxyHeader::decode(&header),
            Err(BadHeader::Extension),
            "{extensions:?}"
        );
    }
}

#[test]
fn every_byte_of_a_header_counts_for_its_checksum() {
    for header in [HAPROXY_2_CHECKSUM_TCP_4, HAPROXY_2_CHECKSUM_TCP_6] {
        for changed in HEAD_BYTES..header.len() {
            let mut header = header.to_vec();
            header[changed] ^= 0x10;
            let decoded = ProxyHeader::decode(&header);
            // the type and length of an extension tell also which bytes the checksum is
            assert!(
                matches!(decoded, Err(BadHeader::Checksum | BadHeader::Extension))
                    || is_type_of_checksum(&header, changed),
                "byte {changed}: {decoded:?}"
            );
        }
    }
}

/// Changed there, no checksum is in the header any more.
fn is_type_of_checksum(header: &[u8], position: usize) -> bool {
    let addresses = if header[13] == TCP_4 { 12 } else { 36 };
    position == HEAD_BYTES + addresses
}

/// <https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4>
#[test]
fn checksums_are_those_of_the_standard() {
    assert_eq!(crc32c(b""), 0);
    assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
    assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    assert_eq!(crc32c(b"123456789"), 0xE306_9283);
}

#[test]
fn headers_of_haproxy_are_read() {
    for (bytes, expected) in sent_by_haproxy() {
        assert_eq!(
            ProxyHeader::decode(bytes),
            Ok(Some((expected, bytes.len())))
        );
        assert!(ProxyHeader::is_begun_by(bytes));
    }
}

#[test]
fn headers_are_written_as_haproxy_writes_them() {
    for bytes in [HAPROXY_2_TCP_4, HAPROXY_2_TCP_6, HAPROXY_2_UNIX] {
        let read = ProxyHeader::decode(bytes)
            .expect("HAProxy's")
            .expect("whole")
            .0;
        assert_eq!(read.encode(), bytes);
    }
}

#[test]
fn a_header_in_pieces_is_waited_for_and_what_follows_it_is_left_alone() {
    for (bytes, expected) in sent_by_haproxy() {
        for cut in 0..bytes.len() {
            assert_eq!(
                ProxyHeader::decode(&bytes[..cut]),
                Ok(None),
                "{cut} of {bytes:?}"
            );
        }
        for behind in [&b"\x20\0\0\x01login"[..], b"\r\n", b"PROXY UNKNOWN\r\n"] {
            let glued = [bytes, behind].concat();
            assert_eq!(
                ProxyHeader::decode(&glued),
                Ok(Some((expected, bytes.len())))
            );
        }
    }
}

#[test]
fn a_sender_without_addresses_is_taken_for_itself() {
    for header in [
        binary(&[0x21, 0x00, 0, 0]),
        binary(&[0x21, 0x00, 0, 3, 1, 2, 3]),
        // the family of a LOCAL header is ignored, and so is everything else in it
        binary(&[0x20, 0x31, 0, 3, 1, 2, 3]),
        binary(&[0x20, 0xFF, 0, 0]),
        b"PROXY UNKNOWN ::1 ::1 1 2\r\n".to_vec(),
        b"PROXY UNKNOWN \xff\xfe\r\n".to_vec(),
    ] {
        assert_eq!(
            ProxyHeader::decode(&header),
            Ok(Some((ProxyHeader::Local, header.len()))),
            "{header:?}"
        );
    }
}

#[test]
fn ipv4_in_ipv6_is_ipv4() {
    let line = b"PROXY TCP6 ::ffff:10.0.0.7 ::ffff:a00:1 1 2\r\n";
    let expected = client("10.0.0.7:1", "10.0.0.1:2");
    assert_eq!(ProxyHeader::decode(line), Ok(Some((expected, line.len()))));
    assert_eq!(
        client("[::ffff:10.0.0.7]:1", "[2001:db8::1]:2"),
        client("10.0.0.7:1", "0.0.0.0:0")
    );
    assert_eq!(
        client("[2001:db8::1]:1", "10.0.0.7:2"),
        client("[2001:db8::1]:1", "[::]:0")
    );
}

proptest! {
    /// Whatever comes is read, refused or waited for, and no longer than a header may be.
    #[test]
    fn no_bytes_make_it_panic_or_wait_for_ever(
        start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
        fill: u8,
    ) {
        let mut bytes = [start, &rest].concat();
        if let Ok(Some((_, length))) = ProxyHeader::decode(&bytes) {
            prop_assert!(length <= bytes.len());
            prop_assert_eq!(ProxyHeader::decode(&bytes[..length - 1]), Ok(None), "it is as long as it must be");
        }
        bytes.resize(HEADER_BYTES, fill);
        prop_assert_ne!(ProxyHeader::decode(&bytes), Ok(None));
    }

    #[test]
    fn addresses_survive_both_versions(client: [u8; 16], server: [u8; 16], is_4: bool, ports: (u16, u16)) {
        let ip = |bytes: [u8; 16]| -> IpAddr {
            if is_4 { Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into() } else { Ipv6Addr::from(bytes).into() }
        };
        let (client, server) = (SocketAddr::new(ip(client), ports.0), SocketAddr::new(ip(server), ports.1));
        let expected = ProxyHeader::Client(Ends::new(client, server));
        let version_2 = expected.encode();
        prop_assert_eq!(ProxyHeader::decode(&version_2), Ok(Some((expected, version_2.len()))));
        let protocol = if is_4 { "TCP4" } else { "TCP6" };
        let version_1 = format!("PROXY {protocol} {} {} {} {}\r\n", client.ip(), server.ip(), ports.0, ports.1);
        prop_assert_eq!(ProxyHeader::decode(version_1.as_bytes()), Ok(Some((expected, version_1.len()))));
    }
}
