#!/usr/bin/env bash
# Gets a Debian or Ubuntu machine ready to build, run and test: system packages, the pinned Rust
# toolchain, and Go for the test against go-waku. What is there already is left as it is; a second
# run changes nothing.
#
#   scripts/setup.sh         everything
#   scripts/setup.sh run     only what `make run` needs (no Go)
#   scripts/setup.sh lint    that, and cargo-deny for `make lint`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

want=${1:-all}
cache=$HOME/.cache/waku-groupchat
cargo_bin=${CARGO_HOME:-$HOME/.cargo}/bin
export PATH="$cargo_bin:$cache/go/bin:$PATH"

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# As root, directly or through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        fail "this needs root, and there is no sudo: $*"
    fi
}

updated=
install_packages() {
    say "installing with apt: $*"
    if [ -z "$updated" ]; then
        as_root apt-get update -q
        updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]; }

packages() {
    have apt-get || fail "no apt-get here: on other systems, install a C and C++ compiler, clang \
with libclang, cmake, pkg-config, git, curl and make by hand, then rustup and Go"
    local missing=() package
    # RocksDB is compiled from source, and its header is read through libclang.
    for package in build-essential clang libclang-dev cmake pkg-config git curl ca-certificates; do
        installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        install_packages "${missing[@]}"
    fi
    say "system packages are there"
}

# rust-toolchain.toml pins the version.
rust() {
    local version minimum found
    version=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    minimum=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! have rustup && have cargo; then
        found=$(rustc --version | cut -d ' ' -f 2)
        if [ "$(printf '%s\n' "$minimum" "$found" | sort -V | head -n 1)" = "$minimum" ]; then
            say "Rust $found is there (not through rustup; $version is what is tested)"
            return
        fi
        say "Rust $found is older than $minimum: installing rustup beside it"
    fi
    if ! have rustup; then
        install_rustup
    fi
    if ! rustup toolchain list | grep -q "^$version-"; then
        say "installing Rust $version"
        rustup toolchain install "$version" --profile minimal --component rustfmt --component clippy
    fi
    say "Rust $version is there"
}

install_rustup() {
    local target site sum
    case $(uname -m) in
        x86_64) target=x86_64-unknown-linux-gnu ;;
        aarch64) target=aarch64-unknown-linux-gnu ;;
        *) fail "no rustup for $(uname -m) in this script: install it by hand" ;;
    esac
    site=https://static.rust-lang.org/rustup/dist/$target/rustup-init
    say "installing rustup from $site"
    mkdir -p "$cache"
    curl -fsSL --retry 3 "$site" -o "$cache/rustup-init"
    sum=$(curl -fsSL --retry 3 "$site.sha256" | cut -c 1-64)
    echo "$sum  $cache/rustup-init" | sha256sum --check --quiet ||
        fail "rustup-init does not have the checksum that its site names"
    chmod +x "$cache/rustup-init"
    "$cache/rustup-init" -y --no-modify-path --profile minimal --default-toolchain none
    rm "$cache/rustup-init"
}

# go-waku is built with the Go version that node/bindings-engine/.cargo/config.toml names. A go of
# 1.21 or newer fetches that by itself; an older one fetches it as the module it is published as.
golang() {
    local wanted
    wanted=$(sed -n 's/^GOTOOLCHAIN = { value = "\(go[0-9.]*\)".*/\1/p' \
        node/bindings-engine/.cargo/config.toml)
    if ! have go; then
        install_packages golang-go
    fi
    case $(GOTOOLCHAIN=local go env GOVERSION) in
        "$wanted" | go1.20*) ;;
        go1.?.* | go1.1?.* | go1.1? | go1.?) fetch_go "$wanted" ;;
    esac
    say "$(GOTOOLCHAIN=local go env GOVERSION) is there, go-waku is built with $wanted"
}

fetch_go() {
    local module folder
    module=golang.org/toolchain@v0.0.1-$1.linux-$(go env GOARCH)
    say "fetching $module"
    folder=$(cd / && GOFLAGS='' go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    [ -x "$folder/bin/go" ] || chmod +x "$folder"/bin/* "$folder"/pkg/tool/*/*
    mkdir -p "$cache"
    ln -sfn "$folder" "$cache/go"
    hash -r
}

# It is built apart from this workspace, which takes a few minutes once.
cargo_deny() {
    local version=0.20.2
    if ! have cargo-deny; then
        say "installing cargo-deny $version"
        env -u CARGO_TARGET_DIR cargo install --locked --version "$version" cargo-deny
    fi
    say "$(cargo-deny --version) is there, $version is what is tested"
}

packages
rust
case $want in
    run) ;;
    lint) cargo_deny ;;
    *) golang ;;
esac
