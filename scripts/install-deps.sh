#!/bin/sh
# install-deps.sh [--build-only | --demo | --bench]: installs, by name from Debian 12, what
# building, the demonstration, the tests or the benchmarks need and this machine lacks. Does
# nothing when nothing is missing.
#
# Some of the test peers come with a service. It is neither started nor enabled:
# the tests run those programs themselves, in namespaces of their own.
set -eu

build="gcc make git pkg-config libc6-dev libev-dev libcjson-dev libssl-dev libc-ares-dev
libqrencode-dev libpcre2-dev libnl-3-dev libbrotli-dev zlib1g-dev libzstd-dev libcmocka-dev xz-utils"
# Hosts and networks made of namespaces.
hosts="python3 iproute2 iputils-ping nftables util-linux curl openssl"
# clang and its runtime fuzz; the rest are programs to talk to, and Go modules need CAs.
tests="clang libclang-rt-14-dev llvm-14 ca-certificates procps dbus-daemon v2ray shadowsocks-libev
nginx-light stunnel4 iperf3 bind9-dnsutils unbound valgrind nmap tshark systemd
python3-prometheus-client"
# What the benchmarks compare the mesh with.
others="openvpn tinc wireguard-go wireguard-tools"
services="v2ray shadowsocks-libev nginx stunnel4 unbound openvpn tinc"

case ${1:-} in
--build-only) want=$build ;;
--demo) want="$build $hosts" ;;
--bench) want="$build $hosts $tests $others" ;;
"") want="$build $hosts $tests" ;;
*)
	echo "usage: install-deps.sh [--build-only | --demo | --bench]" >&2
	exit 2
	;;
esac

installed() {
	dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'
}

missing=
for p in $want; do
	installed "$p" || missing="$missing $p"
done
if [ -z "$missing" ]; then
	echo "install-deps: nothing is missing"
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "install-deps: this is not Debian; please install:$missing" >&2
	exit 1
fi

sudo=
if [ "$(id -u)" != 0 ]; then
	sudo=sudo
	command -v sudo >/dev/null || {
		echo "install-deps: needs root or sudo to install:$missing" >&2
		exit 1
	}
fi

# Keeps packages from starting their service; a guard that is there already stays.
guard=/usr/sbin/policy-rc.d
ours=
cleanup() {
	[ -z "$ours" ] || $sudo rm -f $guard
}
trap cleanup EXIT
trap 'exit 130' INT TERM
if [ ! -e $guard ]; then
	ours=1
	printf '#!/bin/sh\nexit 101\n' | $sudo tee $guard >/dev/null
	$sudo chmod 755 $guard
fi
fresh=
for s in $services; do
	case " $missing " in
	*" $s"*) fresh="$fresh $s" ;;
	esac
done

echo "install-deps: installing$missing"
apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q"
$apt update
# shellcheck disable=SC2086
$apt install -y --no-install-recommends $missing

for s in $fresh; do
	[ -d /run/systemd/system ] || break
	$sudo systemctl disable --now "$s" >/dev/null 2>&1 || true
done
