//! Subject alternative names: those in a certificate, and those of which an account wants some (`REQUIRE SAN`, TiDB's).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Names by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    /// Host names, compared letter by letter; a wildcard is a letter like any other.
    pub dns: Vec<String>,
    /// URIs, SPIFFE ids among them.
    pub uris: Vec<String>,
    /// IP addresses.
    pub addresses: Vec<IpAddr>,
}

/// Why a text is no list of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlternativeNamesError {
    /// Not `KIND:name`, or no kind that can be required.
    #[error(
        "SAN is a list of `DNS:…`, `URI:…` and `IP:…`, separated by commas, but `{0}` is none of them"
    )]
    Entry(String),
    /// `IP:` before something else.
    #[error("`{0}` is no IP address")]
    Address(String),
}

impl AlternativeNames {
    /// Whether a certificate with these names will do: of each kind that is listed here it has at least one, as in TiDB.
    pub(super) fn are_met_by(&self, shown: &Self) -> bool {
        any(&self.dns, &shown.dns)
            && any(&self.uris, &shown.uris)
            && any(&self.addresses, &shown.addresses)
    }
}

fn any<T: PartialEq>(required: &[T], shown: &[T]) -> bool {
    required.is_empty() || required.iter().any(|name| shown.contains(name))
}

impl FromStr for AlternativeNames {
    type Err = AlternativeNamesError;

    /// `DNS:a,URI:spiffe://lab/dm,IP:::1`, never empty; blanks around each part do not count.
    fn from_str(text: &str) -> Result<Self, AlternativeNamesError> {
        let mut names = Self::default();
        for entry in text.split(',') {
            let no_entry = || AlternativeNamesError::Entry(entry.trim().to_owned());
            let (kind, name) = entry.split_once(':').ok_or_else(no_entry)?;
            let name = name.trim();
            if name.is_empty() {
                return Err(no_entry());
            }
            match kind.trim().to_ascii_uppercase().as_str() {
                "DNS" => names.dns.push(name.to_owned()),
                "URI" => names.uris.push(name.to_owned()),
                "IP" => names.addresses.push(
                    name.parse()
                        .map_err(|_| AlternativeNamesError::Address(name.to_owned()))?,
                ),
                _ => return Err(no_entry()),
            }
        }
        Ok(names)
    }
}

impl fmt::Display for AlternativeNames {
    /// As a rule is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dns = self.dns.iter().map(|name| format!("DNS:{name}"));
        let uris = self.uris.iter().map(|uri| format!("URI:{uri}"));
        let addresses = self.addresses.iter().map(|ip| format!("IP:{ip}"));
        let all: Vec<String> = dns.chain(uris).chain(addresses).collect();
        f.write_str(&all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> AlternativeNames {
        text.parse().expect(text)
    }

    #[test]
    fn what_is_no_list_of_names_is_refused() {
        for (text, entry) in [
            ("", ""),
            ("db.test", "db.test"),
            ("DNS:", "DNS:"),
            ("DNS:a,", ""),
            ("DNS:a,,DNS:b", ""),
            ("EMAIL:a@b.test", "EMAIL:a@b.test"),
            (" : a", ": a"),
        ] {
            let error = AlternativeNamesError::Entry(entry.to_owned());
            assert_eq!(text.parse::<AlternativeNames>(), Err(error), "{text}");
        }
        for text in ["10.0.0.1/8", "db.test", "10.0.0", "1::2::3"] {
            let error = AlternativeNamesError::Address(text.to_owned());
            assert_eq!(format!("IP:{text}").parse::<AlternativeNames>(), Err(error));
        }
    }

    #[test]
    fn a_certificate_without_one_name_of_each_kind_is_refused() {
        for (required, shown) in [
            ("DNS:a", "DNS:b"),
            ("DNS:a", "DNS:A"),
            ("DNS:a.test", "DNS:*.test"),
            ("DNS:*.test", "DNS:a.test"),
            ("DNS:a", "URI:a"),
            ("DNS:a,URI:b", "DNS:a"),
            ("DNS:a,URI:b", "URI:b"),
            ("DNS:a,URI:b", "DNS:b,URI:a"),
            ("URI:spiffe://lab/dm", "URI:spiffe://lab/dm/"),
            ("URI:spiffe://lab/dm", "URI:spiffe://lab/dmx"),
            ("IP:10.0.0.1", "IP:10.0.0.2"),
            ("IP:10.0.0.1", "IP:::ffff:10.0.0.1"),
            ("IP:10.0.0.1", "DNS:10.0.0.1"),
        ] {
            assert!(
                !names(required).are_met_by(&names(shown)),
                "{required} {shown}"
            );
            assert!(
                !names(required).are_met_by(&AlternativeNames::default()),
                "{required}"
            );
        }
        // One name with a comma is not two.
        let shown = AlternativeNames {
            uris: vec!["a,URI:b".to_owned()],
            ..AlternativeNames::default()
        };
        assert!(!names("URI:a,URI:b").are_met_by(&shown));
    }

    #[test]
    fn one_name_of_each_kind_suffices() {
        for (required, shown) in [
            ("DNS:a", "DNS:a"),
            ("DNS:a,DNS:b", "DNS:b"),
            (
                "dns: a , Uri: spiffe://lab/dm",
                "DNS:x,DNS:a,URI:spiffe://lab/dm,IP:::1",
            ),
            ("IP:0:0::1", "IP:::1"),
            ("DNS:*.test", "DNS:*.test"),
        ] {
            assert!(
                names(required).are_met_by(&names(shown)),
                "{required} {shown}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(text in "(DNS:[a-z*.'\\\\é]{1,5}|URI:[a-z:/]{1,5}|IP:10\\.0\\.0\\.[1-9])(,(DNS:[a-z]|URI:a:b|IP:::1)){0,3}") {
            let read = names(&text);
            prop_assert_eq!(read.to_string().parse(), Ok(read));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<AlternativeNames>();
        }
    }
}
