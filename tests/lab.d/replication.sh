# shellcheck shell=bash
# Replication through mytls: a replica with a client certificate, semi-synchronous, and the programs that read binary logs.
# Sourced by tests/lab.

# replication_checks SERVER REPLICA_SERVER: fresh instances of both, the replica's connection through mytls.
replication_checks() {
  local where="replication from $1 to $2 through mytls" source=$1-source replica=$2-replica
  read -ra options <<<"$(source_options "$1")"
  start_server "$source" --log-bin=binlog --sync-binlog=0 --server-id=1 "${options[@]}"
  read -ra options <<<"$(replica_options "$2")"
  start_server "$replica" --sync-binlog=0 --server-id=2 "${options[@]}" || return 0
  start_mytls "mytls-$source" < <(mytls_config "$(port_of "$source")")
  check "$where: refused without the client certificate" replica_is_refused "$1" "$replica" "$(port_of "mytls-$source")"
  check "$where: follows, and acknowledges" replica_follows "$1" "$source" "$replica" "$(port_of "mytls-$source")"
  check "$where: binary log read by its own program, byte for byte" same_binary_log "$1" "$source" "$(port_of "mytls-$source")"
  check "$where: mytls ends with a replica connected" stop "mytls-$source"
  check "$where: mytls never panicked" not_in_log panicked "mytls-$source"
  stop "$replica" && stop "$source"
}

# Replication of the lab's own accounts would collide with those that the replica has: it starts behind them.
source_options() {
  case $1 in
    mysql97) echo "--plugin-load-add=semisync_source.so --rpl-semi-sync-source-enabled=ON --rpl-semi-sync-source-wait-no-replica=OFF --gtid-mode=ON --enforce-gtid-consistency=ON" ;;
    mariadb*) echo "--rpl-semi-sync-master-enabled=ON --rpl-semi-sync-master-wait-no-slave=OFF --binlog-format=ROW" ;;
  esac
}

replica_options() {
  case $1 in
    mysql97) echo "--plugin-load-add=semisync_replica.so --rpl-semi-sync-replica-enabled=ON --gtid-mode=ON --enforce-gtid-consistency=ON" ;;
    mariadb*) echo "--rpl-semi-sync-slave-enabled=ON" ;;
  esac
}

# change_source SERVER SOURCE PORT CERTIFICATE: what to tell the replica.
change_source() {
  case $1 in
    mysql97)
      echo "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=$3, SOURCE_USER='app_x509', SOURCE_PASSWORD='app-pw',
        SOURCE_AUTO_POSITION=1, SOURCE_CONNECT_RETRY=1, SOURCE_SSL=1, SOURCE_SSL_CA='$PKI/root-ca.pem'
        $4; START REPLICA;"
      ;;
    mariadb*)
      echo "STOP SLAVE; CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=$3, MASTER_USER='app_x509', MASTER_PASSWORD='app-pw',
        MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, MASTER_SSL=1, MASTER_SSL_CA='$PKI/root-ca.pem'
        $4; START SLAVE;"
      ;;
  esac
}

certificate_clause() {
  case $1 in
    mysql97) echo ", SOURCE_SSL_CERT='$PKI/client-worker-rsa.pem', SOURCE_SSL_KEY='$PKI/client-worker-rsa.key'" ;;
    mariadb*) echo ", MASTER_SSL_CERT='$PKI/client-worker-rsa.pem', MASTER_SSL_KEY='$PKI/client-worker-rsa.key'" ;;
  esac
}

replica_status() { # SERVER NAME
  case $1 in
    mysql97) root_shell "$2" --vertical -e 'SHOW REPLICA STATUS' ;;
    mariadb*) root_shell "$2" --vertical -e 'SHOW SLAVE STATUS' ;;
  esac
}

# The servers differ in case and words.
status_has() { grep -qE "$3" <<<"$(replica_status "$1" "$2")"; }

replica_is_refused() { # SERVER REPLICA PORT
  change_source "$1" - "$3" "" | root_shell "$2" && until_ready "$2" 30 status_has "$1" "$2" 'Last_IO_Errno: 1045'
}

replica_follows() { # SERVER SOURCE REPLICA PORT
  local start acknowledged
  # what the source has done so far, the replica has too
  case $1 in
    mysql97)
      start=$(root_shell "$2" -N -B --raw -e 'SELECT @@gtid_executed')
      root_shell "$3" -e "STOP REPLICA; RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = '${start//$'\n'/}'" || return 1
      ;;
    mariadb*)
      start=$(root_shell "$2" -N -B -e 'SELECT @@gtid_current_pos')
      root_shell "$3" -e "STOP SLAVE; SET GLOBAL gtid_slave_pos = '$start'" || return 1
      ;;
  esac
  change_source "$1" - "$4" "$(certificate_clause "$1")" | root_shell "$3" &&
    until_ready "$3" 30 status_has "$1" "$3" '(Replica|Slave)_IO_Running: Yes' &&
    root_shell "$2" sbtest <<'SQL' &&
CREATE TABLE replicated (id INT PRIMARY KEY AUTO_INCREMENT, text LONGBLOB);
INSERT INTO replicated (text) VALUES ('first'), (REPEAT('large', 4000000));
SQL
    for _ in {1..100}; do echo "INSERT INTO replicated (text) VALUES (UUID());"; done | root_shell "$2" sbtest || return 1
  (until_ready "$3" 60 same_rows "$2" "$3") || { replica_status "$1" "$3"; return 1; }
  acknowledged=$(root_shell "$2" -N -B -e "SHOW STATUS WHERE Variable_name IN ('Rpl_semi_sync_source_yes_tx', 'Rpl_semi_sync_master_yes_tx')")
  echo "acknowledged: $acknowledged"
  [ "$(awk '{print $2}' <<<"$acknowledged")" -ge 100 ]
}

same_rows() { # SOURCE REPLICA
  local query="SELECT COUNT(*), SHA2(GROUP_CONCAT(SHA2(text, 256) ORDER BY id), 256) FROM sbtest.replicated" rows
  rows=$(root_shell "$1" -N -B -e "SET group_concat_max_len = 1000000; $query")
  [[ $rows == 102* ]] && [ "$rows" = "$(root_shell "$2" -N -B -e "SET group_concat_max_len = 1000000; $query" 2>/dev/null)" ]
}

same_binary_log() { # SERVER SOURCE PORT
  local folder=$RUN/$2.binlogs program way
  local -a tls
  case $1 in
    mysql97) program=$LAB/mysql97/bin/mysqlbinlog tls=(--ssl-mode=VERIFY_CA) ;;
    mariadb*) program=$LAB/$1/bin/mariadb-binlog tls=(--ssl-verify-server-cert) ;;
  esac
  tls+=(--ssl-ca="$PKI/root-ca.pem" --ssl-cert="$PKI/client-worker-rsa.pem" --ssl-key="$PKI/client-worker-rsa.key")
  mkdir -p "$folder/direct" "$folder/mytls"
  for way in direct mytls; do
    "$program" --no-defaults --read-from-remote-server --raw --result-file="$folder/$way/" --host=127.0.0.1 \
      --port="$([ $way = mytls ] && echo "$3" || port_of "$2")" --user=app_x509 --password=app-pw "${tls[@]}" binlog.000001 || return 1
  done
  ls -l "$folder/mytls"
  [ "$(stat -c %s "$folder/mytls/binlog.000001")" -gt 20000000 ] && cmp "$folder/direct/binlog.000001" "$folder/mytls/binlog.000001"
}
