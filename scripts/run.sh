#!/usr/bin/env bash
# Carries the conversation with what was built: in containers where a docker engine on this machine
# answers, as processes otherwise. The rest of `make run`.
#
#   scripts/run.sh <folder of the binaries> [arguments of the runner]…
#
# RUNNER=docker or RUNNER=local chooses by hand. IMAGE names an image to run; otherwise one is made
# of the binary, so that both ways run the same program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

binaries=${1:?the folder of the binaries}
shift

say() { echo "run: $*"; }
fail() { echo "run: $*" >&2; exit 1; }

# Containers share this machine's network and the run's folder, so the engine has to be here and not
# in a virtual machine, on another host, or without rights of its own.
engine_is_here() {
    local name
    command -v docker >/dev/null || return 1
    name=$(timeout 10 docker info --format '{{.Name}} {{.SecurityOptions}}' 2>/dev/null) || return 1
    [ "${name%% *}" = "$(uname -n)" ] && [[ $name != *rootless* ]]
}

runner=${RUNNER:-}
if [ -z "$runner" ]; then
    if engine_is_here; then runner=docker; else runner=local; fi
    chosen=by_itself
fi

image=()
case $runner in
    local) ;;
    docker)
        image=(--image "${IMAGE:-waku-groupchat:run}")
        if [ -z "${IMAGE:-}" ] &&
            ! scripts/make-image.sh waku-groupchat:run "$binaries/waku-groupchat"; then
            [ -n "${chosen:-}" ] || fail "the image cannot be made, see above"
            say "the image cannot be made, so the nodes are processes"
            image=()
        fi
        ;;
    *) fail "RUNNER is docker or local, not $runner" ;;
esac

exec "$binaries/conversation" --node "$binaries/waku-groupchat" "${image[@]}" "$@"
