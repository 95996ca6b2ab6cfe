//! Who may pass: account rules, chosen as MySQL chooses an account, judged on what the client has shown.
//!
//! Pure: no I/O, no clock. The only maker of a [`Permit`].
