# shellcheck shell=bash
# Installs what the lab needs, once, into $LAB: servers out of Debian's archive, unpacked beside the system (no
# maintainer script runs, nothing of the machine's own packages changes), and the client libraries. Sourced by tests/lab.

# unpack NAME SUITE PACKAGES [apt options…]: Debian packages of another release into $LAB/NAME/root.
unpack() {
  local name=$1 suite=$2 packages=$3 mode=root
  shift 3
  local folder=$LAB/$name log=$LAB/log/unpack-$name.log
  [ ! -e "$folder/.complete" ] || return 0
  need_packages mmdebstrap || return 1
  [ "$(id -u)" = 0 ] || mode=chrootless
  ( # one at a time, also of several runs: who waited finds it done
    flock --timeout 1200 9 || { say "$name: somebody else has been unpacking it for 20 minutes"; exit 1; }
    [ ! -e "$folder/.complete" ] || exit 0
    say "unpacking $packages of Debian $suite"
    rm -rf "$folder"
    mkdir -p "$folder/bin"
    mmdebstrap --variant=extract --mode=$mode --include="$packages" \
      --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' "$@" \
      "$suite" "$folder/root" "$(debian_archive)" >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; exit 1; }
    chmod 755 "$folder/root"
    touch "$folder/.complete"
  ) 9>"$LAB/log/unpack-$name.lock"
}

# wrap NAME PROGRAM…: $LAB/NAME/bin/PROGRAM starts the program with its own release's loader and libraries.
wrap() {
  local folder=$LAB/$1 root=$LAB/$1/root program loaders libraries
  shift
  # Not every pattern fits every release: whether /lib is /usr/lib differs.
  mapfile -t loaders < <(compgen -G "$root/usr/lib/*/ld-linux*.so*" || compgen -G "$root/lib/*/ld-linux*.so*")
  libraries=$(compgen -G "$root/usr/lib/*-linux-gnu*" | paste -sd:):$(dirname "${loaders[0]}")
  for program in "$@"; do
    printf '#!/bin/sh\nexec "%s" --argv0 "%s" --library-path "%s" "%s" "$@"\n' "${loaders[0]}" "$root/$program" \
      "$libraries:$root/usr/lib/mysql-router" "$root/$program" >"$folder/bin/${program##*/}"
    chmod 755 "$folder/bin/${program##*/}"
  done
}

install_mysql97() {
  # An archive's copy of unstable can be older than its own Valid-Until. This allows half a year; signatures are
  # checked as ever.
  unpack mysql97 sid mysql-server-core,mysql-client-core,mysql-server,mysql-client,mysql-router \
    --aptopt="Acquire::Min-ValidTime \"$((180 * 86400))\"" || return 1
  wrap mysql97 usr/sbin/mysqld usr/bin/mysql usr/bin/mysqladmin usr/bin/mysqlbinlog usr/bin/mysqlrouter
}

install_mariadb1011() { install_mariadb mariadb1011 bookworm; }
install_mariadb118() { install_mariadb mariadb118 trixie; }
install_mariadb() { # NAME SUITE
  unpack "$1" "$2" mariadb-server-core,mariadb-client-core,mariadb-server,mariadb-client || return 1
  wrap "$1" usr/sbin/mariadbd usr/bin/mariadb usr/bin/mariadb-admin usr/bin/mariadb-binlog
}

install_python() {
  need_packages python3-venv python3-dev libmariadb-dev pkg-config gcc libc6-dev || return 1
  local packages='PyMySQL==1.2.4 cryptography mysql-connector-python==26.10.0 mysqlclient==2.3.1 asyncmy==0.2.18 aiomysql==0.3.2'
  installed python "$packages" && return 0
  rm -rf "$LAB/python"
  python3 -m venv "$LAB/python"
  # shellcheck disable=SC2086 # a list of words
  "$LAB/python/bin/pip" install -q $packages >"$LAB/log/pip.log" 2>&1 </dev/null ||
    { tail -n 5 "$LAB/log/pip.log" >&2; return 1; }
  now_installed python "$packages"
}

