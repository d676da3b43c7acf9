"""The whole of a mesh, from everywhere to everywhere: the hosts of two LANs with the same
prefixes, their sites and the hub, with a TUN on each node and nothing on the hosts.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile

from . import LabError, Skip, peers, traffic
from .harness import test
from .peers import GARENNE
from .proc import until
from .scene import expect
from .t_matrix import Targets
from .t_mesh import GATE, HUB, NAS, Office, garenne
from .t_ping import Ping
from .t_tun import connect_error

MIB = 1 << 20
GATE6, NAS6 = "fd77::2", "fd77::20"
NODES = ("hub", "paris", "berlin")
HOUSE = {"paris": "paris", "pnas": "paris", "berlin": "berlin", "bpc": "berlin"}
SIZES = tuple(range(1, 1401, 7))
FILTERED = 7


class Mesh:
    """Addresses are at[role][4 or 6]: as the mesh knows them. Hosts ask by mapped prefixes.
    @stock: {node: the program in our place there}."""

    def __init__(self, t, stock=None):
        self.peer = dict.fromkeys(NODES, GARENNE) | (stock or {})
        t.need(*self.peer.values())
        self.t, self.net = t, t.net(Office)
        self.dir = tempfile.mkdtemp()
        t.defer(shutil.rmtree, self.dir)
        software = {n: ("-software", p.software) for n, p in self.peer.items()}
        garenne(self.dir, "mesh", "init", "lab", "-address", HUB + ":443", "-security", "tls",
                *software["hub"])
        for site in ("paris", "berlin"):
            garenne(self.dir, "mesh", "add", "site", site, "-lan", "192.168.1.0/24", "-lan",
                    "fd77::/64", *software[site])
        self.at = self.edit()
        self.said = garenne(self.dir, "mesh", "compile")
        self.cable()
        self.procs = {name: self.start(name) for name in NODES}
        self.targets = {r: Targets(t, self.ns(r)) for r in self.at}

    def start(self, name):
        """Stock programs get their file as it was written."""
        conf = os.path.join(self.dir, "nodes", name + ".json")
        if self.peer[name].ours:
            with open(conf) as f:
                conf = json.load(f)
            expect(conf["control"]["name"] == name, "the file does not name its node")
            conf["control"]["socket"] = self.socket(name)
        return self.t.program(self.peer[name], self.ns(name), conf, name, wait=name == "hub")

    @staticmethod
    def role(name):
        return {"paris": "sp", "berlin": "sb"}.get(name, name)

    def ns(self, name):
        return self.net[self.role(name)]

    def socket(self, name):
        return os.path.join(self.t.dir, name + ".sock")

    def edit(self):
        """The hub's own users are in the mesh, and everybody may go everywhere."""
        path = os.path.join(self.dir, "mesh.json")
        with open(path) as f:
            text = f.read()
        hub, paris, berlin = re.findall(r'"ip": "([^"]+)", "ip6": "([^"]+)"', text)
        mapped = re.findall(r'"as": "([^"]+)/\d+"', text)
        self.range6 = re.search(r'"ipv6": "([^"]+)"', text).group(1)
        if self.peer["hub"].ours:
            text = text.replace('"security": "tls"', '"tun": true, "security": "tls"', 1)
        text = text.replace('"from": "any", "to": "sites"', '"from": "any", "to": "any"')
        with open(path, "w") as f:
            f.write(text)
        at = {"hub": hub, "paris": paris, "berlin": berlin,
              "pnas": self.in_prefix(mapped[:2], 20), "bpc": self.in_prefix(mapped[2:], 20)}
        self.dead = {"pnas": self.in_prefix(mapped[:2], 99), "bpc": self.in_prefix(mapped[2:], 99)}
        return {r: {4: a[0], 6: a[1]} for r, a in at.items()}

    @staticmethod
    def in_prefix(prefixes, host):
        return prefixes[0][:-1] + str(host), prefixes[1] + str(host)

    def cable(self):
        """IPv6 in both houses, and hosts that know the way into the mesh."""
        for site, host in (("paris", "pnas"), ("berlin", "bpc")):
            for name, addr in ((site, GATE6), (host, NAS6)):
                self.ns(name).ip(f"address add {addr}/64 dev eth0 nodad")
            self.ns(site).forward()
            for r in ("100.64.0.0/10", "198.18.0.0/15"):
                self.ns(host).ip(f"route add {r} via {GATE}")
            self.ns(host).ip(f"route add {self.range6} via {GATE6}")

    def pairs(self):
        """Who asks, whom; neighbours reach each other without us."""
        return [(a, b) for a in self.at for b in self.at
                if a != b and (a not in HOUSE or HOUSE[a] != HOUSE.get(b))]

    def each(self, what):
        """A cell for each pair and family: (asking host, who is asked, address of that)."""
        for a, b in self.pairs():
            for f in (4, 6):
                with self.t.cell(f"{what} {a} -> {b} v{f}"):
                    yield traffic.Direct(self.ns(a)), b, self.at[b][f]

    def wait_up(self):
        for a, b in self.pairs():
            for f in (4, 6):
                via, port = traffic.Direct(self.ns(a)), self.targets[b].echo.port
                until(lambda v=via, h=self.at[b][f], p=port: traffic.works(v, h, p), 30,
                      f"{a} reaches {b} by IPv{f}", 0.1)


