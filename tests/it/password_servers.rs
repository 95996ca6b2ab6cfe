//! Passwords between all kinds of sides, with a real MySQL 9.7 that has them forgotten before each try.
//!
//! `support::lab` says where it is.

use crate::support::client::Client;
use crate::support::handshake::{ChangeUser, Login};
use crate::support::lab::RealServer;
use crate::support::pki::PKI;
use crate::support::plugin::ClientPlugin;
use crate::support::proxy::{Config, Proxy};
use crate::support::wire::Transport;

const PASSWORD: &str = "app-pw";

#[test]
fn mysql_9_7_with_a_cold_cache_takes_passwords_from_all_kinds_of_sides() {
    let Some(server) = RealServer::find("mysql97") else {
        return;
    };
    for from in [server.tls(), server.tcp(), server.socket()] {
        let from = format!("{{ {from} }}");
        let proxy = Proxy::start(Config::to(&from).unix_socket().never_as_root());
        let mut app = logged_in(&proxy, Transport::Tls, "app");
        for transport in Transport::ALL {
            for user in ["app", "app_sha256"] {
                forget_passwords(&mut app);
                let refused = connected(&proxy, transport, user)
                    .authenticate(ClientPlugin::with("wrong"))
                    .error();
                assert_eq!(
                    refused.map(|error| error.code),
                    Some(1045),
                    "{user}, {transport:?} to {from}"
                );
                let mut client = logged_in(&proxy, transport, user);
                for other in ["app_sha256", "app"] {
                    forget_passwords(&mut app);
                    client.command(&ChangeUser::to(other).payload());
                    let last = client.authenticate(ClientPlugin::with(PASSWORD));
                    assert!(
                        last.is_ok(),
                        "{user} to {other}, {transport:?} to {from}: {:?}",
                        last.error()
                    );
                }
            }
        }
    }
}

/// Connected, and the login sent.
fn connected(proxy: &Proxy, transport: Transport, user: &str) -> Client {
    let login = Login::of(user);
    let mut client = match transport {
        Transport::UnixSocket => Client::connect_unix(&proxy.unix_socket()),
        Transport::Plaintext | Transport::Tls => Client::connect(proxy.address),
    };
    client.greeting();
    if transport == Transport::Tls {
        client.start_tls(&login, &PKI.client_tls(None));
    }
    client.send_login(&login);
    client
}

#[track_caller]
fn logged_in(proxy: &Proxy, transport: Transport, user: &str) -> Client {
    let mut client = connected(proxy, transport, user);
    let last = client.authenticate(ClientPlugin::with(PASSWORD));
    assert!(last.is_ok(), "{user}, {transport:?}: {:?}", last.error());
    client
}

/// After it the server needs the password itself once again.
#[track_caller]
fn forget_passwords(app: &mut Client) {
    app.query("FLUSH PRIVILEGES");
    let answer = &app.read_answer(1)[0];
    assert!(answer.is_ok(), "{:?}", answer.error());
}
