//! The prompt: lines with history and completion, until Control-D.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};

use super::statements::{Statement, Statements, is_whole};
use super::word::{WORDS, WordError, sql_of};
use super::{Ctl, CtlError};

const PROMPT: &str = "mytls> ";

/// What ends the prompt.
const FAREWELLS: [&str; 3] = ["exit", "quit", "\\q"];

const HELP: &str = "help";

/// What may be typed that is longer than a word.
const STATEMENTS: [&str; 23] = [
    "ALTER INSTANCE RELOAD TLS",
    "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_main",
    "ALTER USER ",
    "CREATE USER ",
    "DROP USER ",
    "FLUSH PRIVILEGES",
    "KILL ",
    "SELECT * FROM performance_schema.tls_channel_status",
    "SET GLOBAL ",
    "SET ROUTE TO source",
    "SET ROUTE TO target",
    "SHOW BACKENDS",
    "SHOW CERTIFICATES",
    "SHOW CREATE USER ",
    "SHOW DENIALS",
    "SHOW FULL BACKENDS",
    "SHOW FULL CERTIFICATES",
    "SHOW FULL DENIALS",
    "SHOW FULL PROCESSLIST",
    "SHOW GLOBAL STATUS LIKE '",
    "SHOW GLOBAL VARIABLES LIKE '",
    "SHOW USERS",
    "SHUTDOWN",
];

/// Asks until whoever sits there has had enough.
pub(super) fn run<O: Write, E: Write>(
    ctl: &mut Ctl<'_, O, E>,
    history: Option<&Path>,
) -> Result<bool, CtlError> {
    let mut editor: Editor<Typed, FileHistory> = Editor::new()?;
    editor.set_helper(Some(Typed));
    if let Some(path) = history {
        // there is none before the first time
        let _ = editor.load_history(path);
    }
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        if !may_hold_password(&line) {
            let _ = editor.add_history_entry(line.trim());
        }
        match Command::read(&line) {
            Command::Leave => break,
            Command::Help => help(ctl.out)?,
            Command::Wrong(error) => writeln!(ctl.errors, "mytls: {error}")?,
            Command::Ask(statements) => {
                for statement in statements {
                    // what went wrong has been said, and the next line may be right
                    if !ctl.ask(&statement)? {
                        break;
                    }
                }
            }
        }
    }
    if let Some(path) = history {
        keep(&mut editor, path);
    }
    Ok(true)
}

/// mytls knows no such statement, but somebody may take it for the server. The history is a file; MySQL's shell leaves the
/// same lines out of its own.
fn may_hold_password(line: &str) -> bool {
    let line = line.to_uppercase();
    line.contains("IDENTIFIED") || line.contains("PASSWORD")
}

/// A history that cannot be kept is no reason to end with an error.
fn keep(editor: &mut Editor<Typed, FileHistory>, path: &Path) {
    const OWNER_ONLY: u32 = 0o700;
    if let Some(folder) = path.parent() {
        let _ = DirBuilder::new()
            .recursive(true)
            .mode(OWNER_ONLY)
            .create(folder);
    }
    let _ = editor.save_history(path);
}

fn help(out: &mut impl Write) -> std::io::Result<()> {
    for (word, meaning) in WORDS {
        writeln!(out, "{word:<40}{meaning}")?;
    }
    writeln!(
        out,
        "{:<40}SQL; it ends with `;`, or with `\\G` for a line for each value",
        "SHOW …;"
    )?;
    writeln!(out, "{:<40}leave", FAREWELLS.join(", "))
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Leave,
    Help,
    Ask(Vec<Statement>),
    /// A word of ours with others behind it than it takes.
    Wrong(WordError),
}

