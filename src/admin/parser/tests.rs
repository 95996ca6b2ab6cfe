//! What is read, and where what cannot be read stops making sense.

use proptest::prelude::*;

use super::*;
use crate::admin::statement::{
    Assignment, ChannelColumn, Condition, Drain, Expression, Function, Item, Scope, Select, Show,
};
use crate::backend::Role;
use crate::protocol::user_name::UserName;
use crate::rules::AccountName;

fn refused(sql: &str) -> Refusal {
    match parse(sql) {
        Err(refusal) => refusal,
        Ok(statement) => panic!("{sql} was read as {statement}"),
    }
}

/// The text printed again, in the one form that each statement has.
fn read(sql: &str) -> String {
    parse(sql)
        .unwrap_or_else(|refusal| panic!("{sql}: {refusal}"))
        .to_string()
}

// The places are those that MySQL 9.7 names, where it knows the statement.
#[test]
fn an_error_names_the_place() {
    for (sql, near, line) in [
        ("KILL", "", 1),
        ("KILL 'a'", "'a'", 1),
        ("KILL 1.5", "1.5", 1),
        ("KILL -1", "-1", 1),
        ("KILL 99999999999999999999", "99999999999999999999", 1),
        ("SHUTDOWNX", "SHUTDOWNX", 1),
        ("SHUTDOWN now", "now", 1),
        ("SHUTDOWN; SHUTDOWN", "SHUTDOWN", 1),
        ("SHUTDOWN;;", ";", 1),
        ("SHOW\nGLOBAL\nPROCESSLIST", "PROCESSLIST", 3),
        ("SHOW STATUS LIKE Ssl", "Ssl", 1),
        (
            "ALTER INSTANCE RELOAD TLS FOR CHANNEL 'mysql_main' NO ROLLBACK ON ERROR",
            "'mysql_main' NO ROLLBACK ON ERROR",
            1,
        ),
        (
            "ALTER INSTANCE RELOAD TLS NO ROLLBACK ON ERROR FOR CHANNEL mysql_main",
            "FOR CHANNEL mysql_main",
            1,
        ),
        ("SELECT", "", 1),
        ("SELECT 1,", "", 1),
        ("SELECT $$", "$$", 1),
        ("SELECT VERSION", "", 1),
        ("SELECT 1 AS", "", 1),
        ("SELECT @@other.ssl_ca", "other.ssl_ca", 1),
        ("SET", "", 1),
        ("SET a", "", 1),
        ("SET a =", "", 1),
        ("SET a = (1", "", 1),
        ("SET a = 1)", ")", 1),
        ("SET ROUTE TO 'source'", "'source'", 1),
        ("SET ROUTE TO target DRAIN WITHIN 5", "", 1),
        ("CREATE USER a", "", 1),
        ("CREATE USER a REQUIRE", "", 1),
        ("DROP USER", "", 1),
        ("DROP USER a,", "", 1),
        ("`SHOW` USERS", "`SHOW` USERS", 1),
    ] {
        let near = near.to_owned();
        assert_eq!(refused(sql), Refusal::Syntax { near, line }, "{sql}");
    }
}

#[test]
fn nothing_is_an_empty_query() {
    for sql in ["", " ", ";", "/* a */", "-- a", "# a\n;"] {
        assert_eq!(refused(sql), Refusal::Empty, "{sql:?}");
    }
}

#[test]
fn what_is_not_ours_is_said_to_be_so() {
    for (sql, what) in [
        ("INSERT INTO t VALUES (1)", "INSERT"),
        ("create table t (a int)", "CREATE TABLE"),
        ("ALTER INSTANCE ROTATE INNODB MASTER KEY", "ALTER INSTANCE"),
        ("FLUSH HOSTS", "FLUSH HOSTS"),
        ("SHOW ENGINES", "SHOW ENGINES"),
        (
            "SHOW STATUS WHERE Variable_name = 'a'",
            "SHOW STATUS … WHERE",
        ),
        ("SHOW VARIABLES WHERE Value = 1", "SHOW VARIABLES … WHERE"),
        ("SELECT 1 FROM t", "SELECT … FROM"),
        ("SELECT * FROM mysql.user", "SELECT … FROM"),
    ] {
        assert_eq!(refused(sql), Refusal::Unsupported(what.to_owned()), "{sql}");
    }
    assert_eq!(
        refused("CREATE USER a IDENTIFIED BY 'b' REQUIRE SSL"),
        Refusal::Passwords
    );
}

