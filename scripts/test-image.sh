#!/usr/bin/env bash
# Tests the image of a node: nwaku's options, health, user, file system, signals, restarts.
#
#   scripts/test-image.sh [tag]     waku-groupchat:latest by default
set -euo pipefail

image=${1:-waku-groupchat:latest}
# A key for this test alone, and the peer id that belongs to it.
key=5f2c9a53d7c1e8467b90ad12cf34e6585f2c9a53d7c1e8467b90ad12cf34e658
key_peer=16Uiu2HAmS7t78io8nsUsZDqVeNNGy3CzvnM5kW9H2pAwLcdsZeeu

containers=()
volumes=()
clean_up() {
    [ ${#containers[@]} -eq 0 ] || docker rm --force --volumes "${containers[@]}" >/dev/null
    [ ${#volumes[@]} -eq 0 ] || docker volume rm "${volumes[@]}" >/dev/null
}
trap clean_up EXIT

passed() { echo "ok: $*"; }
failed() {
    echo "FAILED: $*" >&2
    [ -z "${id:-}" ] || docker logs --tail 20 "$id" >&2
    exit 1
}

# until <seconds> <what> <command>…: tries until it succeeds.
until_true() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $end ] || failed "$what"
        sleep 0.2
    done
}

# run [docker's options] -- [node's options]: starts a container as locked up as it can be; its id
# goes to $id.
run() {
    local settings=()
    while [ "$1" != -- ]; do settings+=("$1"); shift; done
    shift
    id=$(docker run --detach --read-only --cap-drop=ALL --security-opt=no-new-privileges \
        --health-interval=1s --publish 127.0.0.1::8645 "${settings[@]}" "$image" "$@")
    containers+=("$id")
}

volume() {
    volume=$(docker volume create)
    volumes+=("$volume")
}

state() { docker inspect --format "{{$1}}" "$id"; }
healthy() { [ "$(state .State.Health.Status)" = healthy ]; }
get() { curl -fsS --max-time 5 "http://$(docker port "$id" 8645/tcp | head -n 1)$1"; }
# The peer id at the end of the node's addresses.
peer() { get /info | grep -oE '/p2p/[A-Za-z0-9]+' | head -n 1 | cut -d / -f 3; }
says() { [[ $(docker exec "$id" waku-groupchat health) == *"$1"* ]]; }

# stop: SIGTERM ends it in order.
stop() {
    local start=$SECONDS
    docker stop --time 10 "$id" >/dev/null
    [ $((SECONDS - start)) -le 5 ] || failed "SIGTERM took $((SECONDS - start)) s"
    [ "$(state .State.ExitCode)" = 0 ] || failed "exit code $(state .State.ExitCode) after SIGTERM"
}

for tool in docker curl; do
    command -v "$tool" >/dev/null || failed "$tool is not installed"
done
docker image inspect "$image" >/dev/null || failed "there is no $image: make image"

volume
run --volume "$volume:/data" -- --rest=true --rest-address=0.0.0.0 --cluster-id=66 \
    --num-shards-in-network=8 --shard=0 --store=true --nodekey=$key
until_true 30 "not healthy" healthy
passed "healthy with nwaku's options, a read-only root and no capabilities"
[ "$(peer)" = "$key_peer" ] || failed "/info names the peer $(peer), not $key_peer"
[[ $(get /version) == v* ]] || failed "/version says $(get /version)"
passed "/info has the key's peer id, /version answers"
[ "$(docker exec "$id" id -u)" = 10001 ] || failed "runs as user $(docker exec "$id" id -u)"
[ "$(docker exec "$id" stat -c '%u %a' /data /data/archive)" = $'10001 700\n10001 700' ] ||
    failed "the data is not its own: $(docker exec "$id" ls -la /data)"
passed "runs as user 10001, and the data is its own"
says "Store: READY" || failed "the store is not ready"
store=$id
store_ip=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$id")

volume
peer_address=/ip4/$store_ip/tcp/60000/p2p/$key_peer
run --volume "$volume:/data" -- --rest=true --rest-address=0.0.0.0 --cluster-id=66 \
    --num-shards-in-network=8 --shard=0 --staticnode="$peer_address" --storenode="$peer_address"
until_true 30 "not healthy" healthy
until_true 30 "no relay with the static node" says "Relay: READY"
until_true 30 "no store client with the store node" says "Store Client: READY"
passed "two containers relay, and one asks the other's store"
docker exec "$id" waku-groupchat account create >/dev/null || failed "no account"
docker exec "$id" waku-groupchat group create "A test" >/dev/null || failed "no group"
passed "the commands work in the container without arguments"
before=$(peer)
stop
passed "SIGTERM ends it within seconds, with exit code 0"
docker start "$id" >/dev/null
until_true 30 "not healthy after a restart" healthy
[ "$(peer)" = "$before" ] || failed "another peer id after a restart: $(peer), not $before"
stop
run --volume "$volume:/data" -- --rest-address=0.0.0.0 --cluster-id=66
until_true 30 "not healthy on an old volume" healthy
[ "$(peer)" = "$before" ] || failed "another peer id in a new container: $(peer), not $before"
[[ $(docker exec "$id" waku-groupchat account show) == *wgc1* ]] || failed "the account is gone"
passed "a restart keeps the peer id, a new container on the volume too, with the account"
stop

run --env WAKU_GROUPCHAT_PORTS_SHIFT=3 -- --rest-port=9000 --metrics-server
until_true 30 "not healthy on other ports" healthy
passed "the health check follows the ports"
stop
run --init -- --rest=false
until_true 30 "not healthy without rest" healthy
passed "without HTTP there is nothing to be unhealthy about, and --init is fine"
stop

run -- --discv5-discovery=true
[ "$(docker wait "$id")" = 2 ] || failed "a bad option does not end with code 2"
[ "$(docker logs "$id" 2>&1)" = \
    "command line: discv5-discovery: this option of nwaku is not carried out yet" ] ||
    failed "a bad option is not named"
passed "an option that is not carried out is refused by name, with code 2"

id=$store
stop
unset id
size=$(docker image inspect --format '{{.Size}}' "$image")
echo "$image: all passed, $(numfmt --to=si "$size")B"
