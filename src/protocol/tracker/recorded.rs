//! Sessions recorded with real servers (`tests/data`, made by `tests/lab.d/record.py`), replayed in pieces of any size.

use std::path::PathBuf;

use proptest::prelude::*;

use super::super::response::Form;
use super::walk::Header;
use super::*;

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
    files.into_iter().map(read_recording).collect()
}

fn read_recording(path: PathBuf) -> Recording {
    let text = std::fs::read_to_string(&path).expect("a recording is text");
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
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| (digit as char).to_digit(16).expect("bytes are hexadecimal") as u8;
    hex.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
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
            ClientThen::ReadMore => assert!(self.kept.len() < COMMAND_HEAD_BYTES),
            ClientThen::ChangeUser => {
                assert_eq!(self.tracker.outstanding(), 0, "recorded without pipelining");
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
                let first = packet[0];
                if first == 0 {
                    self.tracker
                        .user_changed(u16::from_le_bytes([packet[3], packet[4]]));
                }
                login.drain(..HEADER_BYTES + header.payload_bytes);
                if first == 0 || first == 0xff {
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
            let result = match side {
                Side::Client => player.client(now),
                Side::Backend => player.backend(now),
            };
            if let Err(violation) = result {
                panic!("{}, turn {place}: {violation}", recording.name);
            }
            rest = later;
        }
        player.turn_is_over();
    }
    player.replay
}

#[test]
fn a_client_that_waits_for_responses_has_nothing_outstanding_when_it_goes_on() {
    for recording in recordings() {
        let replay = replay(&recording, || usize::MAX);
        for (place, window) in recording.turns.windows(2).enumerate() {
            println!(
                "{} {place} {:?} {:?}",
                recording.name, window[0].0, replay.turns[place]
            );
        }
    }
}
