"""python3 -m lab.bench_reality: REALITY and Vision beside stock Xray, in one run.

Waits: how long strangers wait at the target itself, at a plain forward of ours, and at the
ports with REALITY of ours and of Xray; t_reality_waits.py has the kinds and what D means.

Handshakes: new connections through a client and a server, one outer handshake each,
over TLS and over REALITY, for each pair of the two programs; the CPU time is that of
client and server together, without the target's.

Memory: what a thousand idle connections with the flow xtls-rprx-vision add to client and
server, each started for it.

All of it in turn, again and again, and the median counts, so that a slow moment of the
machine hits everybody. Nothing here is a test.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import types

from . import LabError, configs, harness, netns, peers
from . import t_reality_server as rs
from . import t_reality_waits as rw
from .bench import markdown, show
from .proc import until

SECURITIES = ("tls", "reality")
SINK, FIRST = 9000, 2000
FLOW = "xtls-rprx-vision"
QUIET = {"loglevel": "warning", "access": "none"}


# ---- strangers -----------------------------------------------------------


def waits(t, opts):
    s, ports = rw.stage(t)
    if peers.XRAY.path:
        inbound = rs.server(rs.SERVER + 1)
        t.program(peers.XRAY, s.ns, configs.config([inbound], [configs.freedom()],
                                                   level="warning"), "xray")
        ports["xray"] = rs.SERVER + 1
    took = rw.measure(s, ports, opts.probes)

    def ms(v):
        return f"{statistics.median(v):.3f}"
    out = [["ms, median; D", "target", "forward", "ours", *list(ports)[4:], "D by chance",
            "D of ours", *(f"D of {x}" for x in list(ports)[4:])]]
    for name in rw.PROBES:
        v = {who: took[name, who] for who in ports}
        out.append([name] + [ms(v[who]) for who in ports if who != "again"] +
                   [f"{d:.3f}" for d in (rw.distance(v["target"], v["again"]),
                                         *(rw.distance(v[w], v["forward"])
                                           for w in list(ports)[3:]))])
    return out


# ---- pairs ---------------------------------------------------------------


def server_conf(t, flow, ports):
    ins = []
    for security in SECURITIES:
        i = rs.server(ports[security])
        i["settings"]["clients"][0].update(flow=flow)
        if security == "tls":
            i["streamSettings"] = configs.tls_server(t.pki)
        ins.append(i)
    return configs.config(ins, [configs.freedom()]) | {"log": QUIET}


def client_conf(t, flow, routes):
    """@routes: (tag, port of a forward, security, the server's port)."""
    ins, outs, rules = [], [], []
    for tag, forward, security, to in routes:
        o = rs.client(tag, to)
        o["streamSettings"]["realitySettings"].pop("publicKey")
        o["settings"]["vnext"][0]["users"][0].update(flow=flow)
        if security == "tls":
            o["streamSettings"] = configs.tls_client(t.pki)
            o["streamSettings"]["tlsSettings"]["fingerprint"] = "chrome"
        ins.append(configs.doko_in(f"in-{tag}", rs.LOOP, forward, rs.LOOP, SINK))
        outs.append(o)
        rules.append(configs.rule(tag, inboundTag=[f"in-{tag}"]))
    return configs.config(ins, outs, rules) | {"log": QUIET}


class Pairs:
    """A server of each program with a port for each security, and a client of each with
    a forward to each of these."""

    def __init__(self, t, opts, programs):
        self.t, self.opts, self.programs = t, opts, programs
        self.s = rs.Stage(t)
        self.ns = self.s.ns
        self.ns.sysctl("net.ipv4.ip_local_port_range", "10000 65535")
        self.ns.sysctl("net.ipv4.tcp_tw_reuse", "1")
        rs.nginx(t, self.ns, rs.TARGET, wait="60s")
        t.spawn(self.ns, [opts.load, "serve", rs.LOOP, str(SINK)], "sink").wait_listening(
            [("tcp", SINK)])
        self.forwards = {}

    def start(self, round_):
        n, servers, clients = FIRST, {}, {}
        for p in self.programs:
            ports = {x: rs.SERVER + 10 * self.programs.index(p) + i
                     for i, x in enumerate(SECURITIES)}
            servers[p.name] = (self.t.program(p, self.ns, server_conf(self.t, FLOW, ports),
                                              f"{p.name}-server-{round_}"), ports)
        for p in self.programs:
            routes = []
            for far in self.programs:
                for x in SECURITIES:
                    routes.append((f"{far.name}-{x}", n, x, servers[far.name][1][x]))
                    self.forwards[p.name, far.name, x] = n
                    n += 1
            clients[p.name] = self.t.program(p, self.ns, client_conf(self.t, FLOW, routes),
                                             f"{p.name}-client-{round_}")
        self.servers = {k: v[0] for k, v in servers.items()}
        self.clients = clients
        for port in self.forwards.values():
            until(lambda port=port: self.works(port), 30, f"port {port} carries a connection", 0.1)

    def stop(self):
        for p in [*self.clients.values(), *self.servers.values()]:
            p.stop()
            self.t.procs.remove(p)

    def load(self, *args, wait=300):
        mode, port, *more = [str(x) for x in args]
        with self.ns.inside():
            p = subprocess.run([self.opts.load, mode, rs.LOOP, port, *more], capture_output=True,
                               text=True, timeout=wait, stdin=subprocess.DEVNULL)
        if p.returncode:
            raise LabError(f"load {mode}: {p.stderr.strip()}")
        return json.loads(p.stdout)

    def works(self, port):
        try:
            return self.load("conn", port, 1, 1, wait=10)["failed"] == 0
        except (LabError, subprocess.TimeoutExpired):
            return False

    def handshakes(self, put):
        for (near, far, x), port in self.forwards.items():
            pair = self.clients[near], self.servers[far]
            before = sum(p.cpu_s() for p in pair)
            got = self.load("conn", port, 16, self.opts.connections)
            cpu = sum(p.cpu_s() for p in pair) - before
            if got["failed"]:
                print(f"bench: {near} to {far}, {x}: {got['failed']} connections failed")
            put(x, f"{near} to {far}", "per second", got["per_second"])
            put(x, f"{near} to {far}", "CPU ms each", cpu / self.opts.connections * 1e3)

    def memory(self, put, securities):
        """Of programs that have just been started: what one has freed it uses again."""
        for p in self.programs:
            for x in securities:
                ends = {"client": self.clients[p.name], "server": self.servers[p.name]}
                before = {k: v.rss_kib() for k, v in ends.items()}
                with self.ns.inside():
                    held = subprocess.Popen(
                        [self.opts.load, "idle", rs.LOOP, str(self.forwards[p.name, p.name, x]),
                         str(self.opts.idle)],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                try:
                    got = json.loads(held.stdout.readline() or "{}")
                    if got.get("echoed") != self.opts.idle:
                        print(f"bench: {p.name}, {x}: only {got.get('echoed')} connections work")
                    for k, v in ends.items():
                        put(x, p.name, f"KiB per idle connection, {k}",
                            (v.rss_kib() - before[k]) / self.opts.idle)
                finally:
                    held.stdin.close()
                    held.wait(60)


def pairs(t, opts, programs):
    """Tables of the figures of all rounds; the first column is what ratios refer to."""
    figures = {}

    def put(x, who, what, value):
        figures.setdefault(what, {}).setdefault(f"{x}", {}).setdefault(who, []).append(value)
    b = Pairs(t, opts, programs)
    for n in range(opts.rounds):
        print(f"bench: round {n + 1}", file=sys.stderr)
        b.start(n)
        for x in SECURITIES if "memory" in opts.only else ():
            b.memory(put, [x])
            b.stop()
            b.start(f"{n}-{x}")
        if "handshakes" in opts.only:
            b.handshakes(put)
        b.stop()
    tables = []
    for what, by in figures.items():
        whos = list(next(iter(by.values())))
        rows = [[what, *whos, *(f"{w}/{whos[0]}" for w in whos[1:])]]
        for x, got in by.items():
            mid = [statistics.median(got[w]) for w in whos]
            rows.append([x, *(f"{m:.0f}" if m >= 100 else f"{m:.2f}" for m in mid),
                         *(f"{m / mid[0]:.2f}" if mid[0] else "-" for m in mid[1:])])
        tables.append(rows)
    return tables


def main():
    a = argparse.ArgumentParser(prog="bench_reality", description=__doc__)
    a.add_argument("--only", default="waits,handshakes,memory")
    a.add_argument("--probes", type=int, default=500, help="of each kind, at each port")
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--connections", type=int, default=1000, help="for each pair, each round")
    a.add_argument("--idle", type=int, default=1000, help="connections for memory")
    a.add_argument("--markdown", help="also write the tables to this file")
    a.add_argument("--garenne", help="the binary to measure")
    a.add_argument("--load", default=os.path.join(peers.ROOT, "build", "release", "load"))
    a.add_argument("--out", default=os.path.join(peers.ROOT, "build", "bench"))
    opts = a.parse_args()
    opts.only = opts.only.split(",")
    peers.find(opts.garenne)
    if os.geteuid() != 0:
        print("bench: needs root, for network namespaces", file=sys.stderr)
        return 2
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.makedirs(opts.out, exist_ok=True)
    opts.prefix = f"{netns.PREFIX}{os.getpid()}"
    netns.remove_stale()
    programs = [p for p in (peers.GARENNE, peers.XRAY) if p.path]
    tables = []
    t = harness.T(types.SimpleNamespace(name="reality"), sys.stdout, opts)
    try:
        if {"handshakes", "memory"} & set(opts.only):
            tables += pairs(t, opts, programs)
            t.stop_all()
        if "waits" in opts.only:
            tables.append(waits(t, opts))
    finally:
        t.stop_all()
        t.close()
        netns.remove(netns.listed(opts.prefix))
    for rows in tables:
        show(rows)
        print()
    if opts.markdown:
        with open(opts.markdown, "w") as f:
            for rows in tables:
                markdown(f, rows[0][0], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
