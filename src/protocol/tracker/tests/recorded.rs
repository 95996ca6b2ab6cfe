//! Sessions recorded with real servers (`tests/data`, made by `tests/lab.d/record.py`), replayed in pieces of any size.

use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::protocol::statement::LONGEST_BYTES;

/// A session after its login.
#[derive(Debug)]
struct Recording {
    name: String,
    form: Form,
    /// What one side sent until the other spoke.
    turns: Vec<(Side, Vec<u8>)>,
}

/// What a replay showed: all of it must be the same however the bytes were cut.
#[derive(Debug, Default, PartialEq)]
struct Replay {
    /// After each turn.
    turns: Vec<AfterTurn>,
    to_backend: Vec<u8>,
    to_client: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct AfterTurn {
    outstanding: usize,
    between_transactions: bool,
    client_then: Vec<ClientThen>,
    backend_then: Vec<BackendThen>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn recordings() -> Vec<Recording> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("tests/data is in the repository")
        .map(|entry| entry.expect("its entries can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "session")
        })
        .collect();
    files.sort();
    files.iter().map(|path| read_recording(path)).collect()
}

fn read_recording(path: &Path) -> Recording {
    let text = std::fs::read_to_string(path).expect("a recording is text");
    let mut recording = Recording {
        name: path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        form: Form::default(),
        turns: Vec::new(),
    };
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("capabilities", number)) => recording.form = form(number),
            Some(("C", hex)) => recording.turns.push((Side::Client, from_hex(hex))),
            Some(("S", hex)) => recording.turns.push((Side::Backend, from_hex(hex))),
            _ => {}
        }
    }
    recording
}

fn form(number: &str) -> Form {
    let bits = u64::from_str_radix(number.trim_start_matches("0x"), 16)
        .expect("capabilities are a number");
    Form {
        deprecate_eof: bits & 1 << 24 != 0,
        optional_metadata: bits & 1 << 25 != 0,
        cache_metadata: bits & 1 << 36 != 0,
        query_attributes: bits & 1 << 27 != 0,
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let byte = |place| u8::from_str_radix(&hex[place..place + 2], 16);
    (0..hex.len())
        .step_by(2)
        .map(|place| byte(place).expect("bytes are hexadecimal"))
        .collect()
}

/// Plays the session's part: hands bytes on, and carries out `COM_CHANGE_USER` without the tracker.
struct Player {
    tracker: Tracker,
    replay: Replay,
    /// Client bytes that the tracker has left over.
    kept: Vec<u8>,
    /// Backend bytes of a change of user.
    login: Option<Vec<u8>>,
    client_then: Vec<ClientThen>,
    backend_then: Vec<BackendThen>,
}

impl Player {
    fn new(form: Form) -> Self {
        Self {
            tracker: Tracker::new(form),
            replay: Replay::default(),
            kept: Vec::new(),
            login: None,
            client_then: Vec::new(),
            backend_then: Vec::new(),
        }
    }

    fn play(&mut self, side: Side, bytes: &[u8]) -> Result<(), Violation> {
        match side {
            Side::Client => self.client(bytes),
            Side::Backend => self.backend(bytes),
        }
    }

    fn client(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        if self.login.is_some() {
            self.replay.to_backend.extend_from_slice(bytes);
            return Ok(());
        }
        self.kept.extend_from_slice(bytes);
        let verdict = self.tracker.client_bytes(&self.kept)?;
        let consumed = verdict.forward + verdict.skip;
        assert!(consumed <= self.kept.len());
        self.replay.to_backend.extend(&self.kept[..verdict.forward]);
        self.kept.drain(..consumed);
        match verdict.then {
            ClientThen::ReadMore => {
                let is_read = matches!(self.kept.get(HEADER_BYTES), Some(0x03 | 0x0c | 0x16));
                let limit = if is_read {
                    HEADER_BYTES + LONGEST_BYTES
                } else {
                    COMMAND_HEAD_BYTES
                };
                assert!(self.kept.len() < limit);
            }
            ClientThen::Read => {
                self.client_then.push(verdict.then);
                self.tracker.was_read();
                return self.client(&[]);
            }
            ClientThen::ChangeUser => {
                self.client_then.push(verdict.then);
                self.login = Some(Vec::new());
                self.replay.to_backend.append(&mut self.kept);
            }
            other => self.client_then.push(other),
        }
        Ok(())
    }

    fn backend(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.replay.to_client.extend_from_slice(bytes);
        let mut bytes = bytes.to_vec();
        if let Some(mut login) = self.login.take() {
            login.append(&mut bytes);
            loop {
                let Some((header, payload)) = Header::split(&login) else {
                    self.login = Some(login);
                    return Ok(());
                };
                let Some(packet) = payload.get(..header.payload_bytes) else {
                    self.login = Some(login);
                    return Ok(());
                };
                let ends = matches!(packet, [0x00 | 0xff, ..] | []);
                if let [0x00, _, _, low, high, ..] = *packet {
                    self.tracker.user_changed(u16::from_le_bytes([low, high]));
                }
                login.drain(..HEADER_BYTES + header.payload_bytes);
                if ends {
                    bytes = login;
                    break;
                }
            }
        }
        match self.tracker.backend_bytes(&bytes)? {
            BackendThen::ReadMore => {}
            unasked @ BackendThen::Unasked { .. } => self.backend_then.push(unasked),
        }
        Ok(())
    }

    fn turn_is_over(&mut self) {
        self.replay.turns.push(AfterTurn {
            outstanding: self.tracker.outstanding(),
            between_transactions: self.tracker.is_between_transactions(),
            client_then: std::mem::take(&mut self.client_then),
            backend_then: std::mem::take(&mut self.backend_then),
        });
    }
}

/// Replays a recording, each turn in pieces whose lengths `piece` gives.
fn replay(recording: &Recording, mut piece: impl FnMut() -> usize) -> Replay {
    let mut player = Player::new(recording.form);
    for (place, (side, bytes)) in recording.turns.iter().enumerate() {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece().clamp(1, rest.len()));
            if let Err(violation) = player.play(*side, now) {
                panic!("{}, turn {place}: {violation}", recording.name);
            }
            rest = later;
        }
        player.turn_is_over();
    }
    player.replay
}

