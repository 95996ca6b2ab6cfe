//! The clients of the product: good ones of two authorities, odd ones, and those that nobody should take.

use std::sync::LazyLock;

use rcgen::string::BmpString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, SanType, date_time_ymd,
};

use super::{DM, ONE, SPLIT, Shown, TWO};
use crate::support::pki::{Authority, authority_of, signed};

/// Two authorities that mytls trusts, and the clients of both.
pub(super) struct Clients {
    pub(super) authorities: [Authority; 2],
    pub(super) all: Vec<(&'static str, Shown)>,
}

pub(super) static CLIENTS: LazyLock<Clients> = LazyLock::new(|| {
    let [one, two] = ["one", "two"].map(|name| {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::OrganizationName, "Lab");
        subject.push(DnType::CommonName, name);
        authority_of(subject)
    });
    let shown = |authority: &Authority, subject: DistinguishedName, names| {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject;
        params.subject_alt_names = names;
        Some(signed(&params, authority))
    };
    let lab = |name: &str| {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::OrganizationName, "Lab");
        subject.push(DnType::CommonName, name);
        subject
    };
    let common_name = |value: DnValue| {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, value);
        subject
    };
    let dns = |name: &str| SanType::DnsName(name.try_into().expect("ASCII"));
    let uri = |uri: &str| SanType::URI(uri.try_into().expect("ASCII"));
    let ip = |octets: [u8; 4]| SanType::IpAddress(octets.into());
    let mut several = lab("dm");
    several.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "app");
    let mut split = common_name("dm".into());
    split.push(DnType::OrganizationName, "Lab");
    // U+646D has the bytes of `dm`
    let bmp = BmpString::try_from("\u{646d}").expect("a character");

    let bad = |authority: &Authority, change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::default();
        params.distinguished_name = lab("dm");
        change(&mut params);
        Shown {
            identity: Some(signed(&params, authority)),
            subject: &[DM],
            issuer: ONE,
            is_bad: true,
            ..Shown::default()
        }
    };
    // the same name: only the key tells them apart
    let stranger = authority_of(lab("one"));

    let all = vec![
        ("nothing", Shown::default()),
        ("dm of a stranger", bad(&stranger, &|_| {})),
        (
            "dm, expired",
            bad(&one, &|params| {
                params.not_after = date_time_ymd(2002, 1, 1);
            }),
        ),
        (
            "dm, not yet valid",
            bad(&one, &|params| {
                params.not_before = date_time_ymd(2901, 1, 1);
            }),
        ),
        (
            "dm, for servers only",
            bad(&one, &|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        (
            "dm, an authority",
            bad(&one, &|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
        ),
        (
            "dm",
            Shown {
                identity: shown(&one, lab("dm"), vec![]),
                subject: &[DM],
                issuer: ONE,
                names: &[],
                ..Shown::default()
            },
        ),
        (
            "dm of the other authority",
            Shown {
                identity: shown(&two, lab("dm"), vec![]),
                subject: &[DM],
                issuer: TWO,
                names: &[],
                ..Shown::default()
            },
        ),
        (
            "another subject",
            Shown {
                identity: shown(
                    &one,
                    lab("mallory"),
                    vec![dns("dm.test.evil"), dns("*.test")],
                ),
                subject: &["/O=Lab/CN=mallory"],
                issuer: ONE,
                names: &["DNS:dm.test.evil", "DNS:*.test"],
                ..Shown::default()
            },
        ),
        (
            "several common names",
            Shown {
                identity: shown(&one, several, vec![]),
                subject: &["/O=Lab/CN=dm/CN=app"],
                issuer: ONE,
                names: &[],
                ..Shown::default()
            },
        ),
        (
            "one attribute that prints like two",
            Shown {
                identity: shown(&one, common_name("dm/O=Lab".into()), vec![]),
                subject: &[r"/CN=dm\/O=Lab"],
                issuer: ONE,
                names: &[],
                ..Shown::default()
            },
        ),
        (
            "the two",
            Shown {
                identity: shown(&one, split, vec![]),
                subject: &[SPLIT],
                issuer: ONE,
                names: &[],
                ..Shown::default()
            },
        ),
        (
            "a slash",
            Shown {
                identity: shown(&one, common_name("HTTP/dm.test".into()), vec![]),
                subject: &[r"/CN=HTTP\/dm.test", "/CN=HTTP/dm.test"],
                issuer: ONE,
                names: &[],
                ..Shown::default()
            },
        ),
        (
            "two-byte characters",
            Shown {
                identity: shown(&one, common_name(DnValue::BmpString(bmp)), vec![]),
                subject: &[],
                issuer: ONE,
                names: &[],
                ..Shown::default()
            },
        ),
        (
            "a NUL",
            Shown {
                identity: shown(&one, common_name("dm\0.test".into()), vec![]),
                subject: &[],
                issuer: ONE,
                ..Shown::default()
            },
        ),
        (
            "a host and a SPIFFE id",
            Shown {
                identity: shown(
                    &one,
                    lab("dm"),
                    vec![uri("spiffe://lab/dm"), dns("db.test"), dns("dm.test")],
                ),
                subject: &[DM],
                issuer: ONE,
                names: &["DNS:db.test", "DNS:dm.test", "URI:spiffe://lab/dm"],
                ..Shown::default()
            },
        ),
        (
            "another SPIFFE id and an address",
            Shown {
                identity: shown(
                    &two,
                    lab("dm"),
                    vec![uri("spiffe://lab/app"), ip([10, 0, 0, 1]), dns("10.0.0.2")],
                ),
                subject: &[DM],
                issuer: TWO,
                names: &["URI:spiffe://lab/app", "IP:10.0.0.1", "DNS:10.0.0.2"],
                ..Shown::default()
            },
        ),
    ];
    Clients {
        authorities: [one, two],
        all,
    }
});
