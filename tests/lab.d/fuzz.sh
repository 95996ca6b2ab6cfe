# shellcheck shell=bash
# `tests/lab fuzz`: the fuzz targets of fuzz/, with what cargo-fuzz finds. Sourced by tests/lab.

install_cargo_fuzz() {
  need_packages g++ || return 1
  [ -x "$LAB/tools/bin/cargo-fuzz" ] ||
    cargo install --quiet --locked cargo-fuzz --version 0.13.2 --root "$LAB/tools" >"$LAB/log/cargo-fuzz.log" 2>&1
}

# lab_fuzz [SECONDS]: each target for so long. Inputs that are new are kept in fuzz/corpus, one that fails in
# fuzz/artifacts; `cargo fuzz run TARGET FILE` tries it again.
lab_fuzz() {
  local target seconds=${1:-60}
  have cargo_fuzz || die "see $LAB/log/cargo-fuzz.log"
  make_run_folder
  trap end_everything EXIT
  say "building the fuzz targets: some minutes when it is the first time"
  for target in pass parse track frame; do
    check "fuzz target $target for $seconds seconds" fuzz "$target" "$seconds"
  done
  summary
}

# Without a sanitizer: there is no unsafe code to watch, and a stable toolchain will do.
fuzz() { # TARGET SECONDS
  cd "$ROOT/fuzz" || return
  mkdir -p "corpus/$1"
  PATH=$LAB/tools/bin:$PATH cargo fuzz run --sanitizer none "$1" "corpus/$1" "seeds/$1" -- -max_total_time="$2"
}
