//! Whom we trust: certificate authorities and what they revoked, the names that a backend may have, and the proof of a key.
//! What is not trusted has its words in `refusal` and `failure`.

pub(crate) mod authorities;
pub(crate) mod backend_names;
pub(crate) mod failure;
pub(crate) mod refusal;
pub(crate) mod revocations;
pub(crate) mod signature;
