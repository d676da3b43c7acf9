"""python3 -m lab.bench: ours beside Debian's v2ray and stock Xray, in one run.

    client -- wan -- [portal on the vps] <== carrier == [bridge behind nat] -- lan host

One port forward on the portal leads through the reverse proxy to a server on the LAN;
tests/bench/load.c makes the traffic and measures it. CPU seconds are user and system
time of portal and bridge together, read before and after. Rounds are interleaved
(every program once, then again), and the median is shown, so that a slow moment of the
machine hits everybody. Nothing here is a test: no figure makes it fail.

"proxy" is another picture: curl downloads over TLS 1.3 from nginx on the vps, through
socks on its own host and VLESS to the vps, with and without Vision; the CPU seconds are
those of the two proxies.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import types

from . import LabError, bench_mesh, bench_tun, configs, harness, netns, peers, vpns
from .configs import CARRIERS
from .inner import HTTPS, NAME, Nginx
from .proc import until
from .t_reverse import CARRIER_PORT, DOMAIN, UUID

FORWARD, SERVER, SOCKS = 8004, 9000, 1080
PROXY = ("vless-vision", "vless-tls")
GIB = 1 << 30
MESH_TITLE = "site to site through the hub, beside other VPN programs"
TUN_TITLE = "TUN to stream to socket, MTU 1500; beside a relay from socket to socket"


def options():
    a = argparse.ArgumentParser(prog="bench", description=__doc__)
    a.add_argument("--programs", default="garenne,v2ray,xray,openvpn,wireguard-go,tinc",
                   help="the last three are for the mesh")
    a.add_argument("--carriers", default="vless-tls,vless")
    a.add_argument("--dialect", default="classic", choices=("classic", "vless"))
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--mib", type=int, default=512, help="moved per bulk measurement")
    a.add_argument("--streams", default="1000,10000", help="idle streams for memory")
    a.add_argument("--quick", action="store_true", help="one round, less of everything")
    a.add_argument("--only", default="bulk,conn,ping,memory,proxy,tun,mesh")
    a.add_argument("--security", default="tls", help="of the mesh: tls or reality")
    a.add_argument("--markdown", help="also write the tables to this file")
    a.add_argument("--garenne", help="the binary to measure")
    a.add_argument("--load", default=os.path.join(peers.ROOT, "build", "release", "load"))
    a.add_argument("--out", default=os.path.join(peers.ROOT, "build", "bench"))
    o = a.parse_args()
    if o.quick:
        o.rounds, o.mib, o.streams = 1, 128, "1000"
    return o


def files(net, carrier, dialect, pki):
    """A portal with one port forward, and its bridge."""
    c = CARRIERS[carrier]
    vps, lan = net.VPS[4], net.LAN[4]
    i = c.far("in", vps, CARRIER_PORT[4], pki)
    o = c.near("out", vps, CARRIER_PORT[4], pki)
    forward = configs.doko_in("forward", vps, FORWARD, lan, SERVER)
    outs = [configs.blackhole(), o, configs.freedom()]
    if dialect == "classic":
        portal = configs.config([i, forward], [configs.blackhole()],
                                [configs.rule("portal", inboundTag=["in", "forward"])],
                                configs.classic_portals([("portal", DOMAIN[4])]))
        bridge = configs.config([], outs, [
            configs.rule("out", inboundTag=["bridge"], domain=["full:" + DOMAIN[4]]),
            configs.rule("direct", inboundTag=["bridge"])],
            configs.classic_bridges([("bridge", DOMAIN[4])]))
    else:
        i["settings"]["clients"] = [{"id": UUID[4], "email": "b", "reverse": {"tag": "portal"}}]
        o["settings"] = {"address": vps, "port": CARRIER_PORT[4], "id": UUID[4],
                         "encryption": "none", "reverse": {"tag": "bridge"}}
        portal = configs.config([i, forward], [configs.blackhole()],
                                [configs.rule("portal", inboundTag=["forward"])])
        bridge = configs.config([], outs, [configs.rule("direct", inboundTag=["bridge"])])
    for conf in (portal, bridge):
        conf["log"] = {"loglevel": "warning", "access": "none"}
    return portal, bridge


class Bench:
    def __init__(self, t, opts):
        self.t, self.opts = t, opts
        self.net = t.net(netns.Wan)
        for ns in self.net.hosts.values():
            ns.sysctl("net.ipv4.ip_local_port_range", "1024 65535")
            ns.sysctl("net.ipv4.tcp_tw_reuse", "1")
            ns.sysctl("net.core.somaxconn", "16384")
        # Idle streams pass the router by the thousand only inside the carrier.
        self.figures = {}
        for ns in (self.net.lan, self.net.vps):
            t.spawn(ns, [opts.load, "serve", "0.0.0.0", str(SERVER)], "serve-" + ns.name)

    def load(self, *args, ns=None, port=FORWARD, addr=None, wait=300):
        """Runs the load generator on the client; its figures."""
        mode, *more = [str(x) for x in args]
        argv = [self.opts.load, mode, addr or self.net.VPS[4], str(port), *more]
        with (ns or self.net.client).inside():
            p = subprocess.run(argv, capture_output=True, text=True, timeout=wait,
                               stdin=subprocess.DEVNULL)
        if p.returncode != 0:
            raise LabError(f"load {' '.join(args[:1])}: {p.stderr.strip()}")
        return json.loads(p.stdout)

    def put(self, carrier, program, what, value):
        self.figures.setdefault(carrier, {}).setdefault(what, {}).setdefault(
            program, []).append(value)

    def start(self, peer, carrier):
        portal, bridge = files(self.net, carrier, self.opts.dialect, self.t.pki)
        name = f"{peer.name}-{carrier}"
        p = self.t.program(peer, self.net.vps, portal, name + "-portal")
        b = self.t.program(peer, self.net.bridge, bridge, name + "-bridge")

        def up():
            try:
                return self.load("conn", 1, 1, wait=10)["failed"] == 0
            except (LabError, subprocess.TimeoutExpired):
                return False
        until(up, 30, f"{name} carries a connection", 0.1)
        return p, b

    def stop(self, pair):
        for x in reversed(pair):
            x.stop()
            self.t.procs.remove(x)

    def bulk(self, peer, carrier, pair):
        for streams in (1, 8):
            for direction in ("up", "down"):
                before = sum(x.cpu_s() for x in pair)
                got = self.load("bulk", direction, streams, self.opts.mib)
                cpu = sum(x.cpu_s() for x in pair) - before
                what = f"{direction}load, {streams} stream" + "s" * (streams > 1)
                self.put(carrier, peer.name, f"CPU s/GiB, {what}", cpu / got["bytes"] * GIB)
                self.put(carrier, peer.name, f"MiB/s, {what}",
                         got["bytes"] / got["seconds"] / (1 << 20))

    def conn(self, peer, carrier, pair):
        before = sum(x.cpu_s() for x in pair)
        count = 2000 if self.opts.quick else 10000
        got = self.load("conn", 32, count)
        cpu = sum(x.cpu_s() for x in pair) - before
        if got["failed"]:
            print(f"bench: {peer.name} {carrier}: {got['failed']} of {count} connections failed")
        self.put(carrier, peer.name, "new connections/s", got["per_second"])
        self.put(carrier, peer.name, "CPU ms/connection", cpu / count * 1e3)

    def ping(self, peer, carrier, _pair):
        got = self.load("ping", 1000 if self.opts.quick else 5000)
        self.put(carrier, peer.name, "ping-pong p50 ms, idle", got["p50_ms"])
        self.put(carrier, peer.name, "ping-pong p99 ms, idle", got["p99_ms"])
        got = self.beside_downloads(self.net.client, FORWARD)
        self.put(carrier, peer.name, "ping-pong p50 ms, beside 4 downloads", got["p50_ms"])
        self.put(carrier, peer.name, "ping-pong p99 ms, beside 4 downloads", got["p99_ms"])

    def beside_downloads(self, ns, port):
        with ns.inside():
            flood = subprocess.Popen(
                [self.opts.load, "flood", self.net.VPS[4], str(port), "down", "4", "600"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # The flood has to be there: wait for what it moves, not for a time.
            before = self.moved(ns)
            until(lambda: self.moved(ns) > before + (64 << 20), 60, "the flood runs", 0.05)
            return self.load("ping", 300 if self.opts.quick else 1000, ns=ns, port=port)
        finally:
            flood.kill()
            flood.wait()

    @staticmethod
    def moved(ns):
        with ns.inside(), open("/proc/thread-self/net/dev") as f:
            return next(int(row.split(":")[1].split()[0]) for row in f if "eth0:" in row)

    def memory(self, peer, carrier, pair):
        for name, p in zip(("portal", "bridge"), pair):
            self.put(carrier, peer.name, f"MiB of the {name}, idle", p.rss_kib() / 1024)
        for n in (int(x) for x in self.opts.streams.split(",")):
            with self.net.client.inside():
                held = subprocess.Popen(
                    [self.opts.load, "idle", self.net.VPS[4], str(FORWARD), str(n)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                got = json.loads(held.stdout.readline() or "{}")
                if got.get("echoed") != n:
                    print(f"bench: {peer.name} {carrier}: only {got.get('echoed')} of {n} "
                          "idle streams work")
                for name, p in zip(("portal", "bridge"), pair):
                    self.put(carrier, peer.name, f"MiB of the {name}, {n} idle streams",
                             p.rss_kib() / 1024)
            finally:
                held.stdin.close()
                held.wait(60)

    def proxy(self, programs):
        """A download with TLS inside: with Vision its bytes pass both proxies as they are."""
        t, net = self.t, self.net
        Nginx(t, net.vps, self.opts.mib << 20, sparse=True)
        fetch = [peers.tool("curl"), "-sS", "--fail", "--http1.1", "--tlsv1.3", "--cacert",
                 t.pki.ca, "--resolve", f"{NAME}:{HTTPS}:{net.VPS[4]}", "-o", "/dev/null",
                 "-w", "%{speed_download}", "--socks5", f"127.0.0.1:{SOCKS}"]
        for _ in range(self.opts.rounds):
            for carrier in PROXY:
                for peer in programs:
                    if not peer.can_all("vision"):
                        continue
                    pair = self.start_proxy(peer, carrier)
                    with net.client.inside():
                        for size in ("-r0-9", ""):     # once to see that it works
                            before = sum(x.cpu_s() for x in pair)
                            p = subprocess.run(
                                fetch + [size or "-s", f"https://{NAME}:{HTTPS}/big"],
                                capture_output=True, text=True, timeout=300,
                                stdin=subprocess.DEVNULL)
                            if p.returncode:
                                raise LabError(f"curl: {p.stderr.strip()}")
                    cpu = sum(x.cpu_s() for x in pair) - before
                    self.put("proxy", peer.name, f"CPU s/GiB, {carrier}",
                             cpu / (self.opts.mib << 20) * GIB)
                    self.put("proxy", peer.name, f"MiB/s, {carrier}",
                             float(p.stdout) / (1 << 20))
                    self.stop(pair)

    def start_proxy(self, peer, carrier):
        c, vps = CARRIERS[carrier], self.net.VPS[4]
        far = configs.config([c.far("in", vps, CARRIER_PORT[4], self.t.pki)],
                             [configs.freedom()])
        near = configs.config([configs.socks_in("socks", "127.0.0.1", SOCKS)],
                              [c.near("out", vps, CARRIER_PORT[4], self.t.pki)])
        for conf in (far, near):
            conf["log"] = {"loglevel": "warning", "access": "none"}
        name = f"{peer.name}-{carrier}-proxy"
        return (self.t.program(peer, self.net.vps, far, name + "-far"),
                self.t.program(peer, self.net.client, near, name + "-near"))

    def run(self, programs, carriers):
        todo = self.opts.only.split(",")
        for _ in range(self.opts.rounds):
            for carrier in carriers:
                for peer in programs:
                    print(f"bench: {carrier}, {peer.title}", file=sys.stderr)
                    try:
                        if set(todo) - {"memory"}:
                            pair = self.start(peer, carrier)
                            for what in ("bulk", "conn", "ping"):
                                if what in todo:
                                    getattr(self, what)(peer, carrier, pair)
                            self.stop(pair)
                        if "memory" in todo:
                            pair = self.start(peer, carrier)
                            self.memory(peer, carrier, pair)
                            self.stop(pair)
                    except (LabError, subprocess.TimeoutExpired) as e:
                        print(f"bench: {peer.name} {carrier}: {e}")
                        self.t.stop_all_but_servers()

    def direct(self):
        """The path without any program: the bridge's host to the vps, by the router."""
        got = {"new connections/s": self.load("conn", 32, 10000, ns=self.net.bridge,
                                              port=SERVER)["per_second"]}
        ping = self.load("ping", 5000, ns=self.net.bridge, port=SERVER)
        got["ping-pong p50 ms, idle"] = ping["p50_ms"]
        got["ping-pong p99 ms, idle"] = ping["p99_ms"]
        ping = self.beside_downloads(self.net.bridge, SERVER)
        got["ping-pong p50 ms, beside 4 downloads"] = ping["p50_ms"]
        got["ping-pong p99 ms, beside 4 downloads"] = ping["p99_ms"]
        for d in ("up", "down"):
            b = self.load("bulk", d, 1, self.opts.mib, ns=self.net.bridge, port=SERVER)
            got[f"MiB/s, {d}load, 1 stream"] = b["bytes"] / b["seconds"] / (1 << 20)
        return got


