# shellcheck shell=bash
# `tests/lab bench`: the server directly, HAProxy, MySQL Router and mytls, one after the other, in rounds. Sourced by
# tests/lab.
#
# Load, server and proxy share the machine, so throughput and latency compare only within one table. What counts is the
# proxy's own CPU time for a unit of work, and its memory. HAProxy only copies bytes (TLS runs through it from end to
# end); Router and mytls do TLS on both sides. Every round starts fresh processes.

lab_bench() {
  local rounds=${1:-3} round subject
  make_run_folder
  trap end_everything EXIT
  trap 'exit 130' INT TERM
  make_certificates
  for subject in mysql97 go sysbench haproxy; do
    have $subject || die "the benchmark needs $subject"
  done
  build_mytls
  start_server mysql97
  sysbench_with "$(port_of mysql97)" oltp_point_select --table-size=100000 prepare >/dev/null

  for round in $(seq "$rounds"); do
    for subject in direct haproxy router mytls; do
      say "round $round of $rounds: $subject (load $(cut -d' ' -f1 /proc/loadavg))"
      case $subject in
        direct) measure direct "$(port_of mysql97)" ;;
        haproxy) start_haproxy haproxy "$(port_of mysql97)" ;;
        router) start_router router "$(port_of mysql97)" ;;
        mytls) start_mytls mytls < <(mytls_config "$(port_of mysql97)") ;;
      esac
      [ $subject = direct ] || {
        measure $subject "$(port_of $subject)" "$(cat "$RUN/$subject.pid")"
        stop $subject
      }
    done
  done
  bench_table direct haproxy router mytls
  bench_marks
}

# put METRIC VALUE: one sample of the subject that is measured now.
put() { printf '%s\t%s\n' "$1" "$2" >>"$RUN/bench-$SUBJECT.tsv"; }

# measure SUBJECT PORT [PROCESS]: one round; PROCESS is the proxy.
measure() {
  SUBJECT=$1
  local port=$2 process=${3:-} threads workers
  measure_idle "$port" "$process"
  sysbench_with "$port" oltp_point_select --table-size=100000 --threads=4 --time=2 run >/dev/null || true # warm-up
  for threads in 1 4 16 64; do
    measure_point_selects "$port" "$process" $threads
  done
  for workers in 1 16; do
    measure_connects "$port" "$process" $workers
  done
  measure_bytes "$port" "$process" "result, rows of 1 MB" down -mb 1000 -row 1000000
  measure_bytes "$port" "$process" "result, rows of 100 B" down -mb 300 -row 100
  measure_bytes "$port" "$process" "upload, statements of 4 MB" up -mb 400 -row 4000000
  with_cpu "$process" goclient ping "$port" -t 3s
  put "ping p50, µs" "$(word p50_us)"
  put "ping p99, µs" "$(word p99_us)"
}

measure_idle() { # PORT PROCESS
  [ -n "$2" ] || return 0
  local before line
  goclient connrate "$1" -c 1 -t 300ms >/dev/null
  before=$(resident_kib "$2")
  coproc IDLE { goclient idle "$1" -n 1000; }
  read -r -t 120 line <&"${IDLE[0]}" || die "no idle connections"
  sleep 1
  put "KiB of an idle session (RSS)" "$(ratio $(($(resident_kib "$2") - before)) 1000)"
  echo >&"${IDLE[1]}"
  wait "$IDLE_PID"
  [[ $line = "ready 1000 failed 0"* ]] || say "note: $SUBJECT idle: $line"
}

measure_point_selects() { # PORT PROCESS THREADS
  local queries try
  for try in 1 2 3; do # Router hands a client a malformed packet now and then, and sysbench begins only when all are in
    with_cpu "$2" sysbench_with "$1" oltp_point_select --table-size=100000 --threads="$3" --time=8 run
    queries=$(awk '/queries:/ {print $2}' "$RUN/bench.out")
    [ -z "$queries" ] || break
    say "note: $SUBJECT, $3 threads: try $try gave nothing"
  done
  put "point selects/s, $3 threads" "$(sed -n 's/.*queries: .*(\(.*\) per sec.*/\1/p' "$RUN/bench.out")"
  put "p95, ms, $3 threads" "$(awk '/95th percentile/ {print $3}' "$RUN/bench.out")"
  [ -z "$2" ] || put "proxy CPU s per 10,000 point selects, $3 threads" "$(ratio "$CPU" "$queries" 10000)"
}

