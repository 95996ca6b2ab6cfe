# shellcheck shell=bash
# What is made for Prometheus, read by its own tool; and a page of metrics after real clients. Sourced by tests/lab.

# metrics_checks SERVER
metrics_checks() {
  local folder=$ROOT/docker/prometheus tool=$LAB/promtool/promtool
  have curl && have promtool || return 0
  check "Prometheus takes its configuration" "$tool" check config "$folder/prometheus.yml"
  check "alerts: syntax" "$tool" check rules "$folder/mytls.rules.yml"
  check "alerts: each fires when it should, and not before" "$tool" test rules "$folder/tests.yml"
  start_mytls mytls-metrics < <(
    mytls_config "$(port_of "$1")"
    echo "http: { listen: \"unix:$RUN/mytls-metrics.state/http.sock\" }"
  )
  check "a page of metrics says what real clients did" metrics_after_load "$(port_of mytls-metrics)"
  check "mytls with metrics ends when asked to" stop mytls-metrics
}

# metrics_after_load PORT: 20 clients that pass and 3 that do not.
metrics_after_load() {
  local page=$RUN/metrics.page shell client
  shell=("$LAB/mysql97/bin/mysql" --host=127.0.0.1 --port="$1" --password=app-pw --batch --silent)
  for client in {1..20}; do
    "${shell[@]}" --user=app --execute="SELECT $client; SELECT $client + 1" || return 1
  done
  for client in {1..3}; do
    ! "${shell[@]}" --user=app_x509 --execute="SELECT 1" || return 1
  done
  curl --silent --fail --unix-socket "$RUN/mytls-metrics.state/http.sock" http://localhost/metrics >"$page" &&
    "$LAB/promtool/promtool" check metrics <"$page" &&
    grep -x 'mytls_logins_total 20' "$page" &&
    grep -x 'mytls_refusals_total{by="mytls",reason="require_certificate"} 3' "$page" &&
    grep '^mytls_tls_handshakes_total{channel="mysql_main",version="TLSv1.3",.*} 23$' "$page" &&
    grep '^mytls_tls_handshakes_total{channel="source",.*kind="resumed"} ' "$page"
}
