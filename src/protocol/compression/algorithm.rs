//! Which compression a client and mytls agree on.

use thiserror::Error;

use super::super::capabilities::Capabilities;

/// Levels of zstd that a login may name; servers refuse others (run: MySQL 9.7).
const ZSTD_LEVELS: std::ops::RangeInclusive<u8> = 1..=22;

/// The highest level of zstd that mytls compresses with. Rows of 128 KiB, what one read brings, then take 3 ms; at level 22
/// they take 45 ms, in which a thread serves nobody else, and come out 4 % shorter. Clients read every level.
const HIGHEST_ZSTD_LEVEL: u8 = 9;

/// How the frames of a session are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// zlib, at its usual level 6, as servers do.
    Zlib,
    /// zstd.
    Zstd {
        /// What mytls sends is compressed at this level.
        level: u8,
    },
}

/// A login names a level that zstd does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the client asks for a level of zstd that is not between 1 and 22")]
pub struct WrongLevel;

impl Algorithm {
    /// What is offered where compression is.
    pub fn offered() -> Capabilities {
        Capabilities::COMPRESS | Capabilities::ZSTD_COMPRESSION
    }

    /// What a client has chosen with its flags, as far as it was offered, and the level that its login names. Of both
    /// algorithms zlib is taken (run: MySQL 9.7; TiDB's source).
    pub fn agreed(flags: Capabilities, level: Option<u8>) -> Result<Option<Self>, WrongLevel> {
        if flags.contains(Capabilities::COMPRESS) {
            return Ok(Some(Self::Zlib));
        }
        if !flags.contains(Capabilities::ZSTD_COMPRESSION) {
            return Ok(None);
        }
        match level {
            Some(level) if ZSTD_LEVELS.contains(&level) => Ok(Some(Self::Zstd {
                level: level.min(HIGHEST_ZSTD_LEVEL),
            })),
            _ => Err(WrongLevel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZLIB: Capabilities = Capabilities::COMPRESS;
    const ZSTD: Capabilities = Capabilities::ZSTD_COMPRESSION;

    /// MySQL 9.7 says 3923 to these.
    #[test]
    fn levels_that_zstd_does_not_have_are_refused() {
        for level in [None, Some(0), Some(23), Some(255)] {
            assert_eq!(Algorithm::agreed(ZSTD, level), Err(WrongLevel), "{level:?}");
        }
    }

    #[test]
    fn a_client_that_offers_both_gets_zlib_as_from_servers() {
        for level in [None, Some(3), Some(255)] {
            assert_eq!(
                Algorithm::agreed(ZLIB | ZSTD, level),
                Ok(Some(Algorithm::Zlib))
            );
        }
    }

    #[test]
    fn the_level_is_the_clients_up_to_a_bound() {
        for (asked, level) in [(1, 1), (3, 3), (9, 9), (10, 9), (22, 9)] {
            assert_eq!(
                Algorithm::agreed(ZSTD, Some(asked)),
                Ok(Some(Algorithm::Zstd { level }))
            );
        }
        assert_eq!(
            Algorithm::agreed(Capabilities::default(), Some(3)),
            Ok(None)
        );
    }
}
