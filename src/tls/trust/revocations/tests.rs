//! Revocation lists of `openssl ca`, refusals first.

use std::{fs, slice};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tempfile::TempDir;

use super::*;
use crate::tls::{
    Problem,
    loaded::material::Material,
    provider,
    sources::{PemSource, Sources},
    testing::{OpensslCa, inline, mysql_manual_recipe, openssl},
    trust::authorities::{Authorities, Usage},
};

const LAST_YEAR: &str = "-crl_lastupdate 20200101000000Z -crl_nextupdate 20210101000000Z";
const NEXT_CENTURY: &str = "-crl_lastupdate 21000101000000Z -crl_nextupdate 21010101000000Z";

fn load(ca: &str, lists: &str) -> Result<Authorities, Problem> {
    load_source(ca, inline(lists))
}

fn load_source(ca: &str, crl: PemSource) -> Result<Authorities, Problem> {
    let sources = Sources {
        ca: Some(inline(ca)),
        crl: Some(crl),
        ..Sources::default()
    };
    Material::load(&sources, Usage::Server, &provider(), UnixTime::now())
        .map(|material| material.authorities.expect("ssl-ca is given"))
        .map_err(|error| {
            assert!(
                error.to_string().starts_with("ssl-crl") || error.to_string().starts_with("test"),
                "{error}"
            );
            error.into_problem()
        })
}

fn problem(ca: &str, lists: &str) -> Problem {
    load(ca, lists).expect_err("refused")
}

fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .expect("certificates")
}

fn verify(authorities: &Authorities, pem: &str) -> Result<(), Flaw> {
    authorities.verify(&chain(pem), Usage::Client, UnixTime::now())
}

#[test]
fn what_is_no_revocation_list_is_told_apart() {
    let ca = OpensslCa::new("CA");
    let list = ca.revocation_list("");
    ca.openssl("crl -in crl.pem -outform DER -out crl.der");
    let file = |name: &str| load_source(&ca.pem, PemSource::File(ca.path().join(name)));
    assert!(matches!(file("none.pem"), Err(Problem::Missing)));
    assert!(matches!(file("."), Err(Problem::Directory)));
    assert!(matches!(file("crl.der"), Err(Problem::Der { tool: "crl" })));
    assert!(matches!(
        load_source(&ca.pem, PemSource::File("/dev/zero".into())),
        Err(Problem::TooLarge { most_mib: 32 })
    ));
    assert!(matches!(problem(&ca.pem, "\n"), Problem::Empty));
    assert!(matches!(
        problem(&ca.pem, list.split_at(list.len() / 2).0),
        Problem::Truncated
    ));
    assert!(matches!(
        problem(&ca.pem, &ca.pem),
        Problem::NoRevocationList { found } if found == "CERTIFICATE"
    ));
    let relabelled = ca.pem.replace("CERTIFICATE", "X509 CRL");
    assert!(matches!(
        problem(&ca.pem, &format!("{list}{relabelled}")),
        Problem::BadRevocationList { number: 2 }
    ));
}

#[test]
fn a_list_of_nobody_in_ssl_ca_is_refused_with_the_cure() {
    let (ours, other) = (OpensslCa::new("Ours"), OpensslCa::new("Other"));
    let lists = format!("{}{}", ours.revocation_list(""), other.revocation_list(""));
    let problem = problem(&ours.pem, &lists);
    assert_eq!(
        problem.to_string(),
        "revocation list 2 in it is of /O=Lab/CN=Other, which is not in ssl-ca; add that CA's certificate there, also if \
         it is an intermediate one, or take the list out"
    );
}

#[test]
fn a_list_that_its_issuer_did_not_sign_is_refused() {
    let (ours, same_name) = (OpensslCa::new("CA"), OpensslCa::new("CA"));
    assert!(matches!(
        problem(&ours.pem, &same_name.revocation_list("")),
        Problem::RevocationListSignature { number: 1, .. }
    ));
    assert!(matches!(
        problem(&ours.pem, &ours.revocation_list("-md sha1")),
        Problem::RevocationListSignature { number: 1, .. }
    ));
}

