# shellcheck shell=bash
# What TLS scanners find at mytls' port: nothing that is not written down here with its reason. Sourced by tests/lab.

# Only the scanners.
lab_scan() { # PORT
  [ $# = 1 ] || { usage >&2; exit 64; }
  make_run_folder
  trap end_everything EXIT
  make_certificates
  scan "$1"
  summary
}

# scan PORT
scan() {
  ! have sslscan || check "sslscan finds what is in the README and nothing else" sslscan_finds_nothing "$1"
  ! have testssl || check "testssl.sh finds nothing that is not explained" testssl_finds_nothing "$1"
}

# One line looks like a finding and is none. No fallback SCSV: it guards against falling back below TLS 1.2, which is not
# spoken; from TLS 1.3 to 1.2 the handshake itself guards.
sslscan_finds_nothing() {
  local said
  said=$(sslscan --starttls-mysql --no-colour "127.0.0.1:$1") || return 1
  printf '%s\n' "$said"
  [ "$(awk '/^(Preferred|Accepted)/ {print $2, $5}' <<<"$said" | sort)" = "$(LC_ALL=C sort <<'SUITES'
TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256
TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384
TLSv1.2 ECDHE-RSA-CHACHA20-POLY1305
TLSv1.3 TLS_AES_128_GCM_SHA256
TLSv1.3 TLS_AES_256_GCM_SHA384
TLSv1.3 TLS_CHACHA20_POLY1305_SHA256
SUITES
)" ] &&
    [ "$(grep -E '^(SSLv|TLSv1\.)[^ ]* +(enabled|disabled)' <<<"$said" | awk '$2 == "enabled" {print $1}' | xargs)" = "TLSv1.2 TLSv1.3" ] &&
    ! grep -E ' vulnerable to heartbleed|insecure|weak' <<<"$(grep -v 'not vulnerable' <<<"$said")"
}

# testssl.sh's findings that are none: each with why.
EXPLAINED=(
  cipher_order # of suites that are all good the client chooses: it may be quicker with ChaCha20. tls-cipher sets an order
  cert_validityPeriod cert_revocation DNS_CAArecord # the lab's certificate, not mytls'
)

testssl_finds_nothing() {
  local table=$RUN/testssl.csv finding finding_id severity unexplained=0
  rm -f "$table"
  # Its exit status counts oddities of its own. Without the simulated browsers and the long list of all suites.
  testssl --starttls mysql --quiet --color 0 --ip one --warnings off --add-ca "$PKI/root-ca.pem" --csvfile "$table" \
    -p -s -f -P -S -U "127.0.0.1:$1" || true
  while IFS=, read -r finding_id _ _ severity finding; do
    finding_id=${finding_id//\"/} severity=${severity//\"/}
    # WARN is no finding but trouble of the scanner's own, as a connection that took too long on a busy machine.
    case $severity in OK | INFO | WARN | severity) continue ;; esac
    [[ " ${EXPLAINED[*]} " == *" $finding_id "* ]] || {
      echo "not explained: $finding_id $severity $finding"
      unexplained=$((unexplained + 1))
    }
  done <"$table"
  [ $unexplained = 0 ] && grep -q '"TLS1_3".*"OK"' "$table"
}
