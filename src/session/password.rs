//! What becomes of a password on its way between two sides of which only one may see it in clear.

/// What becomes of the password between the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Both sides are alike: it is handed on as it comes.
    AsItComes,
    /// It comes encrypted, for us if all is well, and leaves in clear.
    Decrypt,
    /// It comes in clear, and leaves encrypted for the backend.
    Encrypt,
}

impl Way {
    /// Whether it goes in clear on the client's side, and on the backend's.
    pub(super) fn between(client_in_clear: bool, backend_in_clear: bool) -> Self {
        match (client_in_clear, backend_in_clear) {
            (true, true) | (false, false) => Self::AsItComes,
            (false, true) => Self::Decrypt,
            (true, false) => Self::Encrypt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_changes_its_form_where_security_changes() {
        assert_eq!(Way::between(true, true), Way::AsItComes);
        assert_eq!(Way::between(false, false), Way::AsItComes);
        assert_eq!(Way::between(false, true), Way::Decrypt);
        assert_eq!(Way::between(true, false), Way::Encrypt);
    }
}
