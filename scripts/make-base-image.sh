#!/usr/bin/env bash
# Sees to it that the docker engine has the base image: takes the one that is there, pulls it, or,
# where none can be pulled, makes it from the distribution's packages with debootstrap.
#
#   scripts/make-base-image.sh                        debian:bookworm-slim
#   scripts/make-base-image.sh debian:trixie-slim     or ubuntu:24.04
#
# MIRROR names another package mirror. debootstrap needs root, directly or through sudo.
set -euo pipefail

image=${1:-debian:bookworm-slim}

say() { echo "base image: $*"; }
fail() { echo "base image: $*" >&2; exit 1; }

# As root, directly or through sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root, and there is no sudo: $*"
    fi
}

# The release's name, and the three lines that its packages come from.
sources() {
    local codename tag=${image#*:}
    case $image in
        debian:*)
            suite=${tag%-slim}
            mirror=${MIRROR:-http://deb.debian.org/debian}
            components=main
            lines=("$mirror $suite" "$mirror $suite-updates"
                "http://deb.debian.org/debian-security $suite-security")
            ;;
        ubuntu:*)
            # debootstrap wants a name; the number's is known where it is this machine's own.
            # shellcheck source=/dev/null
            codename=$(. /etc/os-release && [ "$ID:$VERSION_ID" = "$image" ] && echo "$VERSION_CODENAME") ||
                fail "$image cannot be pulled, and is made only on a machine that runs it"
            suite=$codename
            mirror=${MIRROR:-http://archive.ubuntu.com/ubuntu}
            components=main,universe
            lines=("$mirror $suite" "$mirror $suite-updates" "$mirror $suite-security")
            ;;
        *) fail "$image cannot be pulled, and only debian:* and ubuntu:* can be made here" ;;
    esac
}

# What the images of the distributions leave out as well: documentation but licences, translations.
slim() {
    local root=$1
    printf 'path-exclude /usr/share/%s/*\n' doc man info locale lintian groff linda |
        as_root tee "$root/etc/dpkg/dpkg.cfg.d/slim" >/dev/null
    echo 'path-include /usr/share/doc/*/copyright' |
        as_root tee -a "$root/etc/dpkg/dpkg.cfg.d/slim" >/dev/null
    as_root find "$root/usr/share/doc" -not -type d -not -name copyright -delete
    as_root rm -rf "$root"/usr/share/{man,info,locale,lintian,groff,linda}/* \
        "$root"/var/lib/apt/lists/* "$root"/var/cache/{apt,debconf,ldconfig}/* \
        "$root"/var/log/* "$root"/tmp/* "$root"/etc/{hostname,resolv.conf}
}

make_it() {
    local root line
    sources
    if ! command -v debootstrap >/dev/null && ! [ -x /usr/sbin/debootstrap ]; then
        say "installing debootstrap"
        as_root apt-get update -q
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends debootstrap
    fi
    folder=$(mktemp -d)
    trap 'as_root rm -rf --one-file-system "$folder"' EXIT
    root=$folder/root
    log=$folder/log
    say "making $image from $mirror with debootstrap"
    as_root env PATH="$PATH:/usr/sbin:/sbin" debootstrap --variant=minbase \
        --components="$components" "$suite" "$root" "$mirror" >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; fail "debootstrap failed"; }
    for line in "${lines[@]}"; do
        echo "deb $line ${components//,/ }"
    done | as_root tee "$root/etc/apt/sources.list" >/dev/null
    as_root chroot "$root" sh -c \
        'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y upgrade' >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; fail "the packages cannot be brought up to date"; }
    slim "$root"
    as_root tar --numeric-owner --one-file-system -C "$root" -c . |
        docker import --change 'CMD ["bash"]' - "$image" >/dev/null
}

docker info >/dev/null 2>&1 || fail "no docker engine answers"
if docker image inspect "$image" >/dev/null 2>&1; then
    say "$image is there"
elif timeout 300 docker pull -q "$image" >/dev/null 2>&1; then
    say "pulled $image"
else
    make_it
    say "made $image: $(docker image inspect --format '{{.Size}}' "$image" | numfmt --to=si)B"
fi