measure_connects() { # PORT PROCESS WORKERS
  with_cpu "$2" goclient connrate "$1" -c "$3" -t 4s
  put "new sessions/s, $3 at once" "$(word per_s)"
  [ -z "$2" ] || put "proxy CPU ms per new session, $3 at once" "$(ratio "$CPU" "$(word conns)" 1000)"
  [ "$(word failed)" = 0 ] || say "note: $SUBJECT: $(cat "$RUN/bench.out")"
}

measure_bytes() { # PORT PROCESS LABEL VERB OPTIONS…
  local port=$1 process=$2 label=$3 verb=$4
  shift 4
  with_cpu "$process" goclient "$verb" "$port" "$@"
  put "$label, MB/s" "$(word mb_per_s)"
  [ -z "$process" ] || put "$label, proxy CPU s per GB" "$(ratio "$CPU" "$(word mb)" 1000)"
}

# with_cpu PROCESS COMMAND…: runs COMMAND (output in $RUN/bench.out); sets CPU to what the proxy used, in seconds.
with_cpu() {
  local process=$1 before
  shift
  before=$(cpu_ticks "$process")
  "$@" >"$RUN/bench.out" 2>&1 </dev/null || say "note: $SUBJECT, $*: $(tail -n 1 "$RUN/bench.out")"
  CPU=$(ratio $(($(cpu_ticks "$process") - before)) "$(getconf CLK_TCK)")
}

# User and system time of a process; its name, in brackets, may hold blanks.
cpu_ticks() { if [ -n "$1" ]; then sed 's/^.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'; else echo 0; fi; }

# word NAME: the number behind NAME in the last output.
word() { awk -v name="$1" '{for (i = 1; i < NF; i++) if ($i == name) print $(i + 1)}' "$RUN/bench.out"; }

# ratio A B [FACTOR]: A · FACTOR / B
ratio() { awk -v a="$1" -v b="$2" -v factor="${3:-1}" 'BEGIN {print (a ~ /^[0-9]/ && b + 0 > 0) ? a * factor / b : "-"}'; }

# median SUBJECT METRIC
median() {
  awk -F'\t' -v metric="$2" '$1 == metric {print $2}' "$RUN/bench-$1.tsv" | sort -g |
    awk '{value[NR] = $1} END {if (NR) print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2; else print "-"}'
}

bench_table() { # SUBJECT…
  local metric subject value
  printf '\n| median of the rounds |'
  printf ' %s |' "$@"
  printf '\n|---|'
  printf -- '---:|%.0s' "$@"
  echo
  cut -f1 "$RUN/bench-mytls.tsv" | awk '!seen[$0]++' | while IFS= read -r metric; do
    printf '| %s |' "$metric"
    for subject in "$@"; do
      value=$(median "$subject" "$metric")
      printf ' %s |' "$(awk -v x="$value" 'BEGIN {print x == "-" ? x : sprintf(x + 0 >= 100 ? "%.0f" : "%.3g", x)}')"
    done
    echo
  done
}

# What mytls must reach: its CPU as a share of MySQL Router's, and its memory.
bench_marks() {
  echo
  local threads
  for threads in 4 16 64; do
    mark "CPU per point select, $threads threads" "proxy CPU s per 10,000 point selects, $threads threads" 0.8
  done
  mark "CPU per GB, rows of 1 MB" "result, rows of 1 MB, proxy CPU s per GB" 0.8
  mark "CPU per new session, 16 at once" "proxy CPU ms per new session, 16 at once" 0.75
  local kib
  kib=$(median mytls "KiB of an idle session (RSS)")
  verdict "idle session: $kib KiB, at most 40" "$kib" 40
  [ "$FAILED" = 0 ] || exit 1
}

mark() { # LABEL METRIC LIMIT
  local share
  share=$(ratio "$(median mytls "$2")" "$(median router "$2")")
  verdict "$1: $share of Router's, at most $3" "$share" "$3"
}

verdict() { # TEXT VALUE LIMIT
  if awk -v value="$2" -v limit="$3" 'BEGIN {exit !(value ~ /^[0-9]/ && value + 0 <= limit)}'; then result ok "$1"; else result FAIL "$1"; fi
}
