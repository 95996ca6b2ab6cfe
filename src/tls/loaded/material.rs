//! CA, revocation lists, certificate chain and key of one place, loaded whole and checked whole before anything uses them.

use std::sync::Arc;

use rustls::{crypto::CryptoProvider, pki_types::UnixTime, sign::CertifiedKey};

use crate::tls::{
    certificate::{flaw::Flaw, names::names},
    loaded::chain,
    sources::{
        PemSource, Sources,
        oddity::{MaterialWarning, Oddity},
        pem,
        problem::{MaterialError, Place, Problem},
    },
    trust::authorities::{Authorities, Usage},
};

/// What was loaded; each part may be absent.
#[derive(Debug)]
pub(crate) struct Material {
    /// Whom we trust.
    pub(crate) authorities: Option<Authorities>,
    /// What we show.
    pub(crate) identity: Option<Arc<CertifiedKey>>,
    /// What is odd about either.
    pub(crate) warnings: Vec<MaterialWarning>,
}

impl Material {
    /// Loads and checks; `usage` is what our own certificate is for.
    pub(crate) fn load(
        sources: &Sources,
        usage: Usage,
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<Self, MaterialError> {
        let mut loading = Loading {
            provider,
            now,
            warnings: Vec::new(),
        };
        let authorities = match (&sources.ca, &sources.crl) {
            (Some(ca), crl) => Some(loading.authorities(ca, crl.as_ref())?),
            (None, Some(crl)) => {
                let place = Place::new("ssl-crl", crl);
                return Err(MaterialError::new(place, Problem::AuthorityNotGiven));
            }
            (None, None) => None,
        };
        let identity = match (&sources.cert, &sources.key) {
            (Some(cert), Some(key)) => {
                Some(loading.identity(cert, key, usage, authorities.as_ref())?)
            }
            (Some(cert), None) => {
                let place = Place::new("ssl-cert", cert);
                return Err(MaterialError::new(place, Problem::KeyNotGiven));
            }
            (None, Some(key)) => {
                let place = Place::new("ssl-key", key);
                return Err(MaterialError::new(place, Problem::CertificateNotGiven));
            }
            (None, None) => None,
        };
        Ok(Self {
            authorities,
            identity,
            warnings: loading.warnings,
        })
    }
}

/// One load on its way.
struct Loading<'a> {
    provider: &'a CryptoProvider,
    now: UnixTime,
    warnings: Vec<MaterialWarning>,
}

impl Loading<'_> {
    fn authorities(
        &mut self,
        ca: &PemSource,
        crl: Option<&PemSource>,
    ) -> Result<Authorities, MaterialError> {
        let place = Place::new("ssl-ca", ca);
        let (authorities, oddities) = pem::read(ca)
            .and_then(|text| pem::certificates(&text))
            .and_then(|certificates| {
                let algorithms = self.provider.signature_verification_algorithms;
                Authorities::new(certificates, algorithms).map_err(|position| {
                    Problem::BadCertificate {
                        number: position + 1,
                    }
                })
            })
            .and_then(|authorities| {
                let oddities = authorities.check(self.now)?;
                Ok((authorities, oddities))
            })
            .map_err(|problem| MaterialError::new(place, problem))?;
        self.warn(place, oddities);
        let Some(crl) = crl else {
            return Ok(authorities);
        };
        let place = Place::new("ssl-crl", crl);
        let authorities = pem::read_lists(crl)
            .and_then(|text| pem::revocation_lists(&text))
            .and_then(|lists| authorities.with_revocations(&lists))
            .map_err(|problem| MaterialError::new(place, problem))?;
        self.warn(place, list_oddities(&authorities, self.now));
        Ok(authorities)
    }

    fn identity(
        &mut self,
        cert: &PemSource,
        key: &PemSource,
        usage: Usage,
        authorities: Option<&Authorities>,
    ) -> Result<Arc<CertifiedKey>, MaterialError> {
        let (cert_place, key_place) = (Place::new("ssl-cert", cert), Place::new("ssl-key", key));
        let chain = pem::read(cert)
            .and_then(|text| pem::certificates(&text))
            .map_err(|problem| MaterialError::new(cert_place, problem))?;
        let (key, public_key) = pem::read(key)
            .and_then(|text| pem::private_key(&text))
            .and_then(|der| {
                let loaded = self.provider.key_provider.load_private_key(der);
                let key = loaded.map_err(|_| Problem::UnsupportedKey)?;
                let public_key = key.public_key().ok_or(Problem::UnsupportedKey)?.to_vec();
                Ok((key, public_key))
            })
            .map_err(|problem| MaterialError::new(key_place, problem))?;
        let oddities = chain::check(&chain, &public_key, usage, self.now)
            .map_err(|problem| MaterialError::new(cert_place, problem))?;
        self.warn(cert_place, oddities);
        if authorities.is_some_and(|ca| !ca.vouch_for(&chain, usage, self.now)) {
            self.warn(cert_place, [Oddity::OtherAuthority]);
        }
        // Not `from_der`: rustls cannot read the X.509 v1 client certificates that MySQL's manual makes.
        Ok(Arc::new(CertifiedKey::new(chain, key)))
    }

    fn warn(&mut self, place: Place<'_>, oddities: impl IntoIterator<Item = Oddity>) {
        let warnings = oddities
            .into_iter()
            .map(|oddity| MaterialWarning::new(place, oddity));
        self.warnings.extend(warnings);
    }
}

/// A list that does not count now does not stop us, as in MySQL: those whom nobody has to judge still come in.
fn list_oddities(authorities: &Authorities, now: UnixTime) -> Vec<Oddity> {
    let lists = authorities.revocation_lists().iter().filter_map(|list| {
        let issuer = list.issuer_text.clone();
        match list.check_dates(now) {
            Err(Flaw::ListExpired { next_update }) => Some(Oddity::ListExpired {
                issuer,
                next_update,
            }),
            Err(Flaw::ListNotYetValid { this_update }) => Some(Oddity::ListNotYetValid {
                issuer,
                this_update,
            }),
            Err(_) | Ok(()) => None,
        }
    });
    let missing = authorities.without_list(now).filter_map(|certificate| {
        let issuer = names(certificate).ok()?.subject.to_string();
        Some(Oddity::NoList { issuer })
    });
    lists.chain(missing).collect()
}

#[cfg(test)]
mod tests;
