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

# check NAME COMMAND…: passes if COMMAND does; its output is shown only if it fails. (A function must join its steps by
# `&&`: `set -e` does not hold inside a condition.)
check() {
  local name=$1 log=$LAB/log/check.log start=$SECONDS
  shift
  if ("$@") >"$log" 2>&1 </dev/null; then
    result ok "$name ($((SECONDS - start)) s)"
  else
    tail -n 60 "$log"
    result FAIL "$name"
  fi
}

# count_checks NAME COMMAND…: COMMAND prints a line for each check; its failures and skips are shown, the rest counted.
# A check on the list clients/not-yet.txt is skipped when LAB_NOT_YET=1.
count_checks() {
  local name=$1 log=$LAB/log/checks.log status=0 before=$PASSED failed_before=$FAILED line check
  shift
  "$@" >"$log" 2>&1 </dev/null || status=$?
  while IFS= read -r line; do
    read -r _ check <<<"${line%% -> *}"
    case $line in
      'ok '* | 'FAIL '*)
        if [ "${LAB_NOT_YET:-0}" = 1 ] && grep -qxF -- "$check" "$PARTS/clients/not-yet.txt"; then
          result skip "$name: $check (not built yet)"
        elif [[ $line = ok* ]]; then
          PASSED=$((PASSED + 1))
        else
          result FAIL "$name: $check" "${line#* -> }"
        fi
        ;;
      'skip '*) result skip "$name: $check" ;;
    esac
  done <"$log"
  if [ $((PASSED + FAILED)) = $((before + failed_before)) ] || { [ $status != 0 ] && [ $FAILED = "$failed_before" ]; }; then
    tail -n 20 "$log"
    result FAIL "$name" "ended early (status $status)"
  fi
  printf 'ok   %s: %s checks passed\n' "$name" $((PASSED - before))
}

# summary: the closing line; ends the lab with a status that says whether all is well.
summary() {
  printf '%s passed, %s failed\n' "$PASSED" "$FAILED"
  if [ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]; then exit 0; else exit 1; fi
}
