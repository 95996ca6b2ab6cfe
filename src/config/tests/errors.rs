//! What is wrong with a file, and that it is told well.

use super::*;
use crate::rules::AccountName;

/// `=== title`, a file, `=>`, the error: once for each case.
const WRONG_FILES: &str = include_str!("../wrong_files.txt");

#[test]
fn a_wrong_file_is_shown_with_line_column_key_and_reason() {
    let mut cases = 0;
    for case in WRONG_FILES.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').expect("a title ends with its line");
        let (text, expected) = rest.split_once("=>\n").expect("a case has an error");
        assert_eq!(error(text), expected.trim_end(), "{title}");
        cases += 1;
    }
    assert!(cases > 70, "only {cases} cases were found");
}

#[test]
fn a_file_without_a_backend_is_wrong() {
    for text in ["", "---\n", "# nothing\n", "listen: 127.0.0.1:3307\n"] {
        assert!(
            matches!(read(text), Err(ConfigError::NoBackend { .. })),
            "{text}"
        );
    }
}

#[test]
fn what_the_rules_refuse_stands_at_its_line_in_their_own_words() {
    let account = "'app'@'10.0.0.0/99'"
        .parse::<AccountName>()
        .expect_err("no netmask")
        .to_string();
    let requirement = |text: &str| text.parse::<Requirement>().expect_err(text).to_string();
    let subject = "SUBJECT 'CN=app, O=Lab'";
    let cases = [
        (
            "default-require: SLL",
            "1:18: default-require",
            requirement("SLL"),
        ),
        (
            "accounts: [{user: \"'app'@'10.0.0.0/99'\", require: SSL}]",
            "1:19: accounts[0].user",
            account,
        ),
        (
            "accounts:\n- user: app\n  require: SUBJECT 'CN=app, O=Lab'",
            "3:12: accounts[0].require",
            requirement(subject),
        ),
    ];
    for (text, place, reason) in cases {
        assert_eq!(
            error(text).lines().next(),
            Some(&*format!("{place}: {reason}")),
            "{text}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/mytls.yaml"), &Environment::default());
    assert_eq!(
        error.map_err(|error| error.to_string()),
        Err("read /nowhere/mytls.yaml".to_owned())
    );
}

#[test]
fn a_wrong_file_in_the_log_is_one_line() {
    let wrong = |text: &str| read(text).expect_err("refused").in_one_line();
    assert_eq!(
        wrong(&format!("{LEAST}default-require: SLL\n"))
            .lines()
            .count(),
        1
    );
    let missing = Config::load(Path::new("/nowhere/mytls.yaml"), &Environment::default());
    assert_eq!(
        missing.expect_err("missing").in_one_line(),
        "read /nowhere/mytls.yaml: No such file or directory (os error 2)"
    );
}

proptest::proptest! {
    /// Whatever is in the file, there is a configuration or an error that can be printed.
    #[test]
    fn no_text_makes_the_reader_panic(at in 0..EXAMPLE.len(), cut in 0_usize..40, put in r#"[\[\]{}:,&*!|>'"%@#~ \n\t0-9a-z-]{0,12}|\\PC{0,12}"#) {
        let (Some(before), Some(after)) = (EXAMPLE.get(..at), EXAMPLE.get(at + cut..)) else { return Ok(()) };
        for text in [put.clone(), format!("{before}{put}{after}"), example_uncommented().replacen("127", &put, 3)] {
            match read(&text) {
                Ok(config) => config.warnings.iter().for_each(|warning| assert_ne!(warning.to_string(), "")),
                Err(error) => assert_ne!(error.to_string(), ""),
            }
        }
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for bracket in ["[", "{a: ", "- "] {
        let error = read(&format!("listen: {}", bracket.repeat(100_000)));
        assert!(error.is_err(), "{bracket}");
    }
}
