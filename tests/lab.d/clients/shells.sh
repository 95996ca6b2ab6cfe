#!/usr/bin/env bash
# The command-line clients of MySQL 9.7, MariaDB 10.11 and 11.8 against one port: shells.sh security|session|plugins|compression PORT PKI.
# What the words mean, and the lines printed, are as in python.py. $LAB is the lab folder.
# shellcheck disable=SC2317 # functions are called by name
set -uo pipefail
PORT=$2 PKI=$3
USER=${LAB_USER:-app_ssl}
STATUS=0

# check NAME yes|no COMMAND…: whether it should succeed.
check() {
  local name=$1 wanted=$2 got=yes output
  shift 2
  if grep -qxF -- "$name" <<<"${LAB_SKIP:-}"; then
    echo "skip $name"
    return
  fi
  output=$("$@" 2>&1 </dev/null) || got=no
  output=$(grep -v Warning <<<"$output" | tail -n 1 | cut -c 1-160)
  if [ "$got" = "$wanted" ]; then
    echo "ok   $name -> $output"
  else
    STATUS=1
    echo "FAIL $name -> $output"
  fi
}

# prints NAME EXPECTED SCRIPT COMMAND…: whether the script's output, in one line, is what we expect.
prints() {
  local name=$1 expected=$2 script=$3 output errors
  shift 3
  errors=$(mktemp)
  forget_passwords
  output=$("$@" <<<"$script" 2>"$errors" | tr '\n\t' '  ')
  if [ "$output" = "$expected " ]; then
    echo "ok   $name -> $output"
  else
    STATUS=1
    echo "FAIL $name -> '$output' instead of '$expected'; $(tail -n 1 "$errors")"
  fi
  rm -f "$errors"
}

# The server behind LAB_FORGET needs the passwords themselves again.
forget_passwords() {
  [ -z "${LAB_FORGET:-}" ] || "$LAB/mysql97/bin/mysql" --no-defaults -uroot -S "$LAB_FORGET" -e 'FLUSH PRIVILEGES'
}

