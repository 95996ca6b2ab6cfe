#!/usr/bin/env bash
# The command-line clients of MySQL 9.7, MariaDB 10.11 and 11.8 against the admin port: shells.sh PORT PKI.
# The lines printed are as in python.py. $LAB is the lab folder.
set -uo pipefail
PORT=$1 PKI=$2
STATUS=0

# prints NAME PATTERN COMMAND…: whether the output, in one line, has this form.
prints() {
  local name=$1 pattern=$2 output
  shift 2
  output=$("$@" 2>&1 </dev/null | grep -v Warning | tr '\n\t' '  ')
  # shellcheck disable=SC2053 # a pattern
  if [[ $output == $pattern ]]; then
    echo "ok   $name -> ${output:0:110}"
  else
    STATUS=1
    echo "FAIL $name -> '${output:0:300}' instead of '$pattern'"
  fi
}

MYSQL=("$LAB/mysql97/bin/mysql" --no-defaults -h127.0.0.1 -P"$PORT" -uops)
ADMIN=("$LAB/mysql97/bin/mysqladmin" --no-defaults -h127.0.0.1 -P"$PORT" -uops -padmin-pw)
ROTATE=(--ssl-cert="$PKI/client-worker-rsa.pem" --ssl-key="$PKI/client-worker-rsa.key")

prints "mysql 9.7 wrong password" '*ERROR 1045 (28000)*using password: YES*' "${MYSQL[@]}" -pno -e 'SELECT 1'
prints "mysql 9.7 no password" '*ERROR 1045 (28000)*using password: NO*' "${MYSQL[@]}" -e 'SELECT 1'
prints "mysql 9.7" 'ops@127.0.0.1 ' "${MYSQL[@]}" -padmin-pw --batch -N -e 'SELECT CURRENT_USER()'
prints "mysql 9.7 in plaintext" 'ops@127.0.0.1 ' "${MYSQL[@]}" -padmin-pw --ssl-mode=DISABLED -N -e 'SELECT CURRENT_USER()'
prints "mysql 9.7 reload" '' "${MYSQL[@]}" -padmin-pw -e 'ALTER INSTANCE RELOAD TLS'
prints "mysql 9.7 status" '*Server version:*mytls*Threads:*' "${MYSQL[@]}" --commands -padmin-pw -e status
prints "mysql 9.7 completion" '1 1 ' "${MYSQL[@]}" -padmin-pw --auto-rehash -Dperformance_schema -e 'SELECT 1'
prints "mysql 9.7 certificate alone" 'rotate@127.0.0.1 ' "${MYSQL[@]}" -urotate "${ROTATE[@]}" -N -e 'SELECT CURRENT_USER()'
prints "mysql 9.7 no certificate" '*ERROR 1045 (28000)*' "${MYSQL[@]}" -urotate -N -e 'SELECT CURRENT_USER()'
prints "mysqladmin ping" 'mysqld is alive ' "${ADMIN[@]}" ping
prints "mysqladmin status" 'Uptime: *' "${ADMIN[@]}" status
prints "mysqladmin extended-status" '*Ssl_server_not_after*' "${ADMIN[@]}" extended-status
prints "mysqladmin variables" '*ssl_cert*' "${ADMIN[@]}" variables
prints "mysqladmin processlist" '*' "${ADMIN[@]}" processlist

for version in 1011 118; do
  plugins=("$LAB/mariadb$version"/root/usr/lib/*/libmariadb3/plugin)
  mariadb=("$LAB/mariadb$version/bin/mariadb" --no-defaults --plugin-dir="${plugins[0]}" -h127.0.0.1 -P"$PORT" -uops -padmin-pw --ssl-ca="$PKI/root-ca.pem")
  prints "mariadb $version" 'ops@127.0.0.1 ' "${mariadb[@]}" -N -e 'SELECT CURRENT_USER()'
  prints "mariadb $version status" '*Server version:*mytls*Threads:*' "${mariadb[@]}" -e status
  prints "mariadb $version completion" '1 1 ' "${mariadb[@]}" --auto-rehash -Dperformance_schema -e 'SELECT 1'
done
exit $STATUS
