#!/bin/sh
# Runs each given test binary; prints the output of those that fail and one
# closing line for all.
pass=0
fail=0
skip=0
for t in "$@"; do
	if out=$("$t" 2>&1); then
		n=$(printf '%s\n' "$out" | sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' | tail -1)
		s=$(printf '%s\n' "$out" | grep -c '^\[  SKIPPED \] [a-z]')
		[ "$s" -gt 0 ] && printf '%s\n' "$out" | grep -B1 '^\[  SKIPPED \]'
		pass=$((pass + ${n:-0}))
		skip=$((skip + s))
	else
		printf '%s\n' "$out"
		echo "FAILED: $t"
		fail=$((fail + 1))
	fi
done
echo "unit: $pass passed, $fail failed, $skip skipped"
[ "$fail" = 0 ] && [ "$pass" -gt 0 ]