install_node() {
  command -v npm >/dev/null || need_packages nodejs npm || return 1
  local packages='mysql2@3.24.5 mariadb@3.5.4'
  installed node "$packages" && return 0
  rm -rf "$LAB/node"
  mkdir -p "$LAB/node"
  # shellcheck disable=SC2086 # a list of words
  (cd "$LAB/node" && echo '{"private":true}' >package.json && npm install --no-audit --no-fund $packages) \
    >"$LAB/log/npm.log" 2>&1 </dev/null || { tail -n 5 "$LAB/log/npm.log" >&2; return 1; }
  now_installed node "$packages"
}

install_java() {
  command -v javac >/dev/null || need_packages default-jdk-headless || return 1
  command -v mvn >/dev/null || need_packages maven || return 1
  make_truststore
  local jars='com.mysql:mysql-connector-j:26.10.0 org.mariadb.jdbc:mariadb-java-client:3.5.6' jar
  installed java "$jars" && return 0
  for jar in $jars; do
    mvn -q -B dependency:copy -Dartifact="$jar" -DoutputDirectory="$LAB/java" >"$LAB/log/mvn.log" 2>&1 </dev/null ||
      { tail -n 5 "$LAB/log/mvn.log" >&2; return 1; }
  done
  now_installed java "$jars"
}

# find_go: sets GO. Debian 12's own Go (1.19) is too old to fetch a newer one by itself.
find_go() {
  GO=$(command -v go) || true
  if [ -z "$GO" ] || go version | grep -qE 'go1\.([0-9]|1[0-9]|20)(\.| )'; then
    unpack go trixie golang-1.24-go,golang-1.24-src || return 1
    GO=$LAB/go/root/usr/lib/go-1.24/bin/go
    export GOROOT=$LAB/go/root/usr/lib/go-1.24
  fi
}

# The Go client and the Go server.
install_go() {
  find_go || return 1
  mkdir -p "$LAB/bin"
  (cd "$PARTS/clients/go" && "$GO" build -o "$LAB/bin/goclient" .) >"$LAB/log/go.log" 2>&1 </dev/null ||
    { tail -n 5 "$LAB/log/go.log" >&2; return 1; }
}

# What the suite itself calls.
install_basics() { need_packages gcc libc6-dev libfaketime shellcheck mmdebstrap python3 openssl; }
install_curl() { command -v curl >/dev/null || need_packages curl; }
install_sysbench() { need_packages sysbench; }
install_haproxy() { need_packages haproxy; }
install_sslscan() { need_packages sslscan; }
install_testssl() { need_packages testssl.sh; }
install_chromium() { need_packages chromium fonts-dejavu-core; }
install_pki_tools() { need_packages easy-rsa golang-cfssl; }

# Debian's package would start a server of its own: only the programs are taken out of it.
install_prometheus() {
  local folder=$LAB/prometheus
  [ ! -x "$folder/promtool" ] || [ ! -x "$folder/prometheus" ] || return 0
  rm -rf "$folder"
  mkdir -p "$folder"
  (
    [ -n "${APT_UPDATED:-}" ] || as_root apt-get update
    cd "$folder" && apt-get download prometheus &&
      dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin/promtool ./usr/bin/prometheus
  ) >"$LAB/log/prometheus.log" 2>&1 </dev/null || { tail -n 5 "$LAB/log/prometheus.log" >&2; return 1; }
  rm -f "$folder"/prometheus_*.deb
}

# A folder of client libraries is complete when it holds the list of what was asked for.
installed() { [ "$(cat "$LAB/$1/.packages" 2>/dev/null)" = "$2" ]; }
now_installed() { printf '%s\n' "$2" >"$LAB/$1/.packages"; }

# have PART: installs it if need be. Without it, a developer gets a loud skip and CI (MYTLS_LAB_REQUIRED=1) a failure.
declare -A HAVE
have() {
  if [ -z "${HAVE[$1]:-}" ]; then
    if "install_$1"; then
      HAVE[$1]=yes
    else
      HAVE[$1]=no
      unavailable "everything with $1: it could not be installed" "see $LAB/log"
    fi
  fi
  [ "${HAVE[$1]}" = yes ]
}

lab_install() {
  local part
  have basics || true
  make_certificates
  for part in basics curl mysql97 mariadb1011 mariadb118 python node java go sysbench haproxy sslscan testssl pki_tools chromium \
    prometheus docker kubernetes cargo_deny cargo_deb systemd shells; do
    ! have $part || result ok "$part is installed"
  done
  summary
}
