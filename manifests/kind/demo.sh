#!/bin/sh
# The story of a Gateway upgrade on a real cluster, told by kubectl and checked step by step: `make kind-demo`. It plays in
# a namespace of its own, schemagate-demo, which it begins anew. Needs the cluster of `make kind-up`, or any other with
# schemagate and, on its nodes, the image of `stand-in` under the three names below.
set -eu

NAMESPACE=schemagate-demo
NAME=my-gateway
OLD=gateway-stand-in:11.2.5
NEW=gateway-stand-in:11.3.0
NEWER=gateway-stand-in:11.4.0
FOLDER=$(dirname "$0")
SKIP=-Dgateway.db.schema-update.mode=skip
steps=0

wrong() {
    printf '  WRONG %s\n' "$1" >&2
    exit 1
}

needs() {
    command -v "$1" >/dev/null || wrong "$1 is not on the PATH: $2"
}

chapter() {
    printf '\n%s\n' "$1"
}

# Run a command and show it; leaves what it said in $said and how it ended in $code.
attempt() {
    printf '  $ %s\n' "$*"
    code=0
    said=$("$@" 2>&1) || code=$?
    [ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/      /'
}

run() {
    attempt "$@"
    [ "$code" -eq 0 ] || wrong "it should pass, and ended with $code"
}

refused() {
    attempt "$@"
    [ "$code" -ne 0 ] || wrong "it should be refused, and passed"
}

contains() {
    case $1 in
    *"$2"*) return 0 ;;
    *) return 1 ;;
    esac
}

told() {
    contains "$said" "$1" || wrong "expected to be told: $1"
}

so() {
    steps=$((steps + 1))
    printf '  ok %s\n' "$1"
}

# Wait for a command to succeed with these words in its output, half a minute at most.
until_told() {
    words=$1
    shift
    tries=0
    until found=$("$@" 2>&1) && contains "$found" "$words"; do
        tries=$((tries + 1))
        [ "$tries" -lt 30 ] || wrong "\`$*\` does not tell within 30 s: $words, but: $found"
        sleep 1
    done
}

# What the Gateway's own process says of its start, in the pod of an image.
started() {
    pod=$(kubectl get pods -n "$NAMESPACE" -l "app=$NAME" --field-selector=status.phase=Running \
        -o jsonpath="{.items[?(@.spec.containers[0].image=='$1')].metadata.name}")
    run kubectl logs -n "$NAMESPACE" "$pod"
}

needs kubectl "Kubernetes' page \"Install Tools\" tells how to get it"
needs schemagate 'run `make kind-demo`, which brings its own'
found=$(kubectl get deployment schemagate-webhook -n schemagate -o name 2>&1) ||
    wrong "schemagate is not on this cluster, run \`make kind-up\`: $found"

chapter 'A Gateway runs, and its namespace comes under guard'
kubectl delete namespace "$NAMESPACE" --ignore-not-found >/dev/null
run kubectl apply -k "$FOLDER/gateway"
run kubectl rollout status "deployment/$NAME" -n "$NAMESPACE" --timeout=120s
run kubectl label namespace "$NAMESPACE" schemagate.io/enforce=reject
run kubectl wait gwm "$NAME" -n "$NAMESPACE" --for=create --timeout=60s
run kubectl wait gwm "$NAME" -n "$NAMESPACE" --for=condition=MigrationComplete --timeout=60s
so 'what runs is the baseline: no Job was needed'

chapter 'An upgrade waits for its migration'
refused kubectl set image "deployment/$NAME" -n "$NAMESPACE" "gateway=$NEW"
told "schemagate migrate $NAME -n $NAMESPACE --image $NEW"
so 'denied, with the command to run next'
run schemagate migrate "$NAME" -n "$NAMESPACE" --image "$NEW" --wait
so 'migrated by one Job'
run kubectl set image "deployment/$NAME" -n "$NAMESPACE" "gateway=$NEW"
run kubectl rollout status "deployment/$NAME" -n "$NAMESPACE" --timeout=120s
so 'admitted'
started "$NEW"
told "-Dcom.example.kept=1 $SKIP"
so 'its pod started in skip, and kept the arguments it had'

chapter 'In mode Hold an upgrade is accepted, and simply does not start yet'
run kubectl label namespace "$NAMESPACE" --overwrite schemagate.io/enforce=hold
until_told 'server dry run' kubectl set image "deployment/$NAME" -n "$NAMESPACE" "gateway=$NEWER" --dry-run=server
run kubectl set image "deployment/$NAME" -n "$NAMESPACE" "gateway=$NEWER" -o 'jsonpath=paused: {.spec.paused}'
told 'paused: true'
so 'stored, but paused'
run kubectl rollout status "deployment/$NAME" -n "$NAMESPACE" --timeout=180s
started "$NEWER"
told "$SKIP"
so 'migrated, let go by the controller, and started in skip'

chapter 'A rollback never waits'
run kubectl rollout undo "deployment/$NAME" -n "$NAMESPACE"
told 'schemagate: rolled back to'
run kubectl rollout status "deployment/$NAME" -n "$NAMESPACE" --timeout=120s
run kubectl get deployment "$NAME" -n "$NAMESPACE" -o 'jsonpath={.spec.template.spec.containers[0].image}'
told "$NEW"
so 'back at once: what was migrated before is complete'

chapter 'The audit: who was turned away, why, and what came of it'
until_told Held schemagate audit rejections -n "$NAMESPACE"
until_told MigrationPending schemagate audit rejections -n "$NAMESPACE"
run schemagate audit rejections -n "$NAMESPACE"
run schemagate status -n "$NAMESPACE"
so 'both are on record'

printf '\n%s steps came out as told. Look around in namespace %s; `make kind-down` ends the cluster.\n' "$steps" "$NAMESPACE"
