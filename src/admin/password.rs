//! What passwords of the admin port are checked with, as `caching_sha2_password` does it. No password is kept.
//!
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html>

use std::sync::OnceLock;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA256};
use rustls::crypto::SecureRandom;
use zeroize::Zeroizing;

use crate::protocol::greeting::SALT_BYTES;

/// A digest of SHA-256.
type Digest = [u8; 32];

/// Rounds of a hash that we make; as MySQL 9.7 does.
const ROUNDS: usize = 10_000;
/// The head of a hash, `$A$00A$`, counts them in thousands, in three hexadecimal digits.
const ROUNDS_UNIT: usize = 1_000;
/// Length of a stored digest as text.
const TEXT_BYTES: usize = 43;
/// The digits of that text.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// `caching_sha2_password` takes no longer one.
const LONGEST_BYTES: usize = 255;

/// Why a password file says no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nobody could log in with it, or everybody.
    #[error("it is empty")]
    Empty,
    /// No client could send it.
    #[error("the password is longer than {LONGEST_BYTES} bytes")]
    TooLong,
    /// On the wire it ends there.
    #[error("the password has a NUL")]
    Nul,
    /// The system gives no random bytes for a salt.
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// What one password is checked with.
#[derive(Debug)]
pub(super) struct Verifier {
    rounds: usize,
    salt: [u8; SALT_BYTES],
    /// Of SHA-crypt, as `mysql.user` has it.
    stored: [u8; TEXT_BYTES],
    /// SHA256(SHA256(password)), with which a scramble is enough. Known from the password itself, or from the first login
    /// with it.
    fast: OnceLock<Digest>,
}

impl Verifier {
    /// From a file's content: a password, or its hash as MySQL's `authentication_string` has it, or that in hexadecimal,
    /// as `SHOW CREATE USER` prints it (`0x244124…`). A line's end behind it is no part of it.
    pub(super) fn from_file(
        content: &[u8],
        random: &dyn SecureRandom,
    ) -> Result<Self, PasswordError> {
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        match Self::from_hash(content).or_else(|| Self::from_hash(&from_hexadecimal(content)?)) {
            Some(verifier) => Ok(verifier),
            None => Self::from_password(content, random),
        }
    }

    fn from_hash(hash: &[u8]) -> Option<Self> {
        let (thousands, rest) = hash.strip_prefix(b"$A$")?.split_first_chunk::<3>()?;
        let thousands = usize::from_str_radix(std::str::from_utf8(thousands).ok()?, 16).ok()?;
        let (salt, text) = rest.strip_prefix(b"$")?.split_first_chunk()?;
        let stored: [u8; TEXT_BYTES] = text.try_into().ok()?;
        stored
            .iter()
            .all(|digit| DIGITS.contains(digit))
            .then_some(Self {
                rounds: thousands * ROUNDS_UNIT,
                salt: *salt,
                stored,
                fast: OnceLock::new(),
            })
    }

    fn from_password(password: &[u8], random: &dyn SecureRandom) -> Result<Self, PasswordError> {
        if password.is_empty() {
            return Err(PasswordError::Empty);
        }
        if password.len() > LONGEST_BYTES {
            return Err(PasswordError::TooLong);
        }
        if password.contains(&0) {
            return Err(PasswordError::Nul);
        }
        let mut salt = [0; SALT_BYTES];
        random
            .fill(&mut salt)
            .map_err(|_| PasswordError::NoRandom)?;
        Ok(Self {
            rounds: ROUNDS,
            salt,
            stored: sha_crypt(password, &salt, ROUNDS),
            fast: OnceLock::from(twice(password)),
        })
    }

