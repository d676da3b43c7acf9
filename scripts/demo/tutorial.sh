# tutorial.sh: a home behind NAT and a server with a public address. The tutorial's two
# files run there with only address and key filled in. Sourced by demo.sh.
# shellcheck shell=sh

say "==== The tutorial's reverse proxy ===="
host wan vps nat home client
switch wan
switch nat
cable vps 203.0.113.10/24 wan
cable client 203.0.113.20/24 wan
cable nat 203.0.113.30/24 wan
ip -n ${id}nat address add 192.168.1.1/24 dev switch
cable home 192.168.1.10/24 nat
ip -n ${id}home route add default via 192.168.1.1
nat nat
start home web python3 scripts/demo/page.py 127.0.0.1 80 "the web server at home"
start home nas python3 scripts/demo/page.py 192.168.1.10 8080 "another machine's port 8080"

say "The picture: client 203.0.113.20 -- VPS 203.0.113.10 -- internet -- NAT 203.0.113.30 -- home 192.168.1.10"
fails on client curl -s -m 1 http://203.0.113.30/ >"$work/try"
echo "  from the client, http://203.0.113.30/ (the home's public address): no answer, as expected"

# The tutorial's files. Address and key are all that is filled in.
key=$(openssl rand -base64 16)
for f in portal bridge client; do
	sed -e "s|@KEY@|$key|" -e "s|@ADDRESS@|203.0.113.10|" scripts/demo/$f.json >"$work/$f.json"
done
say "\$ garenne check portal.json bridge.json (what it says about the tutorial's files, in short)"
for f in portal bridge; do
	"$garenne" check "$work/$f.json" 2>&1 | sed "s|$work/||g" | cut -c1-150 |
		sed 's/^/  /' || true
done

say "\$ garenne run -c portal.json     # on the VPS"
start vps portal "$garenne" run -c "$work/portal.json"
say "\$ garenne run -c bridge.json     # at home, behind NAT"
start home bridge "$garenne" run -c "$work/bridge.json"
say "\$ garenne run -c client.json     # on the client: a SOCKS and HTTP proxy on 127.0.0.1:1080"
start client client "$garenne" run -c "$work/client.json"

say "1. The port forward: port 80 of the VPS is the web server at home."
try 150 on client curl -sS -f -m 3 http://203.0.113.10/
show client curl -sS http://203.0.113.10/

say "2. The proxy: the client asks for addresses of the home, and is at home."
try 50 on client curl -sS -f -m 3 -x socks5h://127.0.0.1:1080 http://192.168.1.10:8080/
show client curl -sS -x socks5h://127.0.0.1:1080 http://192.168.1.10:8080/
told client "curl -sS -x http://127.0.0.1:1080 http://127.0.0.1/     # the home's own loopback" \
	curl -sS -x http://127.0.0.1:1080 http://127.0.0.1/

say "3. The router is unplugged for a moment."
ip -n ${id}wan link set dev nat down
fails on client curl -s -f -m 2 http://203.0.113.10/ >"$work/try"
echo "  client\$ curl http://203.0.113.10/     (no page)"
ip -n ${id}wan link set dev nat up
try 200 on client curl -sS -f -m 3 http://203.0.113.10/
echo "  plugged in again; client\$ curl http://203.0.113.10/"
sed 's/^/  /' "$work/try"

say "What the VPS has logged:"
grep -hE 'accepted|bridge' "$work/portal.log" | sed "s|$work/||g; s/^[0-9/]* //" | head -6 |
	cut -c1-150 | sed 's/^/  /'
