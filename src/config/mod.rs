//! The configuration, checked: every key known, every value parsed, built of each module's own settings type.