def table(figures, programs, carrier, direct):
    """Rows of text; the first program is what the ratios refer to."""
    head = ["", *[p.name for p in programs], *[f"{p.name}/{programs[0].name}"
                                               for p in programs[1:]], "direct"]
    rows = [head]
    for what, by in figures.get(carrier, {}).items():
        mid = {p: statistics.median(v) for p, v in by.items()}
        row = [what] + [_num(mid.get(p.name)) for p in programs]
        base = mid.get(programs[0].name)
        for p in programs[1:]:
            have = base and mid.get(p.name) is not None
            row.append(f"{mid[p.name] / base:.2f}" if have else "-")
        rows.append(row + [_num(direct.get(what))])
    return rows


def _num(x):
    if x is None:
        return "-"
    return f"{x:.0f}" if x >= 100 else f"{x:.2f}" if x >= 0.1 else f"{x:.3f}"


def show(rows):
    width = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join([r[0].ljust(width[0])] + [x.rjust(w) for x, w in
                                                  zip(r[1:], width[1:])]))


def markdown(f, title, rows):
    f.write(f"\n### {title}\n\n")
    f.write("| " + " | ".join(rows[0]) + " |\n|---" + "|---:" * (len(rows[0]) - 1) + "|\n")
    for r in rows[1:]:
        f.write("| " + " | ".join(r) + " |\n")
    f.write("\n")


