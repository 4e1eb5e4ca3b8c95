{{- /* A file's text, with the release's namespace wherever the files name theirs. */ -}}
{{- define "schemagate.file" -}}
{{- $root := index . 0 -}}
{{- $namespace := $root.Release.Namespace -}}
{{- $text := $root.Files.Get (index . 1) | required (printf "%s is missing in the chart" (index . 1)) -}}
{{- $text = regexReplaceAll "(?m)^(\\s*namespace:) schemagate$" $text (printf "${1} %s" $namespace) -}}
{{- $text = replace "system:serviceaccount:schemagate:" (printf "system:serviceaccount:%s:" $namespace) $text -}}
{{- $text = replace "['schemagate', 'kube-system'" (printf "['%s', 'kube-system'" $namespace) $text -}}
{{- $text = replace "[schemagate, kube-system" (printf "[%s, kube-system" $namespace) $text -}}
{{- $text = regexReplaceAll "(?m)^(\\s*- schemagate-webhook\\.)schemagate(\\.svc.*)?$" $text (printf "${1}%s${2}" $namespace) -}}
{{- $text -}}
{{- end -}}

{{- /* Whether an object belongs to the release. */ -}}
{{- define "schemagate.wanted" -}}
{{- $root := index . 0 -}}
{{- $object := index . 1 -}}
{{- $values := $root.Values -}}
{{- if not $object -}}no
{{- else if and (eq $object.kind "CustomResourceDefinition") (not $values.crd.install) -}}no
{{- else if and (eq $object.kind "ResourceQuota") (not (or (hasPrefix "system-" ($values.webhook.priorityClassName | default "")) (hasPrefix "system-" ($values.controller.priorityClassName | default "")))) -}}no
{{- else if and (eq $object.kind "NetworkPolicy") (not $values.networkPolicy.enabled) -}}no
{{- else if and (hasPrefix "cert-manager.io/" $object.apiVersion) $values.certificates.issuerRef (ne $object.metadata.name "schemagate-serving") -}}no
{{- else -}}yes
{{- end -}}
{{- end -}}

{{- /* An object as it is applied. */ -}}
{{- define "schemagate.object" -}}
{{- $root := index . 0 -}}
{{- $object := index . 1 -}}
{{- $values := $root.Values -}}
{{- $kind := $object.kind -}}
{{- $labels := $object.metadata.labels | default dict -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_")) -}}
{{- $_ := set $labels "app.kubernetes.io/instance" $root.Release.Name -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $labels "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $object.metadata "labels" $labels -}}
{{- if eq $kind "CustomResourceDefinition" -}}
{{- if $values.crd.keep -}}
{{- include "schemagate.annotate" (list $object "helm.sh/resource-policy" "keep") -}}
{{- end -}}
{{- else if hasSuffix "WebhookConfiguration" $kind -}}
{{- if eq $values.certificates.source "cert-manager" -}}
{{- include "schemagate.annotate" (list $object "cert-manager.io/inject-ca-from" (printf "%s/schemagate-serving" $root.Release.Namespace)) -}}
{{- end -}}
{{- else if eq $kind "Deployment" -}}
{{- include "schemagate.deployment" . -}}
{{- else if and (eq $kind "Service") (eq $object.metadata.name "schemagate-metrics") -}}
{{- $_ := set (first $object.spec.ports) "port" $values.webhook.opsPort -}}
{{- else if eq $kind "NetworkPolicy" -}}
{{- include "schemagate.network" . -}}
{{- else if and (eq $kind "ClusterRole") (eq $object.metadata.name "schemagate-controller") $values.namespaces -}}
{{- $reading := fromYaml (include "schemagate.file" (list $root "files/namespaced/reading.yaml")) -}}
{{- $_ := set $object "rules" $reading.rules -}}
{{- else if and (eq $kind "ClusterRole") (not $values.rbac.aggregateToView) -}}
{{- $_ := unset $labels "rbac.authorization.k8s.io/aggregate-to-view" -}}
{{- else if and (eq $object.metadata.name "schemagate-serving") $values.certificates.issuerRef -}}
{{- $_ := set $object.spec "issuerRef" $values.certificates.issuerRef -}}
{{- end -}}
{{- toYaml $object -}}
{{- end -}}

{{- define "schemagate.annotate" -}}
{{- $metadata := (index . 0).metadata -}}
{{- $annotations := $metadata.annotations | default dict -}}
{{- $_ := set $annotations (index . 1) (index . 2) -}}
{{- $_ := set $metadata "annotations" $annotations -}}
{{- end -}}

{{- /* Ports of the API server, and who may read metrics. */ -}}
{{- define "schemagate.network" -}}
{{- $values := (index . 0).Values.networkPolicy -}}
{{- $spec := (index . 1).spec -}}
{{- $ports := list -}}
{{- range $values.apiServerPorts -}}
{{- $ports = append $ports (dict "protocol" "TCP" "port" .) -}}
{{- end -}}
{{- $_ := set $spec "egress" (list (dict "ports" $ports)) -}}
{{- /* No peer means everybody to Kubernetes: a rule for nobody is none. */ -}}
{{- $rules := list -}}
{{- range $spec.ingress -}}
{{- if hasKey . "from" -}}
{{- $_ := set . "from" $values.metricsFrom -}}
{{- end -}}
{{- if or (not (hasKey . "from")) .from -}}
{{- $rules = append $rules . -}}
{{- end -}}
{{- end -}}
{{- $_ := set $spec "ingress" $rules -}}
{{- end -}}
