# shellcheck shell=bash
# The ways of installing that README.md names: `cargo install`, and the Debian package: made, installed beside this machine's
# own files, and its units run by a real systemd with a real server behind them. Sourced by tests/lab.

install_cargo_deb() {
  need_packages dpkg-dev || return 1
  [ -x "$LAB/tools/bin/cargo-deb" ] ||
    cargo install --quiet --locked cargo-deb --version 3.8.0 --root "$LAB/tools" >"$LAB/log/cargo-deb.log" 2>&1
}

install_systemd() { need_packages systemd systemd-sysv systemd-container dbus mandoc; }

# Those that mytls has completions for and Debian has.
install_shells() { need_packages bash-completion fish zsh; }
SHELLS=(bash fish zsh)

# What the release build has compiled is taken, so this costs seconds.
cargo_install_checks() {
  local shell
  if [ -n "${MYTLS_BIN:-}" ]; then
    result skip "cargo install: it would build what MYTLS_BIN stands for"
    return
  fi
  check "cargo install brings this version" cargo_install
  have shells && [ -x "$RUN/cargo/bin/mytls" ] || return 0
  for shell in "${SHELLS[@]}"; do
    check "$shell completes by what mytls prints for it" completes_at_home "$shell"
  done
}

# Whatever it needs is here since the build.
cargo_install() {
  local version
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
  cargo install --locked --path "$ROOT" --offline --root "$RUN/cargo" &&
    [ "$("$RUN/cargo/bin/mytls" --version)" = "mytls $version" ]
}

# As docs/install.md says, in a home of its own.
completes_at_home() { # SHELL
  local home=$RUN/home file
  case $1 in
    bash) file=.local/share/bash-completion/completions/mytls ;;
    fish) file=.config/fish/completions/mytls.fish ;;
    zsh) file=.zfunc/_mytls ;;
  esac
  mkdir -p "$home/$(dirname "$file")" &&
    "$RUN/cargo/bin/mytls" completions "$1" >"$home/$file" &&
    env -u XDG_CONFIG_HOME -u XDG_DATA_HOME HOME="$home" PATH="$RUN/cargo/bin:$PATH" \
      "${IN_TIME[@]}" "$PARTS/completions/check" "$1" "$home/.zfunc"
}

# package_checks SERVER: one of the lab.
package_checks() {
  have cargo_deb && have systemd && have shells || return 0
  check "exposure by systemd-analyze is at most 1.5 of 10" \
    systemd-analyze security --offline=true --threshold=15 "$ROOT/packaging/mytls.service"
  check "the Debian package is made" make_deb
  check "shell completions and manual pages are well-formed" pages_are_well_formed
  if [ "$(id -u)" != 0 ]; then
    unavailable "mytls under systemd: only root can boot one"
    return
  fi
  BOX=$RUN/box PORT=$(free_port)
  count_checks "mytls under systemd" under_systemd "$1"
}

make_deb() {
  PATH=$LAB/tools/bin:$PATH MYTLS_BIN=$(mytls_program) "$ROOT/packaging/deb" --variant=bookworm --output "$RUN/mytls.deb"
}

