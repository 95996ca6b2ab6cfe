# shellcheck shell=bash
# Certificates that users make, as against the lab's own: by `mytls certs new`, by easy-rsa and by cfssl, each set with the
# file names of MySQL's manual. Servers run with those of mytls, and mytls with those of all three. Sourced by tests/lab.

# Servers of their own run with these certificates; those of the rest of the lab are left alone.
maker_checks() { count_checks "certificates by mytls, easy-rsa and cfssl" makers_with_servers; }

makers_with_servers() (
  local maker name makers=(mytls) others=()
  make_run_folder
  trap end_everything EXIT
  mkdir "$RUN/certs"
  cp "$(mytls_program)" "$RUN/mytls" # the servers' account may not reach target/
  check "mytls makes certificates" make_by_mytls
  ! have pki_tools || others=(easyrsa cfssl)
  for maker in "${others[@]}"; do
    check "$maker makes certificates" "make_by_$maker" "$RUN/certs/$maker"
    makers+=("$maker")
  done
  chmod -R a+rX "$RUN/certs" # the keys protect nothing
  for maker in "${makers[@]}"; do
    check "openssl verifies those of $maker" openssl_verifies "$RUN/certs/$maker"
    check "mytls shows those of $maker" "$RUN/mytls" certs show "$RUN/certs/$maker"/{server-cert,server-key,client-cert,ca}.pem
  done
  for name in "${SERVERS[@]}"; do
    ! have "$name" || makers_with "$name" "${makers[@]}"
  done
)

# makers_with SERVER MAKER…: the server with the certificates of mytls, and mytls before it with those of each maker.
makers_with() {
  local name=$1 certs=$RUN/certs/mytls maker port
  start_server "$name" --ssl-ca="$certs/ca.pem" --ssl-cert="$certs/server-cert.pem" --ssl-key="$certs/server-key.pem"
  port=$(port_of "$name")
  check "$name takes the ALTER USER that was printed" printed_sql "$name"
  check "$name: openssl verifies what it shows" openssl_connects "$port" "$certs"
  check "$name: mytls shows what it shows" "$RUN/mytls" certs show "127.0.0.1:$port" "$certs/ca.pem"
  shell_checks "$name" "$port" "$certs"
  for maker in "${@:2}"; do
    certs=$RUN/certs/$maker
    start_mytls "mytls-$maker" < <(maker_config "$port" "$certs")
    check "$maker's before $name: mytls check" "$RUN/mytls" check "$RUN/mytls-$maker.yaml"
    check "$maker's before $name: openssl verifies" openssl_connects "$(port_of "mytls-$maker")" "$certs"
    shell_checks "$maker's before $name" "$(port_of "mytls-$maker")" "$certs"
    stop "mytls-$maker"
  done
  stop "$name"
}

# Towards clients the maker's, with the rule that mytls prints for its client; towards the server those of mytls.
maker_config() { # SERVER_PORT FOLDER
  local shown subject issuer own=$RUN/certs/mytls
  shown=$("$RUN/mytls" certs show "$2/client-cert.pem")
  subject=$(grep -o 'SUBJECT .*' <<<"$shown")
  issuer=$(grep -o 'ISSUER .*' <<<"$shown")
  cat <<YAML
listen: 127.0.0.1:PORT
security: { ssl-ca: $2/ca.pem, ssl-cert: $2/server-cert.pem, ssl-key: $2/server-key.pem }
accounts:
  - { user: "'app'@'%'", require: "$subject AND $issuer" }
from:
  host: 127.0.0.1
  port: $1
  security: { ssl-ca: $own/ca.pem, ssl-cert: $own/client-cert.pem, ssl-key: $own/client-key.pem, ssl-mode: VERIFY_IDENTITY }
YAML
}

# Every shell, with the client certificate and without. Since 11.8 MariaDB's verifies unasked.
shell_checks() { # WHERE PORT FOLDER
  local shell
  for shell in mysql97 mariadb1011 mariadb118; do
    check "$1: $shell" app_asks "$shell" "$2" "$3" --ssl-cert="$3/client-cert.pem" --ssl-key="$3/client-key.pem"
    check "$1: $shell without a certificate is refused" app_is_refused "$shell" "$2" "$3"
  done
}

