//! The properties of the fuzz targets (`fuzz/`), on generated input that is near to what clients send.

#[path = "../fuzz/properties/framing.rs"]
mod framing;
#[path = "../fuzz/properties/parsing.rs"]
mod parsing;
#[path = "../fuzz/properties/passing.rs"]
mod passing;
#[path = "../fuzz/properties/tracking.rs"]
mod tracking;

use proptest::prelude::*;

/// Names near those of the oracle's accounts, as clients may spell them.
fn user() -> impl Strategy<Value = Vec<u8>> {
    let named = prop::sample::select(vec!["app", "ap", "lax", "appé", "app?", "é", "", "nobody"]);
    let long = (30_usize..34, 120_usize..130)
        .prop_flat_map(|(short, long)| prop::sample::select(vec![short, long]))
        .prop_map(|length| "l".repeat(length));
    let spelled = prop_oneof![4 => named.prop_map(str::to_owned), 1 => long];
    (spelled, "'{0,2}", "['?é😀 a]{0,1}'{0,2}", any::<bool>()).prop_map(
        |(name, before, after, latin1)| {
            let name = format!("{before}{name}{after}");
            if latin1 {
                name.chars()
                    .map(|c| u8::try_from(c).unwrap_or(b'?'))
                    .collect()
            } else {
                name.into_bytes()
            }
        },
    )
}

fn collation() -> impl Strategy<Value = u8> {
    prop_oneof![3 => prop::sample::select(vec![8, 33, 45, 255]), 1 => any::<u8>()]
}

/// Who the client is, its login, and a change of user: see `passing`.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let with_attributes_and_database = prop::sample::select(vec![0x00, 0x08, 0x10, 0x18]);
    let login =
        (user(), collation(), with_attributes_and_database).prop_map(|(user, collation, flags)| {
            let head = [
                0x00,
                0x82 | flags & 0x08,
                0x08 | flags & 0x10,
                0x00,
                0,
                0,
                0,
                1,
                collation,
            ];
            [
                &head[..],
                &[0; 23],
                &user,
                b"\0\x03xyzdb\0plugin\0\x04\x01a\x01b",
            ]
            .concat()
        });
    let command = (user(), collation()).prop_map(|(user, collation)| {
        [
            b"\x11",
            &user[..],
            b"\0\x03xyzdb\0",
            &[collation, 0],
            b"plugin\0\x04\x01a\x01b",
        ]
        .concat()
    });
    (any::<[u8; 4]>(), login, command).prop_map(|(client, login, command)| {
        let length = u8::try_from(login.len()).unwrap_or(u8::MAX);
        [&client[..], &[length], &login, &command].concat()
    })
}

/// Some bytes are others.
fn mutated(data: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (data, changes).prop_map(|(mut data, changes)| {
        for (at, byte) in changes {
            if !data.is_empty() {
                let at = at.index(data.len());
                data[at] = byte;
            }
        }
        data
    })
}

/// A client's stream: commands, some refused, some changes of user, some cut.
fn commands() -> impl Strategy<Value = Vec<u8>> {
    let command = (
        prop::sample::select(vec![0x03, 0x0E, 0x11, 0x16, 0x19, 0x1F, 0xFD]),
        any::<[u8; 6]>(),
    );
    prop::collection::vec(command, 0..12).prop_map(|commands| {
        let packet = |(byte, rest): (u8, [u8; 6])| {
            let length = rest[0] % 6;
            let payload =
                &[byte, rest[1], rest[2], rest[3], rest[4], rest[5]][..usize::from(length)];
            [&[length, 0, 0, 0], payload].concat()
        };
        commands.into_iter().flat_map(packet).collect()
    })
}

/// What clients of either algorithm have sent (MySQL's shell), behind how it is to be read: see `framing`.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let recorded = prop::sample::select(vec![
        &include_bytes!("../fuzz/seeds/frame/zlib")[3..],
        &include_bytes!("../fuzz/seeds/frame/zstd")[3..],
    ]);
    (any::<[u8; 3]>(), prop::collection::vec(recorded, 1..4))
        .prop_map(|(choice, frames)| [&choice[..], &frames.concat()].concat())
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let clause = "(REQUIRE )?(SUBJECT|ISSUER|CIPHER|SAN|AND|SSL|X509|NONE| |'(/[A-Z]{1,2}=[a-z\\\\/+'é]{0,4}){0,3}'|'(DNS|URI|IP):[0-9a-f:.]{0,4}'){0,6}";
    let account = "['\"`]?[a-zé\\\\']{0,4}['\"`]?@?['\"`]?[0-9a-z.%_/:\\\\]{0,12}['\"`]?";
    prop_oneof![
        clause.prop_map(String::into_bytes),
        account.prop_map(String::into_bytes)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_passes_whom_the_oracle_refuses(data in mutated(conversation())) {
        passing::nobody_passes_whom_the_oracle_refuses(&data);
    }

    #[test]
    fn no_change_of_user_is_forwarded(piece in 0_u8..20, stream in mutated(commands())) {
        tracking::no_change_of_user_is_forwarded(&[&[piece], &stream[..]].concat());
    }

    #[test]
    fn pieces_of_frames_do_not_matter(data in mutated(frames())) {
        framing::pieces_do_not_matter(&data);
    }

    #[test]
    fn no_parser_panics(flags: [u8; 2], data in prop_oneof![text(), mutated(conversation()), any::<Vec<u8>>()]) {
        parsing::nothing_panics(&[&flags, &data[..]].concat());
    }
}
