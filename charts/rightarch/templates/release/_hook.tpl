{{/*
What makes an object one of those that are there while the release is uninstalled, and at no other time: its weight,
by which they are made in order.
*/}}
{{- define "rightarch.releaseHook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
