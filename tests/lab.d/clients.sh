# shellcheck shell=bash
# Runs the client programs of lab.d/clients against one port. Sourced by tests/lab.

# A client that waits for ever is a failure, too.
IN_TIME=(timeout 180)

# client_checks WHERE PORT security|session: all clients. The programs read LAB_SERVER, LAB_PROXY, LAB_USER, LAB_TLS and
# LAB_FORGET: the socket of a MySQL server that forgets the passwords it has cached before each program, and before each
# check of Python and of the shells.
client_checks() {
  local where=$1 port=$2 what=$3 programs=$PARTS/clients
  ! have python || count_checks "$where: Python, $what" "${IN_TIME[@]}" "$LAB/python/bin/python" "$programs/python.py" "$what" "$port" "$PKI"
  forget_passwords
  ! have node || count_checks "$where: Node.js, $what" "${IN_TIME[@]}" node "$programs/node.mjs" "$what" "$port" "$PKI" "$LAB/node"
  forget_passwords
  ! have java || count_checks "$where: Java, $what" "${IN_TIME[@]}" java -cp "$LAB/java/*" "$programs/Java.java" "$what" "$port" "$PKI"
  count_checks "$where: shells, $what" "${IN_TIME[@]}" "$programs/shells.sh" "$what" "$port" "$PKI"
  forget_passwords
  [ "$what" = security ] || ! have go || count_checks "$where: Go, $what" goclient "$what" "$port"
}

# The server behind $LAB_FORGET needs the passwords themselves again.
forget_passwords() {
  [ -z "${LAB_FORGET:-}" ] || "$LAB/mysql97/bin/mysql" --no-defaults -uroot -S "$LAB_FORGET" -e 'FLUSH PRIVILEGES'
}

# goclient COMMAND PORT [options…]
goclient() {
  local command=$1 port=$2 tls=(-ca "$PKI/root-ca.pem")
  shift 2
  [ "${LAB_TLS:-yes}" = yes ] || tls=()
  "${IN_TIME[@]}" "$LAB/bin/goclient" "$command" -port "$port" -user "${LAB_USER:-app_ssl}" "${tls[@]}" "$@"
}

# admin_checks PORT: the statements of mytls' admin port, with clients as they connect by themselves.
admin_checks() {
  local port=$1 programs=$PARTS/clients/admin
  ! have python || count_checks "admin: Python" "${IN_TIME[@]}" "$LAB/python/bin/python" "$programs/python.py" "$port"
  ! have node || count_checks "admin: Node.js" "${IN_TIME[@]}" node "$programs/node.mjs" "$port" "$LAB/node"
  ! have java || count_checks "admin: Java" "${IN_TIME[@]}" java -cp "$LAB/java/*" "$programs/Java.java" "$port"
  count_checks "admin: shells" "${IN_TIME[@]}" "$programs/shells.sh" "$port" "$PKI"
  ! have go || LAB_USER=ops LAB_TLS=no count_checks "admin: Go" goclient admin "$port" -password admin-pw
}

# cutover_checks SOURCE TARGET: clients commit at speed through a mytls of its own while the route goes to and fro.
cutover_checks() {
  local where="cut-over from $1 to $2" admin
  have python || return 0
  admin=$(free_port)
  start_mytls mytls-cutover < <(cutover_config "$(port_of "$1")" "$(port_of "$2")" "$admin")
  count_checks "$where" "${IN_TIME[@]}" "$LAB/python/bin/python" "$PARTS/clients/cutover.py" \
    "$(port_of mytls-cutover)" "$admin" "$PKI" "$RUN/$1.sock" "$RUN/$2.sock"
  check "$where: mytls ends when asked to" stop mytls-cutover
  check "$where: mytls never panicked" not_in_log panicked mytls-cutover
}

# drain_checks SERVER: one mytls after another before the same server, as in a rolling restart, while clients commit.
drain_checks() {
  local name where="drain before $1" old new
  have python || return 0
  old=$(free_port) new=$(free_port)
  for name in old new; do
    drain_config "$(port_of "$1")" "${!name}" >"$RUN/mytls-drain-$name.yaml"
  done
  "${AS_SERVER[@]}" mkdir -p "$RUN/mytls-drain.state"
  cp "$(mytls_program)" "$RUN/mytls-drain.program" # the servers' account may not reach target/
  DRAIN_MIN=2 count_checks "$where" "${IN_TIME[@]}" "$LAB/python/bin/python" "$PARTS/clients/drain.py" \
    "$PKI" "$RUN/$1.sock" "$(port_of "$1")" "$old" "$RUN/mytls-drain-old.yaml" "$new" "$RUN/mytls-drain-new.yaml" \
    "${AS_SERVER[@]}" "$RUN/mytls-drain.program"
}

