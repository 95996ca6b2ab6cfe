//! Secrets that a test plants, and the forms in which they might come out again.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::pki::Identity;

/// So much of a secret that is long: whoever shows part of a key shows a key.
const WINDOW_BYTES: usize = 24;

/// Something that nobody may read again.
#[derive(Debug)]
pub(crate) struct Secret {
    what: &'static str,
    /// Every form that would give it away.
    forms: Vec<String>,
}

impl Secret {
    /// A password, or the hash that stands for one.
    pub(crate) fn text(what: &'static str, secret: &str) -> Self {
        Self {
            what,
            forms: forms(secret.as_bytes()),
        }
    }

    /// A private key: any window of its DER, as bytes, and of its PEM, as it stands and in base64 once more.
    pub(crate) fn key(what: &'static str, identity: &Identity) -> Self {
        let pem = identity.key.serialize_pem();
        let mut all = forms_of_windows(&private_part(identity));
        for line in pem.lines().filter(|line| !line.starts_with("-----")) {
            // the first line begins as every key of its kind
            all.extend(forms_of_windows(&line.as_bytes()[line.len() / 2..]));
        }
        Self { what, forms: all }
    }

    /// How it is given away, if it is.
    pub(crate) fn shown_in<'a>(&'a self, text: &str) -> Option<&'a str> {
        let shown = self.forms.iter().find(|form| text.contains(form.as_str()));
        shown.map(String::as_str)
    }
}

/// Fails where a secret is shown.
#[track_caller]
pub(crate) fn expect_none_shown(secrets: &[Secret], whereabouts: &str, text: &str) {
    for secret in secrets {
        if let Some(form) = secret.shown_in(text) {
            panic!(
                "{} is shown as {form:?} in {whereabouts}:\n{text}",
                secret.what
            );
        }
    }
}

/// The 32 bytes of a P-256 key that are no other key's; they stand behind the marks `02 01 01 04 20`.
fn private_part(identity: &Identity) -> Vec<u8> {
    const MARK: [u8; 5] = [2, 1, 1, 4, 32];
    let der = identity.key.serialize_der();
    let mark = der.windows(MARK.len()).position(|window| window == MARK);
    let start = mark.expect("a key on P-256") + MARK.len();
    der[start..start + 32].to_vec()
}

fn forms_of_windows(secret: &[u8]) -> Vec<String> {
    let windows = secret.windows(WINDOW_BYTES.min(secret.len()));
    windows.step_by(4).flat_map(forms).collect()
}

/// Clear, escaped, hexadecimal, decimal as `Debug` prints bytes, and base64 wherever in its text it may begin.
fn forms(secret: &[u8]) -> Vec<String> {
    let hex: Vec<_> = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    let decimal: Vec<_> = secret.iter().map(u8::to_string).collect();
    let mut all = vec![
        secret.escape_ascii().to_string(),
        hex.to_uppercase(),
        hex,
        decimal.join(", "),
        decimal.join(","),
    ];
    all.extend(std::str::from_utf8(secret).map(str::to_owned));
    for before in 0..3_usize {
        let encoded = BASE64_STANDARD.encode([&vec![0; before], secret].concat());
        // what neighbours share a character with is left out
        let whole_bits = (before + secret.len()) * 8 / 6;
        let first = (before * 8).div_ceil(6);
        all.push(encoded[first..whole_bits].to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::pki::PKI;

    /// Else the tests that look for secrets would pass whatever there is to read.
    #[test]
    fn a_planted_secret_is_found_in_each_form() {
        let secret = Secret::text("it", "planted-Pa55word");
        // made by printf, xxd, base64 and Python
        for shown in [
            "user=planted-Pa55word",
            "706c616e7465642d50613535776f7264",
            "706C616E7465642D50613535776F7264",
            "[0, 112, 108, 97, 110, 116, 101, 100, 45, 80, 97, 53, 53, 119, 111, 114, 100]",
            "cGxhbnRlZC1QYTU1d29yZA==",
            "eHBsYW50ZWQtUGE1NXdvcmR5",
            "eHhwbGFudGVkLVBhNTV3b3JkeXk=",
        ] {
            assert!(secret.shown_in(shown).is_some(), "{shown}");
        }
        assert_eq!(secret.shown_in("planted-Pa55wor"), None);
    }

    #[test]
    fn a_part_of_a_key_is_found_in_its_forms() {
        let secret = Secret::key("it", &PKI.server);
        let der = PKI.server.key.serialize_der();
        let pem = PKI.server.key.serialize_pem();
        let second_line = pem.lines().nth(2).expect("a second line of base64");
        for shown in [
            &format!("{der:?}"),
            second_line,
            &BASE64_STANDARD.encode(&pem),
        ] {
            assert!(secret.shown_in(shown).is_some(), "{shown}");
        }
        assert_eq!(secret.shown_in(&PKI.client.key.serialize_pem()), None);
    }
}
