"""The TUN: hosts behind a gateway whose packets go into its device and out as flows.

    client -- gateway (garenne: TUN, freedom) -- server

The gateway's own rule sends what comes from the client into the device; what garenne
itself opens leaves by the main table.
"""
import errno
import os
import re
import resource
import signal
import socket
import struct
import subprocess

from . import configs, netns, traffic
from .harness import test
from .peers import GARENNE
from .proc import until
from .scene import expect
from .t_matrix import Targets

MIB = 1 << 20
DEV = "garenne0"
FLOWS = 10000


def tun_in(**settings):
    return {"tag": "tun", "protocol": "tun",
            "settings": {"name": DEV, "mtu": 1500, "addresses": ["198.18.0.1/30", "fd18::1/126"],
                         **settings}}


class Stage:
    def __init__(self, t, inbounds=(), rules=(), outbounds=(), first=(), **settings):
        t.need(GARENNE)
        self.t = t
        self.net = net = t.net(netns.Gateway)
        gw = net.gateway
        for key in ("all", "default"):
            gw.sysctl(f"net.ipv4.conf.{key}.rp_filter", 0)
        self.addr = net.server_addr
        conf = configs.config([tun_in(**settings), *inbounds],
                              [*first, configs.freedom(), *outbounds], rules, level="warning",
                              workers=2)
        self.p = t.program(GARENNE, gw, conf, "gateway", wait=False)
        until(lambda: DEV in netns.run(["ip", "-n", gw.name, "-o", "link"]), 20, "the device")
        gw.ip(f"link set dev {DEV} txqueuelen 10000", f"link set dev {DEV} up",
              f"route replace default dev {DEV} table 100",
              f"route replace ::/0 dev {DEV} table 100", "rule add iif lan0 lookup 100 pref 50")
        netns.run(["ip", "-n", gw.name, "-6", "rule", "add", "iif", "lan0", "lookup", "100",
                   "pref", "50"])
        self.via = traffic.Direct(net.client)

    def rss(self):
        for pid in self.net.gateway.pids():
            with open(f"/proc/{pid}/status") as f:
                text = f.read()
            if text.startswith("Name:\tgarenne"):
                return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024
        return 0


def connect_error(ns, host, port, wait):
    """What a client sees of a port: None, "silence", or the name of errno."""
    s = ns.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(wait)
    with s:
        try:
            s.connect((host, port))
            return None
        except socket.timeout:
            return "silence"
        except OSError as e:
            return errno.errorcode.get(e.errno, e.errno)


@test("tun/tcp", limit=240)
def tcp(t):
    """64 MiB each way at once, ends, half-close, who speaks first; both families."""
    s = Stage(t)
    targets = Targets(t, s.net.server)
    for f in (4, 6):
        host = s.addr[f]
        with t.cell(f"bulk{f}"):
            traffic.check_bulk(s.via, targets.bulk, host, 64 * MIB)
            traffic.check_bulk(s.via, targets.bulk, host, MIB, ender="server")
            traffic.check_bulk(s.via, targets.bulk, host, 0)
        with t.cell(f"half-close{f}"):
            bad = traffic.half_close(s.via, host, targets.digest.port, 8 * MIB)
            expect(bad is None, f"half-close: {bad}")
        with t.cell(f"banner{f}"):
            traffic.check_banner(s.via, host, targets.banner.port)
        with t.cell(f"many short{f}"):
            for _ in range(200):
                traffic.check_echo(s.via, host, targets.echo.port)


@test("tun/verdicts")
def verdicts(t):
    """What nmap -sT would say: closed, filtered and unreachable look like it."""
    s = Stage(t)
    s.net.gateway.ip("route add unreachable 203.0.113.77", "route add unreachable 2001:db8:5::77")
    s.net.server.nft("""
        table inet f {
            chain in { type filter hook input priority 0; tcp dport 7 drop; }
        }""")
    echo = t.server(traffic.Server, s.net.server, traffic.serve_echo)
    for f, none in ((4, "203.0.113.77"), (6, "2001:db8:5::77")):
        with t.cell(f"v{f}"):
            for host, port, want, wait in ((s.addr[f], echo.port, None, 5),
                                           (s.addr[f], 1, "ECONNREFUSED", 5),
                                           (none, 80, "EHOSTUNREACH", 5),
                                           (s.addr[f], 7, "silence", 1.5)):
                got = connect_error(s.net.client, host, port, wait)
                expect(got == want, f"{host} port {port}: {got}, not {want}")


@test("tun/early")
def early(t):
    """Asked to, the SYN is answered at once; a closed port then shows as a reset."""
    s = Stage(t, earlyAccept=True)
    echo = t.server(traffic.Server, s.net.server, traffic.serve_echo)
    traffic.check_echo(s.via, s.addr[4], echo.port)
    traffic.check_refused(s.via, s.addr[4], 1)


