"""The reverse proxy in both dialects, with the portal and the bridge each ours or stock.

    tools -> [portal on the vps] <== carrier dialled by == [bridge behind nat] -> lan host
    (client host)

Each family has its own pair: visitors and carrier over IPv4 reach the LAN host's IPv4
address, and the same for IPv6.
"""
import contextlib
import os
import time

from . import LabError, configs, netns, traffic
from .configs import CARRIERS
from .harness import add, test
from .peers import GARENNE, STOCK, V2RAY, XRAY, XRAY_OLD
from .proc import until
from .t_matrix import Targets, tcp_cell, udp_cell

FAMS = (4, 6)
CARRIER_PORT = {4: 7004, 6: 7006}
SOCKS_PORT = {4: 1084, 6: 1086}
DOKO_PORT = {4: 8004, 6: 8006}
DOMAIN = {4: "r4.lab.internal", 6: "r6.lab.internal"}
UUID = {4: configs.UUID_A, 6: configs.UUID_B}


def visitors(net, fam, targets):
    """What the public side offers to visitors."""
    listen = net.VPS[fam]
    return [configs.socks_in(f"socks{fam}", listen, SOCKS_PORT[fam]),
            configs.doko_in(f"doko{fam}", listen, DOKO_PORT[fam], net.LAN[fam],
                            targets.bulk.port, "tcp"),
            configs.doko_in(f"dokoudp{fam}", listen, DOKO_PORT[fam], net.LAN[fam],
                            targets.udp.port, "udp")]


def classic(net, carrier, targets, pki, fams=FAMS):
    """Portal's and bridge's files in the classic dialect."""
    ins, rules, outs, brules = [], [], [], []
    for f in fams:
        ins += visitors(net, f, targets)
        ins.append(carrier.far(f"in{f}", net.VPS[f], CARRIER_PORT[f], pki))
        rules.append(configs.rule(f"portal{f}", inboundTag=[
            f"socks{f}", f"doko{f}", f"dokoudp{f}", f"in{f}"]))
        outs.append(carrier.near(f"out{f}", net.VPS[f], CARRIER_PORT[f], pki))
        brules.append(configs.rule(f"out{f}", inboundTag=[f"bridge{f}"],
                                   domain=[f"full:{DOMAIN[f]}"]))
    brules += [configs.rule("direct", inboundTag=[f"bridge{f}"]) for f in fams]
    portal = configs.config(ins, [configs.blackhole()], rules,
                            configs.classic_portals([(f"portal{f}", DOMAIN[f]) for f in fams]))
    bridge = configs.config([], [configs.blackhole(), *outs, configs.freedom()], brules,
                            configs.classic_bridges([(f"bridge{f}", DOMAIN[f]) for f in fams]))
    return portal, bridge


def vless_reverse(net, carrier, targets, pki, fams=FAMS, **freedom):
    """The same with VLESS reverse: no domains, no rules for the registration."""
    ins, rules, outs, brules = [], [], [], []
    for f in fams:
        ins += visitors(net, f, targets)
        i = carrier.far(f"in{f}", net.VPS[f], CARRIER_PORT[f], pki)
        i["settings"]["clients"] = [{"id": UUID[f], "email": f"bridge{f}@lab",
                                     "reverse": {"tag": f"portal{f}"},
                                     "flow": carrier.flow or ""}]
        ins.append(i)
        rules.append(configs.rule(f"portal{f}", inboundTag=[
            f"socks{f}", f"doko{f}", f"dokoudp{f}"]))
        o = carrier.near(f"out{f}", net.VPS[f], CARRIER_PORT[f], pki)
        o["settings"] = {"address": net.VPS[f], "port": CARRIER_PORT[f], "id": UUID[f],
                         "encryption": "none", "reverse": {"tag": f"bridge{f}"},
                         "flow": carrier.flow or ""}
        o.pop("mux", None)
        outs.append(o)
        brules.append(configs.rule("direct", inboundTag=[f"bridge{f}"]))
    portal = configs.config(ins, [configs.blackhole()], rules)
    bridge = configs.config([], [configs.blackhole(), *outs, configs.freedom(**freedom)], brules)
    return portal, bridge


