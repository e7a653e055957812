{{/* What a schema can't say. */}}
{{- define "rightarch.checks" -}}
{{- with .Values.webhook }}
{{- if ge (addf .lookupBudget 1) (float64 .timeoutSeconds) }}
{{- fail (printf "webhook.lookupBudget is %v: it must be more than a second less than webhook.timeoutSeconds, which is %v" .lookupBudget .timeoutSeconds) }}
{{- end }}
{{- if eq (int .port) (int .healthPort) }}
{{- fail (printf "webhook.port and webhook.healthPort are both %v: give each its own" .port) }}
{{- end }}
{{- with .url }}
{{- $port := regexFind ":[^:\\]]*$" (urlParse .).host | trimPrefix ":" }}
{{- if or (hasSuffix ":" .) (and $port (or (gt (len $port) 5) (lt (atoi $port) 1) (gt (atoi $port) 65535))) }}
{{- fail (printf "webhook.url is %s: its port must be 1 to 65535" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.secrets }}
{{- if and (eq .access "namespaces") (not .namespaces) }}
{{- fail "secrets.access is namespaces: secrets.namespaces must name at least one" }}
{{- else if and (ne .access "namespaces") .namespaces }}
{{- fail (printf "secrets.namespaces is only for secrets.access namespaces; it is %s" .access) }}
{{- end }}
{{- end }}
{{- with .Values.credentialProviders }}
{{- if ne (empty .config) (empty .binDir) }}
{{- fail "credentialProviders.config and credentialProviders.binDir go together: a configuration, and the folder with its programs" }}
{{- end }}
{{- end }}
{{- with .Values.certificates }}
{{- if eq .mode "secret" }}
{{- if not .secretName }}
{{- fail "certificates.mode is secret: certificates.secretName must name the Secret with tls.crt and tls.key" }}
{{- end }}
{{- if not .caBundle }}
{{- fail "certificates.mode is secret: certificates.caBundle must be the CA that signed tls.crt, PEM in base64" }}
{{- end }}
{{- else if .caBundle }}
{{- fail (printf "certificates.caBundle is only for certificates.mode secret; it is %s, which keeps the CA itself" .mode) }}
{{- end }}
{{- end }}
{{- end }}
