//! Text of the file becomes values: words of a fixed choice, durations, counts.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::file::Key;
use super::place::PEM_STARTS;
use super::problem::{Fault, Wrong};

/// The longest duration: a deadline that far away can still be added to a clock's reading.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The value parsed, or what holds when the key is not written.
pub(super) fn parsed<T>(key: &Key<String>, default: T) -> Result<T, Fault>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    key.written().map_or(Ok(default), parse)
}

/// The value parsed.
pub(super) fn parse<T>(text: &Spanned<String>) -> Result<T, Fault>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    text.value
        .parse()
        .map_err(|error| Fault::parse(text, error))
}

/// One of a few words, in upper or lower case.
pub(super) fn choice<T: Copy>(
    key: &Key<String>,
    choices: &[(&'static str, T)],
    default: T,
) -> Result<T, Fault> {
    let Some(text) = key.written() else {
        return Ok(default);
    };
    choices
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(&text.value))
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let choices = choices.iter().map(|(word, _)| *word).collect();
            Fault::value(
                text,
                Wrong::Choice {
                    found: text.value.clone(),
                    choices,
                },
            )
        })
}

/// A file's path, joined to the folder of the configuration if it is relative.
pub(super) fn file_path(text: &Spanned<String>, folder: &Path) -> Result<PathBuf, Fault> {
    if text.value.is_empty() {
        return Err(Fault::value(text, Wrong::Kind("a path".to_owned())));
    }
    if text.value.contains('\n') || PEM_STARTS.iter().any(|start| text.value.starts_with(start)) {
        return Err(Fault::value(text, Wrong::NoPath));
    }
    Ok(folder.join(&text.value))
}

/// What `0s` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    /// At once, or off.
    Allowed,
    /// A deadline of nothing lets nobody through, and "no deadline" cannot be had.
    Refused,
}

/// A duration with its unit (`10s`, `1m 30s`).
pub(super) fn duration(
    key: &Key<String>,
    default: Duration,
    zero: Zero,
) -> Result<Duration, Fault> {
    let Some(text) = key.written() else {
        return Ok(default);
    };
    let duration =
        humantime::parse_duration(&text.value).map_err(|error| Fault::parse(text, error))?;
    if duration > LONGEST || (zero == Zero::Refused && duration.is_zero()) {
        let lowest = if zero == Zero::Refused { "1ms" } else { "0s" };
        return Err(Fault::value(
            text,
            Wrong::Range {
                lowest: lowest.to_owned(),
                highest: "365 days".to_owned(),
            },
        ));
    }
    Ok(duration)
}

/// The most connections: a session takes two descriptors, and Linux gives a process 1,048,576 at most.
const MOST_CONNECTIONS: u32 = 524_288;

/// A number of connections.
pub(super) fn connections(key: &Key<u32>, default: u32) -> Result<usize, Fault> {
    number(key, default, 1)
}

/// The same, where 0 and nothing written are no limit.
pub(super) fn limit(key: &Key<u32>) -> Result<Option<usize>, Fault> {
    let number = number(key, 0, 0)?;
    Ok((number > 0).then_some(number))
}

fn number(key: &Key<u32>, default: u32, lowest: u32) -> Result<usize, Fault> {
    if let Some(written) = key.written()
        && !(lowest..=MOST_CONNECTIONS).contains(&written.value)
    {
        return Err(Fault::value(
            written,
            Wrong::Range {
                lowest: lowest.to_string(),
                highest: MOST_CONNECTIONS.to_string(),
            },
        ));
    }
    Ok(usize::try_from(key.or(default)).unwrap_or(usize::MAX))
}
