{{- define "rightarch.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/*
Room is left for what is appended: names of objects end after 63 characters. A Service's name has no dot, and begins
with a letter; a release's may be otherwise.
*/}}
{{- define "rightarch.fullname" -}}
{{- $name := include "rightarch.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- $full = regexReplaceAll "^([0-9])" ($full | replace "." "-") "r-${1}" }}
{{- default $full .Values.fullnameOverride | trunc 40 | trimAll "-" }}
{{- end }}

{{/* What never changes for the life of a release. */}}
{{- define "rightarch.selector" -}}
app.kubernetes.io/name: {{ include "rightarch.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "rightarch.labels" -}}
{{ include "rightarch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: rightarch
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Metadata of an object: list of the root context, what is appended to the name, and whether it has a namespace. */}}
{{- define "rightarch.metadata" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $namespaced := index . 2 -}}
name: {{ list (include "rightarch.fullname" $root) $component | compact | join "-" | quote }}
{{- if $namespaced }}
namespace: {{ $root.Release.Namespace | quote }}
{{- end }}
labels:
  {{- include "rightarch.labels" $root | nindent 2 }}
  {{- with $component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
{{- end }}

{{- define "rightarch.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* Each mode has a name of its own: the type of a Secret can't change, and cert-manager's is another. */}}
{{- define "rightarch.certificateSecret" -}}
{{- $names := dict "selfManaged" "certificate" "certManager" "tls" "secret" "" }}
{{- default (printf "%s-%s" (include "rightarch.fullname" .) (get $names .Values.certificates.mode)) .Values.certificates.secretName }}
{{- end }}

{{- define "rightarch.lease" -}}
{{ include "rightarch.fullname" . }}-controller
{{- end }}

{{- define "rightarch.service" -}}
{{ include "rightarch.fullname" . }}-webhook
{{- end }}

{{/* The host of webhook.url, empty if there is none. */}}
{{- define "rightarch.webhookHost" -}}
{{- with .Values.webhook.url }}{{ (urlParse .).hostname }}{{ end }}
{{- end }}
