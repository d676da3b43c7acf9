#!/bin/sh
# install-peers.sh: builds the stock programs the lab talks to, releases of Xray and
# one of sing-box, with the ordinary Go client, into $GARENNE_PEERS/NAME-RELEASE/NAME
# (default: the user's cache folder, so that a second clone finds them), and links
# build/peers/NAME-RELEASE to them. What is there already is not built again.
#
# Without a usable Go and without a way to get one this says so, aloud, and succeeds:
# the tests that need the missing peer then say SKIP.
set -eu
cd "$(dirname "$0")/.."

need=1.26     # the oldest Go that builds the newest release
toolchain=1.26.8
# NAME-RELEASE PACKAGE@MODULE-VERSION TAGS LINKER-FLAGS. The first Xray is the newest
# one there is as a module and speaks both dialects of reverse, as does the second, of
# the year before; the third is from well before VLESS reverse. Without with_utls a
# sing-box has no REALITY.
peers() {
	xray=github.com/xtls/xray-core/main
	sing=github.com/sagernet/sing-box
	cat <<-EOF
		xray-26.3.27 $xray@v1.260327.0 - -s,-w
		xray-25.12.8 $xray@v1.251208.0 - -s,-w
		xray-1.8.24 $xray@v1.8.24 - -s,-w,-checklinkname=0
		sing-box-1.14.1 $sing/cmd/sing-box@v1.14.1 with_utls -s,-w,-X,$sing/constant.Version=1.14.1
	EOF
}

cache=${GARENNE_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/garenne/peers}
mkdir -p "$cache" build/peers

skip() {
	echo "SKIP peers: $1; tests beside stock Xray and sing-box will be skipped"
	exit 0
}

# Debian's systemd-resolved, unpacked and not installed: as a package it would take over the
# name service of this machine. Of the same version as systemd's library, which it needs.
fetch_resolved() {
	dst=$cache/systemd-resolved
	[ ! -x /lib/systemd/systemd-resolved ] && [ ! -x "$dst/lib/systemd/systemd-resolved" ] || return 0
	version=$(dpkg-query -W -f '${Version}' libsystemd-shared 2>/dev/null) || return 0
	tmp=$(mktemp -d)
	if (cd "$tmp" && apt-get download "systemd-resolved=$version" >/dev/null 2>&1 &&
		dpkg -x systemd-resolved_*.deb tree); then
		rm -rf "$dst"
		mv "$tmp/tree" "$dst"
		echo "peers: systemd-resolved $version"
	else
		echo "SKIP peer systemd-resolved: its package could not be fetched"
	fi
	rm -rf "$tmp"
}
fetch_resolved

# True when version $1 (1.26.8, 1.19, ...) is $2 or newer.
at_least() {
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]
}

go_version() {
	GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//'
}

# An old Go cannot fetch a newer one by itself, but it can fetch a module, and
# the toolchains are modules. Module files carry no execute bits: those are set here.
fetch_toolchain() {
	arch=$("$1" env GOARCH)
	dst=$cache/go-$toolchain
	if [ ! -x "$dst/bin/go" ]; then
		src=$(cd "$tmp" && GOFLAGS=-mod=mod "$1" mod download -json \
			"golang.org/toolchain@v0.0.1-go$toolchain.linux-$arch" |
			sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
		[ -n "$src" ] || return 1
		rm -rf "$dst.new"
		cp -r "$src" "$dst.new"
		chmod -R u+w "$dst.new"
		find "$dst.new/bin" "$dst.new/pkg/tool" -type f -exec chmod +x {} +
		rm -rf "$dst"
		mv "$dst.new" "$dst"
	fi
	echo "$dst/bin/go"
}

find_go() {
	go=$(command -v go || true)
	if [ -z "$go" ] && command -v apt-get >/dev/null; then
		if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
		for p in $(apt-cache pkgnames golang-1. 2>/dev/null | grep -x 'golang-1\.[0-9]*' |
			sort -rV) golang-go; do
			$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install -y \
				--no-install-recommends "$p" >/dev/null 2>&1 || continue
			go=$(command -v go || true)
			[ -n "$go" ] || go=/usr/lib/go-${p#golang-}/bin/go
			break
		done
	fi
	[ -n "$go" ] && [ -x "$go" ] || return 1
	at_least "$(go_version "$go")" $need || go=$(fetch_toolchain "$go") || return 1
	echo "$go"
}

build() {
	name=$1 package=$2 tags=$3 flags=$4
	mkdir "$tmp/$name"
	echo "peers: building $name (this takes minutes)"
	if ! GOBIN=$tmp/$name GOTOOLCHAIN=local GOFLAGS= CGO_ENABLED=0 nice "$go" install -trimpath \
		-tags "${tags#-}" -ldflags "$(echo "$flags" | tr , ' ')" "$package" >"$tmp/$name.log" 2>&1; then
		tail -20 "$tmp/$name.log"
		echo "SKIP peer $name: it could not be built"
		return 0
	fi
	mkdir -p "$cache/$name"
	mv "$tmp/$name/$(basename "${package%@*}")" "$cache/$name/${name%-*}"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
go=
peers >"$tmp/peers"
while read -r name package tags flags <&3; do
	exe=$cache/$name/${name%-*}
	if [ ! -x "$exe" ]; then
		[ -n "$go" ] || go=$(find_go) || skip "no Go $need or newer, and none could be fetched"
		build "$name" "$package" "$tags" "$flags"
	fi
	if [ -x "$exe" ]; then
		ln -sfn "$cache/$name" "build/peers/$name"
		echo "peers: $("$exe" version | head -1)"
	fi
done 3<"$tmp/peers"
