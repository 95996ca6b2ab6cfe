# shellcheck shell=bash
# The PROXY protocol from end to end: HAProxy before mytls, MariaDB behind it. Sourced by tests/lab.

# proxy_checks SERVER: a MariaDB of the lab. HAProxy speaks to mytls from 127.0.0.6, so that others may do so without a header.
proxy_checks() {
  ! have python || ! have haproxy || proxy_checks_with "$1"
}

proxy_checks_with() {
  proxy_accounts | root_shell "$1"
  start_mytls mytls-proxy < <(proxy_config "$(port_of "$1")")
  start_balancer "$(port_of mytls-proxy)"
  count_checks "PROXY protocol" "${IN_TIME[@]}" "$LAB/python/bin/python" "$PARTS/clients/proxy.py" "$PKI" "$RUN/balancer.stats" \
    "${BALANCER_PORTS[@]}"
  check "HAProxy and its health checks say nothing that mytls warns of" not_in_log "PROXY header" mytls-proxy
  check "HAProxy ends when asked to" stop balancer
  check "mytls behind HAProxy ends when asked to" stop mytls-proxy
  check "mytls behind HAProxy never panicked" not_in_log panicked mytls-proxy
}

# The server takes headers from mytls. Its accounts are for the clients' own addresses.
proxy_accounts() {
  cat <<'SQL'
SET GLOBAL proxy_protocol_networks = '127.0.0.1';
CREATE USER balanced@'127.0.0.9' IDENTIFIED BY 'app-pw', balanced@'127.0.0.8' IDENTIFIED BY 'app-pw';
SQL
}

proxy_config() {
  cat <<YAML
listen: 127.0.0.1:PORT
security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/server-rsa.pem, ssl-key: $PKI/server-rsa.key }
accounts:
  - { user: "'balanced'@'127.0.0.8'", require: X509 }
  - { user: "'balanced'@'127.0.0.9'", require: NONE }
proxy-protocol: { accept-from: [127.0.0.6], send: true }
from:
  host: 127.0.0.1
  port: $1
  security: { ssl-ca: $PKI/root-ca.pem, ssl-cert: $PKI/client-dm-rsa.pem, ssl-key: $PKI/client-dm-rsa.key }
YAML
}

# start_balancer PORT: HAProxy before that port, with one of BALANCER_PORTS for each kind of header.
start_balancer() {
  local options port
  BALANCER_PORTS=()
  cat >"$RUN/balancer.cfg" <<CFG
global
  maxconn 1000
  stats socket $RUN/balancer.stats
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
CFG
  for options in 'send-proxy' 'send-proxy-v2' 'send-proxy-v2-ssl-cn proxy-v2-options crc32c,unique-id'; do
    port=$(free_port)
    BALANCER_PORTS+=("$port")
    cat >>"$RUN/balancer.cfg" <<CFG
listen port$port
  bind 127.0.0.1:$port
  unique-id-format %ci:%cp
  server mytls 127.0.0.1:$1 source 127.0.0.6 $options check check-send-proxy inter 200ms
CFG
  done
  launch balancer haproxy -db -f "$RUN/balancer.cfg"
  for port in "${BALANCER_PORTS[@]}"; do
    until_ready balancer 20 port_open "$port"
  done
}
