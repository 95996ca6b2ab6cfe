# shellcheck shell=bash
# `mytls ctl` on a terminal and in scripts, against a mytls whose servers are named in DM's files. Sourced by tests/lab.

# terminal_checks SOURCE TARGET: two servers of the lab.
terminal_checks() {
  local source target dm=$RUN/dm programs=$PARTS/clients/ctl arguments
  source=$(port_of "$1") target=$(port_of "$2")
  mkdir "$dm"
  ln -s "$PKI" "$dm/certs" # paths in DM's files begin in the folder of the file
  dm_source "$source" >"$dm/source.yaml"
  dm_task "$target" >"$dm/task.yaml"
  start_mytls mytls-terminal --source "$dm/source.yaml" --task "$dm/task.yaml" < <(admin_config)
  arguments=("$RUN/mytls-terminal.program" "$(port_of mytls-terminal)")
  count_checks "ctl: terminal" "${IN_TIME[@]}" python3 "$programs/terminal.py" "${arguments[@]}"
  count_checks "ctl: scripts" "${IN_TIME[@]}" python3 "$programs/scripts.py" "${arguments[@]}" "$dm" "$source" "$target"
  check "mytls from DM's files ends when asked to" stop mytls-terminal
  check "mytls from DM's files never panicked" not_in_log panicked mytls-terminal
}

# dm_source PORT: a source file as DM has it, with much that is only DM's.
dm_source() {
  cat <<YAML
server-id: 101
source-id: shop-01
flavor: mysql
enable-relay: true
relay-dir: ./relay
enable-gtid: true
from:
  host: 127.0.0.1
  port: $1
  user: dm
  password: 'dm-pw'
  session: { sql_mode: ANSI_QUOTES }
  security: { ssl-ca: certs/root-ca.pem, ssl-cert: certs/client-dm-rsa.pem, ssl-key: certs/client-dm-rsa.key }
purge: { interval: 600, expires: 12, remain-space: 10 }
checker: { check-enable: true, backoff-max: 1m }
YAML
}

# dm_task PORT: a task file as DM has it.
dm_task() {
  cat <<YAML
---
name: move-the-shop
task-mode: all
meta-schema: dm_meta
target-database:
  host: 127.0.0.1
  port: $1
  user: dm
  password: 'dm-pw'
  security: { ssl-ca: certs/root-ca.pem, ssl-cert: certs/client-dm-rsa.pem, ssl-key: certs/client-dm-rsa.key }
mysql-instances:
  - source-id: shop-01
    block-allow-list: shop
    mydumper-config-name: global
    syncer-config-name: global
block-allow-list:
  shop: { do-dbs: ['~^shop_.*'], ignore-tables: [{ db-name: shop_1, tbl-name: log }] }
mydumpers: { global: { threads: 4, extra-args: '--consistency none' } }
syncers: { global: { worker-count: 8, batch: 100 } }
YAML
}
