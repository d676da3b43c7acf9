#!/bin/sh
# run-fuzz.sh RUNS TARGET...: fuzzes each target for RUNS executions, starting
# from its corpus; new inputs go to build/fuzz-corpus, findings stop the run.
runs=$1
shift
# What was freed is kept back for 8 MiB of further frees instead of 256: twice as fast where much
# is allocated, and no decoder frees so much in one execution.
export ASAN_OPTIONS="${ASAN_OPTIONS:-quarantine_size_mb=8:malloc_context_size=8}"
bad=0
for t in "$@"; do
	name=${t#fuzz_}
	new=build/fuzz-corpus/$name
	mkdir -p "$new"
	printf '%-24s ' "$name"
	if build/fuzz/"$t" -runs="$runs" -max_len=4096 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix="build/fuzz/$name-" "$new" tests/fuzz/corpus/"$name" >build/fuzz/"$name".log 2>&1; then
		echo "$(sed -n 's/^stat::number_of_executed_units: *//p' build/fuzz/"$name".log) executions, no finding"
	else
		echo "FINDING, see build/fuzz/$name.log"
		bad=1
	fi
done
exit $bad
