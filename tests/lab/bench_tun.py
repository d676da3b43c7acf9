"""The TUN beside a relay between sockets and beside no program at all.

    client (garenne: TUN, tunnel inbound, freedom) -- server

The client's load goes to an address that the routes lead into the device, to garenne's
own port, or straight to the server. CPU seconds are garenne's; what the kernel does for
its writes, waking and feeding the client's and server's sockets, is among them.
"""
import statistics

from . import configs, netns, peers
from .proc import until

SERVER, FORWARD = 9000, 8000
INSIDE = "203.0.113.50"  # of the server; only the device leads there
GIB = 1 << 30


def start(t, opts):
    net = t.net(netns.Pair)
    t.spawn(net.server, [opts.load, "serve", "0.0.0.0", str(SERVER)], "serve-tun")
    net.server.ip(f"address add {INSIDE}/32 dev lo",
                  f"route add 198.18.0.0/30 via {net.client_addr[4]}")
    net.client.ip(f"route add {INSIDE}/32 via {net.server_addr[4]}")
    tun = {"tag": "tun", "protocol": "tun",
           "settings": {"mtu": 1500, "addresses": ["198.18.0.1/30"], "routes": [INSIDE + "/32"]}}
    relay = configs.doko_in("relay", net.client_addr[4], FORWARD, net.server_addr[4], SERVER)
    conf = configs.config([tun, relay], [configs.freedom()], level="warning")
    conf["log"]["access"] = "none"
    return net, t.program(peers.GARENNE, net.client, conf, "tun")


def rows(t, opts, load):
    """Medians: a table like those of the proxies, the relay's figure as unit."""
    net, p = start(t, opts)
    ways = {"tun": (INSIDE, SERVER), "relay": (net.client_addr[4], FORWARD),
            "direct": (net.server_addr[4], SERVER)}

    def up():
        return load("conn", 1, 1, ns=net.client, addr=INSIDE, port=SERVER, wait=10)["failed"] == 0
    until(up, 20, "the TUN carries a connection", 0.1)
    got = {}
    for _ in range(opts.rounds):
        for streams in (1, 8):
            for way in ("up", "down"):
                for name, (addr, port) in ways.items():
                    before = p.cpu_s()
                    r = load("bulk", way, streams, opts.mib, ns=net.client, addr=addr, port=port)
                    cpu = (p.cpu_s() - before) / r["bytes"] * GIB
                    what = f"{way}load, {streams} stream" + "s" * (streams > 1)
                    got.setdefault("CPU s/GiB, " + what, {}).setdefault(name, []).append(cpu)
                    got.setdefault("MiB/s, " + what, {}).setdefault(name, []).append(
                        r["bytes"] / r["seconds"] / (1 << 20))
        for name, (addr, port) in ways.items():
            r = load("ping", 1000, ns=net.client, addr=addr, port=port)
            got.setdefault("ping-pong p50 ms", {}).setdefault(name, []).append(r["p50_ms"])
    p.stop()
    t.procs.remove(p)
    return table(got)


def table(got):
    out = [["", "tun", "relay", "tun/relay", "direct", "tun/direct"]]
    for what, by in got.items():
        mid = {k: statistics.median(v) for k, v in by.items()}
        cpu = what.startswith("CPU")
        out.append([what, f"{mid['tun']:.3g}", f"{mid['relay']:.3g}",
                    f"{mid['tun'] / mid['relay']:.2f}" if mid["relay"] else "-",
                    "-" if cpu else f"{mid['direct']:.3g}",
                    "-" if cpu else f"{mid['tun'] / mid['direct']:.2f}"])
    return out
