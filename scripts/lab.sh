#!/bin/sh
# lab.sh [options] [filter...]: the tests with real programs in network namespaces.
# Needs root; see `lab.sh --help` and tests/lab/__init__.py.
cd "$(dirname "$0")/../tests" || exit 1
# The interpreter the system came with will do, and so will any newer one.
python=$(command -v python3) || { echo "lab: python3 is missing (scripts/install-deps.sh)"; exit 2; }
export PYTHONDONTWRITEBYTECODE=1
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then
	exec sudo --preserve-env=GARENNE,GARENNE_PEERS,XDG_CACHE_HOME,HOME,PYTHONDONTWRITEBYTECODE \
		"$python" -m lab "$@"
fi
exec "$python" -m lab "$@"
