#!/usr/bin/env bash
# Holds the dependency arrows of docs/architecture.md: what each package may pull in, directly or
# not, as a normal or build dependency. Tests may use more.
#
#   scripts/check-arrows.sh             checks this workspace
#   scripts/check-arrows.sh --self-test shows that a wrong arrow is found
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
wrong() { echo "check-arrows: $*" >&2; failed=1; }

# Names of all packages that a package pulls in, without itself, with all features.
pulled_in() {
    cargo tree --locked --package "$1" --edges normal,build --all-features \
        --prefix none --format '{p}' --no-dedupe | sed '1d' | cut -d ' ' -f 1 | sort -u
}

# never <package> <pattern>…: none of what it pulls in matches one of the patterns.
never() {
    local package=$1 names pattern found
    shift
    names=$(pulled_in "$package")
    for pattern in "$@"; do
        found=$(grep -xE "$pattern" <<<"$names" | tr '\n' ' ' || true)
        if [ -n "$found" ]; then
            wrong "$package must not depend on ${found% } (rule: $pattern)"
        fi
    done
}

runtimes='tokio|tokio-.*|async-std|smol|hyper|axum'
network='libp2p|libp2p-.*'
database='rocksdb|librocksdb-sys'
metrics='prometheus|waku-groupchat-metrics'
ours='waku-groupchat-.*'

if [ "${1:-}" = --self-test ]; then
    never waku-groupchat-node "$network"
    [ "$failed" -eq 1 ] || { echo "check-arrows: a wrong arrow was not found" >&2; exit 1; }
    echo "check-arrows: a wrong arrow is found"
    exit 0
fi

never waku-groupchat-waku "$runtimes" "$network" "$database" "$metrics" "$ours"
never waku-groupchat-core "$runtimes" "$network" "$database" "$metrics" \
    'waku-groupchat-(storage|node|simulations)'
never waku-groupchat-storage "$runtimes" "$network" "$metrics" 'waku-groupchat-(node|simulations)'
never waku-groupchat-metrics "$runtimes" "$network" "$database" "$ours"
never waku-groupchat-node 'waku-groupchat-simulations'
# Simulations speak to nodes over HTTP, and link the core alone.
never waku-groupchat-simulations "$network" "$metrics" 'waku-groupchat-node'

# go-waku's bindings stay in a workspace of their own (docs/decisions/0003-bindings-engine.md).
bindings='waku-bindings|waku-sys|core2'
found=$(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.lock | grep -xE "$bindings" | tr '\n' ' ' || true)
[ -z "$found" ] || wrong "Cargo.lock has ${found% }, which belongs in node/bindings-engine alone"
grep -qx 'publish = false' node/bindings-engine/Cargo.toml ||
    wrong "node/bindings-engine must not be published"

# A package of the workspace that no rule speaks of.
known=' waku core storage metrics node simulations '
for name in $(cargo metadata --locked --no-deps --format-version 1 |
    grep -oE '"name":"waku-groupchat-[a-z-]+","version"' | cut -d '"' -f 4); do
    case $known in
        *" ${name#waku-groupchat-} "*) ;;
        *) wrong "no rule speaks of $name: add one to scripts/check-arrows.sh" ;;
    esac
done

[ "$failed" -eq 0 ] || exit 1
echo "check-arrows: all dependency arrows hold"
