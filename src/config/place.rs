//! Where in the file something stands: line, column, the key's path, and the line itself.
//!
//! Values carry only their position. The path is found again in the text when there is something to say, so that the
//! checks need not carry it along.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::Location;
use serde_saphyr::granit_parser::{Event, Parser};

/// How PEM begins, as it stands and in base64. As a path it would be shown, in the log too, and it may be a key.
pub(super) const PEM_STARTS: [&str; 2] = ["-----BEGIN", "LS0tLS1CRUdJTi"];

/// The most of a line that is shown: a certificate in base64 is one line of thousands of characters.
const EXCERPT_CHARACTERS: usize = 160;

/// What a position is that of, and what is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// A key's position: the key.
    Key,
    /// A value's position: the value.
    Value,
    /// A value's position: the key that it stands behind.
    KeyOfValue,
}

/// A place in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The key's path (`from.security.ssl-ca`, `accounts[0].user`); empty where the YAML itself is wrong.
    pub key: String,
    /// The line, shortened; `None` if it may hold a secret.
    excerpt: Option<String>,
}

impl Place {
    pub(super) fn find(file: &Path, text: &str, location: Location, aim: Aim) -> Self {
        let named = Position::of(location);
        let (position, key) = match find_node(text, named, aim) {
            Some(node) if aim == Aim::KeyOfValue => (node.key_position.unwrap_or(named), node.path),
            Some(node) => (named, node.path),
            None => (named, String::new()),
        };
        Self {
            file: file.to_owned(),
            line: position.line,
            column: position.column,
            key,
            excerpt: excerpt(text, position.line.saturating_sub(1)),
        }
    }

    /// Shows no line: there is a secret in it.
    pub(super) fn hide_line(&mut self) {
        self.excerpt = None;
    }

    /// The line, unless it may hold a secret.
    pub(super) fn line_shown(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }

    /// The line with its number, and a mark below the column.
    pub(super) fn write_excerpt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(excerpt) = &self.excerpt else {
            return write!(
                f,
                "{:>5} | (not shown: there may be a secret in this line)",
                self.line
            );
        };
        write!(f, "{:>5} | {excerpt}", self.line)?;
        if self.column <= excerpt.chars().count() + 1 {
            write!(f, "\n      | {:>width$}", '^', width = self.column)?;
        }
        Ok(())
    }
}

/// A line as it is shown, without what a terminal would obey.
fn excerpt(text: &str, index: usize) -> Option<String> {
    if may_hold_secret(text, index) {
        return None;
    }
    let line = text.lines().nth(index).unwrap_or_default();
    let line = line.trim_start_matches('\u{feff}');
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = line
        .chars()
        .take(EXCERPT_CHARACTERS)
        .map(printable)
        .collect();
    if line.chars().nth(EXCERPT_CHARACTERS).is_some() {
        shown.push('…');
    }
    Some(shown)
}

/// Whether a secret may stand in a line, or go on there from a line above. The YAML may be broken, so lines are all there is.
fn may_hold_secret(text: &str, index: usize) -> bool {
    let Some(line) = text.lines().nth(index) else {
        return false;
    };
    let above = || {
        text.lines()
            .take(index)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
    };
    names_secret(line)
        || if begins_with_key(line) {
            let is_deeper = |above: &&str| !above.trim().is_empty() && indent(above) < indent(line);
            above().find(is_deeper).is_some_and(names_secret)
        } else {
            let key = above().position(begins_with_key);
            above()
                .take(key.map_or(usize::MAX, |key| key + 1))
                .any(names_secret)
        }
}

/// A key file's name is no secret, nor is `password-file`.
fn names_secret(line: &str) -> bool {
    if PEM_STARTS.iter().any(|start| line.contains(start)) {
        return true;
    }
    let line = line.to_lowercase().replace("password-file", "");
    ["pass", "pwd", "ssl-key-b"]
        .iter()
        .any(|part| line.contains(part))
}

/// `key:`, also as the first of a list's item.
fn begins_with_key(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches("- ");
    line.split_once(':').is_some_and(|(key, rest)| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        key.chars().all(is_word) && (rest.is_empty() || rest.starts_with([' ', '\t']))
    })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    line: usize,
    column: usize,
}

impl Position {
    fn of(location: Location) -> Self {
        Self {
            line: usize::try_from(location.line()).unwrap_or(usize::MAX),
            column: usize::try_from(location.column()).unwrap_or(usize::MAX),
        }
    }
}

/// A key or a value of the file.
struct Node {
    path: String,
    position: Position,
    is_key: bool,
    /// Of a value that stands behind a key.
    key_position: Option<Position>,
}

/// A mapping or list that is open.
struct Open {
    path: String,
    inside: Inside,
}

enum Inside {
    /// A mapping, before a key.
    Mapping,
    /// A mapping, behind this key.
    Behind { path: String, key: Position },
    /// A list, before the item of this index.
    List(usize),
}

/// A block mapping begins where its first key does, so the kind decides which of the two is meant.
fn find_node(text: &str, position: Position, aim: Aim) -> Option<Node> {
    nodes(text)
        .into_iter()
        .find(|node| node.position == position && node.is_key == (aim == Aim::Key))
}

/// Every key and value up to the end, or up to where the file stops being YAML.
fn nodes(text: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let position = Position {
            line: span.start.line(),
            column: span.start.col() + 1,
        };
        match event {
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
            }
            Event::Scalar(ref text, ..) => nodes.push(next_node(&mut open, text, position)),
            Event::Alias(_) => nodes.push(next_node(&mut open, "*", position)),
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let node = next_node(&mut open, "?", position);
                let inside = if matches!(event, Event::MappingStart(..)) {
                    Inside::Mapping
                } else {
                    Inside::List(0)
                };
                open.push(Open {
                    path: node.path.clone(),
                    inside,
                });
                nodes.push(node);
            }
            _ => {}
        }
    }
    nodes
}

/// The node that begins here, `text` being its name if it is a key; what is open moves on behind it.
fn next_node(open: &mut [Open], text: &str, position: Position) -> Node {
    let Some(parent) = open.last_mut() else {
        return Node {
            path: String::new(),
            position,
            is_key: false,
            key_position: None,
        };
    };
    match &mut parent.inside {
        Inside::Mapping => {
            let path = if parent.path.is_empty() {
                text.to_owned()
            } else {
                format!("{}.{text}", parent.path)
            };
            parent.inside = Inside::Behind {
                path: path.clone(),
                key: position,
            };
            Node {
                path,
                position,
                is_key: true,
                key_position: None,
            }
        }
        Inside::Behind { path, key } => {
            let node = Node {
                path: std::mem::take(path),
                position,
                is_key: false,
                key_position: Some(*key),
            };
            parent.inside = Inside::Mapping;
            node
        }
        Inside::List(index) => {
            let path = format!("{}[{index}]", parent.path);
            *index += 1;
            Node {
                path,
                position,
                is_key: false,
                key_position: None,
            }
        }
    }
}

/// The path of every key, for a test that asks which keys a file mentions.
#[cfg(test)]
pub(super) fn key_paths(text: &str) -> Vec<String> {
    nodes(text)
        .into_iter()
        .filter(|node| node.is_key)
        .map(|node| node.path)
        .collect()
}
