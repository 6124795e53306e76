#!/usr/bin/env bash
# Kills nodes in the middle of a conversation, at named points and at random moments, and checks that
# nothing accepted is lost and no number is given twice: KILLS deaths in rounds, each a conversation
# of its own. SEED runs the same deaths again. Ends with `N passed, N failed`, counted in deaths.
set -euo pipefail
cd "$(dirname "$0")/.."

kills=${KILLS:-200}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
round=50
echo "SEED=$seed KILLS=$kills"

cargo test --locked -p waku-groupchat-node --test chat --no-run

said=$(mktemp)
trap 'rm -f "$said"' EXIT
passed=0 failed=0 n=0
while ((passed + failed < kills)); do
	left=$((kills - passed - failed))
	((left < round)) || left=$round
	# A round has every point at least once.
	((left > 20)) || left=20
	echo "round $n: $left deaths, seed $((seed + n))"
	# A reader that stops at the line it looks for would end the round with it.
	WGC_SEED=$((seed + n)) WGC_KILLS=$left cargo test --locked -q -p waku-groupchat-node \
		--test chat -- --exact crash::nothing_accepted_is_lost_and_no_number_comes_twice --nocapture |
		tee "$said" || true
	if grep -q "^$left deaths, .* none lost" "$said"; then
		passed=$((passed + left))
	else
		failed=$((failed + left))
	fi
	n=$((n + 1))
done
echo "$passed passed, $failed failed"
((failed == 0))