#[test]
fn a_rule_that_cannot_be_meant_is_refused() {
    for sql in [
        "CREATE USER 'a'@'10.0.0.0/99' REQUIRE SSL",
        "CREATE USER a REQUIRE SUBJECT '/CN=a' SUBJECT '/CN=b'",
        "CREATE USER a REQUIRE SUBJECT 'CN=a'",
        "CREATE USER a REQUIRE SSL AND X509",
        "CREATE USER 'a\\0' REQUIRE SSL",
    ] {
        assert!(matches!(refused(sql), Refusal::Meaningless(_)), "{sql}");
    }
}

#[test]
fn statements_are_read_as_mysql_reads_them() {
    for (sql, printed) in [
        ("alter instance reload tls;", "ALTER INSTANCE RELOAD TLS"),
        (
            "ALTER INSTANCE RELOAD TLS FOR CHANNEL mysql_admin NO ROLLBACK ON ERROR",
            "ALTER INSTANCE RELOAD TLS FOR CHANNEL `mysql_admin` NO ROLLBACK ON ERROR",
        ),
        ("show /*!50002 global */ status", "SHOW GLOBAL STATUS"),
        ("SHOW LOCAL STATUS", "SHOW SESSION STATUS"),
        (
            r"SHOW GLOBAL STATUS LIKE 'Ssl\_server\_not\_%'",
            r"SHOW GLOBAL STATUS LIKE 'Ssl\\_server\\_not\\_%'",
        ),
        (
            "SHOW VARIABLES LIKE \"ssl%\"",
            "SHOW SESSION VARIABLES LIKE 'ssl%'",
        ),
        ("show full processlist", "SHOW FULL PROCESSLIST"),
        ("show full certificates", "SHOW FULL CERTIFICATES"),
        ("show full denials", "SHOW FULL DENIALS"),
        ("show full backends", "SHOW FULL BACKENDS"),
        ("kill connection 5", "KILL 5"),
        ("KILL 18446744073709551615", "KILL 18446744073709551615"),
        (
            "CREATE USER IF NOT EXISTS a, `b`@10.0.0.1 REQUIRE x509",
            "CREATE USER IF NOT EXISTS 'a'@'%', 'b'@'10.0.0.1' REQUIRE X509",
        ),
        (
            "ALTER USER 'a'@'%' REQUIRE SUBJECT \"/CN=it's\" /* by */ ISSUER '/CN=ca'",
            "ALTER USER 'a'@'%' REQUIRE SUBJECT '/CN=it''s' AND ISSUER '/CN=ca'",
        ),
        ("DROP USER IF EXISTS 'a'@'%'", "DROP USER IF EXISTS 'a'@'%'"),
        ("SHOW CREATE USER a@'%'", "SHOW CREATE USER 'a'@'%'"),
        ("SHOW WARNINGS LIMIT 10", "SHOW WARNINGS"),
        ("SHOW SCHEMAS", "SHOW DATABASES"),
        ("SHOW FULL TABLES FROM `a`", "SHOW FULL TABLES FROM `a`"),
        ("flush privileges", "FLUSH PRIVILEGES"),
        (
            "SET ROUTE TO target DRAIN WITHIN 1 SECOND",
            "SET ROUTE TO target DRAIN WITHIN 1 SECONDS",
        ),
        ("SELECT 1 FROM DUAL", "SELECT 1 AS `1`"),
        (
            "SELECT @@version_comment limit 1",
            "SELECT @@SESSION.version_comment AS `@@version_comment` LIMIT 1",
        ),
        (
            "SELECT  @@session.auto_increment_increment AS a, 'x' y, CURRENT_USER, user()",
            "SELECT @@SESSION.auto_increment_increment AS `a`, 'x' AS `y`, CURRENT_USER() AS `CURRENT_USER`, \
             USER() AS `user()`",
        ),
        (
            "select channel, VALUE from performance_schema.tls_channel_status where property like 'Ssl%' and channel='a'",
            "SELECT CHANNEL, VALUE FROM performance_schema.tls_channel_status WHERE PROPERTY LIKE 'Ssl%' AND CHANNEL = 'a'",
        ),
        ("START TRANSACTION READ ONLY", "BEGIN"),
        ("ROLLBACK WORK", "ROLLBACK"),
        ("use a", "USE `a`"),
    ] {
        assert_eq!(read(sql), printed, "{sql}");
    }
}

