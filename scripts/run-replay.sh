#!/bin/sh
# Replays each decoder's corpus (tests/fuzz/corpus/NAME/*) through its fuzz
# target: every input once found interesting stays a test.
dir=$1
pass=0
fail=0
for t in "$dir"/fuzz_*; do
	case $t in *.d | *'*'*) continue ;; esac
	name=$(basename "$t" | sed 's/^fuzz_//')
	if [ ! -d "tests/fuzz/corpus/$name" ]; then
		echo "replay: no corpus for $name"
		fail=$((fail + 1))
	elif out=$("$t" "tests/fuzz/corpus/$name" 2>&1); then
		pass=$((pass + 1))
	else
		printf '%s\n' "$out" | tail -40
		echo "FAILED: $t"
		fail=$((fail + 1))
	fi
done
echo "replay: $pass passed, $fail failed"
[ "$fail" = 0 ]
