#!/bin/sh
# test.sh: everything: what is missing is installed, then the build, the fast tests,
# the same under the sanitizers, secrets under valgrind, the lab, and some of it under the
# sanitizers too. The last line is the sum of all.
set -u
cd "$(dirname "$0")/.." || exit 1

scripts/install-deps.sh || exit 1
scripts/install-peers.sh || exit 1
jobs=$(nproc)
log=build/test.log
mkdir -p build
: >$log
bad=0


run() {
	name=$1
	shift
	rm -f build/step-failed
	{ "$@" 2>&1 || : >build/step-failed; } | tee -a $log
	if [ -e build/step-failed ]; then
		rm -f build/step-failed
		echo "test: FAILED: $name"
		bad=$((bad + 1))
	fi
}

# Whole programs under AddressSanitizer and UBSan: ours alone, everything that parses.
sanitized_lab() {
	make -s -j"$jobs" MODE=asan || return 1
	GARENNE=$PWD/build/asan/garenne scripts/lab.sh --out "$PWD/build/lab-asan" \
		"matrix/*/garenne-garenne" "reverse/*/garenne-portal+garenne-bridge" \
		"proxy/*/garenne" "xtls/*/garenne-garenne" "xtls/*/garenne-portal+garenne-bridge" \
		real/ fault/stop-with fault/garbage fault/wrong fault/replayed \
		fault/stale mesh/reload reality-server/strangers reality-server/ourselves reality-server/half-open
}

run "build" make -s -j"$jobs"
run "check" make -s -j"$jobs" check
run "check with sanitizers" make -s -j"$jobs" check MODE=asan
run "quiet" make -s quiet
run "lab" scripts/lab.sh "$@"
run "lab with sanitizers" sanitized_lab

# Each part ends with "NAME: N passed, N failed[, N skipped]".
awk -v bad="$bad" '
	/^[a-z]+: [0-9]+ passed, [0-9]+ failed/ {
		passed += $2; failed += $4; if ($7 ~ /^skipped/) skipped += $6
	}
	END {
		# A part that broke without counting a failure is one.
		if (failed == 0 && bad > 0) failed = bad
		printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
		exit failed > 0
	}' $log
