# shellcheck shell=bash
# The container image, the compose file, the Kubernetes manifests and the Helm chart. Sourced by tests/lab.
#
# Docker is Debian's, started for the time of the checks with data, socket and bridges of its own; it changes no firewall
# rule. No registry is needed: the image is made of the release build that was tested, on a Debian unpacked from the
# archive; where the files name MySQL's image, the lab's MySQL stands for it. A cluster there is not: manifests are held
# against the schemas of Kubernetes, cert-manager and prometheus-operator, and their containers of mytls are run by
# Docker with the user, the mounts and the limits that they ask for.

CONTAINERS=$PARTS/containers

container_checks() {
  have docker && have kubernetes || return 0
  exec {DOCKER_LOCK}>"$LAB/log/docker.lock"
  if ! flock --timeout 600 "$DOCKER_LOCK"; then # one at a time on this machine
    result FAIL "everything with containers" "another run has kept its Docker for ten minutes"
  elif start_docker; then
    checks_in_docker
  else
    unavailable "everything with containers: Docker does not start on this machine" "$RUN/docker.log"
  fi
  end_docker
  exec {DOCKER_LOCK}>&-
  unset DOCKER_LOCK
}

checks_in_docker() {
  check "image: built from the release build" build_image
  check "image: its stage that compiles has all sources" has_all_sources
  check "image: nothing but mytls in it, and nobody is root" image_is_bare
  check "image: mysql stands for MySQL's own" build_mysql_image
  check "pod: a MySQL server with TLS is set up" start_pod_server
  compose_checks
  manifest_checks
  pod_checks
  host_network_check
}

# Ends what this run has of Docker, whether it is well or not; nothing if there is none. `end_everything` calls it, too.
end_docker() {
  [ -e "$RUN/docker.pid" ] || return 0
  local id docker=(as_root timeout 60 /usr/bin/docker --host "unix://$RUN/docker.sock")
  {
    if ! alive docker && compgen -G "$RUN/docker.exec/netns/*"; then
      # It has died, and containerd with it, but not its containers: the next one ends them.
      as_root rm -f "$RUN/docker.exec/containerd/containerd.pid"
      launch_docker
    fi
    for id in $("${docker[@]}" ps --all --quiet); do "${docker[@]}" rm --force "$id"; done
    for id in $("${docker[@]}" network ls --quiet --filter type=custom); do
      "${docker[@]}" network rm "$id" # or its bridge would outlive Docker
    done
  } >"$RUN/docker-end.log" 2>&1 || true
  stop docker || result FAIL "Docker ends when asked to"
  unmount "$RUN/docker.exec"
  unmount "$RUN/docker.data"
  as_root rm -rf --one-file-system "$RUN/docker.data" "$RUN/docker.exec"
}

install_docker() {
  need_packages docker.io docker-compose mmdebstrap openssl binutils || return 1
  local base=$LAB/containers/debian.tar log=$LAB/log/containers.log
  [ ! -e "$base" ] || return 0
  say "unpacking a Debian for images"
  mkdir -p "$LAB/containers"
  mmdebstrap --variant=extract --include=base-files,bash,coreutils,dash,grep,libc-bin,libgcc-s1 \
    --aptopt='Acquire::Languages "none"' --format=tar trixie "$base.part" "$(debian_archive)" >"$log" 2>&1 </dev/null ||
    { tail -n 5 "$log" >&2; return 1; }
  mv "$base.part" "$base"
}

# Helm, the parser of compose files, and schemas. The first time takes minutes: Helm is compiled.
install_kubernetes() {
  local packages='kubernetes-validate==1.37.0' helm=v4.3.1 compose=v2.16.2 log=$LAB/log/kubernetes.log
  need_packages python3-venv || return 1
  installed kubernetes "$packages $helm $compose" && return 0
  rm -rf "$LAB/kubernetes"
  mkdir -p "$LAB/kubernetes/crds"
  find_go || return 1
  say "compiling Helm, and collecting the schemas of Kubernetes"
  {
    python3 -m venv "$LAB/kubernetes/python" && "$LAB/kubernetes/python/bin/pip" install -q "$packages" &&
      from_go_module github.com/cert-manager/cert-manager@v1.21.2 deploy/crds/cert-manager.io_certificates.yaml &&
      from_go_module github.com/prometheus-operator/prometheus-operator@v0.85.0 \
        example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml &&
      go_install compose "github.com/compose-spec/compose-go/v2/cmd@$compose" cmd &&
      go_install helm "helm.sh/helm/v4/cmd/helm@$helm" helm
  } >"$log" 2>&1 </dev/null || { tail -n 5 "$log" >&2; return 1; }
  now_installed kubernetes "$packages $helm $compose"
}