app_asks() { # SHELL PORT FOLDER OPTIONS…
  local shell=$1 port=$2 certs=$3 program=mariadb options=(--ssl-verify-server-cert) plugins
  shift 3
  plugins=("$LAB/$shell"/root/usr/lib/*/libmariadb3/plugin)
  [ "$shell" != mysql97 ] ||
    program=mysql options=(--ssl-mode=VERIFY_IDENTITY) plugins=("$LAB/mysql97/root/usr/lib/mysql/plugin")
  "$LAB/$shell/bin/$program" --no-defaults --plugin-dir="${plugins[0]}" -h127.0.0.1 -P"$port" -uapp -papp-pw \
    "${options[@]}" --ssl-ca="$certs/ca.pem" "$@" -e 'SELECT 1'
}

app_is_refused() {
  local output
  ! output=$(app_asks "$@" 2>&1) && grep 'Access denied' <<<"$output"
}

printed_sql() {
  local sql
  sql=$(grep '^ALTER USER' "$RUN/printed") && root_shell "$1" <<<"$sql"
}

openssl_verifies() {
  openssl verify -CAfile "$1/ca.pem" -purpose sslserver -verify_hostname localhost "$1/server-cert.pem" &&
    openssl verify -CAfile "$1/ca.pem" -purpose sslserver -verify_ip 127.0.0.1 "$1/server-cert.pem" &&
    openssl verify -CAfile "$1/ca.pem" -purpose sslclient "$1/client-cert.pem"
}

openssl_connects() { # PORT FOLDER
  openssl s_client -starttls mysql -connect "127.0.0.1:$1" -CAfile "$2/ca.pem" -verify_return_error -verify_ip 127.0.0.1
}

make_by_mytls() { "$RUN/mytls" certs new "$RUN/certs/mytls" --cn app >"$RUN/printed"; }

make_by_easyrsa() { # FOLDER
  local easyrsa=/usr/share/easy-rsa/easyrsa
  export EASYRSA_PKI=$1/pki EASYRSA_BATCH=1
  mkdir "$1" && $easyrsa init-pki && EASYRSA_REQ_CN='Lab easy-rsa CA' $easyrsa build-ca nopass &&
    $easyrsa --subject-alt-name='DNS:localhost,IP:127.0.0.1' build-server-full server nopass &&
    $easyrsa build-client-full client nopass && cp "$1/pki/ca.crt" "$1/ca.pem" &&
    cp "$1/pki/issued/server.crt" "$1/server-cert.pem" && cp "$1/pki/private/server.key" "$1/server-key.pem" &&
    cp "$1/pki/issued/client.crt" "$1/client-cert.pem" && cp "$1/pki/private/client.key" "$1/client-key.pem"
}

make_by_cfssl() { # FOLDER
  mkdir "$1" && cd "$1" || return
  cat >config.json <<'JSON'
{"signing": {"profiles": {
  "server": {"expiry": "8760h", "usages": ["signing", "key encipherment", "server auth"]},
  "client": {"expiry": "8760h", "usages": ["signing", "client auth"]}}}}
JSON
  # in cfssl's own examples a client has one host without a name
  cfssl genkey -initca - <<<'{"CN": "Lab cfssl CA", "key": {"algo": "ecdsa", "size": 384}, "names": [{"O": "Lab"}]}' |
    cfssljson -bare ca &&
    cfssl_signs server '{"CN": "db", "hosts": ["localhost", "127.0.0.1"], "key": {"algo": "rsa", "size": 2048}}' &&
    cfssl_signs client '{"CN": "app", "hosts": [""], "key": {"algo": "ecdsa", "size": 256}, "names": [{"O": "Lab"}]}'
}

cfssl_signs() { # PROFILE REQUEST
  cfssl gencert -ca ca.pem -ca-key ca-key.pem -config config.json -profile "$1" - <<<"$2" | cfssljson -bare "$1" &&
    mv "$1.pem" "$1-cert.pem"
}