DIALECTS = {"classic": classic, "vless": vless_reverse}


class Reverse:
    """A running pair and the ways through it. @carrier: one, or the name of one."""

    def __init__(self, t, dialect, carrier, portal, bridge, fams=FAMS, start=True, **more):
        t.need(portal, bridge)
        self.t, self.net = t, t.net(netns.Wan)
        self.fams, self.portal_peer, self.bridge_peer = fams, portal, bridge
        self.ours = portal.ours and bridge.ours
        self.targets = Targets(t, self.net.lan)
        self.portal_conf, self.bridge_conf = DIALECTS[dialect](
            self.net, CARRIERS.get(carrier, carrier), self.targets, t.pki, fams, **more)
        if start:
            self.start_portal()
            self.start_bridge()
            self.wait_up()

    def start_portal(self):
        self.portal = self.t.program(self.portal_peer, self.net.vps, self.portal_conf, "portal")

    def start_bridge(self):
        self.bridge = self.t.program(self.bridge_peer, self.net.bridge, self.bridge_conf,
                                     "bridge")

    def via(self, fam):
        return traffic.Socks5(self.net.client, self.net.VPS[fam], SOCKS_PORT[fam])

    def forward(self, fam):
        return traffic.Direct(self.net.client, self.net.VPS[fam], DOKO_PORT[fam])

    def works(self, fam=None, timeout=2.0):
        """One echo through the tunnel, now."""
        return all(traffic.works(self.via(f), self.net.LAN[f], self.targets.echo.port, timeout)
                   for f in ([fam] if fam else self.fams))

    def wait_up(self, deadline=20):
        until(self.works, deadline, "the bridge is registered and carries a flow", 0.1)


