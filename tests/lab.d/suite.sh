# shellcheck shell=bash
# `tests/lab test`: everything that must hold before a change lands. Sourced by tests/lab.

lab_test() {
  cd "$ROOT" || exit
  begin_suite
  have basics || true
  fetch_servers_ahead
  check "format" cargo fmt --check
  check "lints" cargo clippy --all-targets --locked -- -D warnings
  check "documentation" env RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items --locked
  check "one TLS library, one crypto library" one_tls_library
  ! have cargo_deny || check "licences, bans, sources" "$LAB/tools/bin/cargo-deny" --log-level error --config .deny.toml check bans licenses sources
  check "scripts" shellcheck .ci/run packaging/deb tests/lab tests/lab.d/*.sh tests/lab.d/{clients,containers/mysql}/*.sh tests/lab.d/completions/{check,offers.bash}
  wait "$AHEAD" || true # what it could not do is tried again, and told
  AHEAD=''
  start_servers
  eval "$(test_environment)"
  have pki_tools || true
  rust_tests --no-fail-fast
  check "certificates that change under load, for 30 s and 200 reloads" \
    env MYTLS_TEST_SWAP_SECONDS=30 MYTLS_TEST_RELOADS=200 cargo test --locked --test it -- under_load ten_times
  real_clients
  differential_checks
  maker_checks
  container_checks
  cargo_install_checks
  [ ! -e "$RUN/mysql97.port" ] || package_checks mysql97
  end_suite
}

# On a new machine the servers come over the network while the compiler works, in a process group of their own, which an
# interrupted suite ends.
fetch_servers_ahead() {
  local name
  set -m
  for name in "${SERVERS[@]}"; do
    "install_$name" || true
  done >"$LAB/log/ahead.log" 2>&1 </dev/null &
  AHEAD=$!
  set +m
}

end_fetch() {
  [ -n "${AHEAD:-}" ] && [ -e "/proc/$AHEAD" ] || return 0
  say "ending what is being fetched"
  kill -- "-$AHEAD" 2>/dev/null || true
  within 30 no_process_of_group "$AHEAD" || kill -9 -- "-$AHEAD" 2>/dev/null || true
}

no_process_of_group() { ! kill -0 -- "-$1"; }

# Only the certificates that users make.
lab_makers() {
  begin_suite
  check "release build" build_mytls
  maker_checks
  end_suite
}

# Only the containers.
lab_containers() {
  begin_suite
  SERVERS=(mysql97)
  start_servers
  check "release build" build_mytls
  container_checks
  end_suite
}

# Only the ways of installing.
lab_packages() {
  begin_suite
  SERVERS=(mysql97)
  start_servers
  check "release build" build_mytls
  cargo_install_checks
  [ ! -e "$RUN/mysql97.port" ] || package_checks mysql97
  end_suite
}

# Only the cut-over.
lab_cutover() {
  begin_suite
  SERVERS=(mysql97 mariadb118)
  start_servers
  check "build" build_mytls
  cutover_checks mysql97 mariadb118
  end_suite
}

# Only the rolling restart.
lab_drain() {
  begin_suite
  SERVERS=(mysql97)
  start_servers
  check "build" build_mytls
  drain_checks mysql97
  end_suite
}

# Only the replicas.
lab_replication() {
  begin_suite
  SERVERS=(mysql97 mariadb118)
  local name
  for name in "${SERVERS[@]}"; do have "$name"; done
  check "build" build_mytls
  replication_checks mysql97 mysql97
  replication_checks mariadb118 mariadb118
  end_suite
}

# Only the PROXY protocol.
lab_proxy() {
  begin_suite
  SERVERS=(mariadb118)
  start_servers
  check "build" build_mytls
  proxy_checks mariadb118
  end_suite
}

# Only `mytls ctl`.
lab_terminal() {
  begin_suite
  SERVERS=(mysql97 mariadb118)
  start_servers
  check "build" build_mytls
  terminal_checks mysql97 mariadb118
  end_suite
}

# Only what is made for Prometheus.
lab_metrics() {
  begin_suite
  SERVERS=(mysql97)
  start_servers
  check "build" build_mytls
  metrics_checks mysql97
  end_suite
}

# Only the HTTP port.
lab_http() {
  begin_suite
  SERVERS=(mysql97)
  start_servers
  check "build" build_mytls
  http_checks mysql97
  end_suite
}

# Only the real clients.
lab_clients() {
  begin_suite
  start_servers
  real_clients
  end_suite
}

begin_suite() {
  make_run_folder
  trap abandon_suite EXIT
  trap 'exit 130' INT TERM
  make_certificates
}

start_servers() {
  local name
  for name in "${SERVERS[@]}"; do
    ! have "$name" || start_server "$name"
  done
}

# Something that everything else needs did not work: a failure, and the closing line as ever.
abandon_suite() {
  result FAIL "the suite" "ended early"
  end_suite
}

end_suite() {
  trap - EXIT
  end_fetch
  if [ "$FAILED" = 0 ]; then
    end_everything
  else
    end_everything keep-logs
    say "logs: $RUN and $LAB/log"
  fi
  summary
}

# Everything that is compiled in, with all its features, on every platform: only rustls, one of it, with aws-lc-rs.
one_tls_library() {
  local crates status=0
  crates=$(cargo tree --locked --target all --edges normal,build,dev --prefix none --format '{p}' | awk '{print $1, $2}' | sort -u)
  if grep -E '^(ring|openssl|openssl-sys|native-tls|boring|boring-sys|mbedtls|s2n-tls|rustls-openssl|aws-lc-fips-sys) ' <<<"$crates"; then
    echo "a second TLS or crypto library is compiled in"
    status=1
  fi
  if [ "$(grep -c '^rustls v' <<<"$crates")" != 1 ]; then
    grep '^rustls v' <<<"$crates"
    echo "there must be exactly one rustls"
    status=1
  fi
  return $status
}

install_cargo_deny() {
  [ -x "$LAB/tools/bin/cargo-deny" ] ||
    cargo install --quiet --locked cargo-deny --version 0.20.2 --root "$LAB/tools" >"$LAB/log/cargo-deny.log" 2>&1
}

# rust_tests OPTION…: they count one by one.
rust_tests() {
  local log=$RUN/cargo-test.log status=0 passed failed
  cargo test --locked "$@" >"$log" 2>&1 </dev/null || status=$?
  read -r passed failed <<<"$(awk '/^test result:/ {p += $4; f += $6} END {print p + 0, f + 0}' "$log")"
  PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
  if [ $status != 0 ]; then
    grep -E '^(test .* FAILED|error)' "$log" | head -n 40
    tail -n 60 "$log"
    [ "$failed" -gt 0 ] || result FAIL "cargo test" "status $status"
  fi
  printf 'ok   cargo test: %s passed, %s failed\n' "$passed" "$failed"
}

# Real clients through the release build: each server over TLS, and MySQL also in plaintext on the loopback.
real_clients() {
  local name
  export LAB_PROXY=1
  check "release build" build_mytls
  [ -x "$(mytls_program)" ] || return 0
  for name in "${SERVERS[@]}"; do
    [ -e "$RUN/$name.port" ] || continue
    start_mytls "mytls-$name" < <(mytls_config "$(port_of "$name")")
    LAB_SERVER=${name%%[0-9]*} clients_over_tls "$name" "$(port_of "mytls-$name")"
    [ "$name" != mysql97 ] || LAB_SERVER=mysql LAB_USER=app clients_in_plaintext "$(port_of mytls-mysql97)"
    [ "$name" != mysql97 ] || scan "$(port_of "mytls-$name")"
    [ "$name" != mysql97 ] || endurance_check "$name" "mytls-$name"
    check "mytls before $name ends when asked to" stop "mytls-$name"
    check "mytls before $name never panicked" not_in_log panicked "mytls-$name"
  done
  if [ -e "$RUN/mysql97.port" ]; then
    start_mytls mytls-admin < <(admin_config "$(port_of mysql97)")
    admin_checks "$(port_of mytls-admin)"
    check "mytls with an admin port ends when asked to" stop mytls-admin
    check "mytls with an admin port never panicked" not_in_log panicked mytls-admin
    drain_checks mysql97
    metrics_checks mysql97
    start_mytls mytls-plaintext < <(mytls_config "$(port_of mysql97)" plaintext)
    LAB_SERVER=mysql LAB_USER=app clients_to_plaintext "$(port_of mytls-plaintext)"
    check "mytls before a plaintext backend ends when asked to" stop mytls-plaintext
    http_checks mysql97
  fi
  if [ -e "$RUN/mysql97.port" ] && [ -e "$RUN/mariadb118.port" ]; then
    terminal_checks mysql97 mariadb118
    cutover_checks mysql97 mariadb118
    replication_checks mysql97 mysql97
    replication_checks mariadb118 mariadb118
  fi
  [ ! -e "$RUN/mariadb118.port" ] || proxy_checks mariadb118
}

not_in_log() { # WORD NAME
  ! grep "$1" "$RUN/$2.log"
}

clients_over_tls() { # SERVER PORT
  local accounts=(app empty_pw app_sha256)
  case $1 in
    mariadb1011) accounts=(app empty_pw app_ed25519) ;;
    mariadb118) accounts=(app empty_pw app_ed25519 app_parsec) ;;
  esac
  plugin_checks "$1" "$2" "${accounts[@]}"
  client_checks "$1" "$2" security
  client_checks "$1" "$2" session
  bulk_checks "$1" "$2"
  compression_checks "$1" "$2"
  sysbench_checks "$1" "$2"
}

# A backend in plaintext, with clients in plaintext and with TLS. The server's cache of passwords is cold for every client.
clients_to_plaintext() { # PORT
  LAB_TLS=no cold_checks "plaintext to plaintext" "$1"
  LAB_TLS=yes cold_checks "TLS to plaintext" "$1"
}

# Clients in plaintext before a backend with TLS.
clients_in_plaintext() { # PORT
  LAB_TLS=no cold_checks "plaintext to TLS" "$1"
}

cold_checks() { # WHERE PORT
  plugin_checks "$1" "$2" app empty_pw app_sha256
  LAB_FORGET=$RUN/mysql97.sock client_checks "$1" "$2" session
}
