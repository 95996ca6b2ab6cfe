//! First and last moment of a certificate as OpenSSL prints them, which is how servers show their own.

use rustls::pki_types::CertificateDer;
use x509_parser::time::ASN1Time;

use crate::tls::certificate::parse;

/// The dates of one certificate, such as `May  3 23:59:59 2025 GMT`: the day is padded with a blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateDates {
    /// As in MySQL's `Ssl_server_not_before`.
    pub not_before: String,
    /// As in MySQL's `Ssl_server_not_after`.
    pub not_after: String,
}

impl CertificateDates {
    pub(crate) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let certificate = parse(der).ok()?;
        let validity = certificate.validity();
        Some(Self {
            not_before: printed(validity.not_before),
            not_after: printed(validity.not_after),
        })
    }
}

/// A moment, in seconds since 1970, in the same form; empty if it is no date.
pub fn openssl_date(seconds: u64) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    time.map_or(String::new(), printed)
}

fn printed(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (hour, minute, second) = time.time().as_hms();
    format!(
        "{:.3} {:2} {hour:02}:{minute:02}:{second:02} {} GMT",
        time.month().to_string(),
        time.day(),
        time.year(),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use rcgen::date_time_ymd;
    use rustls::pki_types::pem::PemObject as _;
    use tempfile::TempDir;

    use super::*;
    use crate::tls::testing::{Leaf, openssl};

    // The first is that of TiDB's manual, but for `GMT`; the others are what `date -u -d @SECONDS` prints, in OpenSSL's form.
    #[test]
    fn dates_are_as_openssl_prints_them() {
        for (seconds, date) in [
            (1_746_316_799, "May  3 23:59:59 2025 GMT"),
            (0, "Jan  1 00:00:00 1970 GMT"),
            (2_110_531_206, "Nov 17 10:40:06 2036 GMT"),
        ] {
            assert_eq!(openssl_date(seconds), date);
        }
        assert_eq!(openssl_date(u64::MAX), "");
    }

    #[test]
    fn what_is_no_certificate_has_no_dates() {
        assert_eq!(CertificateDates::of(&CertificateDer::from(&b"0"[..])), None);
    }

    #[test]
    fn dates_are_printed_as_openssl_prints_them() {
        let directory = TempDir::new().expect("a folder");
        let at = |(year, month, day), second| {
            date_time_ymd(year, month, day) + Duration::from_secs(second)
        };
        for (from, until) in [
            (at((2025, 5, 3), 86_399), at((2035, 12, 31), 1)),
            (at((2024, 2, 29), 3_723), at((2051, 11, 13), 36_610)),
        ] {
            let leaf = Leaf::self_signed("dm", |leaf| {
                (leaf.not_before, leaf.not_after) = (from, until);
            });
            fs::write(directory.path().join("cert.pem"), &leaf.chain).expect("write it");
            let printed = openssl(directory.path(), "x509 -in cert.pem -noout -dates");
            let date = |name: &str| {
                let date = printed.lines().find_map(|line| line.strip_prefix(name));
                date.expect("a date").to_owned()
            };
            let expected = CertificateDates {
                not_before: date("notBefore="),
                not_after: date("notAfter="),
            };
            let der = CertificateDer::from_pem_slice(leaf.chain.as_bytes());
            assert_eq!(
                CertificateDates::of(&der.expect("a certificate")),
                Some(expected)
            );
        }
    }
}
