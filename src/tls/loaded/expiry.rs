//! Certificates that run out: how long each in force is still good for, and when to say so.

use std::{collections::HashMap, time::Duration};

use rustls::pki_types::{CertificateDer, UnixTime};

use crate::tls::{
    certificate::{DAY, Validity, flaw::timestamp, names::name, parse},
    channel_name::ChannelName,
};

/// A certificate that is in force somewhere, and its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expiry {
    /// What it is there: a key of `security`, or "shown by the server".
    pub what: &'static str,
    /// Its subject, as rules have it.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// Its first moment, in seconds since 1970.
    pub not_before: u64,
    /// Its last moment, in seconds since 1970.
    pub not_after: u64,
}

impl Expiry {
    /// Its end, as the log prints its own times.
    pub fn end(&self) -> String {
        timestamp(UnixTime::since_unix_epoch(Duration::from_secs(
            self.not_after,
        )))
    }

    /// Whole days until its end; below zero when it is over. `now` in seconds since 1970.
    pub fn days_left(&self, now: u64) -> i64 {
        let days = |seconds: u64| i64::try_from(seconds / DAY.as_secs()).unwrap_or(i64::MAX);
        match self.not_after.checked_sub(now) {
            Some(left) => days(left),
            None => -1 - days(now - self.not_after),
        }
    }

    /// Of each certificate that can be read.
    pub(crate) fn of_all<'a>(
        what: &'static str,
        certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>,
    ) -> Vec<Self> {
        let of = |der: &CertificateDer<'_>| {
            let certificate = parse(der).ok()?;
            let validity = Validity::of(&certificate);
            Some(Self {
                what,
                subject: name(certificate.subject()).to_string(),
                issuer: name(certificate.issuer()).to_string(),
                serial: certificate.raw_serial_as_string().replace(':', ""),
                not_before: validity.not_before.as_secs(),
                not_after: validity.not_after.as_secs(),
            })
        };
        certificates.into_iter().filter_map(of).collect()
    }
}

/// How near the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Over 30 days.
    Far,
    /// 30 days or less.
    Month,
    /// 7 days or less.
    Week,
    /// One day or less.
    Day,
    /// It is over.
    Expired,
}

impl Stage {
    fn of(not_after: u64, now: UnixTime) -> Self {
        let Some(left) = not_after.checked_sub(now.as_secs()) else {
            return Self::Expired;
        };
        match Duration::from_secs(left) {
            left if left <= DAY => Self::Day,
            left if left <= 7 * DAY => Self::Week,
            left if left <= 30 * DAY => Self::Month,
            _ => Self::Far,
        }
    }
}

/// Something to say about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryNotice {
    /// Where it is in force.
    pub channel: ChannelName,
    /// Which it is.
    pub certificate: Expiry,
    /// How near its end is.
    pub stage: Stage,
}

/// Remembers what has been said, so that each stage of each certificate is told once.
#[derive(Debug, Default)]
pub struct ExpiryWatch {
    told: HashMap<(ChannelName, Expiry), Stage>,
}

