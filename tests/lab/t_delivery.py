"""Whom the far service sees: its site, by `dial`; the originator, told by a PROXY header or as
the peer's own address. Hosts of two LANs with the same prefixes, their sites and the hub.
"""
import os
import re
import socket
import struct

from . import traffic
from .harness import test
from .meshlab import GATE, Mesh
from .peers import GARENNE
from .scene import expect
from .t_ping import Ping
from .t_tun import connect_error

MIB = 1 << 20
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def delivering(how):
    """An edit of the mesh file: all nodes deliver so."""
    return lambda text: re.sub(r'"ip": "100\.6[45]', f'"delivery": "{how}", \\g<0>', text)


def senders(m):
    """Who asks, for each cell of m.each()."""
    return [a for a, _ in m.pairs() for _ in (4, 6)]


def head_of(recv):
    """(address, port) that a PROXY header of version 2 names; @recv gives so many bytes."""
    head = recv(16)
    expect(head[:12] == SIGNATURE and head[12] == 0x21, f"no PROXY v2 header: {head!r}")
    size = struct.unpack("!H", head[14:])[0]
    rest = recv(size)
    six = head[13] >> 4 == 2
    n = 16 if six else 4
    expect(size == 2 * n + 4, f"a header for {size} bytes of addresses")
    family = socket.AF_INET6 if six else socket.AF_INET
    return socket.inet_ntop(family, rest[:n]), struct.unpack("!H", rest[2 * n:2 * n + 2])[0]


def serve_head(_srv, c, peer):
    ip, port = head_of(lambda n: traffic.recv_exact(c, n))
    c.sendall(f"{traffic.plain(peer[0])} {ip} {port}\n".encode())


def answer_head(data, peer):
    """A datagram's answer: who it came from, and who its header names."""
    at = [0]

    def take(n):
        at[0] += n
        return data[at[0] - n:at[0]]
    if not data.startswith(SIGNATURE):
        return f"{peer[0]} none".encode()
    return f"{peer[0]} {head_of(take)[0]}".encode()


def tell(via, host, port):
    with via.tcp(host, port, 5) as s:
        own = s.getsockname()[1]
        return s.recv(200).decode().split(), own


@test("delivery/transparent", limit=300, needs=(GARENNE,))
def transparent(t):
    """Each service sees each originator's own address and port, and everything works as ever."""
    m = Mesh(t, hubs=1, sites=2, edit=delivering("transparent"))
    m.wait_up()
    whoami = {b: t.server(traffic.Server, m.ns(b), traffic.serve_whoami) for b in m.at}
    udp = {b: t.server(traffic.UdpServer, m.ns(b), traffic.udp_whoami) for b in m.at}
    for a, (via, b, host) in zip(senders(m), m.each("transparent")):
        want, on = m.at[a][6 if ":" in host else 4], m.targets[b]
        got, own = tell(via, host, whoami[b].port)
        expect(got == [want, str(own)], f"it saw {got}, not {want} {own}")
        data, _ = traffic.udp_ask(via, host, udp[b].port)
        expect(data.decode().split()[0] == want, f"by UDP it saw {data!r}, not {want}")
        traffic.check_bulk(via, on.bulk, host, 2 * MIB)
        bad = traffic.half_close(via, host, on.digest.port)
        expect(bad is None, f"half-close: {bad}")
        traffic.check_udp(via, host, on.udp.port, 100000, tuple(range(4, 1401, 50)))
        data, _ = traffic.udp_ask(via, host, on.udp.port, os.urandom(8000))
        expect(len(data) == 8000, f"{len(data)} of 8000 bytes came back")
        traffic.check_full_cone(via, host, (on.udp.port, on.udp2.port))
        got = connect_error(via.ns, host, 1, 5)
        expect(got == "ECONNREFUSED", f"a closed port: {got}")
        got = Ping(via.ns, host).ask()
        expect(got == "reply", f"ping: {got}")
    silence(m)


def silence(m):
    """Dead hosts stay dead."""
    for host in m.dead["pnas"]:
        with m.t.cell(f"nobody at {host}"):
            got = Ping(m.ns("bpc"), host).ask(wait=1.0)
            expect(got != "reply", "a dead host answered a ping")
            got = connect_error(m.ns("bpc"), host, 80, 1.5)
            expect(got is not None and got != "ECONNREFUSED", f"TCP: {got}")


@test("delivery/proxy", limit=300, needs=(GARENNE,))
def proxy(t):
    """The site dials, and says in front who it is for; by rule, so that other ports are plain."""
    m = Mesh(t, hubs=1, sites=2, edit=lambda text: text.replace(
        '{ "name": "everybody"', '{ "name": "heads", "from": "any", "to": "any", "ports": '
        '"9000-9001", "delivery": "proxy" },\n    { "name": "everybody"'))
    heads = {b: t.server(traffic.Server, m.ns(b), serve_head, 9000, "::") for b in m.at}
    udp = {b: t.server(traffic.UdpServer, m.ns(b), answer_head, 9001, "::") for b in m.at}
    m.wait_up()
    for a, (via, b, host) in zip(senders(m), m.each("proxy")):
        want, site = m.at[a][6 if ":" in host else 4], GATE[":" in host] if m.is_host(b) else host
        got, own = tell(via, host, heads[b].port)
        expect(got == [site, want, str(own)], f"it saw {got}, not {site} for {want} {own}")
        data, _ = traffic.udp_ask(via, host, udp[b].port)
        expect(data.decode().split()[1] == want, f"by UDP it saw {data!r}, not {want}")
