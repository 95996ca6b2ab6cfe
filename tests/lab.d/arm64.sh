# shellcheck shell=bash
# `tests/lab arm64`: mytls compiled for arm64 and run on this machine, by qemu's emulation of single processes. Sourced by
# tests/lab. Not part of `test`: to compile it takes minutes.
#
# The instructions are those of a Neoverse N1 (AWS Graviton2, Ampere Altra); the kernel is this machine's own, as far as qemu
# knows its system calls: those of Landlock it does not, so there is no sandbox. To whoever reads /proc the program's name is
# qemu's, so `mytls shutdown` must not be tried: it would find other processes than ours, and end them.

ARM64=aarch64-unknown-linux-gnu
# What stands for such a machine.
ON_ARM64=(qemu-aarch64-static -cpu neoverse-n1 -L /usr/aarch64-linux-gnu)

install_arm64() {
  need_packages gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static && rustup --quiet target add $ARM64
}

lab_arm64() {
  cd "$ROOT" || exit
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="${ON_ARM64[*]}"
  begin_suite
  if have arm64; then
    say "building for arm64: ten minutes when it is the first time"
    # a build for developers: it checks more than a release, and is made in half the time
    MYTLS_LAB_REQUIRED=0 rust_tests --no-fail-fast --target $ARM64 --lib --test properties # without those of the sandbox
    check "arm64: the program" put_under_emulation
    have mariadb1011 && have mariadb118 && have mysql97 && arm64_checks # of MariaDB the shells
  fi
  end_suite
}

# A program like any other, for all that starts mytls. It was built with the tests.
put_under_emulation() {
  mkdir "$RUN/arm64" && cp "${CARGO_TARGET_DIR:-target}/$ARM64/debug/mytls" "$RUN/arm64" &&
    printf '#!/bin/sh\nexec %s %s "$@"\n' "${ON_ARM64[*]}" "$RUN/arm64/mytls" >"$RUN/mytls" && chmod 755 "$RUN/mytls"
}

arm64_checks() {
  local pid
  export MYTLS_BIN=$RUN/mytls LAB_PROXY=1 LAB_SERVER=mysql
  start_server mysql97
  start_mytls mytls-arm64 < <(mytls_config "$(port_of mysql97)")
  check "arm64: mytls check" "$MYTLS_BIN" check "$RUN/mytls-arm64.yaml"
  clients_over_tls mysql97 "$(port_of mytls-arm64)"
  pid=$(cat "$RUN/mytls-arm64.pid")
  if stop mytls-arm64 && wait "$pid"; then
    result ok "arm64: mytls ends well when asked to"
  else
    result FAIL "arm64: mytls ends well when asked to" "status $?"
  fi
  check "arm64: mytls never panicked" not_in_log panicked mytls-arm64
  start_mytls mytls-admin < <(admin_config "$(port_of mysql97)")
  admin_checks "$(port_of mytls-admin)"
  check "arm64: mytls with an admin port ends when asked to" stop mytls-admin
  ! have cargo_deb || check "arm64: the Debian package is made" make_deb_for_arm64
}

# As docs/install.md has it, of the program that is there.
make_deb_for_arm64() {
  PATH=$LAB/tools/bin:$PATH CARGO_BUILD_TARGET=$ARM64 MYTLS_BIN=$RUN/arm64/mytls LD_LIBRARY_PATH=/usr/aarch64-linux-gnu/lib \
    "$ROOT/packaging/deb" --variant=bookworm --output "$RUN/arm64.deb" &&
    [ "$(dpkg-deb --field "$RUN/arm64.deb" Architecture)" = arm64 ] && dpkg-deb --field "$RUN/arm64.deb" Depends | grep libc6
}
