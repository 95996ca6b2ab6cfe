//! What to paste into a shell, for whoever starts mytls for the first time.

use std::path::Path;

use crate::net::listener::Listener;
use crate::shell::pasted;
use crate::tls::Acceptor;

/// Command lines that work when they are pasted: for MySQL's shell, and for MariaDB's, which is `mysql` in Debian.
pub(super) fn shell_lines(listener: &Listener, acceptor: &Acceptor) -> [String; 2] {
    let target = match listener.tcp_address() {
        Some(address) => {
            let host = if address.ip().is_unspecified() {
                "127.0.0.1".to_owned()
            } else {
                address.ip().to_string()
            };
            format!("--host={host} --port={}", address.port())
        }
        None => format!(
            "--socket={}",
            pasted(Path::new(listener.to_string().trim_start_matches("unix:")))
        ),
    };
    match acceptor.auto_ca().and_then(|ca| ca.path.as_deref()) {
        Some(ca) => {
            let ca = pasted(ca);
            [
                format!("mysql {target} --ssl-mode=VERIFY_CA --ssl-ca={ca} --user=USER -p"),
                format!("mariadb {target} --ssl-verify-server-cert --ssl-ca={ca} --user=USER -p"),
            ]
        }
        None => [
            format!("mysql {target} --ssl-mode=REQUIRED --user=USER -p"),
            format!("mariadb {target} --ssl --user=USER -p"),
        ],
    }
}
