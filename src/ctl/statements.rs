//! Text becomes statements: cut at `;` and `\G`, as the `mysql` shell cuts it, but not inside quotes and comments.

/// One statement, and how its answer is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Without what ended it.
    pub(super) sql: String,
    /// It ended in `\G`: a line for each value.
    pub(super) vertical: bool,
}

impl Statement {
    /// None if there is nothing but blanks.
    fn new(text: &str, vertical: bool) -> Option<Self> {
        let sql = text.trim().to_owned();
        (!sql.is_empty()).then_some(Self { sql, vertical })
    }
}

/// Statements out of text that comes line by line.
#[derive(Debug, Default)]
pub(super) struct Statements {
    /// What has not been ended yet.
    open: String,
}

impl Statements {
    /// Takes more text; gives the statements that it ends.
    pub(super) fn add(&mut self, text: &str) -> Vec<Statement> {
        self.open.push_str(text);
        let mut statements = Vec::new();
        let mut rest = self.open.as_str();
        while let Some(End {
            at,
            length,
            vertical,
        }) = find_end(rest)
        {
            statements.extend(Statement::new(&rest[..at], vertical));
            rest = &rest[at + length..];
        }
        self.open = rest.to_owned();
        statements
    }

    /// The last statement, which need not be ended.
    pub(super) fn rest(self) -> Option<Statement> {
        Statement::new(&self.open, false)
    }
}

/// Whether the text ends with an end, so that a statement can be run.
pub(super) fn is_whole(text: &str) -> bool {
    let mut statements = Statements::default();
    statements.add(text);
    statements.rest().is_none()
}

/// What ends a statement.
struct End {
    /// Where it begins, in bytes.
    at: usize,
    /// How long it is, in bytes.
    length: usize,
    vertical: bool,
}

fn find_end(text: &str) -> Option<End> {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let end = |length, vertical| {
            Some(End {
                at,
                length,
                vertical,
            })
        };
        let first = rest.chars().next()?;
        at += match first {
            ';' => return end(1, false),
            '\\' if rest.starts_with("\\G") => return end(2, true),
            '\\' if rest.starts_with("\\g") => return end(2, false),
            '\'' | '"' | '`' => quoted(rest, first)?,
            '#' => rest.find('\n')?,
            '-' if is_dash_comment(rest) => rest.find('\n')?,
            '/' if rest.starts_with("/*") => 2 + rest.get(2..)?.find("*/")? + 2,
            other => other.len_utf8(),
        };
    }
    None
}

/// `--` begins a comment only before a blank.
fn is_dash_comment(rest: &str) -> bool {
    rest.strip_prefix("--")
        .is_some_and(|behind| behind.is_empty() || behind.starts_with(char::is_whitespace))
}

/// How long the quoted text is that this begins with; none if it is not closed. A doubled quote is closed and opened again,
/// which comes to the same.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == quote {
            return Some(at + 1);
        }
        if character == '\\' && quote != '`' {
            characters.next();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<String> {
        let mut statements = Statements::default();
        let mut all = statements.add(text);
        all.extend(statements.rest());
        all.into_iter().map(|statement| statement.sql).collect()
    }

    #[test]
    fn quotes_and_comments_hide_an_end() {
        for text in [
            "SELECT ';'",
            "SELECT \"a;\"",
            "SELECT `;`",
            "SELECT 'it''s;'",
            r"SELECT '\';'",
            r"SELECT '\\\';'",
            "SELECT 1 /* ; */",
            "SELECT 1 -- ;",
            "SELECT 1 # ; \\G",
            "SELECT 'not closed; ",
            "/* not closed; ",
        ] {
            assert_eq!(cut(text), [text.trim()], "{text}");
        }
    }

    #[test]
    fn a_semicolon_ends_a_statement() {
        assert_eq!(cut("A;B ; \n;C"), ["A", "B", "C"]);
        assert_eq!(cut(r"SELECT `\`;B"), [r"SELECT `\`", "B"]);
        assert_eq!(cut("SELECT 1--;B"), ["SELECT 1--", "B"]);
        assert_eq!(cut("SELECT 'ë;' ; B"), ["SELECT 'ë;'", "B"]);
        assert_eq!(cut("A -- ;\n;B"), ["A -- ;", "B"]);
        assert_eq!(cut(" ;; \n"), [""; 0]);
    }

    #[test]
    fn a_statement_may_come_in_several_lines() {
        let mut statements = Statements::default();
        assert_eq!(statements.add("SHOW\n"), []);
        let show = statements.add("STATUS\\G SELECT 1\n");
        assert_eq!(show[0].sql, "SHOW\nSTATUS");
        assert!(show[0].vertical);
        let last = statements.rest().expect("a last one");
        assert_eq!((last.sql.as_str(), last.vertical), ("SELECT 1", false));
        assert!(!is_whole("SELECT ';"));
        assert!(is_whole("SELECT ';';\n"));
    }
}
