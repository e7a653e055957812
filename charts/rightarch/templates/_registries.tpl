{{/* What is mounted of registries' configuration; empty where there is none. */}}
{{- define "rightarch.registryMounts" -}}
{{- $mounts := list }}
{{- with .Values.registries }}
{{- if .caConfigMap }}
{{- $mounts = append $mounts (dict "name" "registries" "mountPath" "/etc/rightarch/registries" "readOnly" true) }}
{{- end }}
{{- if or .configured .hosts }}
{{- $path := "/etc/rightarch/registry-configuration" }}
{{- $mounts = append $mounts (dict "name" "registry-configuration" "mountPath" $path "readOnly" true) }}
{{- end }}
{{- if .filesSecret }}
{{- $mounts = append $mounts (dict "name" "registry-files" "mountPath" "/etc/rightarch/registry-files" "readOnly" true) }}
{{- end }}
{{- end }}
{{- with $mounts }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "rightarch.registryVolumes" -}}
{{- $volumes := list }}
{{- with .Values.registries }}
{{- if .caConfigMap }}
{{- $items := list (dict "key" "ca.crt" "path" "ca.crt") }}
{{- $volumes = append $volumes (dict "name" "registries" "configMap" (dict "name" .caConfigMap "items" $items)) }}
{{- end }}
{{- if or .configured .hosts }}
{{- $items := list }}
{{- if .configured }}
{{- $items = append $items (dict "key" "registries.yaml" "path" "registries.yaml") }}
{{- end }}
{{- range $name, $_ := .hosts }}
{{- $items = append $items (dict "key" (printf "hosts.%s" $name) "path" (printf "hosts/%s/hosts.toml" $name)) }}
{{- end }}
{{- $map := dict "name" (printf "%s-registries" (include "rightarch.fullname" $)) "items" $items }}
{{- $volumes = append $volumes (dict "name" "registry-configuration" "configMap" $map) }}
{{- end }}
{{- if .filesSecret }}
{{- $volumes = append $volumes (dict "name" "registry-files" "secret" (dict "secretName" .filesSecret)) }}
{{- end }}
{{- end }}
{{- with $volumes }}{{ toYaml . }}{{ end }}
{{- end }}
