# common.sh: hosts, cables and programs of the demonstration. Sourced by demo.sh.
# shellcheck shell=sh

id=gd$$
work=$(mktemp -d)
garenne=$PWD/build/release/garenne
PATH=$PWD/build/release:$PATH
hosts=
pids=

# Ends the present act: its programs, its hosts.
strike() {
	for p in $pids; do
		kill "$p" 2>/dev/null || true
	done
	for p in $pids; do
		wait "$p" 2>/dev/null || true
	done
	for h in $hosts; do
		ip netns del $id"$h" 2>/dev/null || true
	done
	hosts=
	pids=
}

cleanup() {
	strike
	rm -rf "$work"
	rmdir /run/garenne 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() {
	printf '\n%s\n' "$*"
}

# The host's own /run/garenne: its programs see their own control sockets only. And its
# own resolv.conf, if there is one in that folder.
inside='mount --bind "$0" /run/garenne || exit
[ ! -e "$0/resolv.conf" ] || mount --bind "$0/resolv.conf" /etc/resolv.conf || exit
exec "$@"'

# on HOST COMMAND...
on() {
	h=$1
	shift
	ip netns exec $id"$h" sh -c "$inside" "$work/run.$h" "$@"
}

# told HOST TEXT COMMAND...: TEXT at a prompt, then what the command prints; its status
told() {
	h=$1 status=0
	printf '  %s$ %s\n' "$h" "$2"
	shift 2
	on "$h" "$@" >"$work/told" 2>&1 || status=$?
	sed -e '/^$/d' -e 's/^/  /' "$work/told"
	return $status
}

# show HOST COMMAND...: the same, with the command itself as the text
show() {
	h=$1
	shift
	told "$h" "$*" "$@"
}

# host NAME...
host() {
	for h in "$@"; do
		ip netns add $id"$h"
		hosts="$hosts $h"
		ip -n $id"$h" link set dev lo up
		mkdir -p "$work/run.$h"
	done
}

# switch HOST: the host is, or has, a switch
switch() {
	ip -n $id"$1" link add switch type bridge
	ip -n $id"$1" link set dev switch up
}

# cable HOST ADDRESS TO-HOST: eth0 of HOST, on the switch of TO-HOST
cable() {
	ip link add eth0 netns $id"$1" type veth peer name "$1" netns $id"$3"
	ip -n $id"$1" address add "$2" dev eth0
	ip -n $id"$1" link set dev eth0 up
	ip -n $id"$3" link set dev "$1" master switch
	ip -n $id"$3" link set dev "$1" up
}

forwards() {
	on "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

# nat HOST: what is on its switch may call out by eth0, nobody may call in
nat() {
	forwards "$1"
	on "$1" nft -f - <<'NFT'
table ip nat {
	chain post {
		type nat hook postrouting priority 100;
		oifname "eth0" masquerade
	}
	chain pass {
		type filter hook forward priority 0;
		ct state established,related accept
		iifname "eth0" drop
	}
}
NFT
}

# start HOST NAME COMMAND...: in the background, output to $work/NAME.log
start() {
	h=$1 name=$2
	shift 2
	ip netns exec $id"$h" sh -c "$inside" "$work/run.$h" "$@" >"$work/$name.log" 2>&1 &
	pids="$! $pids"
}

# try N COMMAND...: until it works, ten times a second, N times at most
try() {
	n=$1
	shift
	until "$@" >"$work/try" 2>&1; do
		n=$((n - 1))
		if [ $n -le 0 ]; then
			echo "demo: this did not work: $*" >&2
			cat "$work/try" >&2
			tail -n 20 "$work"/*.log >&2
			exit 1
		fi
		sleep 0.1
	done
}

# fails COMMAND...: which must fail, or what is shown proves nothing
fails() {
	if "$@"; then
		echo "demo: this should not have worked: $*" >&2
		exit 1
	fi
}

mkdir -p /run/garenne
