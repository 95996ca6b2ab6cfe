//! Who is not trusted any more: the revocation lists of one `ssl-crl`.
//!
//! A list is checked once, when it is loaded: whose it is and that they signed it. Connections then only look up. As in
//! MySQL every certificate of a chain is looked up, and an issuer whose lists have all run out lets nobody through, since
//! whom it revoked afterwards is not known. Unlike there, an issuer without any list counts as one that has revoked nobody.

use std::{collections::HashSet, fmt};

use rustls::pki_types::{CertificateRevocationListDer, UnixTime};
use x509_parser::{
    extensions::{ParsedExtension, X509Extension},
    prelude::FromDer as _,
    revocation_list::CertificateRevocationList,
};

use crate::tls::certificate::{
    contents,
    flaw::{Flaw, timestamp},
    names::name,
    unix_time,
};

/// All lists of one place; none where there is no `ssl-crl`. Found by the issuer's name alone, so that a CA that has changed
/// its key goes on with one list.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    lists: Vec<RevocationList>,
}

/// One list.
#[derive(Debug)]
pub(crate) struct RevocationList {
    /// The issuer's name, DER without its outer tag and length.
    issuer: Box<[u8]>,
    /// The same, to be read.
    pub(crate) issuer_text: String,
    pub(crate) this_update: UnixTime,
    /// As in OpenSSL, a list without this date does not run out.
    pub(crate) next_update: Option<UnixTime>,
    serials: HashSet<Box<[u8]>>,
}

impl Revocations {
    pub(crate) fn new(lists: Vec<RevocationList>) -> Self {
        Self { lists }
    }

    pub(crate) fn lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// Whether there is any list of this issuer; `issuer` is its name, DER without tag and length.
    pub(crate) fn have(&self, issuer: &[u8]) -> bool {
        self.lists.iter().any(|list| *list.issuer == *issuer)
    }

    /// Looks one certificate up; `issuer` is its issuer's name, DER without tag and length.
    pub(crate) fn check(&self, issuer: &[u8], serial: &[u8], now: UnixTime) -> Result<(), Flaw> {
        let mut lists = self
            .lists
            .iter()
            .filter(|list| *list.issuer == *issuer)
            .peekable();
        if lists.peek().is_none() {
            return Ok(());
        }
        let mut verdict = None;
        for list in lists {
            // A revocation is for good, also in a list that has run out.
            if list.serials.contains(significant(serial)) {
                return Err(Flaw::Revoked);
            }
            let dates = list.check_dates(now);
            if dates.is_ok() || verdict.is_none() {
                verdict = Some(dates);
            }
        }
        verdict.unwrap_or(Ok(()))
    }
}

impl RevocationList {
    /// Whether it counts now.
    pub(crate) fn check_dates(&self, now: UnixTime) -> Result<(), Flaw> {
        match self.next_update {
            Some(next_update) if now > next_update => Err(Flaw::ListExpired { next_update }),
            _ if now < self.this_update => Err(Flaw::ListNotYetValid {
                this_update: self.this_update,
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for RevocationList {
    /// In one line for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            issuer_text,
            serials,
            this_update,
            next_update,
            ..
        } = self;
        let from = timestamp(*this_update);
        write!(
            f,
            "issuer {issuer_text}, {} revoked, valid from {from}",
            serials.len()
        )?;
        match next_update {
            Some(next_update) => write!(f, " until {}", timestamp(*next_update)),
            None => Ok(()),
        }
    }
}

impl From<&CertificateRevocationList<'_>> for RevocationList {
    fn from(list: &CertificateRevocationList<'_>) -> Self {
        Self {
            issuer: contents(list.issuer().as_raw()).into(),
            issuer_text: name(list.issuer()).to_string(),
            this_update: unix_time(list.last_update()),
            next_update: list.next_update().map(unix_time),
            serials: list
                .iter_revoked_certificates()
                .map(|revoked| significant(revoked.raw_serial()).into())
                .collect(),
        }
    }
}

/// Reads a list; none where it is no list.
pub(crate) fn parse<'a>(
    der: &'a CertificateRevocationListDer<'_>,
) -> Option<CertificateRevocationList<'a>> {
    match CertificateRevocationList::from_der(der.as_ref()) {
        Ok(([], list)) => Some(list),
        Ok(_) | Err(_) => None,
    }
}

/// Whether the list says all that it says about its own issuer's certificates. One that is only the difference to another
/// (a delta), speaks for another CA (indirect) or only of some reasons would be misread.
pub(crate) fn is_whole(list: &CertificateRevocationList<'_>) -> bool {
    list.extensions()
        .iter()
        .all(|extension| match extension.parsed_extension() {
            ParsedExtension::IssuingDistributionPoint(point) => {
                !point.indirect_crl
                    && !point.only_contains_attribute_certs
                    && point.only_some_reasons.is_none()
            }
            _ => !extension.critical,
        })
        && list
            .iter_revoked_certificates()
            .flat_map(|revoked| revoked.extensions())
            .all(is_harmless)
}

fn is_harmless(extension: &X509Extension<'_>) -> bool {
    let is_known = matches!(
        extension.parsed_extension(),
        ParsedExtension::ReasonCode(_) | ParsedExtension::InvalidityDate(_)
    );
    is_known || !extension.critical
}

/// Without the zeros that some write before it.
fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros..]
}

#[cfg(test)]
mod tests;
