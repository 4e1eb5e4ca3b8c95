#!/bin/sh
# Starts the stand-in with the Java arguments of its environment, split at blanks as a Gateway's entrypoint does.
set -eu
: "${GATEWAY_LIB:=/opt/standin/lib}"
# Whether the first or the last of two would count in a Gateway, nobody knows: there must never be two.
case ${EXTRA_JAVA_ARGS:-} in
*-Dgateway.db.schema-update.mode=*-Dgateway.db.schema-update.mode=*)
    echo "EXTRA_JAVA_ARGS names more than one schema update mode: $EXTRA_JAVA_ARGS" >&2
    exit 1
    ;;
esac
# shellcheck disable=SC2086
exec java -Xmx256m -XX:TieredStopAtLevel=1 ${EXTRA_JAVA_ARGS:-} -cp "${GATEWAY_LIB}/*" standin.Gateway
