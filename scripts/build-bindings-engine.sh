#!/usr/bin/env bash
# Builds node/bindings-engine (go-waku through waku-bindings) and prints the program's path as the
# only line on standard output; with the argument `test` it also runs the program's own tests. It
# needs cargo, go (1.21 or newer, or 1.20 itself), a C compiler and libclang. What it builds goes to
# WAKU_GROUPCHAT_BINDINGS_TARGET, in the user's cache by default, and never into the workspace's own
# target directory.
set -euo pipefail

fail() {
    echo "build-bindings-engine: $*" >&2
    exit 1
}

# The folder's .cargo/config.toml and Cargo.lock count only from inside it.
cd "$(dirname "${BASH_SOURCE[0]}")/../node/bindings-engine"
export CARGO_TARGET_DIR="${WAKU_GROUPCHAT_BINDINGS_TARGET:-$HOME/.cache/waku-groupchat/bindings-target}"
# Flags for other Go or Rust code would change what is built here.
unset GOFLAGS GOOS GOARCH RUSTFLAGS

for tool in cargo go cc; do
    command -v "$tool" >/dev/null || fail "$tool is not installed"
done
toolchain=$(sed -n 's/^GOTOOLCHAIN = { value = "\(go[0-9.]*\)".*/\1/p' .cargo/config.toml)
[ -n "$toolchain" ] || fail "no GOTOOLCHAIN in node/bindings-engine/.cargo/config.toml"
found=$(GOTOOLCHAIN=$toolchain go env GOVERSION) ||
    fail "$toolchain cannot be had: is the network or GOPROXY in reach?"
case $found in
    go1.20*) ;;
    *) fail "go-waku needs $toolchain, and this go is $found, which cannot fetch it; install Go 1.21 or newer" ;;
esac

messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
status=0
cargo build --locked --message-format=json-render-diagnostics >"$messages" || status=$?

# waku-sys's build script ignores how `go build` ended, so look for what it should have made.
library() {
    sed -n 's/.*"reason":"build-script-executed","package_id":"[^"]*waku-sys[^"]*".*"out_dir":"\([^"]*\)".*/\1/p' \
        "$messages" | tail -n 1
}
if [ "$status" -ne 0 ]; then
    if ls "$CARGO_TARGET_DIR"/debug/build/waku-sys-*/out/libgowaku.a >/dev/null 2>&1; then
        fail "cargo build failed, see above"
    fi
    fail "cargo build failed before go-waku's library was made, see above for what go or bindgen said"
fi
out=$(library)
[ -n "$out" ] && [ -s "$out/libgowaku.a" ] && [ -s "$out/libgowaku.h" ] ||
    fail "go-waku's library was not made in ${out:-waku-sys}"

if [ "${1:-}" = test ]; then
    cargo test --locked >&2
fi

program=$CARGO_TARGET_DIR/debug/waku-groupchat-bindings-engine
[ -x "$program" ] || fail "$program was not made"
echo "$program"
