#!/bin/bash
# The variables and options of docker/compose.yaml, understood as MySQL's own image understands them.
set -euo pipefail
if [ ! -e /var/lib/mysql/mysql.ibd ]; then
  cat >/tmp/first.sql <<SQL
ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
CREATE DATABASE $MYSQL_DATABASE;
CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT ALL ON $MYSQL_DATABASE.* TO '$MYSQL_USER'@'%';
SQL
  mysqld --no-defaults --basedir="$MYSQL_ROOT/usr" --datadir=/var/lib/mysql --secure-file-priv=NULL --initialize-insecure \
    --init-file=/tmp/first.sql
fi
# a later --socket counts
exec mysqld --no-defaults --socket=/tmp/mysql.sock --basedir="$MYSQL_ROOT/usr" --datadir=/var/lib/mysql --secure-file-priv=NULL "$@"
