#!/bin/sh
# demo.sh: a mesh of two houses and a hub, and the tutorial's reverse proxy, live, on
# this machine alone: hosts are network namespaces, with routers that do NAT.
# Everything is gone afterwards, whatever happens.
set -eu
cd "$(dirname "$0")/.."

if [ "${GARENNE_DEMO_READY:-}" = "" ]; then
	scripts/install-deps.sh --demo
	make -s
fi
PATH=$PATH:/usr/sbin:/sbin
if [ "$(id -u)" != 0 ]; then
	exec sudo env GARENNE_DEMO_READY=1 "$0" "$@"
fi

. scripts/demo/common.sh
. scripts/demo/mesh.sh
strike
. scripts/demo/tutorial.sh
say "demo: everything worked; nothing is left behind"
