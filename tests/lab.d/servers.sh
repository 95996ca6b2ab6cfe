# shellcheck shell=bash
# Starts real servers, the other proxies, and mytls, on free ports of the loopback. Sourced by tests/lab.
# A server NAME has its port in $RUN/NAME.port, its socket $RUN/NAME.sock and its log $RUN/NAME.log.

port_of() { cat "$RUN/$1.port"; }

# start_server mysql97|mariadb1011|mariadb118 [server options…]: a fresh instance with TLS and the accounts of the lab.
# A second instance of the same server is called mysql97-WHATEVER.
start_server() {
  local name=$1 server=${1%%-*} port
  port=$(free_port)
  shift
  make_certificates
  local common=(--no-defaults --basedir="$LAB/$server/root/usr" --datadir="$RUN/$name.data")
  local options=(--bind-address=127.0.0.1 --port="$port" --socket="$RUN/$name.sock" --pid-file="$RUN/$name.server-pid"
    --ssl-ca="$PKI/ca-bundle.pem" --ssl-cert="$PKI/server-rsa.pem" --ssl-key="$PKI/server-rsa.key"
    --max-connections=6000 --back-log=4096 --max-allowed-packet=128M --local-infile=1
    --innodb-flush-log-at-trx-commit=2)
  "${AS_SERVER[@]}" mkdir "$RUN/$name.data"
  case $server in
    mysql97)
      common+=(--secure-file-priv=NULL)
      "${AS_SERVER[@]}" "$LAB/$server/bin/mysqld" "${common[@]}" --initialize-insecure >"$RUN/$name.log" 2>&1 ||
        { tail -n 20 "$RUN/$name.log" >&2; die "$name: initialize"; }
      launch "$name" "$LAB/$server/bin/mysqld" "${common[@]}" "${options[@]}" --mysqlx=OFF --disable-log-bin "$@"
      ;;
    mariadb*)
      local share parsec=()
      [ "$server" = mariadb1011 ] || parsec=(--plugin-load-add=auth_parsec)
      share=$(mariadb_share "$server")
      common+=(--lc-messages-dir="$share" --character-sets-dir="$share/charsets"
        --plugin-dir="$LAB/$server/root/usr/lib/mysql/plugin")
      mariadb_system_tables "$share" | "${AS_SERVER[@]}" "$LAB/$server/bin/mariadbd" "${common[@]}" --bootstrap \
        --enforce-storage-engine= >"$RUN/$name.log" 2>&1 || { tail -n 20 "$RUN/$name.log" >&2; die "$name: bootstrap"; }
      launch "$name" "$LAB/$server/bin/mariadbd" "${common[@]}" "${options[@]}" \
        --plugin-load-add=ha_blackhole --plugin-load-add=auth_ed25519 "${parsec[@]}" "$@"
      ;;
  esac
  echo "$port" >"$RUN/$name.port"
  until_ready "$name" 60 root_shell "$name" -e 'SELECT 1'
  accounts "$server" | root_shell "$name"
}

# root_shell NAME [options…]: the server's own shell as root, through its socket.
root_shell() {
  local name=$1 server=${1%%-*}
  shift
  case $server in
    mysql97) "$LAB/$server/bin/mysql" --no-defaults -uroot -S "$RUN/$name.sock" "$@" ;;
    mariadb*) "$LAB/$server/bin/mariadb" --no-defaults --skip-ssl -uroot -S "$RUN/$name.sock" "$@" ;;
  esac
}

mariadb_share() {
  local share=$LAB/$1/root/usr/share/mariadb
  [ -e "$share/charsets" ] || share=$LAB/$1/root/usr/share/mysql
  echo "$share"
}

# What mariadb-install-db feeds to the bootstrap, with a root that has no password.
mariadb_system_tables() {
  local share=$1 part
  printf '%s;\n' 'CREATE DATABASE mysql' 'USE mysql' 'SET @auth_root_socket = NULL' 'SET @skip_auth_anonymous = 1'
  for part in system_tables performance_tables system_tables_data; do
    cat "$share/mariadb_$part.sql" 2>/dev/null || cat "$share/mysql_$part.sql"
  done
}