// Statements that drivers and shells send when they connect, recorded from them.
#[test]
fn what_drivers_set_is_read() {
    let variable = |name: &str, value: Option<&str>| Assignment::Variable {
        scope: Scope::Session,
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    for (sql, assignments) in [
        ("SET NAMES utf8mb4", vec![Assignment::OfSession]),
        (
            "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_0900_ai_ci'",
            vec![Assignment::OfSession],
        ),
        (
            "SET AUTOCOMMIT = 0",
            vec![variable("autocommit", Some("0"))],
        ),
        (
            "SET @@session.autocommit = OFF",
            vec![variable("autocommit", Some("OFF"))],
        ),
        (
            "SET character_set_results = NULL, net_write_timeout=600",
            vec![
                variable("character_set_results", Some("NULL")),
                variable("net_write_timeout", Some("600")),
            ],
        ),
        (
            "set autocommit=1, sql_mode = concat(@@sql_mode,',STRICT_TRANS_TABLES')",
            vec![
                variable("autocommit", Some("1")),
                variable("sql_mode", None),
            ],
        ),
        (
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY",
            vec![Assignment::OfSession],
        ),
        ("SET @a := 1", vec![Assignment::UserVariable]),
    ] {
        assert_eq!(parse(sql), Ok(Statement::Set(assignments)), "{sql}");
    }
}

fn name() -> impl Strategy<Value = String> {
    "[a-z`' é\\\\]{1,8}"
}

fn pattern() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-zA-Z%_'\"\\\\\n]{0,8}")
}

fn account() -> impl Strategy<Value = AccountName> {
    (
        "[a-z' \\\\`]{0,7}z",
        prop::sample::select(vec!["%", "10.0.0.1", "10.0.0.0/8", "localhost"]),
    )
        .prop_map(|(user, host)| AccountName {
            user: UserName::new(user).expect("a name"),
            host: host.parse().expect("a host"),
        })
}

fn show() -> impl Strategy<Value = Show> {
    let scope = || prop::sample::select(vec![Scope::Global, Scope::Session]);
    prop_oneof![
        (scope(), pattern()).prop_map(|(scope, like)| Show::Status { scope, like }),
        (scope(), pattern()).prop_map(|(scope, like)| Show::Variables { scope, like }),
        any::<bool>().prop_map(|full| Show::Processlist { full }),
        account().prop_map(Show::CreateUser),
        any::<bool>().prop_map(|full| Show::Denials { full }),
        any::<bool>().prop_map(|full| Show::Certificates { full }),
        any::<bool>().prop_map(|full| Show::Backends { full }),
        prop::sample::select(vec![Show::Users, Show::Warnings]),
        pattern().prop_map(|like| Show::Databases { like }),
        (any::<bool>(), prop::option::of(name()), pattern()).prop_map(|(full, database, like)| {
            Show::Tables {
                full,
                database,
                like,
            }
        }),
    ]
}

