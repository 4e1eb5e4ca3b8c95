#!/bin/sh
# Starts the stand-in with the Java arguments of its environment, split at blanks as a Gateway's entrypoint does.
set -eu
: "${GATEWAY_LIB:=/opt/standin/lib}"
# shellcheck disable=SC2086
exec java -Xmx256m -XX:TieredStopAtLevel=1 ${EXTRA_JAVA_ARGS:-} -cp "${GATEWAY_LIB}/*" standin.Gateway