#[test]
fn no_damaged_list_loads() {
    let ca = OpensslCa::new("CA");
    ca.issue("dm", "leaf");
    ca.revoke("dm");
    let pem = ca.revocation_list("-crlexts whole");
    let list = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).expect("a list");
    let trusted = || {
        let algorithms = provider().signature_verification_algorithms;
        Authorities::new(chain(&ca.pem), algorithms).expect("a CA")
    };
    assert!(trusted().with_revocations(slice::from_ref(&list)).is_ok());
    let signed = parse(&list).expect("a list").tbs_cert_list.as_ref().len();
    // Behind the signed part stands, a second time, which algorithm was used: not signed, and not looked at.
    let header = list.len() - contents(&list).len();
    for position in 0..header + signed {
        let mut damaged = list.to_vec();
        damaged[position] ^= 0x01 << (position % 8);
        let refused = trusted().with_revocations(&[damaged.into()]);
        assert!(refused.is_err(), "byte {position}");
        let cut = list[..position].to_vec();
        assert!(
            trusted().with_revocations(&[cut.into()]).is_err(),
            "cut at {position}"
        );
    }
}

#[test]
fn a_list_that_says_only_a_part_is_refused() {
    let ca = OpensslCa::new("CA");
    ca.issue("dm", "leaf");
    for section in ["delta", "indirect"] {
        let list = ca.revocation_list(&format!("-crlexts {section}"));
        assert!(
            matches!(
                problem(&ca.pem, &list),
                Problem::UnsupportedRevocationList { number: 1 }
            ),
            "{section}"
        );
    }
    for section in ["whole", "users"] {
        let list = ca.revocation_list(&format!("-crlexts {section}"));
        assert!(load(&ca.pem, &list).is_ok(), "{section}");
    }
}

#[test]
fn a_revoked_certificate_is_refused_and_others_are_not() {
    let ca = OpensslCa::new("CA");
    let (stolen, good) = (ca.issue("stolen", "leaf"), ca.issue("good", "leaf"));
    ca.revoke("stolen");
    // Versions 1 and 2 of the format.
    for options in ["", "-crlexts whole", "-crlexts users"] {
        let authorities = load(&ca.pem, &ca.revocation_list(options)).expect("loads");
        assert_eq!(
            verify(&authorities, &stolen.chain),
            Err(Flaw::Revoked),
            "{options}"
        );
        assert_eq!(verify(&authorities, &good.chain), Ok(()), "{options}");
    }
}

#[test]
fn who_is_below_a_revoked_intermediate_is_refused() {
    let (root, below) = (OpensslCa::new("Root"), OpensslCa::new("Below"));
    // The root signs the other's key.
    fs::copy(below.path().join("ca.key"), root.path().join("Below.key")).expect("copied");
    root.openssl("req -new -key Below.key -subj /O=Lab/CN=Below -out Below.csr");
    let signing = "-in Below.csr -out Below.pem -extensions intermediate";
    root.openssl(&format!("ca -batch -notext -config ca.cnf {signing}"));
    let leaf = below.issue("dm", "leaf");
    let shown = format!("{}{}", leaf.chain, root.read("Below.pem"));

    let before = load(&root.pem, &root.revocation_list("")).expect("loads");
    assert_eq!(verify(&before, &shown), Ok(()));
    root.revoke("Below");
    let after = load(&root.pem, &root.revocation_list("")).expect("loads");
    assert_eq!(verify(&after, &shown), Err(Flaw::Revoked));

    // The list of an intermediate, which must be in ssl-ca itself.
    below.revoke("dm");
    let both = format!("{}{}", root.pem, root.read("Below.pem"));
    let lists = below.revocation_list("");
    assert!(matches!(
        problem(&root.pem, &lists),
        Problem::RevocationListIssuer { .. }
    ));
    let with_intermediate = load(&both, &lists).expect("loads");
    assert_eq!(verify(&with_intermediate, &shown), Err(Flaw::Revoked));
    assert_eq!(verify(&with_intermediate, &leaf.chain), Err(Flaw::Revoked));
}

