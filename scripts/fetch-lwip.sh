#!/bin/sh
# fetch-lwip.sh: brings the sources of lwIP 2.1.3, unchanged, to build/lwip.
#
# Wherever they come from, what counts is lwip-port/SHA256SUMS: a file that differs is not
# built. (Sums are of files with Unix line ends: the release archives have DOS ones, the tag of
# the repository has not; apart from that they are the same.) Tried in this order:
#
#   LWIP_DIR   a folder with the release, unpacked (it has src/core in it)
#   the cache  where an earlier run of this left them
#   Debian     the source package lwip, by apt, with lists and cache of our own: the system's
#              sources are not touched, and no root is needed
#   upstream   the release archive of the project
set -eu
cd "$(dirname "$0")/.."

version=2.1.3
sums=$PWD/lwip-port/SHA256SUMS
out=$PWD/build/lwip
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/garenne/lwip-$version
upstream=https://download.savannah.nongnu.org/releases/lwip/lwip-$version.zip

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

# Copies the files that the list names from folder $1 to $2 with Unix line ends, and checks them.
take() {
	[ -d "$1/src/core" ] || return 1
	rm -rf "$2"
	while read -r _ file; do
		[ -r "$1/$file" ] || return 1
		mkdir -p "$2/${file%/*}"
		tr -d '\r' <"$1/$file" >"$2/$file"
	done <"$sums"
	(cd "$2" && sha256sum --quiet -c "$sums")
}

# A deb-src line for the mirror that this system's own packages come from.
mirror() {
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 2>/dev/null |
		awk '$2 ~ /^[a-z]+$/ && $3 == "main" && $1 ~ /debian/ {
			printf "deb-src %s %s main\n", $1, $2; exit }'
}

from_debian() {
	command -v apt-get >/dev/null && command -v xz >/dev/null || return 1
	line=$(mirror)
	[ -n "$line" ] || return 1
	mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/deb" "$tmp/etc"
	echo "$line" >"$tmp/sources.list"
	apt="apt-get -qq -o Dir::Etc::sourcelist=$tmp/sources.list -o Dir::Etc::sourceparts=$tmp/etc
		-o Dir::State::lists=$tmp/lists -o Dir::Cache=$tmp/cache
		-o APT::Sandbox::User=$(id -un) -o Debug::NoLocking=1"
	# shellcheck disable=SC2086
	(cd "$tmp/deb" && $apt update && $apt source --download-only lwip) >"$tmp/log" 2>&1 ||
		return 1
	for a in "$tmp"/deb/lwip_"$version"*.orig.tar.*; do
		tar -xf "$a" -C "$tmp/deb" || return 1
	done
	take "$tmp/deb/lwip-$version" "$out"
}

from_upstream() {
	command -v curl >/dev/null && command -v python3 >/dev/null || return 1
	curl -fsSL --max-time 120 -o "$tmp/lwip.zip" "$upstream" || return 1
	python3 -m zipfile -e "$tmp/lwip.zip" "$tmp/up" || return 1
	take "$tmp/up/lwip-$version" "$out"
}

mkdir -p build
if [ -n "${LWIP_DIR:-}" ]; then
	take "$LWIP_DIR" "$out" || {
		echo "fetch-lwip: LWIP_DIR=$LWIP_DIR does not hold lwIP $version as released" >&2
		exit 1
	}
elif ! take "$cache" "$out" 2>/dev/null; then
	from_debian || from_upstream || {
		rm -rf "$out"
		cat >&2 <<-EOF
			fetch-lwip: cannot get the sources of lwIP $version, neither from Debian nor from
			  $upstream
			  Unpack the release somewhere and say: make LWIP_DIR=/path/to/lwip-$version
		EOF
		exit 1
	}
	# Another clone, or a build after "make clean", need not ask the network again.
	mkdir -p "${cache%/*}" && rm -rf "$cache" && cp -r "$out" "$cache" || true
fi
touch "$out/complete"
