# shellcheck shell=bash
# The HTTP port of a mytls before a real server: what a browser shows of it, and the commands that ask and end it. Sourced
# by tests/lab.

# http_checks SERVER
http_checks() {
  have curl || return 0
  # a name of its own, by which `mytls shutdown` finds this one
  local name=mytls-http-$$ http program sleeper pid
  program=$RUN/$name.program
  http=127.0.0.1:$(free_port)
  start_mytls "$name" < <(mytls_config "$(port_of "$1")" && echo "http: { listen: $http }" && echo 'drain: { max: 1s }')
  check "HTTP: mytls wait" "$program" wait --http-addr "$http" --timeout 20s
  check "HTTP: mytls health, by the file" "$program" health "$RUN/$name.yaml"
  grep -v '^http:' "$RUN/$name.yaml" >"$RUN/$name-less.yaml"
  check "HTTP: mytls health, by the greeting" "$program" health "$RUN/$name-less.yaml"
  http_shell -uapp --ssl-mode=REQUIRED -e 'SELECT SLEEP(600)' >"$RUN/http-sleeper.log" 2>&1 &
  sleeper=$!
  check "HTTP: a session is on the page" until_on_page "$http" '<td>logged in</td><td class="number">1</td>'
  http_refusals
  if have chromium; then
    check "HTTP: a browser's complaint would be seen" fails browse "data:text/html,<script>console.error('a')</script>" --dump-dom
    check "HTTP: the page in a browser, without a complaint" page_in_browser "http://$http/"
    check "HTTP: the page's picture, $LAB/status-page.png" picture "http://$http/" "$LAB/status-page.png"
  fi
  check "HTTP: mytls shutdown" timeout 60 "$program" shutdown
  pid=$(cat "$RUN/$name.pid")
  if within 30 test ! -e "/proc/$pid" >/dev/null && wait "$pid"; then
    result ok "HTTP: it has ended"
    rm "$RUN/$name.pid"
  else
    result FAIL "HTTP: it has ended" "status $?"
    stop "$name" || true
  fi
  check "HTTP: nobody is healthy then" fails "$program" health --http-addr "$http"
  wait "$sleeper" || true
  check "HTTP: mytls never panicked" not_in_log panicked "$name"
}

fails() { ! "$@"; }

# MySQL's own shell, as a client of that mytls.
http_shell() {
  "$LAB/mysql97/bin/mysql" --no-defaults -h127.0.0.1 -P"$(port_of "mytls-http-$$")" -papp-pw "$@"
}

# Two who may not pass, for the table of refusals.
http_refusals() {
  local tries
  for tries in 1 2 3; do
    ! http_shell -uapp_ssl --ssl-mode=DISABLED -e 'SELECT 1' >/dev/null 2>&1 || result FAIL "HTTP: try $tries without TLS is refused"
  done
  ! http_shell -uapp_x509 --ssl-mode=REQUIRED -e 'SELECT 1' >/dev/null 2>&1 || result FAIL "HTTP: no certificate is refused"
}

# until_on_page ADDRESS HTML
until_on_page() {
  local tries=200
  until curl --silent --fail "http://$1/" | grep --fixed-strings --quiet "$2"; do
    [ $((tries -= 1)) -gt 0 ] || { curl --silent "http://$1/"; return 1; }
    sleep 0.1
  done
}

# browse URL OPTION…: fails if the page has something to complain of (what its policy forbids, what it cannot load).
browse() {
  local url=$1 status=0
  shift
  HOME=$RUN/chromium timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --user-data-dir="$RUN/chromium" \
    --enable-logging=stderr "$@" "$url" 2>"$RUN/chromium.log" || status=$?
  [ $status = 0 ] && ! grep CONSOLE "$RUN/chromium.log"
}

# page_in_browser URL: the certificate that clients are shown has as many days left as openssl counts.
page_in_browser() {
  local page=$RUN/status.page end days
  browse "$1" --dump-dom >"$page"
  end=$(date -d "$(openssl x509 -noout -enddate -in "$PKI/server-rsa.pem" | cut -d= -f2)" +%s) &&
    days=$(((end - $(date +%s)) / 86400)) &&
    grep --quiet "<td>mysql_main</td><td>ssl-cert</td><td>/O=Lab/OU=servers/CN=localhost</td>.*>$days</td>" "$page" &&
    grep --fixed-strings --quiet '>ready<' "$page" &&
    grep --fixed-strings --quiet '<td>refused</td>' "$page"
}

# picture URL FILE
picture() {
  browse "$1" --screenshot="$2" --window-size=1120,1000 --hide-scrollbars && [ "$(stat -c %s "$2")" -gt 10000 ]
}
