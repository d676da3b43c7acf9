"""True pings: a question that goes through the tunnel and an answer that really came.

The asker is a SOCKS client here, who puts the question (proto/echo.h) into datagrams
to port 0, as the TUN does with an echo request.
"""
import contextlib
import socket
import struct

from . import LabError, configs, netns, peers, traffic
from .harness import test
from .proc import until
from .t_routes import Node, same, state

REQUEST, REPLY, ERROR = 1, 2, 3
ID = configs.UUID_A


class Asker:
    def __init__(self, ns, port=1080):
        self.via, self.seq = traffic.Socks5(ns, "127.0.0.1", port), 0

    def ask(self, host, ttl=0, payload=b"lab", wait=2.0):
        """(kind, ttl, body) of the answer to one question, or None."""
        self.seq += 1
        with self.via.udp() as u:
            u.s.settimeout(wait)
            u.send(struct.pack("!BBHH", REQUEST, ttl, 0x4242, self.seq) + payload, host, 0)
            try:
                data, peer = u.recv()
            except socket.timeout:
                return None
        kind, ttl, ident, seq = struct.unpack("!BBHH", data[:6])
        if (ident, seq) != (0x4242, self.seq):
            raise LabError(f"identifier {ident:#x}, sequence {seq}")
        if peer != (host, 0):
            raise LabError(f"the answer is from {peer}")
        return kind, ttl, data[6:]

    def reply(self, host, payload=b"lab"):
        got = self.ask(host, payload=payload)
        if not got or got[0] != REPLY or got[2] != payload or got[1] == 0:
            raise LabError(f"{host}: {got}")

    def silence(self, host, **kw):
        got = self.ask(host, wait=1.0, **kw)
        if got:
            raise LabError(f"{host} is dead, but answered {got}")

    def error(self, host, ttl, kind, offender):
        got = self.ask(host, ttl)
        if not got or got[0] != ERROR:
            raise LabError(f"{host}, ttl {ttl}: {got}")
        body = got[2]
        family = socket.AF_INET if body[6] == 4 else socket.AF_INET6
        if body[0] != kind or socket.inet_ntop(family, body[7:]) != offender:
            raise LabError(f"{host}, ttl {ttl}: type {body[0]} from "
                           f"{socket.inet_ntop(family, body[7:])}")


def _vless(address, port=4430):
    return configs.outbound("hub", "vless", {"vnext": [{
        "address": address, "port": port, "users": [{"id": ID, "encryption": "none"}]}]})


def _hub(t, net, peer=peers.GARENNE):
    return t.program(peer, net.vps, configs.config(
        [configs.inbound("in", "vless", "0.0.0.0", 4430,
                         {"clients": [{"id": ID}], "decryption": "none"})],
        [configs.freedom()]), "hub")


def _answered(asker, net):
    """Capabilities are learned on the first connection that is made anyway."""
    web = traffic.Server(net.lan if asker.behind else net.nat, traffic.serve_whoami)
    with contextlib.closing(web), \
            asker.via.tcp(net.LAN[4] if asker.behind else net.NAT[4], web.port) as s:
        if not s.recv(100):
            raise LabError("no answer")


@test("ping/forward", needs=(peers.GARENNE,))
def forward(t):
    net = t.net(netns.Wan)
    net.vps.ip(f"route add 192.168.77.0/24 via {net.NAT[4]}",
               f"route add fd77::/64 via {net.NAT[6]}")
    _hub(t, net)
    node = t.program(peers.GARENNE, net.client, configs.config(
        [configs.socks_in("s", "127.0.0.1", 1080)], [_vless(net.VPS[4])]), "node")
    a = Asker(net.client)
    a.behind = False
    with t.cell("not before the far end has said that it can"):
        a.silence(net.NAT[4])
        node.wait_log("pings are not carried")
    _answered(a, net)
    for ver in (4, 6):
        with t.cell(f"alive, IPv{ver}"):
            a.reply(net.NAT[ver])
            a.reply(net.NAT[ver], b"x" * 1400)
            a.reply(net.NAT[ver], b"")
        with t.cell(f"dead, IPv{ver}"):
            a.silence("203.0.113.99" if ver == 4 else "2001:db8::99")
        with t.cell(f"behind a firewall, IPv{ver}"):
            a.silence(net.LAN[ver])
        with t.cell(f"a router's word, IPv{ver}"):
            a.error(net.LAN[ver], 1, 11 if ver == 4 else 3, net.NAT[ver])


