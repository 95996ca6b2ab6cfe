//! Words for the shell of whoever reads what mytls prints.

use std::path::Path;

/// A path as a shell takes it from any folder.
pub fn pasted(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    quoted(&absolute.display().to_string())
}

/// A word as a shell takes it.
pub fn quoted(text: &str) -> String {
    let is_plain = |each: char| each.is_ascii_alphanumeric() || "/._-".contains(each);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn shell_reads_a_word_as_it_was() {
        for text in [
            "",
            "plain/a-b_c.1",
            "a b",
            "O'Hara",
            "$HOME",
            "a\\",
            "`id`",
            "~",
            "\u{eb}",
        ] {
            let output = Command::new("/bin/sh")
                .args(["-c", &format!("printf %s {}", quoted(text))])
                .output()
                .expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), text);
        }
    }
}
