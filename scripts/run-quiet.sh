#!/bin/sh
# run-quiet.sh PROGRAM...: runs each under valgrind with its secrets marked as undefined,
# and fails where a branch or an address depends on one, but for the functions that the
# head of its source allows.
pass=0
fail=0
if ! command -v valgrind >/dev/null; then
	echo "quiet: valgrind is not installed"
	exit 1
fi
for t in "$@"; do
	src=tests/quiet/$(basename "$t").c
	allowed=$(sed -n 's/^ \* allowed: //p' "$src")
	if ! out=$(valgrind --error-limit=no "$t" 2>&1); then
		echo "$out" | tail -20
		echo "FAILED: $t"
		fail=$((fail + 1))
		continue
	fi
	bad=
	# the first line below each complaint names the function
	for f in $(echo "$out" | sed -n 's/^==[0-9]*==    at 0x[0-9A-F]*: \([a-z0-9_]*\).*/\1/p' | sort -u); do
		case " $allowed " in *" $f "*) ;; *) bad="$bad $f" ;; esac
	done
	if [ -n "$bad" ] || ! echo "$out" | grep -q 'ERROR SUMMARY'; then
		echo "FAILED: $t: depends on secrets:$bad"
		fail=$((fail + 1))
	else
		pass=$((pass + 1))
	fi
done
echo "quiet: $pass passed, $fail failed"
[ "$fail" = 0 ]