    /// Of no password: nothing is right. Whoever is nobody is asked for one as others are, and it takes as long to say no.
    pub(super) fn of_nobody<'a>(
        others: impl Iterator<Item = &'a Self>,
        random: &dyn SecureRandom,
    ) -> Result<Self, PasswordError> {
        let mut salt = [0; SALT_BYTES];
        random
            .fill(&mut salt)
            .map_err(|_| PasswordError::NoRandom)?;
        Ok(Self {
            rounds: others.map(|other| other.rounds).max().unwrap_or(ROUNDS),
            salt,
            // no digest has this text
            stored: [0; TEXT_BYTES],
            fast: OnceLock::new(),
        })
    }

    /// Whether a scramble proves the password: SHA256(password) XOR SHA256(SHA256(SHA256(password)), salt).
    pub(super) fn proves(&self, scramble: &[u8], salt: &[u8; SALT_BYTES]) -> bool {
        let (Some(fast), Ok(scramble)) = (self.fast.get(), Digest::try_from(scramble)) else {
            return false;
        };
        let mut once = Zeroizing::new(sha256(&[fast, salt]));
        for (byte, sent) in once.iter_mut().zip(scramble) {
            *byte ^= sent;
        }
        verify_slices_are_equal(&sha256(&[&*once]), fast).is_ok()
    }

    /// Whether this is the password. If so, scrambles are enough from now on.
    pub(super) fn is_right(&self, password: &[u8]) -> bool {
        let crypted = sha_crypt(password, &self.salt, self.rounds);
        let right = verify_slices_are_equal(&crypted, &self.stored).is_ok();
        if right {
            self.fast.get_or_init(|| twice(password));
        }
        right
    }
}

/// `0x…`
fn from_hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"0x")?;
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

fn twice(password: &[u8]) -> Digest {
    let once = Zeroizing::new(sha256(&[password]));
    sha256(&[&*once])
}

