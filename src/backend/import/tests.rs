//! Who waits for which import, and what they hear.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::backend::own_account::PasswordSource;
use crate::backend::{Security, Settings};
use crate::net::socket::KeepAlive;
use crate::protocol::server_kind::ServerKind;
use crate::rules::Requirement;

fn user(name: &str) -> UserName {
    UserName::new(name).expect("a name")
}

fn import() -> Import {
    let settings = ImportSettings {
        account: OwnAccount {
            user: user("mytls"),
            password: PasswordSource::None,
        },
        interval: Duration::from_secs(60),
        ignore_hosts: false,
        report_only: false,
    };
    Import::new(settings, Role::Source, false)
}

impl Import {
    fn begin(&self) {
        self.progress.send_modify(|now| now.started += 1);
    }

    fn succeed(&self, users: &[&str]) {
        let account = |user: &&str| ImportedAccount {
            user: (*user).to_owned(),
            host: "%".to_owned(),
            requirement: Requirement::None,
            peer_credential: false,
        };
        let accounts = users.iter().map(account).collect();
        let policy = ImportPolicy::default();
        self.finish(Ok(Imported {
            accounts: ImportedAccounts::new(accounts, ServerKind::MySql, policy),
            count: users.len(),
        }));
    }

    fn fail(&self) {
        self.finish(Err(ImportError::TooSlow));
    }

    fn asked(&self) -> u64 {
        self.progress.borrow().asked
    }
}

/// What a future has come to by now.
fn look<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn before_the_first_import_that_goes_well_there_are_no_accounts() {
    let import = import();
    let app = user("app");
    let mut waiting = pin!(import.accounts_for(&app));
    assert!(look(waiting.as_mut()).is_pending());
    import.begin();
    import.fail();
    let refused = matches!(look(waiting), Poll::Ready(Err(NotImported::Never(_))));
    assert!(refused && import.latest().is_none());
}

#[test]
fn an_import_that_had_begun_already_does_not_count_for_a_name_that_it_may_have_missed() {
    let import = import();
    let app = user("app");
    import.begin();
    let mut waiting = pin!(import.accounts_for(&app));
    assert!(look(waiting.as_mut()).is_pending());
    import.succeed(&["other"]);
    assert!(look(waiting.as_mut()).is_pending());
    assert_eq!(import.asked(), 2);
    import.begin();
    assert!(look(waiting.as_mut()).is_pending());
    import.succeed(&["other"]);
    // it is told that it does not hold the name
    let Poll::Ready(Ok(accounts)) = look(waiting) else {
        panic!("the import went well")
    };
    assert!(!accounts.holds(&app));
}

#[test]
fn a_failure_costs_only_those_whom_the_last_import_does_not_hold() {
    let import = import();
    let (app, other) = (user("app"), user("other"));
    import.begin();
    import.succeed(&["app"]);
    import.begin();
    import.fail();
    assert!(matches!(
        look(pin!(import.accounts_for(&app))),
        Poll::Ready(Ok(_))
    ));
    let mut waiting = pin!(import.accounts_for(&other));
    assert!(look(waiting.as_mut()).is_pending());
    import.begin();
    import.fail();
    let failed = look(waiting);
    assert!(
        matches!(failed, Poll::Ready(Err(NotImported::Failed(_)))),
        "{failed:?}"
    );
}

#[test]
fn a_name_that_is_held_waits_for_nobody() {
    let import = import();
    import.begin();
    import.succeed(&["app"]);
    let app = user("app");
    assert!(look(pin!(import.accounts_for(&app))).is_ready());
    assert_eq!(import.asked(), 0);
    import.request();
    import.request();
    assert_eq!(import.asked(), 2, "one import is asked for, the second");
}

#[tokio::test]
async fn whoever_waits_when_imports_end_is_refused() {
    let import = import();
    let nowhere = Backend::new(Settings {
        role: Role::Source,
        endpoints: Vec::new(),
        security: Security::Plaintext,
        connect_time: Duration::ZERO,
        keep_alive: KeepAlive::default(),
        import: None,
        sends_proxy_header: false,
    })
    .expect("nothing to load");
    let closing = CancellationToken::new();
    closing.cancel();
    import.keep(&nowhere, closing).await;
    let app = user("app");
    assert_eq!(
        import.accounts_for(&app).await.map(drop),
        Err(NotImported::Ended)
    );
}
