// The kind PolicyReport of wgpolicyk8s.io, which Kyverno still carries: only the folder of definitions is kept.
module schemagate.io/controlplane/policyreports

go 1.26

require github.com/kyverno/kyverno v1.19.1