pages_are_well_formed() {
  local page
  local made=$ROOT/target/packaging/completions
  bash -n "$made/mytls.bash" && zsh -n "$made/_mytls" && fish --no-execute "$made/mytls.fish" || return
  for page in "$ROOT"/target/packaging/man/*.1; do
    mandoc -T lint -W error "$page" || return
  done
}

# This machine's own files under a layer that takes what is written, a systemd that sees nothing else, the machine's network.
under_systemd() (
  local shell
  mkdir -p "$BOX/written" "$BOX/work" "$BOX/root"
  trap leave_box EXIT
  mount -t overlay overlay -o "lowerdir=/,upperdir=$BOX/written,workdir=$BOX/work" "$BOX/root" || return
  only_our_units
  mkdir -p "$BOX/root/etc/systemd/system/mytls.socket.d" "$BOX/root/etc/mytls"
  printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:%s\n' "$PORT" >"$BOX/root/etc/systemd/system/mytls.socket.d/port.conf"
  printf 'from: { host: localhost, port: %s }\n' "$(port_of "$1")" >"$BOX/root/etc/mytls/mytls.yaml"
  cp -r "$RUN/mytls.deb" "$PARTS/completions" "$BOX/root/root/"
  boot || { result FAIL "systemd boots" "see $RUN/box.log"; tail -n 5 "$RUN/box.log"; return; }
  result ok "systemd boots"
  check_in_box "the package is installed" dpkg --force-confold -i /root/mytls.deb
  for shell in "${SHELLS[@]}"; do
    check_in_box "its completions work in $shell" "${IN_TIME[@]}" /root/completions/check "$shell"
  done
  check_in_box "its units are valid" systemd-analyze verify mytls.service mytls.socket mytls-admin.socket
  check_in_box "nothing is started unasked" sh -c '! systemctl is-active mytls.service mytls.socket'
  check_in_box "the socket is opened, and mytls not started" \
    sh -c 'systemctl start mytls.socket && ! systemctl is-active mytls.service'
  check "the first client starts mytls and is served" a_client_is_served
  check_in_box "it is in its sandbox" sh -c "journalctl -u mytls | grep 'sandbox: .*landlock_abi='"
  check_in_box "it is not root" is_not_root
  check_in_box "systemctl reload is heard" reload_is_heard
  check "clients wait while it restarts" clients_wait_for_a_restart
  check_in_box "the package is upgraded while mytls runs" dpkg --force-confold -i /root/mytls.deb
  check "a client is served after that" a_client_is_served
  check_in_box "a mytls that hangs is ended and started again" hang
  check "a client is served after that, too" a_client_is_served
  check_in_box "it stops with success" stops_with_success
  check_in_box "a wrong configuration is not tried twice" wrong_configuration
  check_in_box "the package is removed" dpkg -r mytls
)

# Timers, sockets and services of this machine's own packages stay out; the last one is systemd's.
only_our_units() {
  rm -rf "$BOX"/root/etc/systemd/system/*.{wants,requires}
  ln -sf /dev/null "$BOX/root/etc/systemd/system/systemd-tmpfiles-clean.timer"
}

# Not for want of a register, nor of a scope of its own: the machine need not run systemd.
boot() {
  local tries=300
  systemd-nspawn --quiet --register=no --keep-unit --directory="$BOX/root" --boot \
    --system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self' \
    systemd.unit=basic.target >"$RUN/box.log" 2>&1 </dev/null &
  NSPAWN=$!
  echo $NSPAWN >"$RUN/box.pid"
  until in_box systemctl is-active basic.target; do
    kill -0 "$NSPAWN" && [ $((tries -= 1)) -gt 0 ] || return
    sleep 0.1
  done >/dev/null 2>&1
}

# The first process of the box is the only child of systemd-nspawn.
in_box() {
  local leader
  leader=$(cat "/proc/$NSPAWN/task/$NSPAWN/children") && [ -n "$leader" ] &&
    nsenter --target="${leader%% *}" --mount --pid --ipc --uts -- "$@"
}

check_in_box() { # NAME COMMAND…; a function of this file is handed over as it stands
  local name=$1
  shift
  if [ "$(type -t "$1")" = function ]; then
    check "$name" in_box bash -euc "$(declare -f "$1"); $1"
  else
    check "$name" in_box "$@"
  fi
}

# systemd-nspawn hands on that it is to end.
leave_box() {
  [ ! -e "$RUN/box.pid" ] || stop box || true
  ! mountpoint --quiet "$BOX/root" || umount "$BOX/root" || umount --lazy "$BOX/root"
}

a_client_is_served() {
  "$LAB/mysql97/bin/mysql" --no-defaults --plugin-dir="$LAB/mysql97/root/usr/lib/mysql/plugin" -h127.0.0.1 -P"$PORT" -uapp \
    -papp-pw --ssl-mode=REQUIRED -e 'SELECT CURRENT_USER()'
}

# Whoever is connected is sent away, but nobody is refused.
clients_wait_for_a_restart() {
  local clients status=0
  (for _ in {1..30}; do ! a_client_is_served 2>&1 | grep "Can't connect" || exit 1; done) &
  clients=$!
  in_box sh -c 'systemctl restart mytls && systemctl restart mytls' || status=1
  wait "$clients" && return $status
}

is_not_root() { test "$(stat -c %U "/proc/$(systemctl show -P MainPID mytls)")" = _mytls; }

# Before version 253 systemd only sends the signal.
reload_is_heard() {
  systemctl reload mytls
  for _ in $(seq 100); do
    ! journalctl -u mytls | grep ' reloaded' || exit 0
    sleep 0.1
  done
  exit 1
}

stops_with_success() {
  systemctl stop mytls.service
  test "$(systemctl show -P Result mytls)" = success
}

hang() {
  mkdir -p /run/systemd/system/mytls.service.d
  printf '[Service]\nWatchdogSec=1s\n' >/run/systemd/system/mytls.service.d/watchdog.conf
  systemctl daemon-reload
  systemctl restart mytls
  old=$(systemctl show -P MainPID mytls)
  kill -STOP "$old"
  for _ in $(seq 100); do
    new=$(systemctl show -P MainPID mytls)
    [ "$new" = "$old" ] || [ "$new" = 0 ] || exit 0
    sleep 0.1
  done
  exit 1
}

wrong_configuration() {
  echo 'no-such-key: 1' >>/etc/mytls/mytls.yaml
  ! systemctl start mytls.service
  sleep 2 # longer than RestartSec
  test "$(systemctl show -P ExecMainStatus mytls)" = 64
  test "$(systemctl show -P ActiveState mytls)" = failed
}
