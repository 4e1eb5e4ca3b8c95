// Go's own opinion of our certificates: the API server is a Go program. Nothing but the standard library.
module schemagate.io/controlplane/verifier

go 1.26