@test("mesh/matrix", limit=300, needs=(GARENNE,))
def matrix(t):
    m = Mesh(t)
    m.wait_up()
    for via, b, host in m.each("tcp"):
        traffic.check_bulk(via, m.targets[b].bulk, host, 16 * MIB)
        bad = traffic.half_close(via, host, m.targets[b].digest.port)
        expect(bad is None, f"half-close: {bad}")
    for via, b, host in m.each("udp"):
        port = m.targets[b].udp.port
        traffic.check_udp(via, host, port, sum(n for n in SIZES if n >= 4), SIZES)
        data, _ = traffic.udp_ask(via, host, port, os.urandom(8000))
        expect(len(data) == 8000, f"{len(data)} of 8000 bytes came back")
    pings(m)
    verdicts(m)
    sources(m)
    traces(m)


def pings(m):
    for via, _b, host in m.each("ping"):
        got = Ping(via.ns, host).ask()
        expect(got == "reply", f"{got}")
    for a, b in m.pairs():
        if b not in m.dead:
            continue
        with m.t.cell(f"ping {a} -> nobody beside {b}"):
            for host in m.dead[b]:
                got = Ping(m.ns(a), host).ask(wait=1.0)
                expect(got != "reply", "a dead host answered")


def verdicts(m):
    """Open, closed and filtered are what they are beside the host itself."""
    for host in ("pnas", "bpc"):
        m.ns(host).nft(f"""
            table inet f {{
                chain in {{ type filter hook input priority 0; tcp dport {FILTERED} drop; }}
            }}""")
    for via, b, host in m.each("verdict"):
        for port, want in ((m.targets[b].echo.port, None), (1, "ECONNREFUSED"),
                           (FILTERED, "silence" if b in m.dead else "ECONNREFUSED")):
            got = connect_error(via.ns, host, port, 1.5 if want == "silence" else 5)
            expect(got == want, f"port {port}: {got}, not {want}")


def sources(m):
    """Compiled files dial: a LAN's host sees its own site, a node sees itself. The
    originator is told by PROXY protocol (mesh/source-is-kept)."""
    whoami = {b: m.t.server(traffic.Server, m.ns(b), traffic.serve_whoami) for b in m.at}
    for via, b, host in m.each("source"):
        with via.tcp(host, whoami[b].port, 5) as s:
            got = s.recv(200).decode().split()[0]
        want = {4: GATE, 6: GATE6}[6 if ":" in host else 4] if b in m.dead else host
        expect(got == want, f"it saw {got}, not {want}")


def traces(m):
    """From each node to each place: every hop by its name, and the last one's dial."""
    for a, b in m.pairs():
        if a not in NODES:
            continue
        hops = [a] + ["hub"] * (a != "hub") + ([HOUSE[b]] if b in HOUSE else [])
        for f in (4, 6):
            with m.t.cell(f"trace {a} -> {b} v{f}"):
                trace(m, a, m.at[b][f], m.targets[b].echo.port, hops, b in m.dead)


def trace(m, a, host, port, hops, mapped):
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with m.ns(a).inside():
        p = subprocess.run([GARENNE.path, "trace", "--socket", m.socket(a), text],
                           capture_output=True, text=True, timeout=40)
    decided = re.findall(r"^ *\d+  (\w+): tcp:\S+ from inbound ", p.stdout, re.M)
    expect(p.returncode == 0 and decided == hops, f"{decided}, not {hops}: {p.stdout}{p.stderr}")
    real = (NAS6 if ":" in host else NAS) if mapped else host
    expect(re.search(rf" {hops[-1]}: connected to \[?{re.escape(real)}\]?:{port} in", p.stdout),
           f"no word of the dial to {real}: {p.stdout}")


def nmap(ns, host, ports):
    """{port: verdict} as a stranger's scanner sees it."""
    path = peers.tool("nmap")
    if not path:
        raise Skip("there is no nmap")
    with ns.inside():
        p = subprocess.run([path, "-sT", "-Pn", "-n", "--max-retries", "2",
                            "--min-rtt-timeout", "1s", "--initial-rtt-timeout", "2s",
                            *(("-6",) if ":" in host else ()),
                            "-p", ",".join(map(str, ports)), host],
                           capture_output=True, text=True, timeout=120)
    got = re.findall(r"^(\d+)/tcp +(\S+)", p.stdout, re.M)
    expect(len(got) == len(ports), f"nmap: {p.stdout}{p.stderr}")
    return {int(port): verdict for port, verdict in got}


@test("mesh/nmap", limit=180, needs=(GARENNE,))
def scan(t):
    """A far host's ports are to nmap -sT what they are to its neighbour."""
    m = Mesh(t)
    m.wait_up()
    m.ns("pnas").nft("""
        table inet f {
            chain in {
                type filter hook input priority 0;
                tcp dport 7 drop
                tcp dport 9 reject with tcp reset
                tcp dport 11 reject with icmpx admin-prohibited
                tcp dport 13 reject with icmpx host-unreachable
            }
        }""")
    targets = m.targets["pnas"]
    ports = [1, 7, 9, 11, 13, 22, 80, 443, targets.echo.port, targets.banner.port]
    for f, real in ((4, NAS), (6, NAS6)):
        near = nmap(m.ns("paris"), real, ports)
        expect(set(near.values()) == {"open", "closed", "filtered"}, f"{near}")
        for a in ("bpc", "berlin", "hub"):
            with t.cell(f"{a} v{f}"):
                far = nmap(m.ns(a), m.at["pnas"][f], ports)
                odd = {p: (far[p], near[p]) for p in ports if far[p] != near[p]}
                expect(not odd, f"there and on its own LAN: {odd}")