@test("tun/udp", limit=240)
def udp(t):
    """Datagrams of all sizes, trains, fragments, and the full cone."""
    s = Stage(t)
    targets = Targets(t, s.net.server)
    for f in (4, 6):
        host = s.addr[f]
        with t.cell(f"sizes{f}"):
            traffic.check_udp(s.via, host, targets.udp.port, 2 * MIB,
                              sizes=tuple(range(4, 1401, 7)))
        with t.cell(f"8000 bytes{f}"):
            data, _ = traffic.udp_ask(s.via, host, targets.udp.port, os.urandom(8000))
            expect(len(data) == 8000, f"{len(data)} bytes came back")
        with t.cell(f"cone{f}"):
            traffic.check_full_cone(s.via, host, (targets.udp.port, targets.udp2.port), True)
        with t.cell(f"train{f}"):
            train(s, host, targets.udp.port)


def train(s, host, port):
    """One send of many datagrams (UDP_SEGMENT); each comes back alone."""
    with s.via.udp(host) as f:
        f.s.settimeout(2)
        f.send(b"opens the way", host, port)
        f.recv()
        f.s.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
        f.send(b"".join(struct.pack("!I", i) * 250 for i in range(20)) + b"tail", host, port)
        got = set()
        while len(got) < 21:
            data, _ = f.recv()
            expect(len(data) in (1000, 4), f"a datagram of {len(data)} bytes")
            got.add(data[:4])


@test("tun/dns")
def dns(t):
    s = Stage(t)
    addr = s.addr[4]
    t.server(traffic.Dns, s.net.server, {"a.test": ["192.0.2.7"]}, addr, 53)
    with s.net.client.inside():
        out = subprocess.run(["dig", "+short", "+tries=2", "+time=2", f"@{addr}", "a.test"],
                             capture_output=True, text=True, timeout=20).stdout
    expect("192.0.2.7" in out, f"dig says {out!r}")


@test("tun/resolved")
def resolved(t):
    """What systemd-resolved is told, by a tool that only writes it down."""
    t.need(GARENNE)
    said = os.path.join(t.dir, "said")
    os.chmod(t.write("resolvectl", f'#!/bin/sh\necho "$@" >> {said}\n'), 0o755)
    conf = t.write("resolved.json", {
        "inbounds": [{"protocol": "tun", "settings": {
            "name": "tun9", "addresses": ["100.65.0.2/32"], "routes": ["100.64.0.0/10"],
            "dns": ["100.127.255.254"],
            "dnsDomains": ["lab.mesh", "198.18.0.0/15", "fd12:3456:789a::/48"]}}],
        "outbounds": [{"protocol": "blackhole"}]})
    script = ('mount -t tmpfs none /run && mkdir -p /run/systemd/resolve && '
              ': > /run/systemd/resolve/io.systemd.Resolve && exec "$@"')
    t.spawn(t.net(netns.Gateway).gateway,
            ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh",
             *GARENNE.run_argv(conf)], "resolved", {"PATH": t.dir + ":" + os.environ["PATH"]})

    def lines():
        try:
            with open(said) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []
    until(lambda: len(lines()) == 2, 15, "two calls of resolvectl")
    expect(lines() == ["dns tun9 100.127.255.254",
                       "domain tun9 ~lab.mesh ~18.198.in-addr.arpa ~19.198.in-addr.arpa "
                       "~a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa"], f"resolvectl was told {lines()}")


@test("tun/ping")
def ping(t):
    """A host that is there answers, one that is not does not, and a router on the way that
    has something to say is heard. Only if the file says so, the answer is made here."""
    s = Stage(t)
    for f, none in ((4, "203.0.113.99"), (6, "2001:db8:5::99")):
        with t.cell(f"there{f}"):
            for more in ((), ("-s", "3000")):
                out = run_ping(s.net.client, s.addr[f], *more)
                expect(" 0% packet loss" in out, out)
        with t.cell(f"not there{f}"):
            out = run_ping(s.net.client, none)
            expect(" 0 received" in out, out)
        with t.cell(f"last hop{f}"):
            out = run_ping(s.net.client, s.addr[f], "-t", "1")
            expect("xceeded" in out, out)
    t.stop_all()
    s = Stage(t, ping="local")
    for f, none in ((4, "203.0.113.99"), (6, "2001:db8:5::99")):
        with t.cell(f"local{f}"):
            for more in ((), ("-s", "3000")):
                out = run_ping(s.net.client, none, *more)
                expect(" 0% packet loss" in out, out)


def run_ping(ns, host, *more):
    with ns.inside():
        return subprocess.run(["ping", "-c", "3", "-i", "0.2", "-W", "2", *more, host],
                              capture_output=True, text=True, timeout=30).stdout


