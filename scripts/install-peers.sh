#!/bin/sh
# install-peers.sh: builds the stock Xray releases the lab talks to, with the
# ordinary Go client, into $GARENNE_PEERS/xray-RELEASE/xray (default: the user's
# cache folder, so that a second clone finds them), and links build/peers/xray-RELEASE
# to them. A release that is there already is not built again.
#
# Without a usable Go and without a way to get one this says so, aloud, and succeeds:
# the tests that need the missing peer then say SKIP.
set -eu
cd "$(dirname "$0")/.."

module=github.com/xtls/xray-core/main
need=1.26     # the oldest Go that builds the newest release
toolchain=1.26.8
# RELEASE=MODULE-VERSION:LINKER-FLAGS. The first speaks both dialects of reverse and
# is the newest one there is as a module; the second is from well before VLESS reverse.
releases="26.3.27=v1.260327.0:-s,-w 1.8.24=v1.8.24:-s,-w,-checklinkname=0"

cache=${GARENNE_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/garenne/peers}
mkdir -p "$cache" build/peers

skip() {
	echo "SKIP peers: $1; tests beside stock Xray will be skipped"
	exit 0
}

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
	release=$1 version=$2 flags=$3
	mkdir "$tmp/$release"
	echo "peers: building Xray $release (this takes minutes)"
	if ! GOBIN=$tmp/$release GOTOOLCHAIN=local GOFLAGS= CGO_ENABLED=0 nice "$go" install -trimpath \
		-ldflags "$flags" "$module@$version" >"$tmp/$release.log" 2>&1; then
		tail -20 "$tmp/$release.log"
		echo "SKIP peer xray-$release: it could not be built"
		return 0
	fi
	mkdir -p "$cache/xray-$release"
	mv "$tmp/$release/main" "$cache/xray-$release/xray"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
go=
for r in $releases; do
	release=${r%%=*}
	rest=${r#*=}
	if [ ! -x "$cache/xray-$release/xray" ]; then
		[ -n "$go" ] || go=$(find_go) || skip "no Go $need or newer, and none could be fetched"
		build "$release" "${rest%%:*}" "$(echo "${rest#*:}" | tr , ' ')"
	fi
	if [ -x "$cache/xray-$release/xray" ]; then
		ln -sfn "$cache/xray-$release" "build/peers/xray-$release"
		echo "peers: $("$cache/xray-$release/xray" version | head -1)"
	fi
done
