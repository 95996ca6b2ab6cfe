# shellcheck shell=bash
# This machine: the lab's folders, the account that servers run as, packages, and processes.
# Sourced by tests/lab.

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Database servers have public passwords here, so they never run as root: root starts them as `nobody`.
AS_SERVER=()
[ "$(id -u)" != 0 ] || AS_SERVER=(setpriv --reuid=nobody --regid="$(id -gn nobody)" --clear-groups --)

# memcpy of glibc is 20 times slower on AMD Zen 3 and 4 at some alignments (glibc bug 30994). Every program that
# is compared gets the same cure.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.cpu.x86_rep_movsb_threshold=100000000}

# The folder of everything installed. Root's home is usually closed to other accounts; then it is /var/tmp/mytls-lab.
choose_lab_folder() {
  LAB=${MYTLS_LAB_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/mytls/lab}
  mkdir -p "$LAB/log"
  if ! "${AS_SERVER[@]}" test -x "$LAB/log"; then
    [ -z "${MYTLS_LAB_DIR:-}" ] || die "MYTLS_LAB_DIR=$LAB: the account nobody, which the servers run as, cannot get there"
    LAB=/var/tmp/mytls-lab
    mkdir -p "$LAB/log"
    [ -O "$LAB" ] || die "$LAB belongs to somebody else: set MYTLS_LAB_DIR"
  fi
}

# The folder of everything that runs: sockets (their paths must stay short), data, logs, process ids.
make_run_folder() {
  command -v python3 >/dev/null || need_packages python3
  command -v openssl >/dev/null || need_packages openssl
  RUN=$(mktemp -d /tmp/mytls-lab.XXXXXX)
  chmod 755 "$RUN"
  [ "$(id -u)" != 0 ] || chown nobody "$RUN"
}

# end_everything [keep-logs]: ends what this run started, each process by its own id, and removes the run folder; of that,
# logs, configurations and pages can be kept.
end_everything() {
  local pid_file name
  end_docker
  for pid_file in "$RUN"/*.pid; do
    name=$(basename "$pid_file" .pid)
    [ ! -e "$pid_file" ] || stop "$name" || result FAIL "$name ends when asked to"
  done
  unmount "$RUN"
  if [ "${1:-}" = keep-logs ]; then
    find "$RUN" -mindepth 1 -maxdepth 1 ! \( -type f -regex '.*\.\(log\|yaml\|page\|png\)' \) \
      -exec rm -rf --one-file-system {} +
  else
    rm -rf --one-file-system "$RUN"
  fi || say "error: something is left in $RUN"
}

# unmount FOLDER: whatever is mounted on it and below, the last one first.
unmount() {
  local place
  while read -r place; do
    as_root umount "$place" || as_root umount --lazy "$place" || true
  done < <(awk -v folder="$1/" 'index($2 "/", folder) == 1 { print $2 }' /proc/mounts | tac)
}

# launch NAME COMMAND…: starts a server in the background; its log is $RUN/NAME.log.
launch() {
  local name=$1
  shift
  (
    [ -z "${DOCKER_LOCK:-}" ] || exec {DOCKER_LOCK}>&- # who outlives this run must not hold it
    ulimit -n "$(ulimit -Hn)"
    exec setsid "${AS_SERVER[@]}" "$@"
  ) >>"$RUN/$name.log" 2>&1 </dev/null &
  echo $! >"$RUN/$name.pid"
}

# alive NAME
alive() { kill -0 "$(cat "$RUN/$1.pid")" 2>/dev/null; }

# until_ready NAME SECONDS COMMAND…: waits until COMMAND succeeds or the server has ended.
until_ready() {
  local name=$1 tries=$(($2 * 10))
  shift 2
  until "$@" >/dev/null 2>&1; do
    alive "$name" || { tail -n 20 "$RUN/$name.log" >&2; die "$name ended at once"; }
    [ $((tries -= 1)) -gt 0 ] || { tail -n 20 "$RUN/$name.log" >&2; die "$name is not ready in time"; }
    sleep 0.1
  done
}

# stop NAME: asks it to end; kills it after 30 s, which is an error.
stop() {
  local pid tries=300
  pid=$(cat "$RUN/$1.pid")
  rm -f "$RUN/$1.pid"
  kill "$pid" 2>/dev/null || as_root kill "$pid" 2>/dev/null || return 0 # Docker is root's
  while [ -e "/proc/$pid" ]; do
    if [ $((tries -= 1)) -le 0 ]; then
      as_root kill -9 "$pid" || true
      say "error: $1 had to be killed"
      return 1
    fi
    sleep 0.1
  done
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A TCP port of the loopback that nothing uses now.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# need_packages PACKAGE…: installs the Debian packages that are missing and starts none of their services.
need_packages() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  local log=$LAB/log/apt.log policy=/usr/sbin/policy-rc.d made_policy=false status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    made_policy=true
  fi
  {
    [ -n "${APT_UPDATED:-}" ] || as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
  } >"$log" 2>&1 </dev/null || status=$?
  APT_UPDATED=yes
  ! $made_policy || as_root rm -f "$policy"
  [ $status = 0 ] || tail -n 20 "$log" >&2
  return $status
}

# The Debian archive that this machine's apt already uses.
debian_archive() {
  # shellcheck disable=SC2016 # apt's own words
  apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' | sed 's:/$::' | grep -m1 '/debian$' ||
    die "there is no Debian archive among the apt sources"
}