def main():
    opts = options()
    peers.find(opts.garenne)
    if os.geteuid() != 0:
        print("bench: needs root, for network namespaces", file=sys.stderr)
        return 2
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.makedirs(opts.out, exist_ok=True)
    opts.prefix = f"{netns.PREFIX}{os.getpid()}"
    netns.remove_stale()
    programs = []
    opts.programs = opts.programs.split(",")
    for name in opts.programs:
        p = peers.ALL.get(name)
        if not p:
            if name not in (v.title for v in vpns.ALL):
                print(f"bench: no program {name!r}", file=sys.stderr)
                return 2
        elif p.path:
            programs.append(p)
            print(f"bench: {p.name}: {p.version()}")
        else:
            print(f"SKIP {name}: {p.why_not}")
    t = harness.T(types.SimpleNamespace(name="run"), sys.stdout, opts)

    def stop_all_but_servers():
        for p in [p for p in t.procs if not p.name.startswith("serve-")]:
            p.stop()
            t.procs.remove(p)
    t.stop_all_but_servers = stop_all_but_servers
    begin = time.monotonic()
    try:
        b = Bench(t, opts)
        todo = opts.only.split(",")
        carriers = opts.carriers.split(",") if set(todo) - {"proxy", "tun", "mesh"} else []
        direct = b.direct() if carriers else {}
        b.run(programs, carriers)
        titles = {c: f"{opts.dialect} reverse over {c}" for c in carriers}
        if "proxy" in todo:
            print("bench: proxy", file=sys.stderr)
            b.proxy(programs)
            titles["proxy"] = "proxy download, TLS 1.3 inside"
            carriers.append("proxy")
        for c in carriers:
            print(f"\n{titles[c]} (median of {opts.rounds}, {opts.mib} MiB a measurement)")
            show(table(b.figures, programs, c, direct))
        devices = []
        for what, title, make in (("tun", TUN_TITLE, bench_tun.rows),
                                  ("mesh", MESH_TITLE, bench_mesh.rows)):
            if what in todo:
                devices.append((title, make(t, opts, b.load)))
                print(f"\n{title}")
                show(devices[-1][1])
        if opts.markdown:
            with open(opts.markdown, "w") as f:
                f.write(f"{os.cpu_count()} cores; " + ", ".join(p.version() for p in programs)
                        + f"; median of {opts.rounds} rounds, {opts.mib} MiB a measurement\n")
                for c in carriers:
                    markdown(f, titles[c], table(b.figures, programs, c, direct))
                for title, table_rows in devices:
                    markdown(f, title, table_rows)
    finally:
        t.stop_all()
        t.close()
        netns.remove(netns.listed(opts.prefix))
    print(f"\nbench: took {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
