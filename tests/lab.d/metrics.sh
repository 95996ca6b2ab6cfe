# shellcheck shell=bash
# What is made for Prometheus: read by its own tool, and asked of a Prometheus that scrapes mytls while real clients work.
# Sourced by tests/lab.

# metrics_checks SERVER
metrics_checks() {
  local folder=$ROOT/docker/prometheus tool=$LAB/prometheus/promtool server=$1 http admin
  have curl && have prometheus || return 0
  check "Prometheus takes its configuration" "$tool" check config "$folder/prometheus.yml"
  check "alerts: syntax" "$tool" check rules "$folder/mytls.rules.yml"
  http=127.0.0.1:$(free_port) admin=$(free_port)
  root_shell "$server" -e "CREATE USER metrics IDENTIFIED BY 'app-pw'; GRANT SELECT ON mysql.user TO metrics" # imports accounts
  start_mytls mytls-metrics < <(metrics_config "$(port_of "$server")" "$http" "$admin")
  start_prometheus "$http" # early: it scrapes nothing in its first 5 s
  check "alerts: each fires when it should, and not before" "$tool" test rules "$folder/tests.yml"
  check "a page of metrics says what real clients did" metrics_after_load "$(port_of mytls-metrics)" "$http"
  check "Prometheus scrapes mytls" scrapes 2
  check "clients between two scrapes" metrics_traffic "$(port_of mytls-metrics)" "$http" "$admin"
  check "Prometheus goes on" scrapes 2
  count_checks "Grafana's dashboard" prometheus_says dashboard "$ROOT/docker/grafana/mytls.json"
  count_checks "alerts before a mytls that is well" prometheus_says alerts "$folder/mytls.rules.yml"
  check "alerts: a configuration that mytls does not take" metrics_bad_reload
  check "mytls with metrics ends when asked to" stop mytls-metrics
  check "alerts: a mytls that is not there" alert_is MytlsDown pending
  check "Prometheus ends when asked to" stop prometheus
  root_shell "$server" -e "DROP USER metrics"
}

# metrics_config BACKEND_PORT HTTP_ADDRESS ADMIN_PORT: mytls with all that it has metrics of.
metrics_config() {
  echo admin-pw >"$RUN/ops.secret"
  mytls_config "$1"
  cat <<YAML
http: { listen: "$2" }
import-accounts: { user: metrics, password: app-pw }
admin: { listen: "127.0.0.1:$3", users: [{ user: ops, password-file: $RUN/ops.secret }] }
YAML
}

# metrics_shell PORT OPTIONS…: MySQL's own shell.
metrics_shell() {
  local port=$1
  shift
  "$LAB/mysql97/bin/mysql" --no-defaults --host=127.0.0.1 --port="$port" --batch --silent "$@"
}

# metrics_after_load PORT HTTP_ADDRESS: 20 clients that pass and 3 that do not.
metrics_after_load() {
  local page=$RUN/metrics.page client
  for client in {1..20}; do
    metrics_shell "$1" --user=app --password=app-pw --execute="SELECT $client; SELECT $client + 1" || return 1
  done
  for client in {1..3}; do
    ! metrics_shell "$1" --user=app_x509 --password=app-pw --execute="SELECT 1" || return 1
  done
  curl --silent --fail "http://$2/metrics" >"$page" &&
    "$LAB/prometheus/promtool" check metrics <"$page" &&
    grep -x 'mytls_logins_total 20' "$page" &&
    grep -x 'mytls_refusals_total{by="mytls",reason="require_certificate"} 3' "$page" &&
    grep '^mytls_tls_handshakes_total{channel="mysql_main",version="TLSv1.3",.*} 23$' "$page" &&
    grep '^mytls_tls_handshakes_total{channel="source",.*kind="resumed"} ' "$page"
}

# metrics_traffic PORT HTTP_ADDRESS ADMIN_PORT: something of everything that a healthy mytls sees: clients that pass, one
# whom the rules refuse, one who trusts another CA, a port scan, somebody on the admin port, and a reload.
metrics_traffic() {
  local client
  for client in {1..5}; do
    metrics_shell "$1" --user=app --password=app-pw --execute="SELECT $client" || return 1
  done
  ! metrics_shell "$1" --user=app_x509 --password=app-pw --execute="SELECT 1" &&
    ! metrics_shell "$1" --user=app --password=app-pw --ssl-mode=VERIFY_CA --ssl-ca="$PKI/other-ca.pem" --execute="SELECT 1" &&
    port_open "$1" &&
    metrics_shell "$3" --user=ops --password=admin-pw --execute="SHOW STATUS" &&
    kill -HUP "$(cat "$RUN/mytls-metrics.pid")" &&
    within 20 metrics_line "$2" 'mytls_configuration_reloads_total{result="ok"} 1'
}

metrics_line() { curl --silent --fail "http://$1/metrics" | grep -x "$2"; }

# A SIGHUP, with a key that there is not.
metrics_bad_reload() {
  echo 'no-such-key: 1' >>"$RUN/mytls-metrics.yaml" &&
    kill -HUP "$(cat "$RUN/mytls-metrics.pid")" &&
    alert_is MytlsConfigurationNotReloaded firing
}

# ---- Prometheus --------------------------------------------------------------------------------------------------------

# start_prometheus TARGET: with the configuration and the alerts that are shipped; only the target's address and the
# interval are others.
start_prometheus() {
  local port
  port=$(free_port)
  "${AS_SERVER[@]}" mkdir "$RUN/prometheus.data"
  sed "s/127\.0\.0\.1:9307/$1/; s/_interval: 15s/_interval: 1s/" "$ROOT/docker/prometheus/prometheus.yml" >"$RUN/prometheus.yml"
  cp "$ROOT/docker/prometheus/mytls.rules.yml" "$RUN"
  launch prometheus "$LAB/prometheus/prometheus" --config.file="$RUN/prometheus.yml" \
    --storage.tsdb.path="$RUN/prometheus.data" --web.listen-address="127.0.0.1:$port"
  echo "$port" >"$RUN/prometheus.port"
  until_ready prometheus 20 curl --silent --fail "http://127.0.0.1:$port/-/ready"
}

prometheus_says() { # dashboard|alerts FILE
  timeout 120 python3 "$PARTS/prometheus.py" "$1" "http://127.0.0.1:$(port_of prometheus)" "$2"
}

# holds EXPRESSION: whether Prometheus has a series for it now.
holds() {
  "$LAB/prometheus/promtool" query instant "http://127.0.0.1:$(port_of prometheus)" "$1" | grep '=>'
}

# scrapes NUMBER: waits until Prometheus has come so many times from now on, and found mytls there.
scrapes() {
  local now up='up{job="mytls"}[10m]'
  now=$(date +%s.%N)
  within 20 holds "sum(sum_over_time($up)) - (sum(sum_over_time($up @ $now)) or vector(0)) >= $1"
}

# alert_is NAME pending|firing
alert_is() { within 20 holds "ALERTS{alertname=\"$1\", alertstate=\"$2\"}"; }