# bulk_checks WHERE PORT: rows, parameters, files and results larger than packets and buffers.
bulk_checks() {
  have go || return 0
  count_checks "$1: bulk" goclient bulk "$2"
  count_checks "$1: bulk, compressed" goclient bulk "$2" -compress
}

# compression_checks WHERE PORT: the shells with each algorithm.
compression_checks() {
  count_checks "$1: compression" "${IN_TIME[@]}" "$PARTS/clients/shells.sh" compression "$2" "$PKI"
}

# plugin_checks WHERE PORT ACCOUNT…: logins with every authentication plugin.
plugin_checks() {
  local where=$1 port=$2
  shift 2
  LAB_ACCOUNTS=$* count_checks "$where: plugins" "${IN_TIME[@]}" "$PARTS/clients/shells.sh" plugins "$port" "$PKI"
}

# sysbench_checks WHERE PORT: 64 threads of reads and writes in transactions.
sysbench_checks() {
  have sysbench || return 0
  check "$1: sysbench read-write, 64 threads" sysbench_read_write "$2"
}

# Conflicts between the threads (1020, 1205, 1213) are part of the load.
sysbench_read_write() {
  sysbench_with "$1" oltp_read_write --table-size=10000 prepare &&
    sysbench_with "$1" oltp_read_write --table-size=10000 --threads=64 --time=10 --mysql-ignore-errors=1020,1205,1213 run &&
    sysbench_with "$1" oltp_read_write cleanup
}

# sysbench_with PORT TEST OPTIONS… COMMAND: over TLS. It reads its TLS files from the current folder only.
sysbench_with() {
  local port=$1 folder=$RUN/sysbench
  shift
  if [ ! -e "$folder" ]; then
    mkdir "$folder"
    ln -s "$PKI/root-ca.pem" "$folder/cacert.pem"
    ln -s "$PKI/client-worker-rsa.pem" "$folder/client-cert.pem"
    ln -s "$PKI/client-worker-rsa.key" "$folder/client-key.pem"
  fi
  (cd "$folder" && "${IN_TIME[@]}" sysbench "$1" --db-driver=mysql --mysql-host=127.0.0.1 --mysql-port="$port" --mysql-db=sbtest \
    --mysql-user=app_ssl --mysql-password=app-pw --mysql-ssl=on "${@:2}")
}

# endurance_check WHERE NAME: 10,000 sessions and 1,000 broken connections leave descriptors and memory where they were.
endurance_check() {
  ! have go || check "$1: 10,000 sessions, 1,000 broken ones, and back to the start" come_and_go "$2"
}

# The first 2,000 sessions are not compared: an allocator keeps what it once had.
come_and_go() { # NAME
  local port pid files memory round
  port=$(port_of "$1")
  pid=$(cat "$RUN/$1.pid")
  files=$(descriptors "$pid")
  goclient idle "$port" -n 2000 </dev/null || return 1
  memory=$(resident_kib "$pid")
  for round in 1 2 3 4; do
    goclient idle "$port" -n 2000 </dev/null || return 1
  done
  "${IN_TIME[@]}" python3 "$PARTS/clients/broken.py" "$port" 1000 || return 1
  for _ in {1..100}; do
    [ "$(descriptors "$pid")" -gt "$files" ] || break
    sleep 0.1
  done
  echo "round $round; descriptors: $files before, $(descriptors "$pid") after; memory: $memory KiB, $(resident_kib "$pid") KiB"
  [ "$(descriptors "$pid")" -le "$files" ] && [ "$(resident_kib "$pid")" -le $((memory + memory / 5)) ]
}

descriptors() { find "/proc/$1/fd" -mindepth 1 | wc -l; }
resident_kib() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }

# The same checks against any port, for developers.
lab_smoke() {
  [ $# = 1 ] || { usage >&2; exit 64; }
  make_run_folder
  trap end_everything EXIT
  make_certificates
  have mysql97
  have mariadb1011
  have mariadb118
  client_checks "port $1" "$1" security
  client_checks "port $1" "$1" session
  bulk_checks "port $1" "$1"
  summary
}