@test("tun/iperf3", limit=120)
def iperf3(t):
    """Another program's opinion: 8 streams both ways."""
    s = Stage(t)
    srv = t.spawn(s.net.server, ["iperf3", "-s", "--forceflush"], "iperf3")
    for n, way in enumerate(((), ("-R",)), 1):
        until(lambda n=n: srv.log().count("Server listening") >= n, 30, "iperf3 is free")
        with s.net.client.inside():
            p = subprocess.run(["iperf3", "-c", s.addr[4], "-P", "8", "-n", "256M", *way],
                               capture_output=True, text=True, timeout=60)
        expect(p.returncode == 0, p.stdout[-300:] + p.stderr[-300:])
        m = re.findall(r"([\d.]+ [GM]bits/sec).*receiver", p.stdout)
        t.note(f"{'down' if way else 'up'} {m[-1] if m else '?'}")


@test("tun/many", limit=240)
def many(t):
    """10,000 connections at the same time, each alive; what they cost."""
    s = Stage(t)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    listener = s.net.server.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("", 0))
    listener.listen(4096)
    child = os.fork()  # each end has as many descriptors as a process may have
    if child == 0:
        answer_all(listener, FLOWS)
    before, mine = s.rss(), []
    try:
        for _ in range(FLOWS):
            c = s.net.client.socket(socket.AF_INET, socket.SOCK_STREAM)
            c.settimeout(10)
            c.connect((s.addr[4], listener.getsockname()[1]))
            mine.append(c)
        t.note(f"{FLOWS} flows: {(s.rss() - before) * 1024 / FLOWS:.2f} KiB each")
        for i, c in enumerate(mine):
            c.sendall(struct.pack("!I", i))
        for i, c in enumerate(mine):
            expect(c.recv(4) == struct.pack("!I", i), f"flow {i} is not alive")
    finally:
        for c in mine:
            c.close()
        listener.close()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def answer_all(listener, n):
    """Takes all connections, then answers each once, in the order of their coming."""
    held = [listener.accept()[0] for _ in range(n)]
    for c in held:
        c.sendall(c.recv(4))
    signal.pause()


@test("tun/carrier", limit=240)
def carrier(t):
    """By VLESS to a second program. With mux, and two names of outbounds, the carriers of one
    are on another loop than the device. Without, the far side's verdict is heard here."""
    for tag, name in (("a", "vless-tls-mux"), ("b", "vless-tls-mux"), ("c", "vless-tls")):
        with t.cell(f"{name} {tag}"):
            c = configs.CARRIERS[name]
            near = c.near(tag, "203.0.113.2", 4430, t.pki)
            near["settings"]["garenne"] = True
            s = Stage(t, first=[near])
            t.program(GARENNE, s.net.server, configs.config(
                [c.far("in", s.addr[4], 4430, t.pki)], [configs.freedom()]), "far")
            targets = Targets(t, s.net.server)
            traffic.check_bulk(s.via, targets.bulk, s.addr[4], 8 * MIB)
            bad = traffic.half_close(s.via, s.addr[4], targets.digest.port)
            expect(bad is None, f"half-close: {bad}")
            traffic.check_full_cone(s.via, s.addr[4], (targets.udp.port, targets.udp2.port))
            if "mux" not in name:
                got = connect_error(s.net.client, s.addr[4], 1, 5)
                expect(got == "ECONNREFUSED", f"a closed port: {got}")
            t.stop_all()


@test("tun/deliver")
def deliver(t):
    """The outbound: a flow is delivered into the device from its originator's address."""
    s = Stage(t, inbounds=[configs.doko_in("pub", "203.0.113.1", 8000, "192.168.5.2", 9000),
                           configs.doko_in("shut", "203.0.113.1", 8001, "192.168.5.2", 9),
                           configs.doko_in("pubu", "203.0.113.1", 8002, "192.168.5.2", 9001,
                                           "udp")],
              outbounds=[configs.outbound("lan", "tun")],
              rules=[configs.rule("lan", inboundTag=["pub", "shut", "pubu"])])
    t.server(traffic.Server, s.net.client, traffic.serve_whoami, 9000)
    t.server(traffic.UdpServer, s.net.client, traffic.udp_whoami, 9001)
    with traffic.Direct(s.net.server).tcp("203.0.113.1", 8000) as c:
        c.settimeout(5)
        got = c.recv(200).decode()
    expect("203.0.113.2" in got, f"the host behind the device saw {got!r}")
    traffic.check_refused(traffic.Direct(s.net.server), "203.0.113.1", 8001)
    data, _ = traffic.udp_ask(traffic.Direct(s.net.server), "203.0.113.1", 8002)
    expect(b"203.0.113.2" in data, f"the host behind the device saw {data!r}")