fn expression() -> impl Strategy<Value = Expression> {
    prop_oneof![
        Just(Expression::Null),
        any::<u64>().prop_map(Expression::Number),
        name().prop_map(Expression::Text),
        "[a-z_]{1,8}".prop_map(Expression::UserVariable),
        ("[a-z_]{1,8}", any::<bool>()).prop_map(|(name, global)| Expression::Variable {
            scope: if global {
                Scope::Global
            } else {
                Scope::Session
            },
            name,
        }),
        prop::sample::select(Function::ALL.map(|(_, function)| function).to_vec())
            .prop_map(Expression::Function),
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    let accounts = || prop::collection::vec(account(), 1..3);
    let requirement = || {
        prop::sample::select(vec![
            "NONE",
            "SSL",
            "X509",
            "SUBJECT '/CN=it''s' AND SAN 'DNS:a,DNS:b'",
        ])
        .prop_map(|text| text.parse().expect("a requirement"))
    };
    let condition = (
        prop::sample::select(ChannelColumn::ALL.to_vec()),
        any::<bool>(),
        name(),
    )
        .prop_map(|(column, like, text)| Condition { column, like, text });
    let item = (expression(), name()).prop_map(|(expression, name)| Item { expression, name });
    prop_oneof![
        show().prop_map(Statement::Show),
        (prop::option::of(name()), any::<bool>()).prop_map(|(channel, off)| Statement::ReloadTls {
            channel,
            on_error: if off { OnError::TurnOff } else { OnError::Keep },
        }),
        (any::<u64>(), any::<bool>()).prop_map(|(id, query)| Statement::Kill {
            target: if query {
                KillTarget::Query
            } else {
                KillTarget::Connection
            },
            id,
        }),
        (any::<bool>(), accounts(), requirement()).prop_map(
            |(if_not_exists, accounts, requirement)| Statement::CreateUser {
                if_not_exists,
                accounts,
                requirement,
            }
        ),
        (any::<bool>(), accounts(), requirement()).prop_map(
            |(if_exists, accounts, requirement)| Statement::AlterUser {
                if_exists,
                accounts,
                requirement,
            }
        ),
        (any::<bool>(), accounts()).prop_map(|(if_exists, accounts)| Statement::DropUser {
            if_exists,
            accounts
        }),
        any::<u64>().prop_map(|seconds| Statement::SetRoute {
            to: Role::Target,
            drain: Drain::Within { seconds },
        }),
        ("[a-z_]{1,8}x", name()).prop_map(|(name, value)| {
            Statement::Set(vec![Assignment::Variable {
                scope: Scope::Global,
                name,
                value: Some(value),
            }])
        }),
        (
            prop::collection::vec(item, 1..4),
            prop::option::of(any::<u64>())
        )
            .prop_map(|(items, limit)| Statement::Select(Select { items, limit })),
        prop::collection::vec(condition, 0..3).prop_map(|conditions| Statement::ChannelStatus {
            columns: ChannelColumn::ALL.to_vec(),
            conditions,
        }),
        name().prop_map(Statement::Use),
        prop::sample::select(vec![
            Statement::Shutdown,
            Statement::FlushPrivileges,
            Statement::Begin,
            Statement::Commit,
            Statement::Rollback,
        ]),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(statement in statement()) {
        let printed = statement.to_string();
        prop_assert_eq!(parse(&printed), Ok(statement), "{}", printed);
    }

    #[test]
    fn no_text_panics(sql in "((SHOW|SELECT|SET|ALTER|INSTANCE|RELOAD|TLS|CREATE|DROP|USER|REQUIRE|KILL|GLOBAL|LIKE|AS|LIMIT|FROM|STATUS|@@|@|[a-z0-9.]{1,4}|'[a-z%_']*'|/\\*!?|\\*/|[-#`\",;=()\\\\]|\\PC)[ \n]?){0,12}") {
        if let Ok(statement) = parse(&sql) {
            let printed = statement.to_string();
            prop_assert!(!printed.is_empty());
        }
    }
}