#[test]
fn a_list_out_of_its_dates_lets_nobody_of_its_issuer_through() {
    let (ca, other) = (OpensslCa::new("CA"), OpensslCa::new("Other"));
    let (leaf, stranger) = (ca.issue("dm", "leaf"), other.issue("dm", "leaf"));
    let bundle = format!("{}{}", ca.pem, other.pem);

    let old = load(&bundle, &ca.revocation_list(LAST_YEAR)).expect("loads");
    let flaw = verify(&old, &leaf.chain).expect_err("refused");
    assert_eq!(
        flaw.to_string(),
        "the revocation list (ssl-crl) of its issuer, or of one above it, ran out at 2021-01-01T00:00:00Z: get the CA's new \
         one"
    );
    // An issuer without a list has revoked nobody.
    assert_eq!(verify(&old, &stranger.chain), Ok(()));

    let early = load(&bundle, &ca.revocation_list(NEXT_CENTURY)).expect("loads");
    let flaw = verify(&early, &leaf.chain).expect_err("refused");
    assert!(matches!(flaw, Flaw::ListNotYetValid { .. }), "{flaw}");
}

#[test]
fn one_list_of_today_makes_up_for_old_ones_but_a_revocation_is_for_good() {
    let ca = OpensslCa::new("CA");
    let (stolen, good) = (ca.issue("stolen", "leaf"), ca.issue("good", "leaf"));
    let new = ca.revocation_list("");
    ca.revoke("stolen");
    let old = ca.revocation_list(LAST_YEAR);
    for lists in [format!("{old}{new}"), format!("{new}{old}")] {
        let authorities = load(&ca.pem, &lists).expect("loads");
        assert_eq!(verify(&authorities, &good.chain), Ok(()));
        assert_eq!(verify(&authorities, &stolen.chain), Err(Flaw::Revoked));
    }
}

#[test]
fn a_backend_of_version_1_is_looked_up_too() {
    let directory = TempDir::new().expect("a folder");
    mysql_manual_recipe(directory.path());
    let configuration = "[ca]\ndefault_ca = lab\n[lab]\ndatabase = index\ndefault_md = sha256\ndefault_crl_days = 30\n";
    fs::write(directory.path().join("ca.cnf"), configuration).expect("written");
    fs::write(directory.path().join("index"), "").expect("written");
    let keys = "-config ca.cnf -cert ca.pem -keyfile ca-key.pem";
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("made");
    let verdict = || {
        openssl(directory.path(), &format!("ca {keys} -gencrl -out crl.pem"));
        let authorities = load(&read("ca.pem"), &read("crl.pem")).expect("loads");
        authorities.verify_backend(&chain(&read("server-cert.pem")), UnixTime::now())
    };
    assert_eq!(verdict(), Ok(()));
    openssl(
        directory.path(),
        &format!("ca {keys} -revoke server-cert.pem"),
    );
    assert_eq!(verdict(), Err(Flaw::Revoked));
}

#[test]
fn a_backend_whose_own_certificate_is_the_ca_is_looked_up_too() {
    let ca = OpensslCa::new("db");
    ca.openssl("ca -config ca.cnf -revoke ca.pem");
    let authorities = load(&ca.pem, &ca.revocation_list("")).expect("loads");
    let verdict = authorities.verify_backend(&chain(&ca.pem), UnixTime::now());
    assert_eq!(verdict, Err(Flaw::Revoked));
}

#[test]
fn a_list_without_an_authority_is_refused() {
    let sources = Sources {
        crl: Some(inline("")),
        ..Sources::default()
    };
    let error = Material::load(&sources, Usage::Client, &provider(), UnixTime::now());
    assert!(matches!(
        error.expect_err("refused").into_problem(),
        Problem::AuthorityNotGiven
    ));
}

#[test]
fn serials_are_compared_as_numbers() {
    assert_eq!(significant(&[0, 0, 0x80]), [0x80]);
    assert_eq!(significant(&[0x80, 0]), [0x80, 0]);
    assert!(significant(&[0]).is_empty());
}
