# shellcheck shell=bash
# `tests/lab soak`: many connections of every kind, and back to the start. Sourced by tests/lab.

# lab_soak [NUMBER]: prints what mytls occupied before and after. The first release build takes some minutes.
lab_soak() {
  cd "$ROOT" || exit
  MYTLS_TEST_SOAK=${1:-100000} cargo test --release --locked --test it -- soak_of_every_kind --nocapture
}
