{{/*
The Deployment of one of the processes: a dict with
  root       the root context
  component  webhook or controller, which is also the command
  values     the component's values
  arguments  of the command, a list
  ports      of the container, name to number
  grace      seconds between SIGTERM and SIGKILL
*/}}
{{- define "rightarch.deployment" -}}
{{- $root := .root }}
{{- $pods := .root.Values.pods -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "rightarch.metadata" (list .root .component true) | nindent 2 }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels:
      {{- include "rightarch.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      labels:
        {{- include "rightarch.selector" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
        {{- with merge (dict) $pods.labels .root.Values.commonLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- $annotations := $pods.annotations }}
      {{- with .root.Values.registries.configured }}
      {{- /* it is read at the start alone: another one is another start */}}
      {{- $annotations = merge (dict "rightarch.dev/registries" (toJson . | sha256sum | trunc 16)) $annotations }}
      {{- end }}
      {{- with $annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ printf "%s-%s" (include "rightarch.fullname" .root) .component | quote }}
      automountServiceAccountToken: true
      enableServiceLinks: false # variables of a Service called rightarch would be taken for settings
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $pods.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      terminationGracePeriodSeconds: {{ .grace }}
      securityContext:
        runAsNonRoot: true # as the image's numeric user; OpenShift gives one of its own
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: {{ .component }}
          image: {{ include "rightarch.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args:
            - {{ .component }}
            {{- range .arguments }}
            - {{ . }}
            {{- end }}
            - --log-level={{ .root.Values.logLevel }}
            - --log-format={{ .root.Values.logFormat }}
            - --cloud-credentials={{ join "," .root.Values.cloudCredentials | default "none" }}
            {{- if .root.Values.registries.caConfigMap }}
            - --registry-ca-file=/etc/rightarch/registries/ca.crt
            {{- end }}
            {{- if .root.Values.registries.configured }}
            - --registries-config=/etc/rightarch/registry-configuration/registries.yaml
            {{- end }}
            {{- if .root.Values.registries.hosts }}
            - --registry-hosts-dir=/etc/rightarch/registry-configuration/hosts
            {{- end }}
            - {{ printf "--pull-secrets=%s" (include "rightarch.pullSecrets" .root) | quote }}
            - --identity-scope={{ .root.Values.identityScope }}
            - --default-mode={{ .root.Values.policies.defaultMode }}
            {{- with .root.Values.credentialProviders }}
            {{- if .config }}
            - --image-credential-provider-config={{ .config }}
            - --image-credential-provider-bin-dir={{ .binDir }}
            {{- end }}
            {{- end }}
          {{- with $pods.env }}
          env:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            {{- range $name, $number := .ports }}
            - name: {{ $name }}
              containerPort: {{ $number }}
              protocol: TCP
            {{- end }}
          startupProbe: # starting takes seconds, also on a busy node
            httpGet:
              path: /healthz
              port: health
            periodSeconds: 1
            timeoutSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet:
              path: /healthz
              port: health
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet:
              path: /readyz
              port: health
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 2
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          {{- with concat (fromYamlArray (include "rightarch.registryMounts" .root)) $pods.volumeMounts }}
          volumeMounts:
            {{- toYaml . | nindent 12 }}
          {{- end }}
      {{- with concat (fromYamlArray (include "rightarch.registryVolumes" .root)) $pods.volumes }}
      volumes:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      nodeSelector:
        {{- merge (dict "kubernetes.io/os" "linux") $pods.nodeSelector | toYaml | nindent 8 }}
      {{- with $pods.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $pods.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints: # preferred: on a cluster of one node, both replicas run there
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "rightarch.selector" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $.component }}
          matchLabelKeys: [pod-template-hash]
        {{- end }}
{{- end }}

{{/* The PodDisruptionBudget of one of the processes: a dict with root, component and values. */}}
{{- define "rightarch.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "rightarch.metadata" (list .root .component true) | nindent 2 }}
spec:
  maxUnavailable: {{ .values.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow # a replica that is not ready must not keep a node from being drained
  selector:
    matchLabels:
      {{- include "rightarch.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The ServiceAccount of one of the processes: a dict with root, component and values. */}}
{{- define "rightarch.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "rightarch.metadata" (list .root .component true) | nindent 2 }}
  {{- with .values.serviceAccountAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false # only the pods of the Deployment ask for it
{{- end }}

{{/* The namespaces whose pull secrets may be read, as the processes are told. */}}
{{- define "rightarch.pullSecrets" -}}
{{- with .Values.secrets }}
{{- if eq .access "cluster" }}*{{ else if eq .access "none" }}none{{ else }}{{ join "," .namespaces }}{{ end }}
{{- end }}
{{- end }}

{{/* The rules by which pull secrets are read. */}}
{{- define "rightarch.pullSecretRules" -}}
- apiGroups: [""] # pull secrets, by the names that pods give; to list them is not needed
  resources: [secrets]
  verbs: [get]
- apiGroups: [""] # which pull secrets pods of a template will be given
  resources: [serviceaccounts]
  verbs: [get]
{{- end }}

{{/* The right to pull secrets of some namespaces: a dict with root and component. */}}
{{- define "rightarch.pullSecretRoles" -}}
{{- $root := .root }}
{{- $component := .component }}
{{- if eq .root.Values.secrets.access "namespaces" }}
{{- range $namespace := .root.Values.secrets.namespaces }}
{{- range $kind := list "Role" "RoleBinding" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ include "rightarch.fullname" $root }}-{{ $component }}-pull-secrets
  namespace: {{ $namespace }}
  labels:
    {{- include "rightarch.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
{{- if eq $kind "Role" }}
rules:
  {{- include "rightarch.pullSecretRules" $root | nindent 2 }}
{{- else }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "rightarch.fullname" $root }}-{{ $component }}-pull-secrets
subjects:
  - kind: ServiceAccount
    name: {{ include "rightarch.fullname" $root }}-{{ $component }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Binds a ClusterRole and a Role of the same name to a ServiceAccount: a dict with root and component. */}}
{{- define "rightarch.bindings" -}}
{{- range $kind := list "ClusterRole" "Role" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  {{- include "rightarch.metadata" (list $.root $.component (eq $kind "Role")) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ printf "%s-%s" (include "rightarch.fullname" $.root) $.component | quote }}
subjects:
  - kind: ServiceAccount
    name: {{ printf "%s-%s" (include "rightarch.fullname" $.root) $.component | quote }}
    namespace: {{ $.root.Release.Namespace | quote }}
{{- end }}
{{- end }}