# Each shell with the plugins of its own release. MySQL's runs commands like `connect` in a script only if asked to.
mysql97() {
  "$LAB/mysql97/bin/mysql" --no-defaults --commands --plugin-dir="$LAB/mysql97/root/usr/lib/mysql/plugin" -h127.0.0.1 -P"$PORT" "$@"
}
mariadb() { # VERSION OPTIONS…
  local plugins=("$LAB/mariadb$1"/root/usr/lib/*/libmariadb3/plugin) shell=$LAB/mariadb$1/bin/mariadb
  shift
  "$shell" --no-defaults --plugin-dir="${plugins[0]}" -h127.0.0.1 -P"$PORT" "$@"
}

security() {
  local app=(-uapp_ssl -papp-pw) dm=(-udm -pdm-pw --ssl-ca="$PKI/root-ca.pem") query=(-e 'SELECT CURRENT_USER()') version name wanted
  certificate() { printf '%s\n' "--ssl-cert=$PKI/client-$1.pem" "--ssl-key=$PKI/client-$1.key"; }

  for version in TLSv1.2 TLSv1.3; do
    check "mysql 9.7 $version" yes mysql97 "${app[@]}" "${query[@]}" --ssl-mode=VERIFY_IDENTITY --ssl-ca="$PKI/root-ca.pem" --tls-version="$version"
  done
  check "mysql 9.7 one cipher of TLS 1.2" yes mysql97 "${app[@]}" "${query[@]}" --tls-version=TLSv1.2 --ssl-cipher=ECDHE-RSA-CHACHA20-POLY1305
  check "mysql 9.7 one cipher of TLS 1.3" yes mysql97 "${app[@]}" "${query[@]}" --tls-ciphersuites=TLS_AES_128_GCM_SHA256
  check "mysql 9.7 a cipher without forward secrecy" no mysql97 "${app[@]}" "${query[@]}" --ssl-mode=REQUIRED --tls-version=TLSv1.2 --ssl-cipher=AES128-SHA
  check "mysql 9.7 wrong CA" no mysql97 "${app[@]}" "${query[@]}" --ssl-mode=VERIFY_CA --ssl-ca="$PKI/other-ca.pem"
  check "mysql 9.7 no TLS" no mysql97 "${app[@]}" "${query[@]}" --ssl-mode=DISABLED
  for name in dm-rsa dm-p256; do
    mapfile -t cert < <(certificate "$name")
    check "mysql 9.7 $name" yes mysql97 "${dm[@]}" "${query[@]}" "${cert[@]}"
  done
  for name in mallory-rsa dm-otherca dm-expired dm-root; do
    mapfile -t cert < <(certificate "$name")
    check "mysql 9.7 $name refused" no mysql97 "${dm[@]}" "${query[@]}" "${cert[@]}"
  done
  check "mysql 9.7 compressed" yes mysql97 "${app[@]}" "${query[@]}" --compression-algorithms=zstd,zlib

  mapfile -t cert < <(certificate dm-rsa)
  for version in 10.11 11.8; do
    name="mariadb $version"
    check "$name" yes mariadb "${version/./}" "${app[@]}" "${query[@]}" --ssl-ca="$PKI/root-ca.pem" --ssl-verify-server-cert
    # 11.8 verifies by default. MariaDB's own accounts can prove an unknown certificate (unless a proxy put its own
    # there), caching_sha2_password cannot.
    wanted=yes
    [ "$version" = 10.11 ] || { [ "${LAB_SERVER:-mysql}" = mariadb ] && [ "${LAB_PROXY:-0}" = 0 ]; } || wanted=no
    check "$name no CA file" "$wanted" mariadb "${version/./}" "${app[@]}" "${query[@]}" --ssl
    check "$name wrong CA" no mariadb "${version/./}" "${app[@]}" "${query[@]}" --ssl-ca="$PKI/other-ca.pem" --ssl-verify-server-cert
    check "$name dm-rsa" yes mariadb "${version/./}" "${dm[@]}" "${query[@]}" "${cert[@]}"
  done
}

session() {
  local version name shell at_terminal schema=performance_schema tls12=(--tls-version=TLSv1.2)
  local told='Ssl_version TLSv1.2 Ssl_version TLSv1.2 TLSv1.2'
  [ "${LAB_SERVER:-mysql}" = mysql ] || schema=information_schema
  [ "${LAB_TLS:-yes}" = yes ] || tls12=() told='Ssl_version  Ssl_version  '
  # for a shell that is started at a terminal
  export -f mysql97 mariadb
  export PORT
  for version in 9.7 10.11 11.8; do
    name="mariadb $version" shell=(mariadb "${version/./}")
    [ "$version" != 9.7 ] || name='mysql 9.7' shell=(mysql97)
    case $version-${LAB_TLS:-yes} in
      9.7-yes) shell+=(--ssl-mode=VERIFY_IDENTITY --ssl-ca="$PKI/root-ca.pem") ;;
      9.7-no) shell+=(--ssl-mode=DISABLED --get-server-public-key) ;;
      *-yes) shell+=(--ssl-ca="$PKI/root-ca.pem" --ssl-verify-server-cert) ;;
      *-no) shell+=(--skip-ssl) ;;
    esac
    shell+=(-u"$USER" -papp-pw)
    at_terminal=("${shell[@]}" sbtest)
    shell+=(--skip-column-names --batch --force sbtest)
    prints "$name query" "$USER sbtest" \
      "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1), DATABASE();" "${shell[@]}"
    prints "$name prepared" "3 43" \
      "PREPARE p FROM 'SELECT ? + 1'; SET @a = 2, @b = 42; EXECUTE p USING @a; EXECUTE p USING @b;" "${shell[@]}"
    prints "$name transaction" "2" \
      "CREATE TEMPORARY TABLE t (n INT) ENGINE=InnoDB;
       BEGIN; INSERT INTO t VALUES (1), (2); COMMIT; BEGIN; INSERT INTO t VALUES (3); ROLLBACK;
       SELECT COUNT(*) FROM t;" "${shell[@]}"
    prints "$name error, then on" "6 7" $'SELECT 6;\nSELEC 1;\nSELECT 7;' "${shell[@]}"
    prints "$name procedure with several results" "1 2" \
      "DROP PROCEDURE IF EXISTS two;
DELIMITER //
CREATE PROCEDURE two() BEGIN SELECT 1; SELECT 2; END//
DELIMITER ;
CALL two();
DROP PROCEDURE two;" "${shell[@]}"
    prints "$name reconnects" "1 NULL mysql" $'SELECT @mine := 1;\nconnect mysql\nSELECT @mine, DATABASE();' "${shell[@]}"
    prints "$name killed, reconnects" "8" $'KILL CONNECTION_ID();\nDO 0;\nconnect sbtest\nSELECT 8;' "${shell[@]}"
    check "$name Ctrl-C" yes python3 "$(dirname "$0")/interrupt.py" bash -c '"$@"' - "${at_terminal[@]}"
    # TLS 1.2, where a proxy's own connection to the server has TLS 1.3
    prints "$name asks for its TLS" "$told" \
      "SHOW SESSION STATUS LIKE 'Ssl_version'; SHOW GLOBAL STATUS WHERE Variable_name = 'ssl_version';
       SELECT VARIABLE_VALUE FROM $schema.session_status WHERE VARIABLE_NAME = 'Ssl_version';" "${shell[@]}" "${tls12[@]}"
    # only MySQL's shell has this command
    [ "$version" != 9.7 ] || prints "$name COM_RESET_CONNECTION" "1 NULL" \
      $'SELECT @mine := 1;\nresetconnection\nSELECT @mine;' "${shell[@]}"
  done
}

# Every account of LAB_ACCOUNTS logs in with its own authentication plugin, twice: with the server's cache of passwords
# just emptied (app may do that), and with it filled.
plugins() {
  local account cache shell tls=(--ssl-mode=VERIFY_CA --ssl-ca="$PKI/root-ca.pem")
  [ "${LAB_TLS:-yes}" = yes ] || tls=(--ssl-mode=DISABLED --get-server-public-key)
  mysql97 -uapp -papp-pw "${tls[@]}" -e 'FLUSH PRIVILEGES' 2>/dev/null
  tls+=(--skip-column-names --batch)
  for account in $LAB_ACCOUNTS; do
    case $account in
      app_ed25519 | app_parsec) shell=(mariadb 118 --ssl-ca="$PKI/root-ca.pem" -papp-pw -N -B) ;;
      empty_pw) shell=(mysql97 "${tls[@]}") ;;
      *) shell=(mysql97 "${tls[@]}" -papp-pw) ;;
    esac
    for cache in cold warm; do
      prints "$account, $cache" "$account@%" 'SELECT CURRENT_USER();' "${shell[@]}" -u"$account"
    done
  done
}

# A long row, and a file among other statements, in frames of each algorithm, over TLS and in plaintext.
compression() {
  local file tls version name shell of_mysql of_mariadb
  file=$(mktemp)
  seq 200000 >"$file"
  local common=(-uapp -papp-pw --max-allowed-packet=128M --local-infile=1 --skip-column-names --batch)
  for tls in yes no; do
    of_mysql=(--ssl-mode=VERIFY_CA --ssl-ca="$PKI/root-ca.pem") of_mariadb=(--ssl-ca="$PKI/root-ca.pem" --ssl-verify-server-cert)
    [ "$tls" = yes ] || of_mysql=(--ssl-mode=DISABLED --get-server-public-key) of_mariadb=(--skip-ssl)
    for name in zlib zstd 'zstd, level 19' 'zlib from MariaDB 10.11' 'zlib from MariaDB 11.8'; do
      case $name in
        zlib | zstd) shell=(mysql97 "${of_mysql[@]}" --compression-algorithms="$name") ;;
        zstd,*) shell=(mysql97 "${of_mysql[@]}" --compression-algorithms=zstd --zstd-compression-level=19) ;;
        *10.11) shell=(mariadb 1011 "${of_mariadb[@]}" --compress) ;;
        *11.8) shell=(mariadb 118 "${of_mariadb[@]}" --compress) ;;
      esac
      [ "$tls" = yes ] || name="$name, no TLS"
      check "$name, a row of 40 MB" yes long_row "${shell[@]}" "${common[@]}"
      prints "$name, a file behind a result" "1 200000 20000100000" \
        "CREATE TEMPORARY TABLE sbtest.numbers (n INT) ENGINE=InnoDB;
DELIMITER //
SELECT 1; LOAD DATA LOCAL INFILE '$file' INTO TABLE sbtest.numbers; SELECT COUNT(*), SUM(n) FROM sbtest.numbers//" \
        "${shell[@]}" "${common[@]}"
    done
  done
  rm -f "$file"
}

long_row() { # SHELL…
  [ "$("$@" -e "SELECT REPEAT('0123456789', 4000000)" | cksum)" = "$(yes 0123456789 | head -n 4000000 | tr -d '\n' | sed 's/$/\n/' | cksum)" ]
}

"$1"
exit $STATUS
