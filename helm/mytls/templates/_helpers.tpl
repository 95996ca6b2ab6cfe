{{- define "mytls.name" -}}
{{- if contains "mytls" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-mytls" (.Release.Name | trunc 44 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "mytls.selector" -}}
app.kubernetes.io/name: mytls
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mytls.labels" -}}
{{ include "mytls.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* mytls.secret (list context "server"|"client"): the name of the Secret of that side, or nothing. */}}
{{- define "mytls.secret" -}}
{{- $root := index . 0 }}{{ $side := index . 1 }}{{ $of := index $root.Values.certificates $side }}
{{- if and $of.existingSecret $of.certManager.enabled }}
{{- fail (printf "certificates.%s: existingSecret and certManager.enabled exclude each other" $side) }}
{{- end }}
{{- if $of.existingSecret }}{{ $of.existingSecret }}{{ else if $of.certManager.enabled }}{{ include "mytls.name" $root }}-{{ $side }}{{ end }}
{{- end }}

{{- /* mytls.security (list context "server"|"client"): the files of that Secret, as keys of `security`. */}}
{{- define "mytls.security" -}}
{{- $side := index . 1 }}{{ $keys := (index (index . 0).Values.certificates $side).keys }}
{{- with $keys.ca }}
ssl-ca: /certs/{{ $side }}/{{ . }}
{{- end }}
{{- with $keys.certificate }}
ssl-cert: /certs/{{ $side }}/{{ . }}
{{- end }}
{{- with $keys.key }}
ssl-key: /certs/{{ $side }}/{{ . }}
{{- end }}
{{- end }}

{{- /* mytls.config: mytls.yaml. What the values say counts before what the chart says. */}}
{{- define "mytls.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $ours := dict "listen" "0.0.0.0:3307" "http" (dict "listen" "0.0.0.0:9307") }}
{{- $_ := set $ours "drain" (dict "min" (printf "%ds" (int .Values.drain.minSeconds)) "max" (printf "%ds" (int .Values.drain.maxSeconds))) }}
{{- if include "mytls.secret" (list . "server") }}
{{- $_ := set $ours "security" (include "mytls.security" (list . "server") | fromYaml) }}
{{- end }}
{{- if include "mytls.secret" (list . "client") }}
{{- $_ := set $ours "from" (dict "security" (include "mytls.security" (list . "client") | fromYaml)) }}
{{- end }}
{{- if hasKey $config "drain" }}{{ fail "config.drain: say it by drain.minSeconds and drain.maxSeconds, which the pod's grace period follows" }}{{ end }}
{{- mergeOverwrite $ours $config | toYaml }}
{{- end }}

{{- /* mytls.ports: the TCP ports of the servers, as JSON. An endpoint is host, host:port, an IPv6 address, [address]:port or unix:path. */}}
{{- define "mytls.ports" -}}
{{- $ports := list }}
{{- range $key := list "from" "target-database" }}
{{- with index $.Values.config $key }}
{{- if .host }}{{ $ports = append $ports (.port | default 3306 | int) }}{{ end }}
{{- range ternary .endpoints (list .endpoints | compact) (kindIs "slice" .endpoints) }}
{{- if regexMatch "^([^:]+|\\[.*\\]):[0-9]+$" . }}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) }}
{{- else if not (hasPrefix "unix:" .) }}
{{- $ports = append $ports 3306 }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}
