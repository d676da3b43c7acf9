"""The whole of a mesh, from everywhere to everywhere: the hosts of two LANs with the same
prefixes, their sites and the hub, with a TUN on each node and nothing on the hosts.
"""
import contextlib
import os
import re
import socket
import subprocess

from . import Skip, peers, traffic
from .harness import add, test
from .meshlab import GATE, Mesh
from .peers import GARENNE
from .scene import expect
from .t_ping import Ping
from .t_tun import connect_error

MIB = 1 << 20
SIZES = tuple(range(1, 1401, 7))
FILTERED = 7


@test("mesh/matrix", limit=300, needs=(GARENNE,))
def matrix(t):
    m = Mesh(t, hubs=1, sites=2)
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
        if not m.is_host(b):
            continue
        with m.t.cell(f"ping {a} -> nobody beside {b}"):
            for host in m.dead[b]:
                got = Ping(m.ns(a), host).ask(wait=1.0)
                expect(got != "reply", "a dead host answered")


def verdicts(m):
    """Open, closed and filtered are what they are beside the host itself."""
    for host in m.dead:
        m.ns(host).nft(f"""
            table inet f {{
                chain in {{ type filter hook input priority 0; tcp dport {FILTERED} drop; }}
            }}""")
    for via, b, host in m.each("verdict"):
        for port, want in ((m.targets[b].echo.port, None), (1, "ECONNREFUSED"),
                           (FILTERED, "silence" if m.is_host(b) else "ECONNREFUSED")):
            got = connect_error(via.ns, host, port, 1.5 if want == "silence" else 5)
            expect(got == want, f"port {port}: {got}, not {want}")


def sources(m):
    """Compiled files dial: a LAN's host sees its own site, a node sees itself. The
    originator is told by PROXY protocol (mesh/source-is-kept)."""
    whoami = {b: m.t.server(traffic.Server, m.ns(b), traffic.serve_whoami) for b in m.at}
    for via, b, host in m.each("source"):
        with via.tcp(host, whoami[b].port, 5) as s:
            got = s.recv(200).decode().split()[0]
        want = GATE[":" in host] if m.is_host(b) else host
        expect(got == want, f"it saw {got}, not {want}")


def traces(m):
    """From each node to each place: every hop by its name, and the last one's dial."""
    for a, b in m.pairs():
        if a not in m.nodes:
            continue
        for f in (4, 6):
            with m.t.cell(f"trace {a} -> {b} v{f}"):
                trace(m, a, b, f)


def trace(m, a, b, f):
    host, port, hops = m.at[b][f], m.targets[b].echo.port, m.hops(a, b)
    code, out = m.tool(a, "trace", f"[{host}]:{port}" if f == 6 else f"{host}:{port}")
    decided = re.findall(r"^ *\d+  (\w+): tcp:\S+ from inbound ", out, re.M)
    expect(code == 0 and decided == hops, f"{decided}, not {hops}: {out}")
    real = re.escape(m.real(b, f))
    expect(re.search(rf" {hops[-1]}: connected to \[?{real}\]?:{port} in", out),
           f"no word of the dial to {real}: {out}")


def nmap(ns, host, ports, udp=False):
    """{port: verdict} as a stranger's scanner sees it. A host says of one closed UDP port a
    second that it is (Linux: icmp_ratelimit), so that questions must be repeated."""
    path = peers.tool("nmap")
    if not path:
        raise Skip("there is no nmap")
    with ns.inside():
        p = subprocess.run([path, "-sU" if udp else "-sT", "-Pn", "-n", "--max-retries",
                            "8" if udp else "2", "--min-rtt-timeout", "1s",
                            "--initial-rtt-timeout", "2s", *(("-6",) if ":" in host else ()),
                            "-p", ",".join(map(str, ports)), host],
                           capture_output=True, text=True, timeout=150)
    got = re.findall(r"^(\d+)/(?:tcp|udp) +(\S+)", p.stdout, re.M)
    expect(len(got) == len(ports), f"nmap: {p.stdout}{p.stderr}")
    return {int(port): verdict for port, verdict in got}


FIREWALL = """
    table inet f {
        chain in {
            type filter hook input priority 0;
            meta l4proto { tcp, udp } th dport 7 drop
            tcp dport 9 reject with tcp reset
            meta l4proto { tcp, udp } th dport 11 reject with icmpx admin-prohibited
            meta l4proto { tcp, udp } th dport 13 reject with icmpx host-unreachable
        }
    }"""


