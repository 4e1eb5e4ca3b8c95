{{- /* A Deployment with what the values say of its process. */ -}}
{{- define "schemagate.deployment" -}}
{{- $root := index . 0 -}}
{{- $object := index . 1 -}}
{{- $role := index $object.metadata.labels "app.kubernetes.io/component" -}}
{{- $values := index $root.Values $role -}}
{{- $template := $object.spec.template -}}
{{- $pod := $template.spec -}}
{{- $container := first $pod.containers -}}
{{- $image := $root.Values.image -}}
{{- $_ := set $object.spec "replicas" $values.replicas -}}
{{- $name := printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- if $image.digest -}}
{{- $name = printf "%s@%s" $image.repository $image.digest -}}
{{- end -}}
{{- $_ := set $container "image" $name -}}
{{- $_ := set $container "resources" $values.resources -}}
{{- with $image.pullPolicy -}}
{{- $_ := set $container "imagePullPolicy" . -}}
{{- end -}}
{{- with $image.pullSecrets -}}
{{- $_ := set $pod "imagePullSecrets" . -}}
{{- end -}}
{{- $_ := unset $pod "priorityClassName" -}}
{{- range $key := list "priorityClassName" "nodeSelector" "tolerations" "affinity" -}}
{{- with index $values $key -}}
{{- $_ := set $pod $key . -}}
{{- end -}}
{{- end -}}
{{- with $values.podAnnotations -}}
{{- $_ := set $template.metadata "annotations" . -}}
{{- end -}}
{{- range $label, $value := $values.podLabels -}}
{{- if not (hasKey $template.metadata.labels $label) -}}
{{- $_ := set $template.metadata.labels $label $value -}}
{{- end -}}
{{- end -}}
{{- $env := dict -}}
{{- range $container.env -}}
{{- $_ := set $env .name .value -}}
{{- end -}}
{{- $_ := set $env "SCHEMAGATE_HOST" $root.Values.host -}}
{{- range $port := $container.ports -}}
{{- $wanted := ternary $values.port $values.opsPort (eq $port.name "webhooks") -}}
{{- if ne (int $wanted) (int $port.containerPort) -}}
{{- $_ := set $port "containerPort" $wanted -}}
{{- $_ := set $env (ternary "SCHEMAGATE_PORT" "SCHEMAGATE_OPS_PORT" (eq $port.name "webhooks")) (toString $wanted) -}}
{{- end -}}
{{- end -}}
{{- $mounts := list -}}
{{- $volumes := list -}}
{{- if eq $root.Values.certificates.source "cert-manager" -}}
{{- $_ := set $env "SCHEMAGATE_CERTIFICATES" "files" -}}
{{- if eq $role "webhook" -}}
{{- $folder := "/etc/schemagate/tls" -}}
{{- range $setting, $file := dict "TLS_CERT" "tls.crt" "TLS_KEY" "tls.key" "TLS_CA" "ca.crt" -}}
{{- $_ := set $env (printf "SCHEMAGATE_%s" $setting) (printf "%s/%s" $folder $file) -}}
{{- end -}}
{{- $mounts = append $mounts (dict "name" "tls" "mountPath" $folder "readOnly" true) -}}
{{- $volumes = append $volumes (dict "name" "tls" "secret" (dict "secretName" "schemagate-serving")) -}}
{{- end -}}
{{- end -}}
{{- with $values.clientCA -}}
{{- if .secret -}}
{{- $folder := "/etc/schemagate/client-ca" -}}
{{- $_ := set $env "SCHEMAGATE_CLIENT_CA" (printf "%s/ca.crt" $folder) -}}
{{- $mounts = append $mounts (dict "name" "client-ca" "mountPath" $folder "readOnly" true) -}}
{{- $volumes = append $volumes (dict "name" "client-ca" "secret" (dict "secretName" .secret)) -}}
{{- with .names -}}
{{- $_ := set $env "SCHEMAGATE_CLIENT_NAMES" (join "," .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $mounts -}}
{{- $_ := set $container "volumeMounts" . -}}
{{- $_ := set $pod "volumes" $volumes -}}
{{- end -}}
{{- range $settings := list $root.Values.settings $values.settings -}}
{{- range $setting, $value := $settings -}}
{{- $_ := set $env (printf "SCHEMAGATE_%s" (upper $setting)) (toString $value) -}}
{{- end -}}
{{- end -}}
{{- /* Time to end what is under way and to hand over the rest, beside the time to drain or to give up the Lease. */ -}}
{{- if eq $role "webhook" -}}
{{- with get $env "SCHEMAGATE_DRAIN_SECONDS" -}}
{{- $_ := set $pod "terminationGracePeriodSeconds" (add (. | float64 | ceil | int) 35) -}}
{{- end -}}
{{- else -}}
{{- with get $env "SCHEMAGATE_LEASE_SECONDS" -}}
{{- $needed := addf (divf (mulf (. | float64) 2) 3) 5 | ceil | int -}}
{{- $_ := set $pod "terminationGracePeriodSeconds" (max (int $pod.terminationGracePeriodSeconds) $needed) -}}
{{- end -}}
{{- end -}}
{{- $entries := list -}}
{{- range $name, $value := $env -}}
{{- $entries = append $entries (dict "name" $name "value" $value) -}}
{{- end -}}
{{- $_ := set $container "env" $entries -}}
{{- end -}}