# The accounts of the lab; every password is public.
accounts() {
  cat <<'SQL'
CREATE DATABASE sbtest;
CREATE USER app@'%' IDENTIFIED BY 'app-pw';
CREATE USER app_ssl@'%' IDENTIFIED BY 'app-pw' REQUIRE SSL;
CREATE USER app_x509@'%' IDENTIFIED BY 'app-pw' REQUIRE X509;
CREATE USER dm@'%' IDENTIFIED BY 'dm-pw' REQUIRE SUBJECT '/O=Lab/OU=clients/CN=dm' AND ISSUER '/O=Lab/CN=Lab Intermediate CA';
CREATE USER empty_pw@'%' IDENTIFIED BY '';
GRANT ALL ON *.* TO app@'%', app_ssl@'%', app_x509@'%', dm@'%', empty_pw@'%';
SQL
  case $1 in
    mysql97) echo "CREATE USER app_sha256@'%' IDENTIFIED WITH sha256_password BY 'app-pw'; GRANT ALL ON *.* TO app_sha256@'%';" ;;
    mariadb*) echo "CREATE USER app_ed25519@'%' IDENTIFIED VIA ed25519 USING PASSWORD('app-pw'); GRANT ALL ON *.* TO app_ed25519@'%';" ;;
  esac
  [ "$1" != mariadb118 ] ||
    echo "CREATE USER app_parsec@'%' IDENTIFIED VIA parsec USING PASSWORD('app-pw'); GRANT ALL ON *.* TO app_parsec@'%';"
}

# start_mytls NAME [OPTIONS…]: starts the release build with the configuration on stdin, in which PORT stands for its port.
start_mytls() {
  local name=$1 port
  shift
  port=$(free_port)
  sed "s/PORT/$port/" >"$RUN/$name.yaml"
  cp "$(mytls_program)" "$RUN/$name.program" # the servers' account may not reach target/
  "${AS_SERVER[@]}" mkdir -p "$RUN/$name.state"
  launch "$name" env STATE_DIRECTORY="$RUN/$name.state" "$RUN/$name.program" serve "$RUN/$name.yaml" "$@"
  echo "$port" >"$RUN/$name.port"
  until_ready "$name" 20 port_open "$port"
}

# mytls_config BACKEND_PORT [plaintext]: the configuration of most checks: both sides with TLS, and the rules of the
# accounts that also the servers have. The backend side shows the certificate that the server's account dm wants.
mytls_config() {
  cat <<YAML
listen: 127.0.0.1:PORT
compression: true
security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/server-rsa.pem, ssl-key: $PKI/server-rsa.key }
accounts:
  - { user: "'app_ssl'@'%'", require: SSL }
  - { user: "'app_x509'@'%'", require: X509 }
  - { user: "'dm'@'%'", require: SUBJECT '/O=Lab/OU=clients/CN=dm' AND ISSUER '/O=Lab/CN=Lab Intermediate CA' }
from:
  host: 127.0.0.1
  port: $1
YAML
  [ "${2:-tls}" = plaintext ] ||
    echo "  security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/client-dm-rsa.pem, ssl-key: $PKI/client-dm-rsa.key }"
}

# admin_config [BACKEND_PORT]: mytls with an admin port, for which PORT stands. Without a backend's port others name the backends.
admin_config() {
  echo admin-pw >"$RUN/ops.secret"
  cat <<YAML
listen: 127.0.0.1:0
security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/server-rsa.pem, ssl-key: $PKI/server-rsa.key }
${1:+from: { host: 127.0.0.1, port: $1 \}}
admin:
  listen: 127.0.0.1:PORT
  security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/server-rsa.pem, ssl-key: $PKI/server-rsa.key }
  users:
    - { user: ops, password-file: $RUN/ops.secret }
    - { user: rotate, require: X509 }
YAML
}

# cutover_config SOURCE_PORT TARGET_PORT ADMIN_PORT: mytls before two servers, both over TLS.
cutover_config() {
  echo admin-pw >"$RUN/ops.secret"
  cat <<YAML
listen: 127.0.0.1:PORT
security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/server-rsa.pem, ssl-key: $PKI/server-rsa.key }
from:
  host: 127.0.0.1
  port: $1
  security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/client-dm-rsa.pem, ssl-key: $PKI/client-dm-rsa.key }
target-database:
  host: 127.0.0.1
  port: $2
  security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/client-dm-rsa.pem, ssl-key: $PKI/client-dm-rsa.key }
admin: { listen: "127.0.0.1:$3", users: [{ user: ops, password-file: $RUN/ops.secret }] }
YAML
}

