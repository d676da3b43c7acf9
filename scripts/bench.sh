#!/bin/sh
# bench.sh [options]: figures beside other programs, as ratios. Needs root; see
# `bench.sh --help` and tests/lab/bench.py. `--markdown FILE` also writes tables.
set -e
cd "$(dirname "$0")/.."
make -s build/release/load
[ -e build/peers ] || scripts/install-peers.sh
cd tests
export PYTHONDONTWRITEBYTECODE=1
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then
	exec sudo --preserve-env=GARENNE,GARENNE_PEERS,XDG_CACHE_HOME,HOME,PYTHONDONTWRITEBYTECODE \
		python3 -m lab.bench "$@"
fi
exec python3 -m lab.bench "$@"
