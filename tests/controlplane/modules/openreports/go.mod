// The kind Report of openreports.io, as its own project defines it: only the folder of definitions is kept.
module schemagate.io/controlplane/openreports

go 1.26

require github.com/openreports/reports-api v0.2.1
