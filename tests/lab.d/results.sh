# shellcheck shell=bash
# Counts and prints what was checked. Sourced by tests/lab.
#
# Every check of the lab, in any language, is one line: `ok   NAME`, `FAIL NAME -> why` or `skip NAME`.

PASSED=0 FAILED=0

# result ok|FAIL|skip NAME [WHY]
result() {
  case $1 in
    ok) PASSED=$((PASSED + 1)) ;;
    FAIL) FAILED=$((FAILED + 1)) ;;
  esac
  printf '%-4s %s%s\n' "$1" "$2" "${3:+ -> $3}"
}

# unavailable NAME [WHY]: what cannot be checked on this machine is a skip, said aloud; a failure if all is required (CI).
unavailable() {
  local kind=skip
  [ "${MYTLS_LAB_REQUIRED:-0}" != 1 ] || kind=FAIL
  result $kind "$@"
}

# check NAME COMMAND…: passes if COMMAND does; its output is shown only if it fails. (A function must join its steps by
# `&&`: `set -e` does not hold inside a condition.)
check() {
  local name=$1 log=$RUN/check.log start=$SECONDS
  shift
  if ("$@") >"$log" 2>&1 </dev/null; then
    result ok "$name ($((SECONDS - start)) s)"
  else
    tail -n 60 "$log"
    result FAIL "$name"
  fi
}

# count_checks NAME COMMAND…: COMMAND prints a line for each check. Failures and skips are shown, the rest is counted.
count_checks() {
  local name=$1 log=$RUN/checks.log status=0 passed=0 failed=0 kind line
  shift
  "$@" >"$log" 2>&1 </dev/null || status=$?
  while read -r kind line; do
    case $kind in
      ok) passed=$((passed + 1)) ;;
      FAIL)
        failed=$((failed + 1))
        printf 'FAIL %s: %s\n' "$name" "$line"
        ;;
      skip) unavailable "$name: $line" "left out by LAB_SKIP" ;;
    esac
  done <"$log"
  PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
  if [ $status != 0 ] && [ $failed = 0 ]; then
    tail -n 20 "$log"
    result FAIL "$name" "ended with status $status"
  elif [ $((passed + failed)) = 0 ]; then
    result FAIL "$name" "checked nothing"
  fi
  printf '     %s: %s passed, %s failed\n' "$name" $passed $failed
}

# summary: the closing line; ends the lab with a status that says whether all is well.
summary() {
  printf '%s passed, %s failed\n' "$PASSED" "$FAILED"
  if [ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]; then exit 0; else exit 1; fi
}
