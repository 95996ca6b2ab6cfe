//! The real servers that `tests/lab` starts.
//!
//! It says where they are: `MYTLS_TEST_MYSQL97` and its kin are `host:port`, `MYTLS_TEST_PKI` is the folder of their
//! certificates, `MYTLS_TEST_RUN` that of their sockets. Without them a test is skipped, loudly; with
//! `MYTLS_LAB_REQUIRED=1` that is a failure.

use std::env;

/// A server of the lab.
#[derive(Debug)]
pub(crate) struct RealServer {
    /// As the lab calls it: `mysql97`, `mariadb1011`, `mariadb118`.
    pub(crate) name: &'static str,
    /// The folder of its certificates.
    pub(crate) pki: String,
    /// The folder of its socket.
    pub(crate) run: String,
    host: String,
    pub(crate) port: u16,
}

impl RealServer {
    /// None is a loud skip, or in CI a failure.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub(crate) fn find(name: &'static str) -> Option<Self> {
        let variable = |name: &str| env::var(format!("MYTLS_TEST_{name}")).ok();
        let (Some(address), Some(pki), Some(run)) = (
            variable(&name.to_uppercase()),
            variable("PKI"),
            variable("RUN"),
        ) else {
            assert!(
                env::var("MYTLS_LAB_REQUIRED").as_deref() != Ok("1"),
                "MYTLS_TEST_{} and its kin are not set",
                name.to_uppercase()
            );
            eprintln!("skipped: {name} is not known; run tests/lab test");
            return None;
        };
        let (host, port) = address.rsplit_once(':').expect("host:port");
        Some(Self {
            name,
            pki,
            run,
            host: host.to_owned(),
            port: port.parse().expect("a port"),
        })
    }

    /// Where it is, as in a configuration.
    pub(crate) fn tcp(&self) -> String {
        format!("host: {}, port: {}", self.host, self.port)
    }

    /// The same over TLS, with its certificate verified.
    pub(crate) fn tls(&self) -> String {
        let pki = &self.pki;
        format!("{}, security: {{ ssl-ca: {pki}/root-ca.pem }}", self.tcp())
    }

    /// The same on its socket.
    pub(crate) fn socket(&self) -> String {
        format!("socket: {}/{}.sock", self.run, self.name)
    }
}
