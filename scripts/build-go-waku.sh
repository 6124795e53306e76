#!/usr/bin/env bash
# Builds go-waku's node, the peer of `make bench`, and prints the program's path as the only line on
# standard output. It needs go (1.21 or newer) and a C compiler. Its source comes as a Go module; the
# module replaces a dependency, so that `go install` refuses it, and it is built from a copy.
set -euo pipefail

version=v0.10.1
# What its go.mod names.
export GOTOOLCHAIN=go1.23.11

fail() {
    echo "build-go-waku: $*" >&2
    exit 1
}

# Flags for other Go code would change what is built here.
unset GOFLAGS GOOS GOARCH
for tool in go cc; do
    command -v "$tool" >/dev/null || fail "$tool is not installed"
done
cache=$HOME/.cache/waku-groupchat/go-waku/$version
program=$cache/waku
if [ ! -x "$program" ]; then
    about=$(cd / && go mod download -json "github.com/waku-org/go-waku@$version") ||
        fail "go-waku $version cannot be had"
    source=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$about")
    commit=$(sed -n 's/^\t\t"Hash": "\(.\{7\}\).*/\1/p' <<<"$about")
    [ -d "$source/cmd/waku" ] || fail "go-waku $version has no cmd/waku"
    mkdir -p "$cache"
    rm -rf "$cache/source"
    cp -r "$source" "$cache/source"
    chmod -R u+w "$cache/source"
    # Without RLN, as the other nodes of the run, and with the version that it is.
    node=github.com/waku-org/go-waku/waku/v2/node
    flags="-X $node.Version=$version -X $node.GitCommit=$commit"
    (cd "$cache/source" && CGO_ENABLED=1 go build -tags gowaku_no_rln -ldflags "$flags" \
        -o "$program.new" ./cmd/waku) >&2 || fail "go build failed, see above"
    mv "$program.new" "$program"
    rm -rf "$cache/source"
fi
echo "$program"
