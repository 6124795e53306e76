#!/usr/bin/env bash
# Builds the container image of a node, and makes or pulls its base first.
#
#   scripts/make-image.sh <tag> <binary>    from a binary that was built on this machine
#   scripts/make-image.sh <tag>             from source, in a container
#
# BASE names another base image. From source, BUILDER names another image to compile in, and
# TOOLCHAIN=host compiles with this machine's Rust, where a container cannot get one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tag=${1:?a tag}
binary=${2:-}
base=${BASE:-debian:bookworm-slim}
revision=$(git rev-parse --short HEAD 2>/dev/null || true)

say() { echo "image: $*"; }
fail() { echo "image: $*" >&2; exit 1; }

# docker build, told of the base and of where this comes from.
build() {
    docker build --build-arg "BASE=$base" \
        --label "org.opencontainers.image.revision=$revision" "$@"
}

# This machine's release, where bookworm's C library is too old for what is built here.
base_for_here() {
    local libc
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d ' ' -f 2)
    if [ "$(printf '%s\n' "${libc:-0}" 2.36 | sort -V | tail -n 1)" = 2.36 ]; then
        echo debian:bookworm-slim
        return
    fi
    # shellcheck source=/dev/null
    . /etc/os-release
    case $ID in
        debian) echo "debian:$VERSION_CODENAME-slim" ;;
        ubuntu) echo "ubuntu:$VERSION_ID" ;;
        *) fail "name a base image with glibc $libc or newer: BASE=…, or use FROM_SOURCE=1" ;;
    esac
}

# The folder that this builds from holds the binary and the licences, and nothing else.
from_binary() {
    base=${BASE:-$(base_for_here)}
    scripts/make-base-image.sh "$base"
    context=$(mktemp -d)
    trap 'rm -rf "$context"' EXIT
    cp LICENSE-MIT LICENSE-APACHE "$context"
    strip -o "$context/waku-groupchat" "$binary"
    build --quiet --tag "$tag" --target prebuilt --file docker/Dockerfile "$context" >/dev/null
}

# What the source is compiled in: the base, which trusts the certificates that this machine trusts,
# since a network may have its own; with TOOLCHAIN=host it also has this machine's Rust.
make_builder() {
    local bundle=/etc/ssl/certs/ca-certificates.crt
    context=$(mktemp -d)
    trap 'rm -rf "$context"' EXIT
    mkdir "$context/trusted"
    if [ -f "$bundle" ]; then cp "$bundle" "$context/trusted/host.crt"; fi
    printf '%s\n' 'ARG BASE' 'FROM ${BASE}' 'COPY trusted /usr/local/share/ca-certificates/' |
        build --quiet --tag "$1" --file - "$context" >/dev/null
    if [ "${TOOLCHAIN:-}" = host ]; then
        say "taking this machine's Rust into $1"
        printf '%s\n' "FROM $1" 'COPY bin /usr/local/bin/' 'COPY lib /usr/local/lib/' |
            build --quiet --tag "$1" --file - "$(rustc --print sysroot)" >/dev/null
    fi
}

from_source() {
    scripts/make-base-image.sh "$base"
    if [ -z "${BUILDER:-}" ]; then
        BUILDER=waku-groupchat-builder:latest
        make_builder "$BUILDER"
    fi
    say "compiling from source, which takes a while"
    build --tag "$tag" --target source --network host --file docker/Dockerfile \
        --build-arg "BUILDER=$BUILDER" .
}

# Removes the image that had the tag before, where nothing else names it.
drop_old() {
    local tags
    tags=$(docker image inspect --format '{{len .RepoTags}}' "$old" 2>/dev/null || true)
    # A container that still runs keeps it; then it stays.
    if [ "$tags" = 0 ]; then docker image rm "$old" >/dev/null 2>&1 || true; fi
}

old=$(docker image inspect --format '{{.Id}}' "$tag" 2>/dev/null || true)
if [ -n "$binary" ]; then from_binary; else from_source; fi
drop_old
docker run --rm --entrypoint waku-groupchat "$tag" --version >/dev/null ||
    fail "$tag was built, and its binary does not start"
size=$(docker image inspect --format '{{.Size}}' "$tag")
say "$tag on $base: $(numfmt --to=si "$size")B"
