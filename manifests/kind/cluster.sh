#!/bin/sh
# What `make kind-up` and `make kind-down` do. In the environment: CERT_MANAGER_MANIFEST, KIND_CLUSTER, KIND_IMAGE, and
# KUBECONFIG, a file for this cluster alone.
#
#   cluster.sh check      say what is missing
#   cluster.sh up IMAGE   make the cluster, with cert-manager and schemagate, whose image docker has by this name
#   cluster.sh down       delete the cluster and what else `up` made
set -eu

CLUSTER=${KIND_CLUSTER:-schemagate}
KUBECONFIG=${KUBECONFIG:-.kind/kubeconfig}
FOLDER=$(dirname "$0")
STAND_INS='gateway-stand-in:11.2.5 gateway-stand-in:11.3.0 gateway-stand-in:11.4.0'
export KUBECONFIG

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

needs() {
    command -v "$1" >/dev/null || fail "$1 is not on the PATH: $2"
}

tools() {
    needs docker 'install Docker Engine or Docker Desktop, as its documentation tells'
    needs kind 'install it as its Quick Start tells (kind.sigs.k8s.io), from your package manager, or by Go'
    docker version >/dev/null 2>&1 || fail "docker does not reach its engine: start it, and see \`docker version\`"
}

check() {
    tools
    needs kubectl "install 1.31 or newer, as Kubernetes' page \"Install Tools\" tells"
    [ -n "${CERT_MANAGER_MANIFEST:-}" ] || fail "name the release manifest of cert-manager, a file or its URL, which its \
page \"kubectl apply\" (cert-manager.io) gives: make kind-up CERT_MANAGER_MANIFEST=cert-manager.yaml"
}

# cert-manager's own webhook is ready somewhat later than its pods: try for a minute and a half.
apply() {
    tries=0
    until said=$(kubectl apply -k "$FOLDER/../overlays/kind" 2>&1); do
        tries=$((tries + 1))
        [ "$tries" -lt 30 ] || fail "$said"
        sleep 3
    done
    printf '%s\n' "$said"
}

up() {
    mkdir -p "$(dirname "$KUBECONFIG")"
    if kind get clusters 2>/dev/null | grep -qx "$CLUSTER"; then
        kind export kubeconfig --name "$CLUSTER" --kubeconfig "$KUBECONFIG"
        again=yes
    else
        again=no
        kind create cluster --name "$CLUSTER" --config "$FOLDER/cluster.yaml" --kubeconfig "$KUBECONFIG" --wait 180s \
            ${KIND_IMAGE:+--image "$KIND_IMAGE"}
    fi
    # shellcheck disable=SC2046 # an option for each name
    docker build --build-arg "BASE=$1" $(printf -- '--tag %s ' $STAND_INS) "$FOLDER/stand-in"
    # shellcheck disable=SC2086 # a list of names
    kind load docker-image --name "$CLUSTER" "$1" $STAND_INS
    kubectl apply -f "$CERT_MANAGER_MANIFEST"
    kubectl wait deployment --all -n cert-manager --for=condition=Available --timeout=300s
    apply
    # An image that was built anew has the same name.
    [ "$again" = no ] || kubectl rollout restart deployment -n schemagate
    for role in controller webhook; do
        kubectl rollout status "deployment/schemagate-$role" -n schemagate --timeout=300s
    done
    printf '\nschemagate guards the cluster; try it: make kind-demo, or export KUBECONFIG=%s\n' "$KUBECONFIG"
}

down() {
    kind delete cluster --name "$CLUSTER" --kubeconfig "$KUBECONFIG"
    # shellcheck disable=SC2086 # a list of names
    docker rmi $STAND_INS >/dev/null 2>&1 || true # they may be gone
    rm -f "$KUBECONFIG"
}

case ${1:-} in
check) check ;;
up)
    [ $# -eq 2 ] || fail 'usage: cluster.sh up IMAGE'
    check
    up "$2"
    ;;
down)
    tools
    down
    ;;
*) fail 'usage: cluster.sh check | up IMAGE | down' ;;
esac
