"""Site to site through the hub: ours beside other VPN programs, all on the same three hosts.

    berlin (load) -- router -- wan -- hub -- wan -- router -- paris (server)

The client on one site's node asks the other site's by its address inside. CPU seconds and
memory are those of all three programs; "direct" is the same load from berlin to the hub
without any program, which is half of the way.
"""
import json
import statistics
import subprocess

from . import LabError, meshlab, netns, peers, vpns
from .proc import until

SERVER, IPERF = 9000, 5201
GIB = 1 << 30
DIRECT = "direct"


class Ours:
    title = "garenne"

    def __init__(self, t, opts):
        mesh = meshlab.Mesh(t, hubs=1, sites=2, security=(opts.security,), start=False)
        for conf in mesh.files.values():
            conf["log"] = {"loglevel": "warning", "access": "none"}
        mesh.start()
        self.world, self.to = mesh.world, mesh.at["paris"][4]
        self.procs = list(mesh.procs.values())


class Other:
    def __init__(self, t, kind):
        self.title, self.world = kind.title, meshlab.World(t, hubs=1, sites=2)
        self.procs, self.to = kind(t, self.world).procs, vpns.INSIDE["paris"]


class Bench:
    def __init__(self, t, opts, load):
        self.t, self.opts, self._load = t, opts, load
        self.got, self.ways = {}, []
        self.ways.append(Ours(t, opts))
        for kind in (k for k in vpns.ALL if k.title in opts.programs):
            missing = kind.missing()
            if missing:
                print(f"SKIP {kind.title}: {', '.join(missing)} is not installed")
            else:
                self.ways.append(Other(t, kind))
        for w in self.ways:
            for ns in (w.world["paris"], w.world["berlin"], w.world["hub"]):
                ns.sysctl("net.ipv4.ip_local_port_range", "1024 65535")
                ns.sysctl("net.ipv4.tcp_tw_reuse", "1")
                ns.sysctl("net.core.somaxconn", "16384")
            for node in ("paris", "hub"):
                t.spawn(w.world[node], [opts.load, "serve", "0.0.0.0", str(SERVER)],
                        f"serve-{w.title}-{node}")
            t.spawn(w.world["paris"], [peers.tool("iperf3") or "iperf3", "-s", "-p", str(IPERF)],
                    f"serve-iperf-{w.title}")
            until(lambda w=w: self.works(w), 40, f"{w.title} carries a connection", 0.2)

    def works(self, w):
        try:
            return self.load(w, "conn", 1, 1, wait=10)["failed"] == 0
        except (LabError, subprocess.TimeoutExpired):
            return False

    def load(self, w, *args, to=None, wait=600):
        return self._load(*args, ns=w.world["berlin"], addr=to or w.to, port=SERVER, wait=wait)

    def put(self, what, name, value):
        self.got.setdefault(what, {}).setdefault(name, []).append(value)

    def cpu(self, w):
        return sum(p.cpu_s() for p in w.procs)

    def bulk(self, w):
        mib = self.opts.mib if w.title == "garenne" else max(self.opts.mib // 8, 32)
        for streams in (1, 8):
            for way in ("up", "down"):
                before = self.cpu(w)
                r = self.load(w, "bulk", way, streams, mib)
                what = f"{way}load, {streams} stream" + "s" * (streams > 1)
                self.put("CPU s/GiB, " + what, w.title, (self.cpu(w) - before) / r["bytes"] * GIB)
                self.put("MiB/s, " + what, w.title, r["bytes"] / r["seconds"] / (1 << 20))

    def conn(self, w):
        r = self.load(w, "conn", 32, 2000 if self.opts.quick else 5000)
        if r["failed"]:
            print(f"bench: {w.title}: {r['failed']} connections failed")
        self.put("new connections/s", w.title, r["per_second"])

    def ping(self, w):
        r = self.load(w, "ping", 1000)
        self.put("ping-pong p50 ms, idle", w.title, r["p50_ms"])
        self.put("ping-pong p99 ms, idle", w.title, r["p99_ms"])
        with w.world["berlin"].inside():
            flood = subprocess.Popen([self.opts.load, "flood", w.to, str(SERVER), "down", "4",
                                      "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            before = self.cpu(w)
            until(lambda: self.cpu(w) > before + 0.3, 60, "the flood runs", 0.05)
            r = self.load(w, "ping", 300)
        finally:
            flood.kill()
            flood.wait()
        self.put("ping-pong p50 ms, beside 4 downloads", w.title, r["p50_ms"])
        self.put("ping-pong p99 ms, beside 4 downloads", w.title, r["p99_ms"])

    def udp(self, w):
        """A gigabit per second offered in datagrams of 1,200 bytes."""
        before = self.cpu(w)
        with w.world["berlin"].inside():
            p = subprocess.run(["iperf3", "-c", w.to, "-p", str(IPERF), "-u", "-b", "1G", "-l",
                                "1200", "-t", "3", "-J"], capture_output=True, text=True,
                               timeout=60, stdin=subprocess.DEVNULL)
        end = json.loads(p.stdout).get("end", {}).get("sum")
        if not end:
            print(f"bench: {w.title}: iperf3: {json.loads(p.stdout).get('error')}")
            return
        arrived = end["bytes"] * (1 - end["lost_percent"] / 100)
        self.put("UDP, Mbit/s that arrive of 1,000", w.title, arrived * 8 / end["seconds"] / 1e6)
        self.put("UDP, CPU s/GiB that arrives", w.title, (self.cpu(w) - before) / arrived * GIB)

    def memory(self, w):
        def mib():
            return sum(p.rss_kib() for p in w.procs) / 1024
        self.put("MiB, all nodes, after the load", w.title, mib())
        for n in (int(x) for x in self.opts.streams.split(",")):
            with w.world["berlin"].inside():
                held = subprocess.Popen([self.opts.load, "idle", w.to, str(SERVER), str(n)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                got = json.loads(held.stdout.readline() or "{}").get("echoed")
                if got != n:
                    print(f"bench: {w.title}: only {got} of {n} idle connections work")
                self.put(f"MiB, all nodes, {n} idle connections", w.title, mib())
            finally:
                held.stdin.close()
                held.wait(60)

    def direct(self):
        """From one site to the hub's own server."""
        w, hub = self.ways[0], vpns.HUB
        for streams in (1, 8):
            for way in ("up", "down"):
                r = self.load(w, "bulk", way, streams, self.opts.mib, to=hub)
                self.put(f"MiB/s, {way}load, {streams} stream" + "s" * (streams > 1), DIRECT,
                         r["bytes"] / r["seconds"] / (1 << 20))
        self.put("new connections/s", DIRECT, self.load(w, "conn", 32, 5000, to=hub)["per_second"])
        r = self.load(w, "ping", 1000, to=hub)
        self.put("ping-pong p50 ms, idle", DIRECT, r["p50_ms"])
        self.put("ping-pong p99 ms, idle", DIRECT, r["p99_ms"])

    def run(self):
        for _ in range(self.opts.rounds):
            self.direct()
            for w in self.ways:
                for what in (self.bulk, self.conn, self.ping, self.udp):
                    self.guarded(what, w)
        for w in self.ways:
            self.guarded(self.memory, w)

    @staticmethod
    def guarded(what, w):
        try:
            what(w)
        except (LabError, subprocess.TimeoutExpired, json.JSONDecodeError) as e:
            print(f"bench: {w.title}: {what.__name__}: {e}")

    def table(self):
        """Rows of text; ours is what the ratios refer to."""
        others = [w.title for w in self.ways[1:]]
        out = [["", "garenne", *others, *[f"{o}/garenne" for o in others], DIRECT,
                "garenne/direct"]]
        for what, by in self.got.items():
            mid = {k: statistics.median(v) for k, v in by.items()}
            base = mid.get("garenne")
            ratio = [f"{mid[o] / base:.2f}" if base and o in mid else "-" for o in others]
            out.append([what, _num(base), *[_num(mid.get(o)) for o in others], *ratio,
                        _num(mid.get(DIRECT)),
                        f"{base / mid[DIRECT]:.2f}" if base and DIRECT in mid else "-"])
        return out


def _num(x):
    return "-" if x is None else f"{x:.3g}" if x < 100 else f"{x:.0f}"


def rows(t, opts, load):
    bench = Bench(t, opts, load)
    bench.run()
    table = bench.table()
    t.stop_all()
    return table
