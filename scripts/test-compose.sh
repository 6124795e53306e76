#!/usr/bin/env bash
# Tests docker-compose.yml with `docker compose` or docker-compose: a message goes from one
# installation to all others and into the store. Prometheus comes along where PROMETHEUS_IMAGE or
# its own image is on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
else
    echo "FAILED: neither docker compose nor docker-compose is installed" >&2
    exit 1
fi
tool=${compose[*]}
# A project of its own: the network of whoever tries things here stays as it is.
compose+=(--project-name waku-groupchat-test)
default=$(sed -n 's/.*PROMETHEUS_IMAGE:-\(.*\)}.*/\1/p' docker-compose.yml)
prometheus=${PROMETHEUS_IMAGE:-$default}
if docker image inspect "$prometheus" >/dev/null 2>&1; then compose+=(--profile prometheus); fi

passed() { echo "ok: $*"; }
failed() {
    echo "FAILED: $*" >&2
    "${compose[@]}" logs --tail 10 >&2
    exit 1
}
trap '"${compose[@]}" down --volumes >/dev/null 2>&1' EXIT

# until_true <seconds> <what> <command>…: tries until it succeeds.
until_true() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || failed "$what"
        sleep 0.5
    done
}

# on <node> <arguments>…: a command of waku-groupchat in its container.
on() {
    local node=$1
    shift
    "${compose[@]}" exec -T "$node" waku-groupchat "$@"
}
says() { [[ $("${@:2}") == *"$1"* ]]; }
# The first text value of a key in JSON.
value() { grep -oE "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

"${compose[@]}" up --detach >/dev/null 2>&1 || failed "the network does not start"
until_true 60 "the store is not ready" on store health
for node in node1 node2 node3 node4; do
    until_true 60 "$node has no relay" says "Relay: READY" on "$node" health
    until_true 60 "$node has no store" says "Store Client: READY" on "$node" health
done
passed "five nodes are up and connected"

cards=()
for node in node1 node2 node3 node4; do
    cards+=("$(on "$node" account create --json | value card)")
done
group=$(on node1 group create "A test" --json | value group)
on node1 group invite "$group" "${cards[@]:1}" >/dev/null
for node in node2 node3 node4; do
    until_true 90 "$node is not invited" on "$node" group accept "$group"
    until_true 90 "$node does not join" says "A test" on "$node" group list
done
until_true 60 "node1 cannot send" on node1 send "$group" "Hello to all"
for node in node2 node3 node4; do
    until_true 60 "$node does not read it" says "Hello to all" on "$node" read "$group"
done
passed "a message of one account reaches three others"
archived() { curl -fsS "http://127.0.0.1:8650/store/v3/messages?pageSize=1" | grep -q messageHash; }
until_true 30 "the store is empty" archived
passed "the store has it"

if [[ " ${compose[*]} " == *" prometheus "* ]]; then
    up() {
        local query='http://127.0.0.1:9090/api/v1/query?query=sum(up)'
        curl -fgsS "$query" | grep -q '"5"'
    }
    until_true 60 "Prometheus does not reach five nodes" up
    passed "Prometheus reaches all five"
fi
echo "docker-compose.yml: all passed with $tool"
