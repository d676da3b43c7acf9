"""python3 -m lab.bench_reality: how long strangers wait at a port with REALITY.

The same probes at the target itself, at ours in front of it, and at stock Xray's, in
turn, so that a slow moment of the machine hits all three. A forwarding server adds one
hop; what it must not add is anything that depends on what the visitor says: the last
column of the second table is how far the kinds of probes are apart in what is added
to them, by their fastest twentieths. Nothing here is a test.
"""
import argparse
import os
import socket
import statistics
import sys
import time
import types

from . import harness, netns, peers
from . import t_reality_server as rs
from .bench import show

PROBES = {
    "ClientHello that looks right": rs.hello_records(rs.HELLO),
    "another name": rs.hello_records(rs.hello_bytes("other.test")),
    "no session id": rs.hello_records(rs.hello_bytes(sid=False)),
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "not TLS": b"\x16\2\0" + bytes(40),
}


def probe(s, port, data):
    """Milliseconds from connecting to the answer's first byte."""
    with s.ns.socket(socket.AF_INET, socket.SOCK_STREAM) as c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.settimeout(10)
        start = time.perf_counter()
        c.connect((rs.LOOP, port))
        c.sendall(data)
        c.recv(1)
        return (time.perf_counter() - start) * 1000


def stage(t):
    s = rs.Stage(t)
    rs.nginx(t, s.ns, rs.TARGET)
    ports = {"target": rs.TARGET}
    for i, peer in enumerate((peers.GARENNE, peers.XRAY)):
        if not peer.path:
            print(f"SKIP {peer.name}: {peer.why_not}")
            continue
        inbound = rs.server(rs.SERVER + i)
        conf = rs.configs.config([inbound], [rs.configs.freedom()], level="warning")
        t.program(peer, s.ns, conf, peer.name)
        ports[peer.name] = rs.SERVER + i
    return s, ports


def measure(s, ports, count):
    took = {(name, who): [] for name in PROBES for who in ports}
    for _ in range(20):     # whatever is done but once
        for port in ports.values():
            probe(s, port, PROBES["HTTP"])
    for _ in range(count):
        for name, data in PROBES.items():
            for who, port in ports.items():
                took[name, who].append(probe(s, port, data))
    return took


def quick(v):
    """The fastest twentieth: what the programs do, without what the machine does beside."""
    return statistics.quantiles(v, n=20)[0]


def report(took, ports):
    def ms(v):
        q = statistics.quantiles(v, n=20)
        return f"{statistics.median(v):.3f} ({q[0]:.3f}-{q[-1]:.3f})"
    show([["ms, median (5 %-95 %)", *ports]] +
         [[name] + [ms(took[name, who]) for who in ports] for name in PROBES])
    print()
    rows = [["added by", "least, ms", "most, ms", "spread, ms"]]
    for who in list(ports)[1:]:
        extra = [quick(took[n, who]) - quick(took[n, "target"]) for n in PROBES]
        rows.append([who] + [f"{x:.3f}" for x in (min(extra), max(extra),
                                                  max(extra) - min(extra))])
    show(rows)


def main():
    a = argparse.ArgumentParser(prog="bench_reality", description=__doc__)
    a.add_argument("--probes", type=int, default=500, help="of each kind, at each port")
    a.add_argument("--garenne", help="the binary to measure")
    a.add_argument("--out", default=os.path.join(peers.ROOT, "build", "bench"))
    opts = a.parse_args()
    peers.find(opts.garenne)
    if os.geteuid() != 0:
        print("bench: needs root, for network namespaces", file=sys.stderr)
        return 2
    os.makedirs(opts.out, exist_ok=True)
    opts.prefix = f"{netns.PREFIX}{os.getpid()}"
    netns.remove_stale()
    t = harness.T(types.SimpleNamespace(name="reality"), sys.stdout, opts)
    try:
        s, ports = stage(t)
        report(measure(s, ports, opts.probes), ports)
    finally:
        t.stop_all()
        t.close()
        netns.remove(netns.listed(opts.prefix))
    return 0


if __name__ == "__main__":
    sys.exit(main())