impl Command {
    fn read(line: &str) -> Self {
        let text = line.trim().trim_end_matches(';').trim_end();
        if FAREWELLS.contains(&text) {
            return Self::Leave;
        }
        if text == HELP {
            return Self::Help;
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        match sql_of(&words) {
            Ok(sql) => Self::Ask(vec![Statement {
                sql,
                vertical: false,
            }]),
            Err(error @ WordError::Usage(_)) if !is_whole(line) => Self::Wrong(error),
            Err(WordError::Usage(_) | WordError::Unknown { .. }) => {
                let mut statements = Statements::default();
                let mut all = statements.add(line);
                all.extend(statements.rest());
                Self::Ask(all)
            }
        }
    }

    /// Whether a line needs no other behind it.
    fn is_whole(line: &str) -> bool {
        let text = line.trim();
        let words: Vec<&str> = text.split_whitespace().collect();
        text.is_empty()
            || text == HELP
            || FAREWELLS.contains(&text)
            || !matches!(sql_of(&words), Err(WordError::Unknown { .. }))
            || is_whole(line)
    }
}

/// What the editor asks while somebody types.
struct Typed;

impl Helper for Typed {}
impl Highlighter for Typed {}

impl Hinter for Typed {
    type Hint = String;
}

impl Validator for Typed {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if Command::is_whole(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Completer for Typed {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..position).unwrap_or_default();
        Ok((0, completions(typed)))
    }
}

/// All that begins with this, in upper or lower case.
fn completions(typed: &str) -> Vec<String> {
    let words = WORDS.iter().flat_map(|(usage, _)| {
        let mut parts = usage.split_whitespace();
        let word = parts.next().unwrap_or_default();
        let choices = parts.next().filter(|part| part.contains('|'));
        match choices {
            Some(choices) => choices
                .split('|')
                .map(|to| format!("{word} {to}"))
                .collect(),
            None => vec![word.to_owned()],
        }
    });
    let others = [HELP, FAREWELLS[0], FAREWELLS[1]].map(str::to_owned);
    words
        .chain(others)
        .chain(STATEMENTS.map(str::to_owned))
        .filter(|candidate| {
            let begin = candidate.get(..typed.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(typed))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Vec<String> {
        match Command::read(line) {
            Command::Ask(all) => all.into_iter().map(|statement| statement.sql).collect(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn lines_with_a_password_are_no_history() {
        for line in [
            "CREATE USER a IDENTIFIED BY 'b'",
            "set password = 'b'",
            "  alter user a identified with x by 'b';",
        ] {
            assert!(may_hold_password(line), "{line}");
        }
        assert!(!may_hold_password("CREATE USER a REQUIRE SSL"));
    }

    #[test]
    fn words_are_asked_as_sql_and_sql_as_it_is() {
        assert_eq!(asked("status"), ["SHOW GLOBAL STATUS"]);
        assert_eq!(asked(" route target; "), ["SET ROUTE TO target"]);
        assert_eq!(asked("show status; select 1;"), ["show status", "select 1"]);
        assert_eq!(asked("kill query 7;"), ["kill query 7"]);
        assert_eq!(asked(""), [""; 0]);
        assert!(matches!(Command::read("route"), Command::Wrong(_)));
        for line in ["exit", "quit;", " \\q"] {
            assert_eq!(Command::read(line), Command::Leave, "{line}");
        }
    }

    #[test]
    fn sql_goes_on_until_it_is_ended() {
        for line in ["show status", "select ';", "show\nstatus"] {
            assert!(!Command::is_whole(line), "{line}");
        }
        for line in [
            "",
            "status",
            "route",
            "help",
            "exit",
            "show status;",
            "show backends\\G",
        ] {
            assert!(Command::is_whole(line), "{line}");
        }
    }

    #[test]
    fn what_is_typed_is_completed() {
        assert_eq!(completions("cert"), ["certificates"]);
        assert_eq!(completions("route s"), ["route source"]);
        assert_eq!(completions("show cert"), ["SHOW CERTIFICATES"]);
        assert_eq!(completions("é"), [""; 0]);
    }
}
