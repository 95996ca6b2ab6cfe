//! What is taken, with a word about it.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn what_weakens_or_admits_nobody_is_a_warning() {
    let nobody = "admits nobody: no client certificate can be verified without `security.ssl-ca`";
    let cases = [
        ("default-require: X509", format!("2: default-require: {nobody}")),
        ("accounts: [{user: a, require: X509}]", format!("2: accounts[0].require: {nobody}")),
        (
            "accounts: [{user: a, require: SUBJECT '/CN=a'}]",
            format!("2: accounts[0].require: {nobody}"),
        ),
        (
            "default-require: SSL\nsecurity: {auto-tls: false}",
            "2: default-require: admits nobody: there is no `security.ssl-cert`, and `auto-tls` is off".to_owned(),
        ),
        ("security: {cert-allowed-cn: [a]}", format!("2: security.cert-allowed-cn: {nobody}")),
        (
            "security: {ssl-ca: ca.pem, cert-allowed-cn: }",
            "2: security.cert-allowed-cn: admits nobody: the list is empty".to_owned(),
        ),
        (
            "target-database: {host: b, security: {ssl-ca: ca.pem, cert-allowed-cn: []}}",
            "2: target-database.security.cert-allowed-cn: admits nobody: the list is empty".to_owned(),
        ),
        (
            "default-require: CIPHER 'AES256-SHA'\nsecurity: {ssl-ca: ca.pem}",
            "2: default-require: admits nobody: no session has that cipher, only TLS_AES_256_GCM_SHA384, \
             TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256, ECDHE-ECDSA-AES256-GCM-SHA384, \
             ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-RSA-AES256-GCM-SHA384, \
             ECDHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-CHACHA20-POLY1305, each by OpenSSL's name"
                .to_owned(),
        ),
        (
            "default-require: CIPHER 'TLS_AES_256_GCM_SHA384'\n\
             security: {ssl-ca: ca.pem, tls-version: TLSv1.3, tls-ciphersuites: TLS_AES_128_GCM_SHA256}",
            "2: default-require: admits nobody: no session has that cipher, only TLS_AES_128_GCM_SHA256, each by \
             OpenSSL's name"
                .to_owned(),
        ),
        (
            "target-database: {host: b, security: {}}",
            "2: target-database.security: the server's certificate is not verified, so that whoever stands between can \
             pass for it: the cure is `ssl-ca`"
                .to_owned(),
        ),
        (
            "target-database: {host: b, security: {ssl-ca: ca.pem, ssl-mode: REQUIRED}}",
            "2: target-database.security: ssl-mode is REQUIRED, which verifies nothing: `ssl-ca` has no effect".to_owned(),
        ),
        (
            "target-database: {host: localhost, security: {ssl-ca: ca.pem, ssl-mode: DISABLED}}",
            "2: target-database.security: ssl-mode is DISABLED: plaintext, and nothing else in this section has an \
             effect"
                .to_owned(),
        ),
        (
            "import-accounts: {user: a, hosts: ignore}",
            "2: import-accounts.hosts: users are not refused for coming from an address that none of their accounts admits"
                .to_owned(),
        ),
        (
            "import-accounts: {user: a, enforcement: report}",
            "2: import-accounts.enforcement: what the server's own accounts require is only reported: nobody is refused \
             for it"
                .to_owned(),
        ),
        (
            "import-accounts: {user: a, password: MKxn0Qo3m3XOyjCnhEMtsUCm83EhGQDZ/T4=}",
            "2: import-accounts.password: looks encrypted by `dmctl encrypt`, and mytls cannot decrypt it: it is taken as \
             it stands; write the password itself, best with `import-accounts.password-file`"
                .to_owned(),
        ),
        (
            "target-database: {host: localhost, user: a}",
            "2: target-database.user: has no effect without `import-accounts`: mytls logs in nowhere else".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(warnings(&format!("{LEAST}{text}\n")), [expected], "{text}");
    }
    let only_reported = warnings(&format!("{LEAST}enforcement: report\n"));
    assert_eq!(
        only_reported,
        [
            "2: enforcement: accounts, default-require, require-secure-transport and cert-allowed-cn refuse nobody: \
             whom they would refuse is only logged"
        ]
    );
    let with_ca = format!("{LEAST}default-require: X509\nsecurity: {{ssl-ca: ca.pem}}\n");
    assert_eq!(warnings(&with_ca), [""; 0]);
}

#[test]
fn a_password_file_that_everybody_can_read_is_a_warning() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("secret");
    fs::write(&file, "open").expect("written");
    let text = format!(
        "{LEAST}import-accounts: {{user: a, password-file: {}}}\n",
        file.display()
    );
    for (mode, expected) in [
        (
            0o644,
            &[
                "2: import-accounts.password-file: every user of this machine can read the file: chmod o-r",
            ][..],
        ),
        (0o640, &[]),
    ] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
        assert_eq!(warnings(&text), expected, "{mode:o}");
    }
}

#[test]
fn an_admin_user_that_nobody_can_be_is_a_warning() {
    for (text, warning) in [
        (
            "admin: {users: [{user: a, require: X509}]}",
            "2: admin.users[0].require: admits nobody: no client certificate can be verified without `security.ssl-ca`",
        ),
        (
            "admin: {security: {auto-tls: false}, users: [{user: a, password-file: b, require: SSL}]}",
            "2: admin.users[0].require: admits nobody: there is no `security.ssl-cert`, and `auto-tls` is off",
        ),
        (
            "admin: {security: {ssl-ca: ca.pem, cert-allowed-cn: []}, users: [{user: a, require: X509}]}",
            "2: admin.security.cert-allowed-cn: admits nobody: the list is empty",
        ),
    ] {
        assert_eq!(warnings(&format!("{LEAST}{text}\n")), [warning], "{text}");
    }
}
