# shellcheck shell=bash
# The differential test: who gets in directly, and who through mytls? Sourced by tests/lab; lab.d/differential has the rest.

# lab_differential: the long form, with all that differs.
lab_differential() {
  begin_suite
  export LAB_LONG=1
  check "release build" build_mytls
  [ ! -x "$(mytls_program)" ] || differential_checks
  end_suite
}

# Each server: its own accounts and requirements, directly; then through mytls with imported rules, before the server as
# it is and before one that has become lax, so that only mytls requires anything; then with the same rules in mytls' file.
differential_checks() {
  local server name folder
  have python || return 0
  export LAB_IPV6=
  ! has_ipv6 || LAB_IPV6=yes
  for server in "${SERVERS[@]}"; do
    have "$server" || continue
    name=$server-differential folder=$RUN/$server-differential
    mkdir -p "$folder"
    differential_options "$server"
    start_server "$name" "${OPTIONS[@]}"
    check "$name: prepared" prepare_differential "$name" "$folder"
    start_mytls "$name-imported" < <(differential_config "$name" imported)
    compare_differential "$name" imported "$name-imported"
    start_mytls "$name-lax" < <(differential_config "$name" imported)
    until_ready "$name-lax" 20 grep -q "accounts are imported" "$RUN/$name-lax.log"
    check "$name: made lax" run_statements "$name" "$folder/lax.sql"
    compare_differential "$name" imported "$name-lax"
    start_mytls "$name-file" < <(differential_config "$name" file)
    compare_differential "$name" file "$name-file"
    stop "$name"
  done
}

# Sets OPTIONS. Rules are about ciphers, so MySQL takes the one that mytls takes; it looks for proxy users only if told to.
# One server resolves no names.
differential_options() { # SERVER
  OPTIONS=(--bind-address="127.0.0.1${LAB_IPV6:+,::1}" --max-connect-errors=1000000)
  case $1 in
    mysql97)
      OPTIONS+=(--tls-ciphersuites=TLS_AES_256_GCM_SHA384 --check-proxy-users=ON --sha256-password-proxy-users=ON)
      ;;
    mariadb118) OPTIONS+=(--skip-name-resolve) ;;
  esac
}

has_ipv6() { grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null; }

prepare_differential() { # NAME FOLDER
  differential prepare "$1" "$PKI" &&
    run_statements "$1" "$2/accounts.sql" &&
    differential direct "$1" "$(port_of "$1")"
}

run_statements() { # NAME FILE
  root_shell "$1" --default-character-set=utf8mb4 <"$2"
}

# compare_differential NAME PLACE MYTLS
compare_differential() {
  count_checks "$3" differential compare "$1" "$(port_of "$1")" "$2" "$(port_of "$3")"
  sed -n "s/^note /     $3: /p" "$RUN/checks.log" | if [ -n "${LAB_LONG:-}" ]; then cat; else tail -n 1; fi
  check "$3 never panicked" not_in_log panicked "$3"
  check "$3 ends when asked to" stop "$3"
}

# differential STEP NAME ARGUMENTS…
differential() {
  local step=$1 name=$2
  shift 2
  "${IN_TIME[@]}" "$LAB/python/bin/python" "$PARTS/differential" "$step" "${name%%[0-9]*}" "$RUN/$name" "$@"
}

# differential_config NAME PLACE: both sides with TLS; to the server mytls shows the certificate dm.
differential_config() {
  cat <<YAML
listen:
  - 127.0.0.1:PORT
${LAB_IPV6:+  - \"[::1]:PORT\"}
security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/server-rsa.pem, ssl-key: $PKI/server-rsa.key }
from:
  host: 127.0.0.1
  port: $(port_of "$1")
  security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/client-dm-rsa.pem, ssl-key: $PKI/client-dm-rsa.key }
YAML
  case $2 in
    imported) echo "import-accounts: { user: importer, password: app-pw, interval: 1h }" ;;
    file) cat "$RUN/$1/accounts.yaml" ;;
  esac
}
