# shellcheck shell=bash
# `tests/lab demo`: what mytls does, shown with MySQL's own server and shell. Sourced by tests/lab.

lab_demo() {
  make_run_folder
  trap end_everything EXIT
  trap 'exit 130' INT TERM
  make_certificates
  have mysql97 || die "the demo needs MySQL 9.7"
  say "building mytls"
  build_mytls
  say "starting MySQL 9.7"
  start_server mysql97 --require-secure-transport=ON
  root_shell mysql97 -e "ALTER USER app_ssl@'%' REQUIRE NONE; ALTER USER app_x509@'%' REQUIRE NONE"
  start_mytls mytls < <(demo_config "$(port_of mysql97)")

  # Exported for the commands that are shown as they are run.
  PATH=$LAB/mysql97/bin:$PATH SERVER=$(port_of mysql97) MYTLS=$(port_of mytls) MYSQL_PWD=app-pw
  export PATH SERVER MYTLS PKI MYSQL_PWD
  cat <<TEXT

A MySQL 9.7 server listens on port $SERVER. It wants TLS from everybody, but it knows nothing of who must show a
certificate: its accounts have no REQUIRE of their own. mytls listens on port $MYTLS, before the server, with this file:

$(sed 's/^/    /' "$RUN/mytls.yaml")
TEXT
  demo_steps
  end_everything
  trap - EXIT
  echo
  if [ "$FAILED" = 0 ]; then
    echo "All as expected; nothing is left running."
  else
    echo "$FAILED steps were not as expected."
    exit 1
  fi
}

demo_config() {
  cat <<YAML
listen: 127.0.0.1:PORT
security:                      # towards clients
  ssl-ca: $PKI/root-ca.pem
  ssl-cert: $PKI/server-rsa.pem
  ssl-key: $PKI/server-rsa.key
accounts:
  - { user: "'app_ssl'@'%'", require: SSL }
  - { user: "'app_x509'@'%'", require: X509 }
from:                          # the server, with a certificate of mytls' own
  host: 127.0.0.1
  port: $1
  security:
    ssl-ca: $PKI/root-ca.pem
    ssl-cert: $PKI/client-worker-rsa.pem
    ssl-key: $PKI/client-worker-rsa.key
    ssl-mode: VERIFY_IDENTITY
YAML
}

demo_steps() {
  # shellcheck disable=SC2016 # the commands are shown with their variables
  {
    title "Directly at the server"
    step "The server has no rule for app_x509: over TLS it gets in without any certificate" 'app_x509@%' \
      'mysql -h127.0.0.1 -P$SERVER -uapp_x509 --ssl-mode=REQUIRED -t -e "SELECT CURRENT_USER()"'
    step "Plaintext is refused by the server itself" 'ERROR 3159' \
      'mysql -h127.0.0.1 -P$SERVER -uapp_x509 --ssl-mode=DISABLED -t -e "SELECT CURRENT_USER()"'

    title "Through mytls: app_ssl must use TLS (REQUIRE SSL)"
    step "Plaintext is refused; the server hears nothing of it" "ERROR 1045 .* Access denied for user 'app_ssl'" \
      'mysql -h127.0.0.1 -P$MYTLS -uapp_ssl --ssl-mode=DISABLED -t -e "SELECT CURRENT_USER()"'
    step "TLS is accepted, and the shell has verified mytls' certificate and name" 'app_ssl@%' \
      'mysql -h127.0.0.1 -P$MYTLS -uapp_ssl --ssl-mode=VERIFY_IDENTITY --ssl-ca=$PKI/root-ca.pem -t -e "SELECT CURRENT_USER(), VERSION()"'
    step "Two TLS connections: the one between shell and mytls, as the shell knows it" 'Cipher in use is ECDHE' \
      'mysql -h127.0.0.1 -P$MYTLS -uapp_ssl --tls-version=TLSv1.2 --commands -e "status" | grep -E "^(Current user|SSL|TCP port)"'
    step "… as a monitor asks for it" 'Ssl_cipher [| ]+ECDHE' \
      'mysql -h127.0.0.1 -P$MYTLS -uapp_ssl --tls-version=TLSv1.2 -t -e "SHOW STATUS LIKE '"'Ssl_cipher'"'"'
    step "… and the one between mytls and the server, as the server knows it" 'TLS_AES' \
      'mysql -h127.0.0.1 -P$MYTLS -uapp_ssl --tls-version=TLSv1.2 -t -e "SELECT VARIABLE_VALUE AS cipher FROM performance_schema.status_by_thread WHERE VARIABLE_NAME = '"'Ssl_cipher'"' AND THREAD_ID = PS_CURRENT_THREAD_ID()"'
    step "A query, as ever" '42' \
      'mysql -h127.0.0.1 -P$MYTLS -uapp_ssl --ssl-mode=REQUIRED -t -e "SELECT 6 * 7 AS answer"'

    title "Through mytls: app_x509 must show a certificate (REQUIRE X509)"
    step "TLS without a certificate is refused" "ERROR 1045 .* Access denied for user 'app_x509'" \
      'mysql -h127.0.0.1 -P$MYTLS -uapp_x509 --ssl-mode=REQUIRED -t -e "SELECT CURRENT_USER()"'
    step "A certificate that somebody else signed is refused" 'ERROR 1045' \
      'mysql -h127.0.0.1 -P$MYTLS -uapp_x509 --ssl-cert=$PKI/client-dm-otherca.pem --ssl-key=$PKI/client-dm-otherca.key -t -e "SELECT CURRENT_USER()"'
    step "A certificate of our own authority is accepted" 'app_x509@%' \
      'mysql -h127.0.0.1 -P$MYTLS -uapp_x509 --ssl-cert=$PKI/client-dm-rsa.pem --ssl-key=$PKI/client-dm-rsa.key -t -e "SELECT CURRENT_USER()"'

    title "What mytls wrote about it"
    step "One line for each session; why somebody was refused stands only here" 'has REQUIRE X509' \
      'grep "session ended" $RUN/mytls.log'
  }
}

title() { printf '\n== %s\n' "$1"; }

# step EXPLANATION EXPECTED COMMAND: shows and runs a command; its output must have a line that matches EXPECTED.
step() {
  local output
  printf '\n# %s\n$ %s\n' "$1" "$(sed -e "s/\$SERVER/$SERVER/; s/\$MYTLS/$MYTLS/; s|\$PKI/||g; s|\$RUN/||g" <<<"$3")"
  output=$(RUN=$RUN bash -c "$3" 2>&1 </dev/null) || true
  printf '%s\n' "$output"
  if ! grep -qE "$2" <<<"$output"; then
    FAILED=$((FAILED + 1))
    printf '^^^ NOT AS EXPECTED: no line matches %s\n' "$2"
  fi
}
