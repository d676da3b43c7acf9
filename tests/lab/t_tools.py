"""The lab's own tools, without any program between: what they report must be true."""
import socket

from . import LabError, netns, traffic
from .harness import test
from .proc import until


def _must_fail(fn, *args, **kw):
    try:
        fn(*args, **kw)
    except (LabError, OSError):
        return
    raise LabError(f"{fn.__name__} passed what it must not pass")


@test("tools/direct")
def direct(t):
    net = t.net(netns.Pair)
    bulk = t.server(traffic.Server, net.server, traffic.serve_bulk)
    echo = t.server(traffic.Server, net.server, traffic.serve_echo)
    digest = t.server(traffic.Server, net.server, traffic.serve_digest)
    udp = t.server(traffic.UdpServer, net.server)
    udp2 = t.server(traffic.UdpServer, net.server)
    via = traffic.Direct(net.client)
    for fam in (4, 6):
        host = net.server_addr[fam]
        for ender in ("client", "server"):
            traffic.check_bulk(via, bulk, host, ender=ender)
        traffic.check_echo(via, host, echo.port)
        traffic.check_udp(via, host, udp.port)
        traffic.check_full_cone(via, host, (udp.port, udp2.port))
        if (how := traffic.half_close(via, host, digest.port)) is not None:
            raise LabError(f"half-close: {how}")
        if not traffic.check_refused(via, host, 1).startswith("refused"):
            raise LabError("a closed port does not look closed")


@test("tools/faults-are-seen")
def faults_are_seen(t):
    net = t.net(netns.Pair)
    host = net.server_addr[4]
    via = traffic.Direct(net.client)

    def spoil(srv, c, peer):
        """An echo in which one byte differs."""
        part = c.recv(65536)
        c.sendall(bytes([part[0] ^ 1]) + part[1:])
    bad = t.server(traffic.Server, net.server, spoil)
    _must_fail(traffic.check_echo, via, host, bad.port)

    def short(srv, c, peer):
        traffic.recv_exact(c, 32)
        c.sendall(traffic.pattern("down", 0, 1000))
    cut = t.server(traffic.Server, net.server, short)
    _must_fail(traffic.check_bulk, via, cut, host, 4096)

    def swapped(srv, c, peer):
        traffic.recv_exact(c, 32)
        c.sendall(traffic.pattern("up", 0, 4096))
    other = t.server(traffic.Server, net.server, swapped)
    _must_fail(traffic.check_bulk, via, other, host, 4096)

    merge = t.server(traffic.UdpServer, net.server, lambda d, p: d + d)
    _must_fail(traffic.check_udp, via, host, merge.port, 65536)
    lossy = t.server(traffic.UdpServer, net.server, lambda d, p: None)
    _must_fail(traffic.check_udp, via, host, lossy.port, 65536, may_lose=0)
    echo = t.server(traffic.Server, net.server, traffic.serve_echo)
    _must_fail(traffic.check_refused, via, host, echo.port, 1)


@test("tools/wan")
def wan(t):
    """The picture of the tutorial: out is possible, in is not, and it can be cut."""
    net = t.net(netns.Wan)
    web = t.server(traffic.Server, net.lan, traffic.serve_whoami)
    who = t.server(traffic.Server, net.vps, traffic.serve_whoami)
    for fam in (4, 6):
        with traffic.Direct(net.bridge).tcp(net.LAN[fam], web.port) as s:
            if net.BRIDGE[fam] not in s.recv(100).decode():
                raise LabError("the LAN does not see the bridge")
        with traffic.Direct(net.bridge).tcp(net.VPS[fam], who.port) as s:
            if net.NAT[fam] not in s.recv(100).decode():
                raise LabError("the router does not masquerade")
        for target in (net.LAN[fam], net.BRIDGE[fam]):
            _must_fail(traffic.Direct(net.vps).tcp, target, web.port, 0.3)
        _must_fail(traffic.Direct(net.client).tcp, net.NAT[fam], web.port, 0.3)
    vps = net.VPS[4]
    net.wan_silent()
    _must_fail(traffic.Direct(net.bridge).tcp, vps, who.port, 0.3)
    net.wan_heard()
    traffic.Direct(net.bridge).tcp(vps, who.port).close()
    net.wan_down()
    _must_fail(traffic.Direct(net.bridge).tcp, vps, who.port, 0.3)
    net.wan_up()
    until(lambda: _reaches(net.bridge, vps, who.port), 10, "the WAN is back")
    net.move_bridge()
    traffic.Direct(net.bridge).tcp(vps, who.port).close()


def _reaches(ns, host, port):
    try:
        traffic.Direct(ns).tcp(host, port, 1).close()
        return True
    except (OSError, socket.timeout):
        return False