from_go_module() { # MODULE FILE…
  local folder file
  folder=$("$GO" mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') || return 1
  for file in "${@:2}"; do
    install -m 644 "$folder/$file" "$LAB/kubernetes/crds" || return 1
  done
}

go_install() { # NAME PACKAGE PROGRAM
  CGO_ENABLED=0 GOBIN=$LAB/kubernetes/go "$GO" install -trimpath -ldflags '-s -w' "$2" &&
    mv "$LAB/kubernetes/go/$3" "$LAB/kubernetes/$1"
}

start_docker() {
  launch_docker && in_docker import - lab-debian <"$LAB/containers/debian.tar" >/dev/null
}

launch_docker() {
  # shellcheck disable=SC2034 # for `launch`: Docker needs root
  local AS_SERVER=()
  # shellcheck disable=SC2034
  [ "$(id -u)" = 0 ] || AS_SERVER=(sudo)
  launch docker dockerd --data-root "$RUN/docker.data" --exec-root "$RUN/docker.exec" --pidfile "$RUN/dockerd-pid" \
    --host "unix://$RUN/docker.sock" --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false
  (until_ready docker 60 in_docker info)
}

# Debian's own client: another one on this machine may be too new for Debian's dockerd.
in_docker() { as_root /usr/bin/docker --host "unix://$RUN/docker.sock" "$@"; }

build() { # NAME FOLDER OPTIONS…
  as_root env DOCKER_BUILDKIT=1 /usr/bin/docker --host "unix://$RUN/docker.sock" build --network=none --tag "$1" "${@:3}" "$2"
}

build_image() {
  mkdir "$RUN/image" && strip --strip-debug -o "$RUN/image/mytls" "$(mytls_program)" &&
    build mytls "$RUN/image" --file "$ROOT/docker/Dockerfile" --build-arg BINARY=prebuilt --build-arg DEBIAN=lab-debian
}

# That stage itself needs a registry and minutes. What it copies must be what the release build was made of, by cargo's own
# list of files, and cargo must find every target's files in it.
has_all_sources() {
  local list others
  list=$(mytls_program).d
  if [ -e "$list" ]; then
    others=$(tr ' ' '\n' <"$list" | grep "^$ROOT/" | grep -vE "^$ROOT/(src/|target/)") && echo "$others" && return 1
  fi
  mkdir "$RUN/sources" && cd "$ROOT" && cp -r Cargo.toml Cargo.lock src benches "$RUN/sources" && cd "$RUN/sources" &&
    cargo metadata --locked --no-deps --format-version 1
}

build_mysql_image() { build lab-mysql "$CONTAINERS/mysql" --build-arg BASE=lab-debian; }

image_is_bare() {
  local files size
  in_docker create --name bare mytls >/dev/null && files=$(in_docker export bare | tar t | grep -v '/$') && in_docker rm bare >/dev/null &&
    size=$(in_docker image inspect --format '{{.Size}}' mytls) && echo "$files" && echo "$size bytes" || return 1
  [ "$(in_docker image inspect --format '{{.Config.User}}' mytls)" = 65532:65532 ] || return 1
  # Docker itself makes the first line's in every container.
  ! grep -vE '^(\.dockerenv|dev/console|etc/(hosts|hostname|resolv\.conf|mtab))$' <<<"$files" |
    grep -vE '^(mytls|etc/(passwd|group|nsswitch\.conf)|lib(64)?/([^/]*/)?(ld-linux[^/]*|libc|libm|libgcc_s)\.so\.[0-9]+)$' || return 1
  [ "$size" -lt 20000000 ]
}

# The lab's MySQL for a container: where it is mounted from, and what stands in for the variables of MySQL's image.
mysql_options() {
  printf '%s\n' --volume="$LAB/mysql97:$LAB/mysql97:ro" --env=PATH="$LAB/mysql97/bin:/usr/bin:/bin" \
    --env=MYSQL_ROOT="$LAB/mysql97/root" --env=MYSQL_{DATABASE,USER}=app --env=MYSQL_PASSWORD=app-pw --env=MYSQL_ROOT_PASSWORD=root-pw
}

in_compose() {
  as_root env DOCKER_HOST="unix://$RUN/docker.sock" docker-compose --project-directory "$ROOT/docker" --project-name mytls \
    --file "$RUN/compose.yaml" --file "$RUN/compose-lab.yaml" "$@"
}

compose_checks() {
  # Debian's docker-compose does not know `name`; and a port of this machine may be taken.
  sed -e '/^name:/d' -e 's/127.0.0.1:3307:3307/127.0.0.1::3307/' "$ROOT/docker/compose.yaml" >"$RUN/compose.yaml"
  cat >"$RUN/compose-lab.yaml" <<YAML
services:
  mysql: &lab
    image: lab-mysql
    environment: { PATH: "$LAB/mysql97/bin:/usr/bin:/bin", MYSQL_ROOT: "$LAB/mysql97/root" }
    volumes: ["$LAB/mysql97:$LAB/mysql97:ro"]
  client: *lab
YAML
  check "compose: the file keeps to the specification" "$LAB/kubernetes/compose" "$ROOT/docker/compose.yaml"
  check "compose: comes up" in_compose up -d
  check "compose: HEALTHCHECK says healthy" within 30 is_healthy mytls_mytls_1
  check "compose: the client" in_compose run --rm -T client
  check "compose: a client with its certificate" compose_client --ssl-cert=/certs/client-cert.pem --ssl-key=/certs/client-key.pem
  check "compose: a client without one is refused" refused 1045 client_of_the_page
  check "compose: nobody goes around mytls" refused 2003 compose_client --host=mysql --port=3306
  check "compose: comes up again" in_compose up -d
  check "compose: docker stop ends mytls well" stops_well mytls_mytls_1
  check "compose: goes away" in_compose down --volumes
}

# The line of docs/containers.md that shows the refusal, with the options that it has there.
client_of_the_page() {
  local line options
  line=$(grep -m1 -o ' run --rm client --no-defaults .*' "$ROOT/docs/containers.md") || return 1
  read -ra options <<<"${line#* client }"
  in_compose run --rm -T client "${options[@]}"
}

compose_client() { client mytls_default mytls mytls_certificates:/certs:ro "$@"; }

# client NETWORK HOST CERTIFICATES OPTIONS…: MySQL's shell as the user app, in a container.
client() {
  local options
  mapfile -t options < <(mysql_options)
  in_docker run --rm --user=65532:65532 --network="$1" "${options[@]}" --volume="$3" --entrypoint=mysql lab-mysql --no-defaults \
    --host="$2" --port=3307 --user=app --password=app-pw --ssl-mode=VERIFY_IDENTITY --ssl-ca=/certs/ca.pem "${@:4}" \
    --execute='SELECT CURRENT_USER()'
}

is_healthy() { [ "$(in_docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; }

# within SECONDS COMMAND…: until COMMAND succeeds; shows what it last said.
within() {
  local tries=$(($1 * 10)) said
  shift
  until said=$("$@" 2>&1); do
    [ $((tries -= 1)) -gt 0 ] || { echo "$said"; return 1; }
    sleep 0.1
  done
}

# refused NUMBER COMMAND…: fails with that MySQL error.
refused() {
  local said
  ! said=$("${@:2}" 2>&1) && echo "$said" && grep -q "ERROR $1 " <<<"$said"
}

# ends_well CONTAINER: exit status 0 within the time of a drain, and no panic.
ends_well() {
  within 30 has_ended "$1" && in_docker logs "$1" && ! in_docker logs "$1" 2>&1 | grep panicked
}

stops_well() { in_docker stop --time 40 "$1" && ends_well "$1"; }

has_ended() { [ "$(in_docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$1")" = "exited 0" ]; }

manifest_checks() {
  local values pod
  mkdir "$RUN/rendered" "$RUN/pods"
  for values in "$ROOT"/helm/mytls/ci/*-values.yaml; do
    check "Helm: lint with $(basename "$values")" "$LAB/kubernetes/helm" lint --strict "$ROOT/helm/mytls" --values "$values"
    "$LAB/kubernetes/helm" template release "$ROOT/helm/mytls" --values "$values" \
      >"$RUN/rendered/helm-$(basename "$values" -values.yaml).yaml" 2>>"$RUN/helm.log" || true # an empty file fails below
  done
  check "Helm: values without a server are refused" helm_refuses
  check "Helm: the alerts are those of docker/prometheus" same_alerts
  check "Helm: the NetworkPolicy opens the ports of endpoints" endpoints_are_open
  count_checks "manifests" manifests "$RUN/pods" "$ROOT"/kubernetes/*.yaml "$RUN"/rendered/*.yaml
  check "manifests that are wrong are noticed" wrong_manifests
  for pod in "$RUN"/pods/*; do
    check "mytls check in $(basename "$pod")" run_pod "$pod" --rm --network=none mytls check --offline /etc/mytls/mytls.yaml
  done
}

manifests() { # OUT FILE…
  "$LAB/kubernetes/python/bin/python" "$CONTAINERS/manifests.py" "$LAB/kubernetes/crds" "$RUN/pod-certs" "$@"
}

helm_refuses() {
  local said
  ! said=$("$LAB/kubernetes/helm" template release "$ROOT/helm/mytls" 2>&1) && echo "$said" && grep -q /config/from <<<"$said"
}

# The chart has them by a link, which must not be lost.
same_alerts() {
  diff <(grep -o 'alert: .*' "$ROOT/docker/prometheus/mytls.rules.yml" | sort) \
    <(grep -o 'alert: .*' "$RUN/rendered/helm-cert-manager.yaml" | sort) && grep -q 'alert: ' "$RUN/rendered/helm-cert-manager.yaml"
}

endpoints_are_open() {
  diff <(grep -o 'ports: \[{ port: [0-9]* }\]' "$RUN/rendered/helm-existing-secret.yaml" | grep -o '[0-9]*') <(printf '%s\n' 3306 4000 4001)
}

# Each change must be found.
wrong_manifests() {
  local change said number=0
  mkdir "$RUN/wrong"
  for change in s/privateKey:/privateKeys:/ s/readOnlyRootFilesystem:/readOnlyRoot:/ s/targetPort:.mysql/targetPort:\ sql/ \
    s/min:.10s/min:\ 20s/ s/fsGroup:.*/fsGroup:\ none/ 's/secretName: mytls-server, /secretNames: mytls-server, /'; do
    number=$((number + 1))
    sed "$change" "$ROOT/kubernetes/deployment.yaml" >"$RUN/wrong/$number.yaml"
  done
  said=$(manifests "$RUN/wrong/out" "$RUN"/wrong/*.yaml) || true
  echo "$said"
  [ "$(grep -o '^FAIL [0-9]*' <<<"$said" | sort -u | wc -l)" = $number ]
}

# run_pod FOLDER OPTIONS…: docker run, with what the manifest asks for.
run_pod() {
  local options
  mapfile -t options <"$1/run"
  in_docker run "${options[@]}" "${@:2}"
}

# The Deployment of kubernetes/, as it is, before a real server: names are those of the files.
pod_checks() {
  local pod=$RUN/pods/deployment
  check "pod: the server answers, and wants certificates" server_wants_certificates
  check "pod: starts" run_pod "$pod" --detach --network=pods --network-alias=mysql --name=pod mytls serve /etc/mytls/mytls.yaml
  check "pod: mytls wait" in_docker exec pod /mytls wait --timeout 30s
  check "pod: mytls health" in_docker exec pod /mytls health
  check "pod: kubelet's probes, and metrics for Prometheus" probes_answer
  check "pod: mytls check dials the server" in_docker exec pod /mytls check /etc/mytls/mytls.yaml
  check "pod: a client with its certificate" pod_client --ssl-cert=/certs/client-cert.pem --ssl-key=/certs/client-key.pem
  check "pod: a client without one is refused" refused 1045 pod_client
  check "pod: a Secret that changes is served" secret_changes "$pod/server"
  check "pod: mytls shutdown makes it unready, and clients still come for drain.min" unready_and_open
  check "pod: it ends well" ends_well pod
  check "sidecar: starts" run_pod "$RUN/pods/sidecar-app" --detach --network=pods --name=sidecar mytls serve /etc/mytls/mytls.yaml
  check "sidecar: its application needs no certificate" within 10 sidecar_client
  check "sidecar: docker stop ends it well" stops_well sidecar
}

# It takes some seconds until it answers.
start_pod_server() {
  local options
  mapfile -t options < <(mysql_options)
  "$RUN/image/mytls" certs new "$RUN/pod-certs" --san mysql --san mysql.internal.example &&
    chmod -R a+rX "$RUN/pod-certs" && # the keys protect nothing
    in_docker network create pods &&
    in_docker run --detach --name=server --network=pods --network-alias=mysql.internal.example "${options[@]}" \
      --volume="$RUN/pod-certs:/certs:ro" lab-mysql --mysqlx=OFF --require-secure-transport=ON \
      --ssl-ca=/certs/ca.pem --ssl-cert=/certs/server-cert.pem --ssl-key=/certs/server-key.pem
}

server_wants_certificates() {
  within 60 in_docker exec server mysqladmin --no-defaults --host=127.0.0.1 ping &&
    in_docker exec server mysql --no-defaults --socket=/tmp/mysql.sock --user=root --password=root-pw \
      --execute="ALTER USER app@'%' REQUIRE X509"
}

# In the network of the sidecar, as the containers of one pod are.
sidecar_client() {
  client container:sidecar 127.0.0.1 "$RUN/pod-certs:/certs:ro" --port=3306 --ssl-mode=DISABLED --get-server-public-key
}

pod_client() { client pods mysql "$RUN/pod-certs:/certs:ro" "$@"; }

# As kubelet does it: new files in a new folder, then `..data` leads there.
secret_changes() { # FOLDER
  local new=$RUN/renewed before
  before=$(certificate_of_pod) && mkdir "$new" "$1/..second" && cp "$RUN"/pod-certs/ca{,-key}.pem "$new" &&
    "$RUN/image/mytls" certs new "$new" --san mysql >/dev/null &&
    cp "$new/ca.pem" "$1/..second/ca.crt" && cp "$new/server-cert.pem" "$1/..second/tls.crt" &&
    cp "$new/server-key.pem" "$1/..second/tls.key" && chmod 444 "$1"/..second/* &&
    [ "$(certificate_of_pod)" = "$before" ] && ln -s ..second "$1/..data_tmp" && mv -T "$1/..data_tmp" "$1/..data" &&
    [ "$(certificate_of_pod)" = "$(openssl x509 -noout -fingerprint -sha256 -in "$new/server-cert.pem")" ] &&
    pod_client --ssl-cert=/certs/client-cert.pem --ssl-key=/certs/client-key.pem
}

# The fingerprint of what the pod shows to a new client.
certificate_of_pod() {
  openssl s_client -starttls mysql -connect "$(address_of_pod):3307" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256
}

address_of_pod() { in_docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' pod; }

probes_answer() { probe livez && probe readyz && probe startupz && probe metrics; }

probe() { python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read())' "http://$(address_of_pod):9307/$1"; }

# Its end would be the end of a `mytls shutdown` that waits, too.
unready_and_open() {
  in_docker exec pod /mytls shutdown --no-wait && within 5 is_unready && probe livez &&
    pod_client --ssl-cert=/certs/client-cert.pem --ssl-key=/certs/client-key.pem
}

is_unready() { ! probe readyz 2>"$RUN/unready" && grep 'HTTP Error 503' "$RUN/unready"; }

# On the network of the machine, before a server that is no container.
host_network_check() {
  local port
  port=$(free_port)
  mytls_config "$(port_of mysql97)" | sed "s/PORT/$port/" >"$RUN/host.yaml"
  check "host network: starts" in_docker run --detach --name=host --network=host --read-only --cap-drop=ALL \
    --security-opt=no-new-privileges --volume="$PKI:$PKI:ro" --volume="$RUN/host.yaml:/etc/mytls/mytls.yaml:ro" mytls
  check "host network: a client logs in" within 20 "$LAB/mysql97/bin/mysql" --no-defaults -h127.0.0.1 -P"$port" -uapp_x509 -papp-pw \
    --ssl-mode=VERIFY_CA --ssl-ca="$PKI/root-ca.pem" --ssl-cert="$PKI/client-dm-rsa.pem" --ssl-key="$PKI/client-dm-rsa.key" -e 'SELECT 1'
  check "host network: docker stop ends it well" stops_well host
}