def cell(t, dialect, carrier, portal, bridge):
    r = Reverse(t, dialect, carrier, portal, bridge)
    cone = r.ours
    for f in FAMS:
        host = r.net.LAN[f]
        with t.cell(f"tcp{f}"):
            tcp_cell(r.via(f), host, r.targets, r.ours)
            traffic.check_bulk(r.forward(f), r.targets.bulk, host, traffic.MIB, strict=r.ours)
        with t.cell(f"udp{f}"):
            udp_cell(t, r.via(f), host, r.targets, cone, r.ours)
            traffic.check_udp(r.forward(f), host, r.targets.udp.port, traffic.MIB // 2)


# Carriers beside the default one are for --full, except between two of ours.
_CLASSIC = ("vless-tls", "vless", "vless-tls-mux", "vless-vision", "ss2022-aes128", "ss-aes128")
_VLESS = ("vless-tls", "vless", "vless-vision")


def _plan():
    everyone = (GARENNE,) + STOCK
    for dialect, carriers in (("classic", _CLASSIC), ("vless", _VLESS)):
        for portal in everyone:
            for bridge in everyone:
                if dialect == "vless" and not (portal.can_all("vless-reverse")
                                               and bridge.can_all("vless-reverse")):
                    continue
                for carrier in carriers:
                    if CARRIERS[carrier].cannot(bridge, portal):
                        continue
                    if dialect == "vless" and carrier == "vless" and bridge.ours:
                        continue     # see cells_that_cannot_exist
                    ours = portal.ours and bridge.ours
                    stock = not portal.ours and not bridge.ours
                    add(f"reverse/{dialect}/{carrier}/{portal.name}-portal+{bridge.name}-bridge",
                        cell, dialect, carrier, portal, bridge, needs=(portal, bridge),
                        full=stock or not (ours or carrier == carriers[0]))


_plan()


@test("reverse/cells-that-cannot-exist")
def cells_that_cannot_exist(t):
    t.note("vless dialect with v2ray or Xray 1.8.24 in either role: they predate it")
    t.note("vless dialect over plain VLESS with our bridge: the flat form, which it needs, "
           "is refused towards a public address without TLS, as in newest Xray")
    t.note("Shadowsocks 2022 carrier with v2ray: it has no 2022 methods")


# ---- idle tunnels -----------------------------------------------------------

# GARENNE_LAB_IDLE=7200 adds the same tunnels left alone for two hours.
IDLE_SECONDS = [40, 190] + [int(s) for s in os.environ.get("GARENNE_LAB_IDLE", "").split()]

def idle(t, dialect, portal, bridge, seconds):
    """A tunnel that nobody uses stays up: no carrier is opened again, and the first
    flow afterwards works at once."""
    r = Reverse(t, dialect, "vless-tls", portal, bridge, fams=(4,), start=False)
    tap = t.server(traffic.Tap, r.net.vps, 7999, (r.net.VPS[4], CARRIER_PORT[4]), "::")
    for o in r.bridge_conf["outbounds"]:
        if o["protocol"] == "vless":
            s = o["settings"]
            (s["vnext"][0] if "vnext" in s else s)["port"] = 7999
    r.start_portal()
    r.start_bridge()
    r.wait_up()
    # What is settled by now stays: half of a stock beat more than any monitor's tick.
    begin = time.monotonic()
    until(lambda: time.monotonic() - begin > 6, 10, "settled", 0.5)
    before = len(tap.conns)
    until(lambda: time.monotonic() - begin > 6 + seconds, seconds + 10, "idle time over", 0.5)
    if len(tap.conns) != before or tap.live() == 0:
        raise LabError(f"{len(tap.conns) - before} new carriers in {seconds} idle seconds, "
                       f"{tap.live()} of {len(tap.conns)} alive")
    if not r.works(4):
        raise LabError("the first flow after the idle time failed")


def _plan_idle():
    for dialect, stock in (("classic", STOCK), ("vless", (XRAY,))):
        pairs = [(GARENNE, GARENNE)] + [(GARENNE, p) for p in stock] + [(p, GARENNE)
                                                                       for p in stock]
        for portal, bridge in pairs:
            name = f"{dialect}/{portal.name}-portal+{bridge.name}-bridge"
            for seconds in IDLE_SECONDS:
                add(f"idle/{seconds}s/{name}", idle, dialect, portal, bridge, seconds,
                    needs=(portal, bridge), full=seconds > 60, limit=seconds + 60, idle=True)
    for p in STOCK:
        add(f"idle/40s/classic/{p.name}-portal+{p.name}-bridge", idle, "classic", p, p, 40,
            needs=(p,), full=True, limit=100, idle=True)


_plan_idle()


# ---- many visitors ----------------------------------------------------------

def one_after_the_other(t, portal, bridge, n=320):
    """More flows than a carrier lives for (256): none fails."""
    r = Reverse(t, "classic", "vless", portal, bridge, fams=(4,))
    bad = sum(not r.works(4) for _ in range(n))
    if bad:
        raise LabError(f"{bad} of {n} flows failed")


def held_open(t, dialect, portal, bridge, n=40):
    """40 flows at once, held open: all alive, and the bridge spreads them."""
    r = Reverse(t, dialect, "vless-tls", portal, bridge, fams=(4,))
    with contextlib.ExitStack() as stack:
        flows = []
        for i in range(n):
            s = stack.enter_context(r.via(4).tcp(r.net.LAN[4], r.targets.echo.port))
            s.sendall(b"%04d" % i)
            flows.append(s)
        for i, s in enumerate(flows):
            if traffic.recv_exact(s, 4) != b"%04d" % i:
                raise LabError("echo differs")
        carriers = carriers_of(r.portal, CARRIER_PORT[4])
        until(lambda: carriers_of(r.portal, CARRIER_PORT[4]) >= 2, 10,
              "a second carrier under load")
        for i, s in enumerate(flows):
            s.sendall(b"x%04d" % i)
            if traffic.recv_exact(s, 5) != b"x%04d" % i:
                raise LabError("echo differs")
        t.note(f"carriers: {carriers} at first, "
               f"{carriers_of(r.portal, CARRIER_PORT[4])} with {n} flows")


def carriers_of(proc, port):
    """Established connections to a port of a program's host."""
    want, n = f":{port:04X}", 0
    for kind in ("tcp", "tcp6"):
        with open(f"/proc/{proc.pid}/net/{kind}") as f:
            for row in f.read().split("\n")[1:]:
                col = row.split()
                n += len(col) > 3 and col[3] == "01" and col[1].endswith(want)
    return n


for _p, _b in ((GARENNE, GARENNE), (GARENNE, V2RAY), (GARENNE, XRAY), (V2RAY, GARENNE),
               (XRAY, GARENNE), (V2RAY, V2RAY), (XRAY, XRAY), (XRAY_OLD, GARENNE),
               (GARENNE, XRAY_OLD)):
    _full = not (_p.ours or _b.ours) or XRAY_OLD in (_p, _b)
    add(f"visitors/320-in-turn/{_p.name}-portal+{_b.name}-bridge", one_after_the_other, _p, _b,
        full=_full, needs=(_p, _b))
    add(f"visitors/40-at-once/classic/{_p.name}-portal+{_b.name}-bridge", held_open, "classic",
        _p, _b, full=_full, needs=(_p, _b))
    if _p.can_all("vless-reverse") and _b.can_all("vless-reverse"):
        add(f"visitors/40-at-once/vless/{_p.name}-portal+{_b.name}-bridge", held_open, "vless",
            _p, _b, full=_full, needs=(_p, _b))


# ---- who the visitor was ----------------------------------------------------

def visitor_address(t, portal, bridge):
    """VLESS reverse carries the visitor's address: the bridge's freedom can tell it to
    the service in a PROXY header."""
    r = Reverse(t, "vless", "vless-tls", portal, bridge, start=False, proxyProtocol=1)
    heads = []

    def serve(srv, c, peer):
        buf = b""
        while b"\r\n" not in buf:
            buf += c.recv(200)
        heads.append(buf.split(b"\r\n")[0].decode())
        c.sendall(b"seen")
    srv = t.server(traffic.Server, r.net.lan, serve)

    def ask(f):
        try:
            with r.via(f).tcp(r.net.LAN[f], srv.port, 2) as s:
                s.sendall(b"hello")
                return traffic.recv_exact(s, 4) == b"seen"
        except (OSError, LabError):
            return False
    r.start_portal()
    r.start_bridge()
    for f in FAMS:
        until(lambda f=f: ask(f), 20, "the bridge is registered and carries a flow", 0.1)
        word = heads[-1].split()
        if word[:3] != ["PROXY", f"TCP{f}", r.net.CLIENT[f]]:
            raise LabError(f"the service was told {heads[-1]!r}, the visitor is "
                           f"{r.net.CLIENT[f]}")


for _p, _b in ((GARENNE, GARENNE), (GARENNE, XRAY), (XRAY, GARENNE), (XRAY, XRAY)):
    add(f"reverse/visitor-address/{_p.name}-portal+{_b.name}-bridge", visitor_address, _p, _b,
        full=not (_p.ours or _b.ours), needs=(_p, _b))


def two_bridges(t, dialect, peer_a, peer_b):
    """Two bridges on one portal: one dies, the other goes on within a tick."""
    r = Reverse(t, dialect, "vless-tls", GARENNE, peer_a, fams=(4,))
    t.need(peer_b)
    second = t.program(peer_b, r.net.bridge, r.bridge_conf, "bridge2")
    until(lambda: carriers_of(r.portal, CARRIER_PORT[4]) >= 2, 15, "both bridges are there")
    r.bridge.kill()
    begin = time.monotonic()
    until(lambda: r.works(4), 15, "the second bridge takes over", 0.05)
    t.note(f"took over after {time.monotonic() - begin:.2f} s")
    for _ in range(20):
        if not r.works(4):
            raise LabError("a flow failed although a bridge is alive")
    if not second.alive():
        raise LabError("the second bridge died")


for _d, _a, _b in (("classic", GARENNE, GARENNE), ("vless", GARENNE, GARENNE),
                   ("classic", GARENNE, V2RAY), ("vless", GARENNE, XRAY)):
    add(f"reverse/two-bridges/{_d}/{_a.name}+{_b.name}", two_bridges, _d, _a, _b,
        needs=(GARENNE, _b))

