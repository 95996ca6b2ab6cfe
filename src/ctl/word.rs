//! The words that stand for statements: `mytls ctl reload`, and the same at the prompt.

use thiserror::Error;

/// Each word as it is written, and what it asks.
pub const WORDS: [(&str, &str); 12] = [
    ("reload [CHANNEL]", "load certificates again"),
    ("status", "counters, and the certificate in force"),
    ("variables", "the configuration in force"),
    ("certificates", "every certificate in force, and until when"),
    ("backends", "the servers behind, and the route"),
    ("processlist", "sessions"),
    ("users", "rules, and where each comes from"),
    ("denials", "who was refused, or would be, and why"),
    ("flush", "import rules again"),
    (
        "route source|target [drain [SECONDS]]",
        "where new sessions go; drain: old ones end",
    ),
    ("kill ID", "end a session"),
    ("shutdown", "end mytls"),
];

/// What is no word of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WordError {
    /// None that is known.
    #[error(
        "`{word}` is none of the words that ctl knows ({}); write SQL with -e",
        known()
    )]
    Unknown {
        /// What is written.
        word: String,
    },
    /// A known one with too few words behind it, or others.
    #[error("write: {0}")]
    Usage(&'static str),
}

fn known() -> String {
    let words: Vec<&str> = WORDS.iter().map(|(usage, _)| first(usage)).collect();
    words.join(", ")
}

fn first(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// The statement that the words stand for.
pub fn sql_of(words: &[&str]) -> Result<String, WordError> {
    let word = words.first().copied().unwrap_or_default();
    let known = WORDS.iter().find(|(usage, _)| first(usage) == word);
    let Some((usage, _)) = known else {
        return Err(WordError::Unknown {
            word: word.to_owned(),
        });
    };
    let sql = match words {
        ["reload"] => "ALTER INSTANCE RELOAD TLS".to_owned(),
        ["reload", channel] if is_name(channel) => {
            format!("ALTER INSTANCE RELOAD TLS FOR CHANNEL {channel}")
        }
        ["status"] => "SHOW GLOBAL STATUS".to_owned(),
        ["variables"] => "SHOW GLOBAL VARIABLES".to_owned(),
        ["certificates"] => "SHOW CERTIFICATES".to_owned(),
        ["backends"] => "SHOW BACKENDS".to_owned(),
        ["processlist"] => "SHOW FULL PROCESSLIST".to_owned(),
        ["users"] => "SHOW USERS".to_owned(),
        ["denials"] => "SHOW DENIALS".to_owned(),
        ["flush"] => "FLUSH PRIVILEGES".to_owned(),
        ["route", to @ ("source" | "target")] => format!("SET ROUTE TO {to}"),
        ["route", to @ ("source" | "target"), "drain"] => format!("SET ROUTE TO {to} DRAIN"),
        ["route", to @ ("source" | "target"), "drain", seconds] if is_number(seconds) => {
            format!("SET ROUTE TO {to} DRAIN WITHIN {seconds} SECONDS")
        }
        ["kill", id] if is_number(id) => format!("KILL CONNECTION {id}"),
        ["shutdown"] => "SHUTDOWN".to_owned(),
        _ => return Err(WordError::Usage(usage)),
    };
    Ok(sql)
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok() && !text.starts_with('+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_word_is_refused() {
        for words in [&[][..], &["SHOW"], &["relod"], &["reload;"]] {
            assert!(
                matches!(sql_of(words), Err(WordError::Unknown { .. })),
                "{words:?}"
            );
        }
        for words in [
            &["reload", "a;b"][..],
            &["reload", "source", "now"],
            &["status", "all"],
            &["route"],
            &["route", "home"],
            &["route", "target", "now"],
            &["route", "target", "drain", "5s"],
            &["route", "target", "drain", "+5"],
            &["kill"],
            &["kill", "1 OR 1"],
        ] {
            assert!(
                matches!(sql_of(words), Err(WordError::Usage(_))),
                "{words:?}"
            );
        }
    }

    #[test]
    fn words_become_statements() {
        for (words, sql) in [
            ("reload", "ALTER INSTANCE RELOAD TLS"),
            (
                "reload mysql_main",
                "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_main",
            ),
            ("route target", "SET ROUTE TO target"),
            ("route source drain", "SET ROUTE TO source DRAIN"),
            (
                "route target drain 30",
                "SET ROUTE TO target DRAIN WITHIN 30 SECONDS",
            ),
            ("kill 7", "KILL CONNECTION 7"),
            ("shutdown", "SHUTDOWN"),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            assert_eq!(sql_of(&words).as_deref(), Ok(sql));
        }
        for (usage, _) in WORDS {
            let example: Vec<&str> = match first(usage) {
                "route" => vec!["route", "target"],
                "kill" => vec!["kill", "1"],
                word => vec![word],
            };
            assert!(sql_of(&example).is_ok(), "{usage}");
        }
    }
}
