{{/* Where the API server finds one of the webhooks: a list of the root context and the path. */}}
{{- define "rightarch.clientConfig" -}}
{{- $root := index . 0 }}
{{- $path := index . 1 }}
{{- with $root.Values.webhook.url -}}
url: {{ printf "%s%s" . $path | quote }}
{{- else -}}
service:
  name: {{ include "rightarch.service" $root | quote }}
  namespace: {{ $root.Release.Namespace | quote }}
  path: {{ $path }}
  port: 443
{{- end }}
{{- if eq $root.Values.certificates.mode "secret" }}
caBundle: {{ $root.Values.certificates.caBundle | quote }}
{{- end }}
{{- end }}

{{/* What all webhooks have in common. */}}
{{- define "rightarch.webhookCommon" -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values:
        {{- concat (list "kube-system" .Release.Namespace) .Values.webhook.excludedNamespaces | uniq | toYaml | nindent 8 }}
objectSelector: {}
admissionReviewVersions: [v1]
failurePolicy: Ignore # without an answer, a pod is created as it is
matchPolicy: Equivalent
reinvocationPolicy: IfNeeded # other webhooks may add or rename images after this one
sideEffects: NoneOnDryRun
timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}
{{- end }}
