// What runs in containers that tests make by hand. Nothing but the standard library.
module schemagate.io/controlplane/workload

go 1.26
