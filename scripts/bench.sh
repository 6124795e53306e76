#!/usr/bin/env bash
# Runs benchmarks, and puts their figures into docs/benchmarks.md.
#
#   scripts/bench.sh FOLDER [NAME…]   FOLDER has the release builds of bench and waku-groupchat
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=$1
shift
[ $# -gt 0 ] || set -- relay archive invite core convergence
out=$PWD/bench-results
# Not in /tmp, which is memory on some machines: ten million messages take some gigabytes.
mkdir -p "$HOME/.cache/waku-groupchat"
data=$(mktemp -d "$HOME/.cache/waku-groupchat/bench-XXXXXX")
trap 'rm -rf "$data"' EXIT

for name in "$@"; do
    case $name in
        relay)
            # Without the peer its table says so.
            peer=$(scripts/build-go-waku.sh) || peer=
            "$bin/bench" --out "$out" relay --node "$bin/waku-groupchat" --folder "$data" \
                ${peer:+--go-waku "$peer"}
            ;;
        archive | core | convergence) "$bin/bench" --out "$out" "$name" --folder "$data" ;;
        *) "$bin/bench" --out "$out" "$name" ;;
    esac
done
"$bin/bench" --out "$out" compose
