#!/bin/sh
# demo.sh: the tutorial, live, on this machine alone.
#
# Four hosts are made of network namespaces: a VPS with a public address, a home
# behind a NAT router (the router and the machine with the bridge), and a client. The
# tutorial's two files run on the VPS and at home with only address and key filled in;
# the home's web page is then fetched through the port forward and through a client's
# proxy. Everything is gone afterwards, whatever happens.
set -eu
cd "$(dirname "$0")/.."
root=$PWD

if [ "${GARENNE_DEMO_READY:-}" = "" ]; then
	scripts/install-deps.sh --demo
	make -s
fi
PATH=$PATH:/usr/sbin:/sbin
if [ "$(id -u)" != 0 ]; then
	exec sudo env GARENNE_DEMO_READY=1 "$0" "$@"
fi

id=gd$$
hosts="wan vps nat home client"
work=$(mktemp -d)
pids=

cleanup() {
	for p in $pids; do
		kill "$p" 2>/dev/null || true
	done
	for p in $pids; do
		wait "$p" 2>/dev/null || true
	done
	for h in $hosts; do
		ip netns del $id$h 2>/dev/null || true
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() {
	printf '\n%s\n' "$*"
}

on() {
	h=$1
	shift
	ip netns exec $id"$h" "$@"
}

# cable HOST ADDRESS TO-HOST: eth0 of HOST, on the switch of TO-HOST
cable() {
	ip link add eth0 netns $id"$1" type veth peer name "$1" netns $id"$3"
	ip -n $id"$1" address add "$2" dev eth0
	ip -n $id"$1" link set dev eth0 up
	ip -n $id"$3" link set dev "$1" master switch
	ip -n $id"$3" link set dev "$1" up
}

# start HOST NAME COMMAND...: in the background, output to $work/NAME.log
start() {
	h=$1 name=$2
	shift 2
	ip netns exec $id"$h" "$@" >"$work/$name.log" 2>&1 &
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

for h in $hosts; do
	ip netns add $id$h
	ip -n $id$h link set dev lo up
done
for h in wan nat; do
	ip -n $id$h link add switch type bridge
	ip -n $id$h link set dev switch up
done
cable vps 203.0.113.10/24 wan
cable client 203.0.113.20/24 wan
cable nat 203.0.113.30/24 wan
ip -n ${id}nat address add 192.168.1.1/24 dev switch
cable home 192.168.1.10/24 nat
ip -n ${id}home route add default via 192.168.1.1
on nat sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
on nat nft -f - <<'NFT'
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

cat >"$work/page.py" <<'PY'
import http.server
import sys

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("Hello from %s, nobody can call me from outside.\n" % sys.argv[3]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Page).serve_forever()
PY
start home web python3 "$work/page.py" 127.0.0.1 80 "the web server at home"
start home nas python3 "$work/page.py" 192.168.1.10 8080 "another machine's port 8080"

say "The picture: client 203.0.113.20 -- VPS 203.0.113.10 -- internet -- NAT 203.0.113.30 -- home 192.168.1.10"
on client curl -s -m 1 http://203.0.113.30/ >/dev/null 2>&1 &&
	{ echo "demo: home answers from outside, this proves nothing" >&2; exit 1; }
echo "  from the client, http://203.0.113.30/ (the home's public address): no answer, as expected"

# The tutorial's files. Address and key are all that is filled in.
key=$(openssl rand -base64 16)
for f in portal bridge client; do
	sed -e "s|@KEY@|$key|" -e "s|@ADDRESS@|203.0.113.10|" scripts/demo/$f.json >"$work/$f.json"
done
say "\$ garenne check portal.json bridge.json (what it says about the tutorial's files, in short)"
for f in portal bridge; do
	build/release/garenne check "$work/$f.json" 2>&1 | sed "s|$work/||g" | cut -c1-150 |
		sed 's/^/  /' || true
done

say "\$ garenne run -c portal.json     # on the VPS"
start vps portal "$root/build/release/garenne" run -c "$work/portal.json"
say "\$ garenne run -c bridge.json     # at home, behind NAT"
start home bridge "$root/build/release/garenne" run -c "$work/bridge.json"
say "\$ garenne run -c client.json     # on the client: a SOCKS and HTTP proxy on 127.0.0.1:1080"
start client client "$root/build/release/garenne" run -c "$work/client.json"

say "1. The port forward: port 80 of the VPS is the web server at home."
try 150 on client curl -sS -f -m 3 http://203.0.113.10/
echo "  client\$ curl http://203.0.113.10/"
on client curl -sS -f -m 5 http://203.0.113.10/ | sed 's/^/  /'

say "2. The proxy: the client asks for addresses of the home, and is at home."
try 50 on client curl -sS -f -m 3 -x socks5h://127.0.0.1:1080 http://192.168.1.10:8080/
echo "  client\$ curl -x socks5h://127.0.0.1:1080 http://192.168.1.10:8080/"
on client curl -sS -f -m 5 -x socks5h://127.0.0.1:1080 http://192.168.1.10:8080/ | sed 's/^/  /'
echo "  client\$ curl -x http://127.0.0.1:1080 http://127.0.0.1/     # the home's own loopback"
on client curl -sS -f -m 5 -x http://127.0.0.1:1080 http://127.0.0.1/ | sed 's/^/  /'

say "3. The router is unplugged for a moment."
ip -n ${id}wan link set dev nat down
on client curl -s -f -m 2 http://203.0.113.10/ >/dev/null 2>&1 &&
	{ echo "demo: the page came through an unplugged cable" >&2; exit 1; }
echo "  client\$ curl http://203.0.113.10/     (no page)"
ip -n ${id}wan link set dev nat up
try 200 on client curl -sS -f -m 3 http://203.0.113.10/
echo "  plugged in again; client\$ curl http://203.0.113.10/"
sed 's/^/  /' "$work/try"

say "What the VPS has logged:"
grep -hE 'accepted|bridge' "$work/portal.log" | sed "s|$work/||g; s/^[0-9/]* //" | head -6 |
	cut -c1-150 | sed 's/^/  /'
say "demo: everything worked; nothing is left behind"
