"""The matrix of XTLS: ours beside releases of Xray and sing-box, in both roles, over TLS
and REALITY, with the flow and without, as a proxy and as a reverse proxy of either
dialect, with everything that goes through such a tunnel.

    proxy:    tools -> socks [near program] == carrier ==> [far program] -> targets
    reverse:  tools -> socks [portal] <== carrier dialled by == [bridge] -> targets

Each direction of each payload is compared byte by byte. With --full that is 64 MiB, and
every stock program is also tried between two of its kind: what fails there too is its own
affair. An ordinary run has less bytes and fewer cells (see ordinary()), but every program
in every role that it can play.
"""
import ssl

from . import configs, netns, traffic
from .harness import add, test
from .inner import (Nginx, TlsServer, again, check_http2, check_many, check_tls,
                    serve_one_way)
from .peers import GARENNE, SING_BOX, XRAY, XRAY_25, XRAY_OLD
from .t_reverse import SOCKS_PORT, Reverse

MIB = traffic.MIB
FLOW = "xtls-rprx-vision"
OTHERS = (XRAY, XRAY_25, XRAY_OLD, SING_BOX)
CARRIERS = {
    "tls": configs.Vless("tls", tls=True),
    "tls-vision": configs.Vless("tls-vision", tls=True, flow=FLOW),
    "reality": configs.Vless("reality", reality=True),
    "reality-vision": configs.Vless("reality-vision", reality=True, flow=FLOW),
}
SOCKS, SERVER = 1080, 443


def cover(t, carrier, ns):
    """The site that REALITY hides behind."""
    if carrier.reality:
        t.server(TlsServer, ns, serve_one_way, t.pki, ssl.TLSVersion.TLSv1_3,
                 port=configs.REALITY_TARGET)


class Proxy:
    """A running pair: where visitors and targets are, and the way from one to the other."""

    def __init__(self, t, carrier, near, far):
        t.need(near, far)
        self.net = t.net(netns.Pair)
        self.visitors, self.targets = self.net.client, self.net.server
        self.host, self.proxy = self.net.server_addr[4], f"127.0.0.1:{SOCKS}"
        self.via = traffic.Socks5(self.visitors, "127.0.0.1", SOCKS)
        cover(t, carrier, self.targets)
        self.far = t.program(far, self.targets, configs.config(
            [carrier.far("far", self.host, SERVER, t.pki)], [configs.freedom()],
            level="debug"), "far")
        self.near = t.program(near, self.visitors, configs.config(
            [configs.socks_in("in", "127.0.0.1", SOCKS)],
            [carrier.near("out", self.host, SERVER, t.pki)], level="debug"), "near")


class Bridged:
    """The same with a reverse proxy of a dialect."""

    def __init__(self, t, dialect, carrier, portal, bridge):
        r = Reverse(t, dialect, carrier, portal, bridge, fams=(4,), start=False)
        cover(t, carrier, r.net.vps)
        r.start_portal()
        r.start_bridge()
        r.wait_up()
        self.visitors, self.targets = r.net.client, r.net.lan
        self.host, self.proxy = r.net.LAN[4], f"{r.net.VPS[4]}:{SOCKS_PORT[4]}"
        self.via = r.via(4)


def cells(t, carrier, programs, way):
    ours = all(p.ours for p in programs)
    old = bool(carrier.flow) and XRAY_OLD in programs
    size = 64 * MIB if t.opts.full else 4 * MIB
    ns, via, host = way.targets, way.via, way.host
    tls13, tls12 = (t.server(TlsServer, ns, serve_one_way, t.pki, v) for v in
                    (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2))
    bulk = t.server(traffic.Server, ns, traffic.serve_bulk)
    first = t.server(traffic.Server, ns, traffic.serve_banner_bulk)
    udp = t.server(traffic.UdpServer, ns)
    with t.cell("plain"):
        traffic.check_bulk(via, bulk, host, size, strict=ours)
    with t.cell("server first"):
        traffic.check_bulk(via, first, host, size, strict=ours, first=traffic.BANNER)
    with t.cell("tls13"):
        again(old, check_tls, via, host, tls13, t.pki, size)
    with t.cell("tls12"):
        again(old, check_tls, via, host, tls12, t.pki, size)
    with t.cell("http2"):
        again(old, check_http2, t, way.visitors, host, way.proxy, Nginx(t, ns, size))
    with t.cell("udp"):
        traffic.check_udp(via, host, udp.port, size if t.opts.full else MIB)
    if carrier.flow:
        with t.cell("many switches"):
            n = 100 if t.opts.full else 30
            bad = check_many(via, host, tls13, t.pki, n, n // 10 if old else 0)
            if bad:
                t.note(f"{bad} of {n} failed, as they do between two of {XRAY_OLD.title}")


def proxy(t, carrier, near, far):
    cells(t, carrier, (near, far), Proxy(t, carrier, near, far))


def reverse(t, dialect, carrier, portal, bridge):
    cells(t, carrier, (portal, bridge), Bridged(t, dialect, carrier, portal, bridge))


# ---- which cells there are ------------------------------------------------

def pairs(others):
    """Ours with itself, with each of @others in either role, and each with itself."""
    yield GARENNE, GARENNE
    for p in others:
        yield from ((GARENNE, p), (p, GARENNE), (p, p))


def ordinary(mode, name, programs):
    """Whether a cell belongs to an ordinary run: not one that only tells something about
    others; with the flow, where the other matrices have the carriers without it; and behind
    a reverse proxy with the carrier that is the more intricate, or the program that is the
    newest."""
    others = set(programs) - {GARENNE}
    if GARENNE not in programs:
        return False
    if mode == "proxy":
        return name.endswith("vision") or bool(others & {XRAY_25, SING_BOX})
    return name.endswith("vision") and (name.startswith("reality") or others <= {XRAY})


def _plan():
    for name, carrier in CARRIERS.items():
        for near, far in pairs(OTHERS):
            add(f"xtls/proxy/{name}/{near.name}-{far.name}", proxy, carrier, near, far,
                limit=900, needs=(near, far), full=not ordinary("proxy", name, (near, far)))
        for dialect, others in (("vless", (XRAY, XRAY_25)), ("classic", (XRAY, XRAY_25, XRAY_OLD))):
            for portal, bridge in pairs(others):
                add(f"xtls/{dialect}/{name}/{portal.name}-portal+{bridge.name}-bridge", reverse,
                    dialect, carrier, portal, bridge, limit=900, needs=(portal, bridge),
                    full=not ordinary(dialect, name, (portal, bridge)))


_plan()


@test("xtls/cells-that-cannot-exist")
def cells_that_cannot_exist(t):
    t.note("sing-box as a portal or a bridge: it has no reverse proxy of either dialect")
    t.note("VLESS reverse with Xray 1.8.24: it predates it")
    t.note("classic reverse with Xray 26.4.25 and later: they refuse it, and none of them is "
           "there as a module")
    t.note("v2ray 4.34: it has neither the flow nor REALITY")