/// Everything that one side sent.
fn sent_by(side: Side, recording: &Recording) -> Vec<u8> {
    let turns = recording.turns.iter().filter(|(sender, _)| *sender == side);
    turns.flat_map(|(_, bytes)| bytes.clone()).collect()
}

/// The last packet of a turn, without its header.
fn last_packet(mut turn: &[u8]) -> &[u8] {
    let mut last = turn;
    while let Some((header, rest)) = Header::split(turn) {
        (last, turn) = rest.split_at(header.payload_bytes);
    }
    last
}

#[test]
fn a_client_that_waits_for_responses_has_nothing_outstanding_when_it_goes_on() {
    let pipelines = |recording: &Recording| recording.name.ends_with("mariadb-npm");
    for recording in recordings()
        .iter()
        .filter(|recording| !pipelines(recording))
    {
        let replay = replay(recording, || usize::MAX);
        for (place, ((side, bytes), after)) in recording.turns.iter().zip(&replay.turns).enumerate()
        {
            let wants_file = last_packet(bytes).starts_with(b"\xfbx")
                || last_packet(bytes).starts_with(b"\xfb/");
            let expected = usize::from(wants_file);
            if *side == Side::Backend {
                assert_eq!(
                    after.outstanding, expected,
                    "{}, turn {place}",
                    recording.name
                );
            }
        }
    }
}

#[test]
fn every_byte_goes_on_unchanged() {
    for recording in recordings() {
        let replay = replay(&recording, || usize::MAX);
        assert!(
            replay.to_backend == sent_by(Side::Client, &recording),
            "{}",
            recording.name
        );
        assert!(
            replay.to_client == sent_by(Side::Backend, &recording),
            "{}",
            recording.name
        );
    }
}

#[test]
fn single_bytes_give_the_same_as_whole_turns() {
    for recording in recordings() {
        let whole = replay(&recording, || usize::MAX);
        assert!(replay(&recording, || 1) == whole, "{}", recording.name);
    }
}