def scans(m, askers, host, udp, kinds):
    """@host's ports are to each of @askers what they are to its neighbour."""
    m.ns(host).nft(FIREWALL)
    targets = m.targets[host]
    ports = [1, 7, 11, 13, 53, 443, targets.udp.port] if udp else \
        [1, 7, 9, 11, 13, 22, 80, 443, targets.echo.port, targets.banner.port]
    for f in (4, 6):
        near = nmap(m.ns(m.house[host]), m.real(host, f), ports, udp)
        expect(set(near.values()) == kinds, f"{near}")
        for a in askers:
            with m.t.cell(f"{a} v{f}"):
                far = nmap(m.ns(a), m.at[host][f], ports, udp)
                odd = {p: (far[p], near[p]) for p in ports if far[p] != near[p]}
                expect(not odd, f"there and on its own LAN: {odd}")


@test("mesh/nmap", limit=180, needs=(GARENNE,))
def scan(t):
    """A far host's ports are to nmap -sT what they are to its neighbour."""
    m = Mesh(t, hubs=1, sites=2)
    m.wait_up()
    scans(m, ("bpc", "berlin", "hub"), "pnas", False, {"open", "closed", "filtered"})


def scan_udp(t, askers):
    """The same for nmap -sU: what ICMP says there is said here."""
    m = Mesh(t, hubs=1, sites=2)
    m.wait_up()
    with t.cell("443"):
        t.server(traffic.UdpServer, m.ns("bpc"), port=443)
        traffic.udp_ask(traffic.Direct(m.ns("pnas")), m.at["bpc"][4], 443)
    scans(m, askers, "pnas", True, {"open", "closed", "filtered", "open|filtered"})


add("mesh/nmap-udp", scan_udp, ("bpc",), limit=240, needs=(GARENNE,))
add("mesh/nmap-udp/others", scan_udp, ("berlin", "hub"), limit=400, needs=(GARENNE,), full=True)


def one_socket(t, ns, places):
    """One socket asks all of them, (address, port), twice; who has answered, by address."""
    got = set()
    with traffic.Direct(ns).udp(places[0][0]) as f:
        f.s.settimeout(0.3)
        for _ in range(12):
            for host, port in places:
                if (host, port) not in got:
                    f.send(b"for %s" % host.encode(), host, port)
            with contextlib.suppress(socket.timeout):
                while len(got) < len(places):
                    data, peer = f.recv()
                    expect(data == b"for %s" % peer[0].encode(), f"{data!r} came from {peer}")
                    got.add(peer)
            if len(got) == len(places):
                break
    return got


@test("mesh/one-socket", limit=120, needs=(GARENNE,))
def many_places(t):
    """The datagrams of one socket go to each of the houses, whichever was the first."""
    m = Mesh(t, hubs=1, sites=3)
    m.wait_up()
    for a in ("bpc", "berlin", "hub"):
        for f in (4, 6):
            with t.cell(f"{a} v{f}"):
                places = [(m.at[b][f], m.targets[b].udp.port) for x, b in m.pairs() if x == a]
                got = one_socket(t, m.ns(a), places)
                expect(got == set(places), f"silent: {set(places) - got}")


FORBIDDEN = 4000


def forbid(text):
    return text.replace('"policy": [', '"policy": [ { "name": "not-there", "from": "any", "to": '
                        f'"nas.paris", "ports": {FORBIDDEN}, "action": "deny" }},')


@test("mesh/one-socket-policy", limit=120, needs=(GARENNE,))
def each_datagram_is_judged(t):
    """What is forbidden stays so behind a datagram that was allowed, at the hub and, if the hub
    does not care, at the destination."""
    for careless in (None, "hub", "paris"):
        m = Mesh(t, hubs=1, sites=2, edit=forbid, start=False)
        if careless:
            rules = m.files[careless]["routing"]["rules"]
            m.files[careless]["routing"]["rules"] = [
                r for r in rules if "not-there" not in r["ruleTag"]]
        m.start()
        m.learn_targets()
        m.wait_up()
        seen = t.server(traffic.UdpServer, m.ns("pnas"), port=FORBIDDEN)
        host = m.at["pnas"][4]
        with t.cell(f"{careless or 'nobody'} does not care"):
            allowed, not_so = (host, m.targets["pnas"].udp.port), (host, FORBIDDEN)
            got = one_socket(t, m.ns("bpc"), [allowed, not_so])
            expect(got == {allowed}, f"{got} answered")
            expect(not seen.peers, "a forbidden datagram has arrived")
        for p in m.procs.values():
            p.stop()
