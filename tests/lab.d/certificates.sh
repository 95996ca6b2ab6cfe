# shellcheck shell=bash
# A throw-away certificate authority with everything that a client or server of the lab shows. Sourced by tests/lab.
# Keys are readable by all on purpose: they protect nothing.
#
#   root-ca, intermediate-ca (signed by root-ca), ca-bundle (both), other-ca (unrelated)
#   server-rsa          SAN localhost, 127.0.0.1, ::1
#   client-NAME-rsa     NAME is dm, worker, mallory; also client-dm-p256; subject /O=Lab/OU=clients/CN=NAME
#   client-dm-otherca, client-dm-expired, client-dm-root (signed by root-ca itself)
# Each NAME.pem holds leaf and intermediate; NAME.key is PKCS#8; client-*.p12 and truststore.p12 (password labpass)
# are for Java.

make_certificates() {
  PKI=$LAB/pki
  [ ! -e "$PKI/.complete" ] || return 0
  rm -rf "$PKI"
  mkdir -p "$PKI/.work"
  ( cd "$PKI" && issue_all ) 2>"$LAB/log/openssl.log" || { tail -n 20 "$LAB/log/openssl.log" >&2; die "openssl"; }
  chmod -R a+rX "$PKI"
  touch "$PKI/.complete"
}

issue_all() {
  local authority='basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n'
  local leaf='basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nauthorityKeyIdentifier=keyid\n'
  local server="${leaf}extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n"
  local client="${leaf}extendedKeyUsage=clientAuth\n"
  local name

  root root-ca '/O=Lab/CN=Lab Root CA'
  root other-ca '/O=Elsewhere/CN=Unrelated CA'
  issue intermediate-ca '/O=Lab/CN=Lab Intermediate CA' root-ca "$authority"
  cat root-ca.pem intermediate-ca.pem >ca-bundle.pem

  issue server-rsa '/O=Lab/OU=servers/CN=localhost' intermediate-ca "$server"
  for name in dm worker mallory; do
    issue client-$name-rsa "/O=Lab/OU=clients/CN=$name" intermediate-ca "$client"
  done
  KEY=p256 issue client-dm-p256 '/O=Lab/OU=clients/CN=dm' intermediate-ca "$client"
  issue client-dm-otherca '/O=Lab/OU=clients/CN=dm' other-ca "$client"
  issue client-dm-root '/O=Lab/OU=clients/CN=dm' root-ca "$client"
  EXPIRED=yes issue client-dm-expired '/O=Lab/OU=clients/CN=dm' intermediate-ca "$client"

  for name in client-*.key; do
    name=${name%.key}
    openssl pkcs12 -export -in "$name.pem" -inkey "$name.key" -name "$name" -passout pass:labpass -out "$name.p12"
  done
}

new_key() { # NAME: RSA, or P-256 with KEY=p256
  case ${KEY:-rsa} in
    rsa) openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1.key" ;;
    p256) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" ;;
  esac
}

root() { # NAME SUBJECT
  new_key "$1"
  openssl req -x509 -new -key "$1.key" -subj "$2" -days 3650 -sha256 -out "$1.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

issue() { # NAME SUBJECT CA EXTENSIONS; with EXPIRED=yes it was valid in 2020 only
  local name=$1 subject=$2 ca=$3 dates=(-days 3650)
  new_key "$name"
  printf '%b' "$4" >".work/$name.extensions"
  openssl req -new -key "$name.key" -subj "$subject" -out ".work/$name.csr"
  # `openssl x509` of OpenSSL 3.0 cannot set the first day, `openssl ca` can; it wants a data base.
  : >.work/index
  cat >.work/ca.cnf <<CNF
[ca]
default_ca = lab
[lab]
database = .work/index
rand_serial = yes
new_certs_dir = .work
default_md = sha256
policy = any
[any]
organizationName = optional
organizationalUnitName = optional
commonName = optional
CNF
  [ -z "${EXPIRED:-}" ] || dates=(-startdate 20200101000000Z -enddate 20210101000000Z)
  openssl ca -batch -notext -config .work/ca.cnf -cert "$ca.pem" -keyfile "$ca.key" "${dates[@]}" \
    -in ".work/$name.csr" -extfile ".work/$name.extensions" -out "$name.pem"
  case $ca-$name in intermediate-ca-*) cat intermediate-ca.pem >>"$name.pem" ;; esac
}

# Java's own form of the two CA files; wants keytool, so it is made when Java is there.
make_truststore() {
  local ca
  [ ! -e "$PKI/truststore.p12" ] || return 0
  for ca in root-ca intermediate-ca; do
    keytool -importcert -noprompt -alias $ca -file "$PKI/$ca.pem" -keystore "$PKI/truststore.p12" \
      -storetype PKCS12 -storepass labpass >>"$LAB/log/keytool.log" 2>&1
  done
}