# drain_config SERVER_PORT PORT: mytls with an end in good order, and little patience with idle sessions.
drain_config() {
  cat <<YAML
listen: 127.0.0.1:$2
security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/server-rsa.pem, ssl-key: $PKI/server-rsa.key }
from:
  host: 127.0.0.1
  port: $1
  security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/client-dm-rsa.pem, ssl-key: $PKI/client-dm-rsa.key }
state-dir: $RUN/mytls-drain.state
drain: { min: 2s, max: 20s }
limits: { idle-time: 1s }
YAML
}

mytls_program() { echo "${MYTLS_BIN:-${CARGO_TARGET_DIR:-$ROOT/target}/release/mytls}"; }

build_mytls() {
  [ -z "${MYTLS_BIN:-}" ] || return 0
  need_packages gcc libc6-dev
  (cd "$ROOT" && cargo build --release --locked)
}

# start_haproxy NAME BACKEND_PORT: HAProxy as a plain TCP proxy; TLS runs through it from end to end.
start_haproxy() {
  local name=$1 port
  port=$(free_port)
  cat >"$RUN/$name.cfg" <<CFG
global
  maxconn 8000
  nbthread 2
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen lab
  bind 127.0.0.1:$port
  server backend 127.0.0.1:$2
CFG
  launch "$name" haproxy -db -f "$RUN/$name.cfg"
  echo "$port" >"$RUN/$name.port"
  until_ready "$name" 20 port_open "$port"
}

# start_router NAME BACKEND_PORT: MySQL Router with TLS on both sides. Its own limits (512 connections, a client
# address blocked after 100 failed connects) are lifted.
start_router() {
  local name=$1 port
  port=$(free_port)
  "${AS_SERVER[@]}" mkdir -p "$RUN/$name.data"
  cat >"$RUN/$name.conf" <<CONF
[DEFAULT]
logging_folder=$RUN/$name.data
runtime_folder=$RUN/$name.data
data_folder=$RUN/$name.data
plugin_folder=$LAB/mysql97/root/usr/lib/mysqlrouter/plugin
max_total_connections=20000
[logger]
level=warning
[io]
threads=2
[routing:lab]
bind_address=127.0.0.1
bind_port=$port
destinations=127.0.0.1:$2
routing_strategy=first-available
protocol=classic
max_connections=20000
max_connect_errors=4294967295
client_ssl_mode=REQUIRED
client_ssl_cert=$PKI/server-rsa.pem
client_ssl_key=$PKI/server-rsa.key
server_ssl_mode=REQUIRED
server_ssl_ca=$PKI/root-ca.pem
server_ssl_verify=VERIFY_CA
CONF
  launch "$name" "$LAB/mysql97/bin/mysqlrouter" -c "$RUN/$name.conf"
  echo "$port" >"$RUN/$name.port"
  until_ready "$name" 30 port_open "$port"
}

SERVERS=(mysql97 mariadb1011 mariadb118)

# What the Rust tests read to find real servers.
test_environment() {
  local name
  cat <<ENV
$(for name in "${SERVERS[@]}"; do
    [ ! -e "$RUN/$name.port" ] || echo "export MYTLS_TEST_${name^^}=127.0.0.1:$(port_of "$name")"
  done)
export MYTLS_TEST_PKI=$PKI
export MYTLS_TEST_RUN=$RUN
ENV
}

# The servers for a developer, until `down`. The lab folder keeps a link to their run folder.
lab_up() {
  local name
  make_certificates
  if [ -e "$LAB/up/." ]; then
    RUN=$(readlink "$LAB/up")
  else
    make_run_folder
    trap 'end_everything keep-logs' EXIT
    for name in "${SERVERS[@]}"; do
      have "$name"
      start_server "$name"
    done
    trap - EXIT
    ln -sfn "$RUN" "$LAB/up"
  fi
  test_environment
  for name in "${SERVERS[@]}"; do
    echo "# $name: root without a password on the socket $RUN/$name.sock"
  done
  echo "# $LAB/mysql97/bin/mysql --no-defaults -h127.0.0.1 -P$(port_of mysql97) -uapp_ssl -papp-pw --ssl-mode=VERIFY_CA --ssl-ca=$PKI/root-ca.pem"
}

lab_down() {
  [ -e "$LAB/up" ] || { say "nothing is up"; return 0; }
  RUN=$(readlink "$LAB/up")
  end_everything
  rm -f "$LAB/up"
}
