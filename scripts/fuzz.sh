#!/usr/bin/env bash
# Runs every fuzz target of fuzz/ for a bounded time, from the committed seeds and from what earlier
# runs found (fuzz/corpus). Ends with 1 if an input crashes a target, takes too long or too much
# memory, and prints that input's path.
#
#   FUZZ_SECONDS=30 scripts/fuzz.sh             all targets, 30 seconds each
#   FUZZ_SECONDS=600 scripts/fuzz.sh seal       these alone
#   scripts/fuzz.sh lock                        brings both lock files to the workspace's versions
#
# It needs a nightly toolchain, which it does not install, and cargo-fuzz, which it does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "fuzz: $*"; }
fail() { echo "fuzz: $*" >&2; exit 2; }

seconds=${FUZZ_SECONDS:-30}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "FUZZ_SECONDS has to be a number of seconds, not '$seconds'"
cargo_fuzz=0.13.2
builds=${WAKU_GROUPCHAT_FUZZ_TARGET:-$HOME/.cache/waku-groupchat/fuzz-target}
# An input that takes longer, or one allocation or a process that takes more, counts as a crash.
limits=(-timeout=10 -malloc_limit_mb=64 -rss_limit_mb=1024)

# Those of http/ bring RocksDB, which is not compiled for the address sanitizer; nothing of what they
# run is unsafe.
packages=(fuzz fuzz/http)
if [ "${1:-}" = lock ]; then
    for package in "${packages[@]}"; do
        cp Cargo.lock "$package/Cargo.lock"
        cargo metadata --format-version 1 --manifest-path "$package/Cargo.toml" >/dev/null
    done
    exit
fi

command -v rustup >/dev/null || fail "there is no rustup to take a nightly toolchain from"
nightly=$(rustup toolchain list | sed -n 's/^\(nightly[^ ]*\).*/\1/p' | head -n 1)
[ -n "$nightly" ] || fail "there is no nightly toolchain. Install one with
    rustup toolchain install nightly --profile minimal
Without one, the same targets run on seeds and mutations of them alone:
    FUZZ_RUNS=100000 cargo test -p waku-groupchat-waku -p waku-groupchat-core -p waku-groupchat-node \
        seeds_and_mutations"
if ! cargo fuzz --version >/dev/null 2>&1; then
    say "installing cargo-fuzz $cargo_fuzz"
    CARGO_TARGET_DIR=$builds cargo install --locked --version "$cargo_fuzz" cargo-fuzz
fi
# cargo-fuzz takes no --locked.
for package in "${packages[@]}"; do
    cargo metadata --locked --format-version 1 --manifest-path "$package/Cargo.toml" >/dev/null ||
        fail "$package/Cargo.lock does not fit; \`scripts/fuzz.sh lock\` brings it up to date"
done

mapfile -t all < <(basename -s .rs fuzz/fuzz_targets/*.rs fuzz/http/fuzz_targets/*.rs)
targets=("${@:-${all[@]}}")
# The package of a target; nothing if there is none.
package_of() {
    for package in "${packages[@]}"; do
        if [ -e "$package/fuzz_targets/$1.rs" ]; then echo "$package"; fi
    done
}
for target in "${targets[@]}"; do
    [ -n "$(package_of "$target")" ] || fail "there is no target $target; there are: ${all[*]}"
done

# With optimisation; each Cargo.toml says which checks stay on.
fuzz() {
    local package=$1 options=(-O --target-dir "$builds")
    if [ "$package" = fuzz/http ]; then options=(-O --target-dir "$builds-http" -s none); fi
    cargo "+$nightly" fuzz "$2" --fuzz-dir "$package" "${options[@]}" "${@:3}"
}

say "building with $nightly"
if [ ${#targets[@]} -lt ${#all[@]} ]; then
    for target in "${targets[@]}"; do fuzz "$(package_of "$target")" build "$target"; done
else
    for package in "${packages[@]}"; do fuzz "$package" build; done
fi
# libFuzzer leaves what it finds in this folder.
crashed=()
for target in "${targets[@]}"; do
    package=$(package_of "$target")
    corpus=fuzz/corpus/$target found=$package/artifacts/$target
    mkdir -p "$corpus" "$found"
    start=$(mktemp) log=$(mktemp)
    if fuzz "$package" run "$target" "$corpus" "fuzz/seeds/$target" -- "${limits[@]}" \
        -max_total_time="$seconds" -print_final_stats=1 >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
        say "$target: ${runs:-no} runs, at most ${peak:-?} MB, no crash"
    else
        cat "$log" >&2
        mapfile -t inputs < <(find "$found" -type f -newer "$start")
        crashed+=("${inputs[@]:-$target (no input was left, see above)}")
    fi
    rm -f "$start" "$log"
done

if [ ${#crashed[@]} -gt 0 ]; then
    say "inputs that crash a target:" >&2
    printf '  %s\n' "${crashed[@]}" >&2
    say "run one again with: cargo +$nightly fuzz run --fuzz-dir <its package> -O <target> <input>" >&2
    exit 1
fi
say "no crash in ${#targets[@]} targets, $seconds s each"
