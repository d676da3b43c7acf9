# mesh.sh: two houses with one LAN prefix, each behind NAT, and a hub. Sourced by demo.sh.
# shellcheck shell=sh

say "==== The mesh ===="
cat <<'PICTURE'

                          hub 203.0.113.10
                                 |
          NAT 203.0.113.31 --- wan --- NAT 203.0.113.32
                 |                            |
   paris  192.168.1.0/24        berlin 192.168.1.0/24     the same LAN twice
   site  192.168.1.2            site  192.168.1.2         garenne runs here
   nas   192.168.1.20           desk  192.168.1.20        nothing runs here
PICTURE

# house SITE HOST PUBLIC-ADDRESS
house() {
	host "$1.nat" "$1" "$2"
	switch "$1.nat"
	cable "$1.nat" "$3/24" wan
	ip -n $id"$1.nat" address add 192.168.1.1/24 dev switch
	nat "$1.nat"
	cable "$1" 192.168.1.2/24 "$1.nat"
	cable "$2" 192.168.1.20/24 "$1.nat"
	forwards "$1"
	for h in "$1" "$2"; do
		ip -n $id"$h" route add default via 192.168.1.1
	done
	# What the owner tells the router: the mesh is by way of the site.
	for net in 100.64.0.0/10 198.18.0.0/15; do
		ip -n $id"$1.nat" route add $net via 192.168.1.2
	done
}

host wan hub
switch wan
cable hub 203.0.113.10/24 wan
house paris nas 203.0.113.31
house berlin desk 203.0.113.32
start nas web python3 scripts/demo/page.py 0.0.0.0 80 "the NAS in Paris"
start nas shell python3 scripts/demo/shell.py 22 "nas.paris"

say "1. One file for all, made by a few commands; each node gets its part."
mkdir "$work/mesh"
mesh() {
	printf '  $ garenne mesh %s\n' "$*"
	(cd "$work/mesh" && "$garenne" mesh "$@") >"$work/try" 2>&1 || {
		cat "$work/try" >&2
		exit 1
	}
}
mesh init home -address 203.0.113.10 -security tls
mesh add site paris -lan 192.168.1.0/24
mesh add site berlin -lan 192.168.1.0/24
echo '  $ editor mesh.json     # at paris: "hosts": { "nas": "192.168.1.20" }'
sed -i 's|"as": "198.18.1.0/24" }\]|&, "hosts": { "nas": "192.168.1.20" }|' "$work/mesh/mesh.json"
mesh compile
for h in hub paris berlin; do
	start $h $h "$garenne" run -c "$work/mesh/nodes/$h.json"
	printf '  %s$ garenne run -c %s.json\n' $h $h
done
(cd "$work/mesh" && "$garenne" mesh show) | sed 's/^/  /'

# What systemd-resolved is told, where there is one, and Berlin's router tells its LAN.
for h in desk berlin; do
	echo "nameserver 100.127.255.254" >"$work/run.$h/resolv.conf"
done
nas=198.18.1.20
name=nas.paris.home.mesh
say "2. From a machine in Berlin to one in Paris. Both are 192.168.1.20 at home."
fails on hub curl -s -m 1 http://203.0.113.31/ >"$work/try"
try 150 on desk curl -sS -f -m 3 http://$nas/
try 50 on desk ping -c 1 -W 1 $nas
try 50 on desk curl -sS -f -m 3 http://$name/
show desk curl -sS http://$nas/
show desk curl -sS http://$name/
show desk ping -c 3 -i 0.2 -q $name
told desk "ssh $name      (a little shell of ours instead, each line answered as it comes)" \
	python3 scripts/demo/login.py $name 'ip -br -4 address show eth0' 'echo $((6 * 7))'

say "3. What is not there looks as if one stood beside it: a closed port refuses, a dead host is silent."
fails told desk ": </dev/tcp/$nas/81" bash -c ": </dev/tcp/$nas/81"
fails show desk ping -c 2 -i 0.2 -W 1 -q 198.18.1.99

say "4. What the hub knows."
show hub garenne status

say "5. Why does it work, or not? Site, hub and far site each say what they decided."
show berlin garenne trace $name:80
fails show berlin garenne trace $nas:81