impl ExpiryWatch {
    /// What is to be said now. What is not in force any more is forgotten.
    pub fn look(
        &mut self,
        in_force: Vec<(ChannelName, Expiry)>,
        now: UnixTime,
    ) -> Vec<ExpiryNotice> {
        let before = std::mem::take(&mut self.told);
        let mut notices = Vec::new();
        for place in in_force {
            let stage = Stage::of(place.1.not_after, now);
            let told = before.get(&place).copied().unwrap_or_else(|| {
                // One that has run out is normal in a bundle of CAs, when it is loaded so; it is passed over.
                if place.1.what == "ssl-ca" && stage == Stage::Expired {
                    Stage::Expired
                } else {
                    Stage::Far
                }
            });
            if stage > told && !self.told.contains_key(&place) {
                let (channel, certificate) = place.clone();
                notices.push(ExpiryNotice {
                    channel,
                    certificate,
                    stage,
                });
            }
            self.told.insert(place, stage.max(told));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000;

    fn after(days: u64) -> UnixTime {
        UnixTime::since_unix_epoch(
            Duration::from_secs(START) + DAY * u32::try_from(days).expect("few"),
        )
    }

    /// One that lasts this long from the start on.
    fn lasting(what: &'static str, days: u64) -> (ChannelName, Expiry) {
        let expiry = Expiry {
            issuer: String::new(),
            serial: String::new(),
            not_before: START,
            what,
            subject: "/CN=db".to_owned(),
            not_after: START + days * DAY.as_secs(),
        };
        (ChannelName::MysqlMain, expiry)
    }

    #[test]
    fn each_stage_is_told_once() {
        let mut watch = ExpiryWatch::default();
        let expected = [
            (0, None),
            (69, None),
            (70, Some(Stage::Month)),
            (71, None),
            (93, Some(Stage::Week)),
            (98, None),
            (99, Some(Stage::Day)),
            (100, None),
            (101, Some(Stage::Expired)),
            (200, None),
        ];
        for (day, stage) in expected {
            let notices = watch.look(vec![lasting("ssl-cert", 100)], after(day));
            let stages: Vec<_> = notices.iter().map(|notice| notice.stage).collect();
            assert_eq!(stages, Vec::from_iter(stage), "day {day}");
        }
    }

    #[test]
    fn a_start_shortly_before_the_end_tells_only_how_it_stands() {
        let mut watch = ExpiryWatch::default();
        let notices = watch.look(vec![lasting("ssl-cert", 5)], after(0));
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].stage, Stage::Week);
        assert_eq!(notices[0].certificate.end(), "2027-01-20T08:00:00Z");
    }

    #[test]
    fn its_successor_starts_anew() {
        let mut watch = ExpiryWatch::default();
        assert_eq!(watch.look(vec![lasting("ssl-cert", 5)], after(0)).len(), 1);
        assert_eq!(watch.look(vec![lasting("ssl-cert", 90)], after(1)), []);
        assert_eq!(
            watch.look(vec![lasting("ssl-cert", 90)], after(85)).len(),
            1
        );
    }

    #[test]
    fn a_clock_that_jumps_back_tells_nothing_twice() {
        let mut watch = ExpiryWatch::default();
        let one = || vec![lasting("ssl-cert", 40)];
        assert_eq!(watch.look(one(), after(20)).len(), 1);
        assert_eq!(watch.look(one(), after(0)), []);
        assert_eq!(watch.look(one(), after(20)), []);
    }

    #[test]
    fn days_are_counted_down_and_on() {
        let day = DAY.as_secs();
        let (_, lasts_ten_days) = lasting("ssl-cert", 10);
        let end = START + 10 * day;
        for (now, days) in [
            (START, 10),
            (START + 1, 9),
            (end, 0),
            (end + 1, -1),
            (end + day, -2),
        ] {
            assert_eq!(lasts_ten_days.days_left(now), days, "{now}");
        }
    }

    /// Bundles carry old ones. One that runs out while it is trusted locks clients out.
    #[test]
    fn an_authority_is_told_of_unless_it_had_run_out_when_it_was_loaded() {
        let mut watch = ExpiryWatch::default();
        assert_eq!(watch.look(vec![lasting("ssl-ca", 1)], after(2)), []);
        let shown = lasting("shown by the server", 1);
        assert_eq!(watch.look(vec![shown], after(2)).len(), 1);
        assert_eq!(watch.look(vec![lasting("ssl-ca", 100)], after(2)), []);
        assert_eq!(
            watch.look(vec![lasting("ssl-ca", 100)], after(101)).len(),
            1
        );
    }

    #[test]
    fn one_certificate_at_two_endpoints_is_told_of_once() {
        let mut watch = ExpiryWatch::default();
        let twice = vec![lasting("ssl-cert", 5), lasting("ssl-cert", 5)];
        assert_eq!(watch.look(twice, after(0)).len(), 1);
    }
}