#[test]
fn a_backend_that_gives_up_is_heard() {
    let gave_up = |recording: &Recording| {
        let turns = replay(recording, || usize::MAX).turns;
        turns.last().map(|turn| turn.backend_then.clone())
    };
    let idle: Vec<_> = recordings()
        .iter()
        .filter(|recording| recording.name.ends_with("idle-too-long"))
        .map(gave_up)
        .collect();
    assert_eq!(
        idle,
        [Some(vec![BackendThen::Unasked { error_code: 4031 }])]
    );
}

/// After which statements a polite end may come, on every server and with both endings of a result set.
#[test]
fn transactions_are_seen() {
    let expected = [
        ("\x03SELECT 1", true),
        ("\x03CALL fails_late()", false),
        ("\x03ROLLBACK", true),
        ("\x03BEGIN", false),
        ("\x03INSERT INTO recorded VALUES (1000", false),
        ("\x03ROLLBACK", true),
        ("\x02no_such_database", false),
        ("\x03SELECT 1; SELECT 2", true),
        // A cursor is opened; the statement is reset.
        ("\x1a", true),
        ("\x1f", true),
    ];
    let every_command: Vec<_> = recordings()
        .into_iter()
        .filter(|recording| recording.name.contains("every-command"))
        .collect();
    assert_eq!(every_command.len(), 6, "three servers, two endings");
    for recording in every_command {
        let turns = replay(&recording, || usize::MAX).turns;
        let mut turns = recording.turns.iter().zip(&turns);
        for (command, between) in expected {
            turns
                .find(|((_, bytes), _)| bytes[HEADER_BYTES..].starts_with(command.as_bytes()))
                .unwrap_or_else(|| panic!("{}: no {command}", recording.name));
            let (_, after) = turns.next().expect("the backend answers");
            assert_eq!(
                after.between_transactions, between,
                "{}, after {command}",
                recording.name
            );
        }
    }
}

#[test]
fn any_cut_gives_the_same_as_whole_turns() {
    let recordings = recordings();
    proptest!(|(which: Index, pieces in vec(1..90_usize, 1..40))| {
        let recording = which.get(&recordings);
        let mut pieces = pieces.into_iter().cycle();
        let cut = replay(recording, || pieces.next().unwrap_or(1));
        prop_assert!(cut == replay(recording, || usize::MAX), "{}", recording.name);
    });
}

/// Whatever a recording means with some bytes changed, it ends in order or in a violation.
#[test]
fn damaged_sessions_never_panic_and_never_forward_what_was_not_given() {
    let recordings = recordings();
    let damage = vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..4);
    proptest!(|(which: Index, damage in damage, pieces in vec(1..90_usize, 1..40))| {
        let recording = which.get(&recordings);
        let mut turns = recording.turns.clone();
        for (turn, byte, value) in damage {
            let (_, bytes) = &mut turns[turn.index(recording.turns.len())];
            let byte = byte.index(bytes.len().min(40));
            bytes[byte] = value;
        }
        let mut pieces = pieces.into_iter().cycle();
        let mut player = Player::new(recording.form);
        let mut given = Vec::new();
        'session: for (side, bytes) in &turns {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(pieces.next().unwrap_or(1).min(rest.len()));
                if *side == Side::Client {
                    given.extend_from_slice(now);
                }
                if player.play(*side, now).is_err() {
                    break 'session;
                }
                rest = later;
            }
        }
        prop_assert!(player.replay.to_backend.len() <= given.len());
    });
}

#[test]
fn arbitrary_bytes_never_panic() {
    let byte = prop_oneof![Just(0), Just(1), Just(3), Just(0xfe), any::<u8>()];
    let sends = vec((any::<bool>(), vec(byte, 0..60)), 0..30);
    proptest!(|(deprecate_eof: bool, optional_metadata: bool, sends in sends)| {
        let mut tracker = Tracker::new(Form {
            deprecate_eof,
            optional_metadata,
            ..Form::default()
        });
        for (from_client, bytes) in sends {
            let result = if from_client {
                tracker.client_bytes(&bytes).map(|verdict| verdict.forward + verdict.skip)
            } else {
                tracker.backend_bytes(&bytes).map(|_| 0)
            };
            match result {
                Ok(consumed) => prop_assert!(consumed <= bytes.len()),
                Err(_) => break,
            }
        }
    });
}
