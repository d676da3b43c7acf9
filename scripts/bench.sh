#!/bin/sh
# bench.sh [options]: figures beside other programs, as ratios. Needs root; see
# `bench.sh --help` and tests/lab/bench.py. `--markdown FILE` also writes tables.
# `bench.sh reality` measures something else: how long strangers wait at a port with REALITY,
# handshakes per second, and memory per idle connection with Vision.
set -e
cd "$(dirname "$0")/.."
module=lab.bench
[ "${1:-}" = reality ] && module=lab.bench_reality && shift
make -s build/release/load
[ -e build/peers ] || scripts/install-peers.sh
cd tests
export PYTHONDONTWRITEBYTECODE=1
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then
	exec sudo --preserve-env=GARENNE,GARENNE_PEERS,XDG_CACHE_HOME,HOME,PYTHONDONTWRITEBYTECODE \
		python3 -m $module "$@"
fi
exec python3 -m $module "$@"
