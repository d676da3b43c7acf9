#!/bin/sh
# install.sh BUILD-FOLDER VERSION: "make install" into an empty folder, and whether what
# is there works: the program starts, the manual has no fault, the unit names the program.
# The version is told, so that nothing is built anew beside a make that links tests.
set -eu
cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

fail() {
	echo "install: $*" >&2
	exit 1
}

${MAKE:-make} -s --no-print-directory install B="$1" VERSION="$2" DESTDIR="$root" PREFIX=/opt/test

bin=$root/opt/test/bin/garenne
"$bin" version | grep -q '^garenne ' || fail "the installed program does not start"
for command in $("$bin" help | sed -n 's/^  \([a-z]*\).*/\1/p' | sort -u); do
	grep -q "^\.SS.*$command\|$command.*version$" docs/man/garenne.1 ||
		fail "the manual does not know the command $command"
done

man=$root/opt/test/share/man/man1/garenne.1
[ -s "$man" ] || fail "no manual page"
if command -v groff >/dev/null; then
	faults=$(groff -man -ww -Tutf8 -z "$man" 2>&1)
	[ -z "$faults" ] || fail "the manual page: $faults"
fi

for unit in garenne@ garenne-mesh@; do
	grep -q '^ExecStart=/opt/test/bin/garenne run ' "$root/opt/test/lib/systemd/system/$unit.service" ||
		fail "the unit $unit does not start the installed program"
done
[ "$(find "$root" -type f | wc -l)" = 5 ] || fail "not just five files were installed"
echo "install: program, manual and units are where they belong"
