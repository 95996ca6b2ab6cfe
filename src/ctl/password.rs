//! Where the password comes from: a file, the environment, or whoever sits at the terminal. Never the command line, which
//! every user of the machine can read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use nix::errno::Errno;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::backend::own_account::PasswordSource;

/// The terminal of the process, even where its standard input is a file.
const TERMINAL: &str = "/dev/tty";

const CONTROL_C: u8 = 0x03;
const CONTROL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7F;

/// Where to get the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordFrom {
    /// A file, the environment, or there is none.
    Source(PasswordSource),
    /// Whoever sits at the terminal.
    Terminal,
}

/// Nobody gave a password.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// There is no terminal, or it cannot be used.
    #[error("ask for the password at the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// Control-C, or Control-D.
    #[error("no password was given")]
    NotGiven,
}

impl From<Errno> for PasswordError {
    fn from(error: Errno) -> Self {
        Self::Terminal(error.into())
    }
}

impl PasswordFrom {
    /// Asks for it, where it must be asked for.
    pub(super) fn get(self) -> Result<PasswordSource, PasswordError> {
        match self {
            Self::Source(source) => Ok(source),
            Self::Terminal => ask().map(PasswordSource::Inline),
        }
    }
}

fn ask() -> Result<Zeroizing<String>, PasswordError> {
    let mut terminal = OpenOptions::new().read(true).write(true).open(TERMINAL)?;
    let silent = Silent::new(terminal.try_clone()?)?;
    terminal.write_all(b"Password: ")?;
    let line = read_line(&mut terminal);
    terminal.write_all(b"\n")?;
    drop(silent);
    let bytes = line?.ok_or(PasswordError::NotGiven)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// A line without its end; none if it was broken off. Keys come one by one, so that Control-C ends the question and leaves
/// the terminal as it was.
fn read_line(terminal: &mut impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    let mut key = Zeroizing::new([0]);
    loop {
        if terminal.read(&mut *key)? == 0 {
            return Ok(None);
        }
        match key[0] {
            b'\r' | b'\n' => return Ok(Some(line)),
            CONTROL_C | CONTROL_D => return Ok(None),
            BACKSPACE | DELETE => remove_last_character(&mut line),
            byte => line.push(byte),
        }
    }
}

/// One character of UTF-8: bytes that only continue one, and the one before them.
fn remove_last_character(line: &mut Vec<u8>) {
    while line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {}
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn new(terminal: File) -> Result<Self, Errno> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // a terminal that is gone needs no echo
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(mut keys: &[u8]) -> Option<String> {
        let line = read_line(&mut keys).expect("read")?;
        Some(String::from_utf8_lossy(&line).into_owned())
    }

    #[test]
    fn a_question_that_is_broken_off_has_no_answer() {
        for keys in [&b""[..], b"secret", b"secret\x03\n", b"\x04"] {
            assert_eq!(typed(keys), None, "{keys:?}");
        }
    }

    #[test]
    fn a_mistake_can_be_taken_back() {
        for (keys, line) in [
            (&b"secret\r"[..], "secret"),
            (b"sex\x7fcret\n", "secret"),
            (b"\x7f\x08secret\n", "secret"),
            ("Zoë\u{7f}e\n".as_bytes(), "Zoe"),
            (b"\n", ""),
        ] {
            assert_eq!(typed(keys).as_deref(), Some(line));
        }
    }
}