@test("ping/reverse", needs=(peers.GARENNE,))
def reverse(t):
    net = t.net(netns.Wan)
    t.program(peers.GARENNE, net.vps, configs.config(
        [configs.inbound("in", "vless", "0.0.0.0", 4430,
                         {"clients": [{"id": ID}], "decryption": "none"}),
         configs.socks_in("s", "127.0.0.1", 1080)],
        [configs.blackhole()],
        [configs.rule("portal", inboundTag=["s"]),
         configs.rule("portal", domain=["full:ping.test"])],
        configs.classic_portals([("portal", "ping.test")])), "hub")
    t.program(peers.GARENNE, net.bridge, configs.config(
        [], [configs.freedom(), _vless(net.VPS[4])],
        [configs.rule("hub", inboundTag=["bridge"], domain=["full:ping.test"]),
         configs.rule("direct", inboundTag=["bridge"])],
        {"bridges": [{"tag": "bridge", "domain": "ping.test"}]}), "bridge", wait=False)
    a = Asker(net.vps)
    a.behind = True

    def up():
        with contextlib.suppress(OSError, LabError):
            _answered(a, net)
            return True
    until(up, 15, "the bridge serves", 0.1)
    for ver in (4, 6):
        with t.cell(f"alive, IPv{ver}"):
            a.reply(net.LAN[ver])
        with t.cell(f"dead, IPv{ver}"):
            a.silence("192.168.77.99" if ver == 4 else "fd77::99")
        with t.cell(f"a router's word, IPv{ver}"):
            a.error(net.VPS[ver], 1, 11 if ver == 4 else 3,
                    "192.168.77.1" if ver == 4 else "fd77::1")


@test("ping/stock", needs=(peers.GARENNE, peers.XRAY))
def stock(t):
    """A stock server never sees the question; the log says so once."""
    net = t.net(netns.Wan)
    hub = _hub(t, net, peers.XRAY)
    node = t.program(peers.GARENNE, net.client, configs.config(
        [configs.socks_in("s", "127.0.0.1", 1080)], [_vless(net.VPS[4])], level="info"), "node")
    a = Asker(net.client)
    a.behind = False
    _answered(a, net)
    seen = hub.log().count("accepted")
    for _ in range(3):
        a.silence(net.NAT[4])
    if node.log().count("pings are not carried by [hub]") != 1:
        raise LabError("the log does not say it once")
    if hub.log().count("accepted") != seen or ":0 " in hub.log():
        raise LabError("the stock server saw a question")


# ---- from the TUN: real echo requests of the host ------------------------------

class Ping:
    """An unprivileged ping socket on a host, connected to @host."""

    def __init__(self, ns, host):
        ns.sysctl("net.ipv4.ping_group_range", "0 0")
        self.six = ":" in host
        with ns.inside():
            self.s = socket.socket(socket.AF_INET6 if self.six else socket.AF_INET,
                                   socket.SOCK_DGRAM,
                                   socket.IPPROTO_ICMPV6 if self.six else socket.IPPROTO_ICMP)
        self.s.setsockopt(41 if self.six else 0, 25 if self.six else 11, 1)  # ..._RECVERR
        self.s.connect((host, 0))
        self.seq = 0

    def ask(self, ttl=64, wait=3.0, payload=b"lab" * 100):
        """"reply", the address of a router that sent an error, or None."""
        self.seq += 1
        self.s.setsockopt(41 if self.six else 0, 16 if self.six else 2, ttl)
        self.s.send(struct.pack("!BBHHH", 128 if self.six else 8, 0, 0, 0, self.seq) + payload)
        self.s.settimeout(wait)
        try:
            data = self.s.recv(2000)
        except socket.timeout:
            return None
        except OSError:
            _, control, _, _ = self.s.recvmsg(2000, 512, socket.MSG_ERRQUEUE)
            err = control[0][2]
            return socket.inet_ntop(socket.AF_INET6, err[24:40]) if self.six else \
                socket.inet_ntoa(err[20:24])
        if data[8:] != payload or struct.unpack("!H", data[6:8])[0] != self.seq:
            raise LabError("another answer than was asked for")
        return "reply"


@test("ping/tun", needs=(peers.GARENNE,))
def from_tun(t):
    """The host of the house pings through its TUN and the hub."""
    n = Node(t)
    n.through()
    for ver in (4, 6):
        with t.cell(f"alive, IPv{ver}"):
            got = Ping(n.ns, n.net.CLIENT[ver]).ask()
            if got != "reply":
                raise LabError(f"{got}")
        with t.cell(f"dead, IPv{ver}"):
            got = Ping(n.ns, "203.0.113.99" if ver == 4 else "2001:db8::99").ask(wait=1.5)
            if got:
                raise LabError(f"a dead host: {got}")
    with t.cell("a router's word"):
        n.net.vps.ip(f"route add 192.0.2.0/24 via {n.net.NAT[4]}")
        got = Ping(n.ns, "192.0.2.1").ask(ttl=3)
        if got is None or got == "reply":
            raise LabError(f"{got}")
    n.p.stop()
    same(n.before, state(n.ns), "after pings and a stop")