/// SHA-crypt with SHA-256, as its specification has it, but for the salt of 20 bytes, where that has at most 16.
///
/// <https://www.akkadia.org/drepper/SHA-crypt.txt>
fn sha_crypt(password: &[u8], salt: &[u8], rounds: usize) -> [u8; TEXT_BYTES] {
    let digest_b = Zeroizing::new(sha256(&[password, salt, password]));
    let mut a = Context::new(&SHA256);
    a.update(password);
    a.update(salt);
    a.update(&stretched(&digest_b, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        a.update(if bits & 1 == 1 { &*digest_b } else { password });
        bits >>= 1;
    }
    let mut state = Zeroizing::new(Digest::default());
    state.copy_from_slice(a.finish().as_ref());

    let password_digest = Zeroizing::new(repeated(password, password.len()));
    let password_bytes = stretched(&password_digest, password.len());
    let salt_digest = repeated(salt, 16 + usize::from(state[0]));
    let salt_bytes = stretched(&salt_digest, salt.len());

    for round in 0..rounds {
        let odd = round % 2 == 1;
        let mut c = Context::new(&SHA256);
        c.update(if odd { &password_bytes } else { &*state });
        if round % 3 != 0 {
            c.update(&salt_bytes);
        }
        if round % 7 != 0 {
            c.update(&password_bytes);
        }
        c.update(if odd { &*state } else { &password_bytes });
        state.copy_from_slice(c.finish().as_ref());
    }
    as_text(&state)
}

/// The digest of a text, so many times over.
fn repeated(text: &[u8], times: usize) -> Digest {
    let mut context = Context::new(&SHA256);
    for _ in 0..times {
        context.update(text);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// A digest over and over, up to so many bytes.
fn stretched(digest: &Digest, length: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(digest.iter().copied().cycle().take(length).collect())
}

/// Three bytes become four digits, the lowest first; which three is the specification's table.
fn as_text(digest: &Digest) -> [u8; TEXT_BYTES] {
    let mut text = [0; TEXT_BYTES];
    let mut digits = text.iter_mut();
    for group in 0..11 {
        // 0 10 20, 21 1 11, 12 22 2, 3 13 23 …, and 31 30 at the end
        let places: [Option<usize>; 3] = if group == 10 {
            [None, Some(31), Some(30)]
        } else {
            let turn = [[0, 10, 20], [20, 0, 10], [10, 20, 0]][group % 3];
            turn.map(|begin| Some(begin + group))
        };
        let mut bits = places.into_iter().fold(0_usize, |bits, place| {
            bits << 8 | place.map_or(0, |place| usize::from(digest[place]))
        });
        for digit in digits.by_ref().take(if group == 10 { 3 } else { 4 }) {
            *digit = DIGITS[bits & 0x3F];
            bits >>= 6;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::*;

    /// `authentication_string` of accounts of MySQL 9.7, in hexadecimal, and their passwords.
    const STORED: [(&str, &str); 2] = [
        (
            "0x244124303041240E160D1E785D0A2B6351272F367F501219554477667A317A556B7954737A49554A7776672E663749433567566C414E36683645547677394E417032426E5541",
            "admin-pw",
        ),
        (
            "0x2441243030412429060A66472A177D5A040B6B63434B7D42363D5B7845787953553435554976504938427036574168433373723147487155503639696F41624D446D464C4E2E",
            "a password that is longer than thirty-two bytes: Zoë",
        ),
    ];

    fn random() -> &'static dyn SecureRandom {
        default_provider().secure_random
    }

    fn verifier(content: &[u8]) -> Verifier {
        Verifier::from_file(content, random()).expect("a password")
    }

    /// As a client makes it.
    fn scramble(password: &[u8], salt: &[u8; SALT_BYTES]) -> Digest {
        let mut scramble = sha256(&[password]);
        for (byte, mask) in scramble.iter_mut().zip(sha256(&[&twice(password), salt])) {
            *byte ^= mask;
        }
        scramble
    }

    #[test]
    fn wrong_passwords_are_wrong() {
        for (stored, password) in STORED {
            for content in [stored, password] {
                let verifier = verifier(content.as_bytes());
                for wrong in [
                    "",
                    "x",
                    &password[1..],
                    &format!("{password} "),
                    &password.to_uppercase(),
                ] {
                    assert!(!verifier.is_right(wrong.as_bytes()), "{wrong:?}");
                    let salt = b"twenty-bytes-of-salt";
                    let scramble = scramble(wrong.as_bytes(), salt);
                    assert!(!verifier.proves(&scramble, salt), "{wrong:?}");
                }
            }
        }
        let nobody = Verifier::of_nobody([].iter(), random()).expect("random bytes");
        assert!(!nobody.is_right(b"") && !nobody.is_right(&[0; 43]));
        assert!(!nobody.proves(&[0; 32], &[0; SALT_BYTES]));
    }

    #[test]
    fn what_is_no_password_is_refused() {
        for (content, error) in [
            (&b""[..], PasswordError::Empty),
            (b"\n", PasswordError::Empty),
            (b"\r\n", PasswordError::Empty),
            (b"a\0b", PasswordError::Nul),
            (&[b'a'; 256], PasswordError::TooLong),
        ] {
            let refused = Verifier::from_file(content, random()).map(|_| ());
            assert_eq!(refused, Err(error), "{content:?}");
        }
    }

    // `openssl passwd -5 -salt saltstring 'Hello world!'`
    #[test]
    fn sha_crypt_is_as_openssl_has_it() {
        let text = sha_crypt(b"Hello world!", b"saltstring", 5_000);
        assert_eq!(&text, b"5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5");
    }

    #[test]
    fn a_hash_of_mysql_fits_its_password() {
        for (stored, password) in STORED {
            let verifier = verifier(stored.as_bytes());
            assert!(verifier.is_right(password.as_bytes()), "{password}");
        }
    }

    #[test]
    fn a_scramble_is_enough_once_the_password_is_known() {
        let (salt, other) = (b"twenty-bytes-of-salt", b"other-bytes-of-salt!");
        for (stored, password) in STORED {
            let scramble = scramble(password.as_bytes(), salt);
            let known = verifier(password.as_bytes());
            assert!(known.proves(&scramble, salt));
            assert!(!known.proves(&scramble, other), "it is bound to its salt");
            assert!(!known.proves(&scramble[1..], salt), "cut off");
            let hashed = verifier(stored.as_bytes());
            assert!(!hashed.proves(&scramble, salt), "not known yet");
            assert!(hashed.is_right(password.as_bytes()));
            assert!(hashed.proves(&scramble, salt));
        }
    }

    #[test]
    fn the_end_of_a_line_is_no_part_of_a_password() {
        for content in ["secret", "secret\n", "secret\r\n"] {
            assert!(verifier(content.as_bytes()).is_right(b"secret"));
        }
        assert!(verifier(b" secret \n").is_right(b" secret "));
    }
}
