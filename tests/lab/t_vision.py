"""XTLS Vision: the proof on the wire that the outer TLS ends and hides what it is there to
hide, what is refused, and UDP's two exceptions. What goes through is in t_xtls.

    tools -> socks [near program] == VLESS, Vision, TLS 1.3 ==> [far program] -> targets
"""
import socket
import ssl

from . import LabError, configs, netns, traffic
from .configs import CARRIERS
from .harness import add
from .inner import InnerTls, TlsServer, download, records, serve_one_way, upload
from .peers import GARENNE, SING_BOX, XRAY, XRAY_25, XRAY_OLD
from .t_matrix import NEAR_PORT, Targets, configure, hosts
from .t_xtls import CARRIERS as XTLS
from .t_xtls import FLOW, SERVER, Proxy
from .wire import Capture

MIB = traffic.MIB
VISION = CARRIERS["vless-vision"]
BULK = 128 * 1024


# ---- the raw switch ---------------------------------------------------------

# The protocols that the inner server knows: a client that asks for one of them has a
# ClientHello and gets EncryptedExtensions of a length of its own.
PROTOCOLS = ["p" * (1 + 17 * i) for i in range(12)]


def visit(t, way, port, n):
    """A connection with TLS 1.3 inside: its records as they were, both ways."""
    with way.via.tcp(way.host, port) as raw:
        raw.settimeout(30)
        s = InnerTls(raw, t.pki, [PROTOCOLS[n]])
        first, second = (download, upload) if n % 2 else (upload, download)
        for size in (1000, BULK, 1000) if n % 4 < 2 else (BULK, 1000):
            first(s, size)
            second(s, size)
    return bytes(s.sent), bytes(s.got)


def split_at_switch(what, outer, inner):
    """The bytes of one direction, the wire's and the inner ones: (lengths of the records of
    the outer TLS, of those that passed as they are). LabError if the latter are not there;
    none are counted behind a switch in the middle of one."""
    tail = inner[-900:]
    end = outer.rfind(tail) + len(tail)
    if end < len(tail) or len(outer) - end > 64:      # a peer may put its farewell behind it
        raise LabError(f"{what}: the inner records are not on the wire as they are")
    # How far back they agree; a byte or two in front of it may be the same by chance.
    n = len(tail)
    while n < min(end, len(inner)) and outer[end - n - 1] == inner[-n - 1]:
        n += 1
    ends = [at + 5 + size for _, at, size in records(outer)]
    at = next((e for e in ends if 0 <= e - (end - n) < 4), None)
    if at is None:
        raise LabError(f"{what}: the switch is not at the end of an outer record")
    # what is whole on the wire, a farewell included
    cut = len(inner) - (end - at) not in [x for _, x, _ in records(inner)]
    return [x for _, _, x in records(outer[:at])], [] if cut else \
        [x for _, _, x in records(outer[at:])]


def shown(conns):
    """@conns: (lengths of outer records, those of an inner flight's records and the place
    in it of one whose length is another each time), one pair for each connection. The
    constants by which in every connection an outer record is longer than a piece of the
    flight with that record: none if lengths are hidden."""
    common = None
    for outer, flight, varied in conns:
        pieces = {sum(flight[i:k]) for i in range(varied + 1)
                  for k in range(varied + 1, len(flight) + 1)}
        found = {o - p for o in outer for p in pieces if 0 <= o - p <= 256}
        common = found if common is None else common & found
    return common


def whole(inner):
    """The lengths of records with their headers."""
    return [5 + n for _, _, n in records(inner)]


def visits(t, way, port, n, old):
    """Their inner bytes. One that Xray 1.8.24 has spoilt (see inner.again()) has none."""
    out = []
    for i in n:
        try:
            out.append(visit(t, way, port, i))
        except (LabError, OSError):
            if not old or None in out:
                raise
            out.append(None)
    return out


def captured(t, way, n, old=False):
    """n visits, recorded: [(bytes up and down, inner bytes up and down, what tshark says
    are the lengths of the records)]. By one before them two of ours know each other."""
    srv = TlsServer(way.targets, serve_one_way, t.pki, ssl.TLSVersion.TLSv1_3)
    t.defer(srv.close)
    srv.context.set_alpn_protocols(PROTOCOLS)
    with way.visitors.socket(socket.AF_INET, socket.SOCK_DGRAM) as mark:
        c = Capture(t, way.targets, SERVER)
        inner = visits(t, way, srv.port, (0, *range(n)), old)
        c.stop(mark, way.host)
    seen = c.records()
    if len(seen) != n + 1:
        raise LabError(f"{len(seen)} connections on the wire, not {n + 1}")
    streams = sorted(seen)
    conns = zip(c.payloads(streams), inner, (seen[k] for k in streams))
    return [x for x in list(conns)[1:] if x[1]]


def switch(t, carrier, near, far):
    """The capture of twelve connections. In each direction: records of the outer TLS, few of
    them, and then the very records that the inner programs wrote, neither of them encrypted
    again nor in one of the outer TLS; tshark sees as many. Before that, of ours, no record
    whose length follows one of the inner handshake's.

    Stock peers need more of them, as Go's TLS cuts early records short, and Xray waits for a
    write that is whole records, which bulk may not bring for long. Xray 1.8.24 and sing-box
    do not wait, and switch in the middle of an inner record if it comes to that."""
    conns = captured(t, Proxy(t, XTLS[carrier], near, far), len(PROTOCOLS),
                     XRAY_OLD in (near, far))
    split = []
    with t.cell("the inner records are on the wire"):
        for wire, inner, seen in conns:
            split.append([split_at_switch(w, *x) for w, *x in zip(("up", "down"), wire, inner)])
        for i, (what, by) in enumerate((("up", near), ("down", far))):
            counts, cut = [len(s[i][0]) for s in split], sum(not s[i][1] for s in split)
            t.note(f"{what}: {min(counts)} to {max(counts)} records of the outer TLS"
                   + (f", {cut} switches inside a record" if cut else ""))
            if by.ours and max(counts) > 40:
                raise LabError(f"{what}: {max(counts)} outer records: the outer TLS went on")
            if cut > (0 if by.ours else 6):
                raise LabError(f"{what}: {cut} switches in the middle of an inner record")
    if len(split) < len(conns):
        return
    with t.cell("tshark counts the same records"):
        for (_, _, seen), s in zip(conns, split, strict=True):
            for i, what in enumerate(("up", "down")):
                if s[i][1] and seen[i] != s[i][0] + s[i][1]:
                    raise LabError(f"{what}: {len(seen[i])} records, not {len(s[i][0])} and "
                                   f"then {len(s[i][1])}")
    with t.cell("no inner length shows"):
        # ClientHello alone; ServerHello, CCS, EncryptedExtensions and what follows
        up = [(s[0][0], whole(c[1][0])[:1], 0) for s, c in zip(split, conns)]
        down = [(s[1][0], whole(c[1][1])[:6], 2) for s, c in zip(split, conns)]
        found = {"up": near.ours and shown(up), "down": far.ours and shown(down)}
        if any(found.values()):
            raise LabError(f"records are longer than inner ones by constants: {found}")
        # ClientHello, CCS and Finished are the outer handshake's own.
        short = [n for s in split for n in s[0][0][3:] if n < 900]
        if near.ours and short:
            raise LabError(f"up: short records before the switch: {short}")


def no_switch(t):
    """What the proof above says of a connection without the flow: that nothing is there."""
    conns = captured(t, Proxy(t, XTLS["tls"], GARENNE, GARENNE), len(PROTOCOLS))
    for wire, inner, seen in conns:
        for what, w, x in zip(("up", "down"), wire, inner):
            try:
                split_at_switch(what, w, x)
            except LabError:
                continue
            raise LabError(f"{what}: inner records on the wire without the flow")
    up = shown([(c[2][0], whole(c[1][0])[:1], 0) for c in conns])
    down = shown([(c[2][1], whole(c[1][1])[:6], 2) for c in conns])
    if not up or not down:
        raise LabError(f"the lengths of the inner handshake are not found: {up}, {down}")
    t.note(f"an inner ClientHello is {up} bytes shorter than its record, an answer {down}")


# ---- refusals ---------------------------------------------------------------

class Refusal:
    def __init__(self, t, near, far, near_flow=FLOW, far_flow=FLOW, far_tls=None, mux=None):
        self.net = t.net(netns.Pair)
        hosts(t, self.net)
        self.targets = Targets(t, self.net.server)
        near_conf, far_conf = configure(t, VISION, self.net)
        for o in near_conf["outbounds"]:
            if o["protocol"] == "vless":
                o["settings"]["vnext"][0]["users"][0]["flow"] = near_flow
                if mux:
                    o["mux"] = mux
        for i in far_conf["inbounds"]:
            i["settings"]["clients"][0]["flow"] = far_flow
            if far_tls:
                i["streamSettings"]["tlsSettings"].update(far_tls)
        self.far = t.program(far, self.net.server, far_conf, "far")
        self.near = t.program(near, self.net.client, near_conf, "near")
        self.via = traffic.Socks5(self.net.client, "127.0.0.1", NEAR_PORT[4])
        self.host = self.net.server_addr[4]

    def refused(self):
        """No byte comes back, and the end does not take long."""
        try:
            s = self.via.tcp(self.host, self.targets.echo.port)
        except (LabError, OSError):
            return
        with s:
            s.settimeout(10)
            try:
                s.sendall(b"anybody there?")
            except OSError:
                return
            end = traffic.recv_end(s)
            if end not in ("eof", "reset"):
                raise LabError(f"expected a refusal: {end}")


def refusal(t, near, far, said_by, words, how):
    r = Refusal(t, near, far, **how)
    r.refused()
    (r.far if said_by == "far" else r.near).wait_log(words)


def udp443(t, near, far):
    """UDP to port 443 needs the suffix; anything else goes by XUDP, port 53 included."""
    for suffix in ("", "-udp443"):
        with t.cell("with the suffix" if suffix else "without the suffix"):
            r = Refusal(t, near, far, near_flow=FLOW + suffix)
            quic = t.server(traffic.UdpServer, r.net.server, port=443)
            dns = t.server(traffic.UdpServer, r.net.server, port=53)
            data, _ = traffic.udp_ask(r.via, r.host, dns.port)
            if data != b"hello":
                raise LabError("port 53: a wrong answer")
            if suffix:
                if traffic.udp_ask(r.via, r.host, quic.port)[0] != b"hello":
                    raise LabError("port 443: a wrong answer")
            else:
                try:
                    traffic.udp_ask(r.via, r.host, quic.port, tries=1, wait=1.0)
                except LabError:
                    pass
                else:
                    raise LabError("port 443 was answered without the suffix")
                if near.ours:
                    r.near.wait_log("XTLS rejected UDP/443 traffic")
            quic.close()
            dns.close()
            for p in (r.near, r.far):
                p.stop()
                t.procs.remove(p)


def mux(t, near, far):
    """TCP in a mux under Vision: our client keeps it out, our server does not take it."""
    r = Refusal(t, near, far, mux={"enabled": True, "concurrency": 8})
    if near.ours:
        traffic.check_bulk(r.via, r.targets.bulk, r.host, 4 * MIB)
    else:
        r.refused()
        r.far.wait_log("unexpected network TCP")
    traffic.check_udp(r.via, r.host, r.targets.udp.port, MIB)


def _plan():
    add("vision/switch/none", no_switch, needs=(GARENNE,))
    for carrier in ("tls-vision", "reality-vision"):
        for near, far in ((GARENNE, GARENNE), *(x for p in (XRAY, XRAY_25, XRAY_OLD, SING_BOX)
                                                for x in ((GARENNE, p), (p, GARENNE), (p, p)))):
            add(f"vision/switch/{carrier}/{near.name}-{far.name}", switch, carrier, near, far,
                needs=(near, far), full=not near.ours and not far.ours or
                (carrier == "reality-vision" and {near, far} & {XRAY_25, XRAY_OLD}))
    tls12 = {"maxVersion": "1.2"}
    for name, near, far, said_by, words, how in (
            ("no-flow-to-vision", GARENNE, GARENNE, "far", "rejected since the client flow is empty",
             {"near_flow": ""}),
            ("no-flow-to-vision", XRAY, GARENNE, "far", "rejected since the client flow is empty",
             {"near_flow": ""}),
            ("flow-to-plain", GARENNE, GARENNE, "far", "is not able to use the flow " + FLOW,
             {"far_flow": ""}),
            ("flow-to-plain", XRAY, GARENNE, "far", "is not able to use the flow " + FLOW,
             {"far_flow": ""}),
            ("flow-to-plain", GARENNE, XRAY, "far", "is not able to use the flow " + FLOW,
             {"far_flow": ""}),
            ("tls12", GARENNE, GARENNE, "near", "found outer tls version 771",
             {"far_tls": tls12}),
            ("tls12", GARENNE, XRAY, "near", "found outer tls version 771", {"far_tls": tls12}),
            ("tls12", XRAY, GARENNE, "far", "found outer tls version 771", {"far_tls": tls12})):
        add(f"vision/refused/{name}/{near.name}-{far.name}", refusal, near, far, said_by, words,
            how, needs=(near, far))
    for near, far in ((GARENNE, GARENNE), (GARENNE, XRAY), (XRAY, GARENNE)):
        add(f"vision/udp443/{near.name}-{far.name}", udp443, near, far, needs=(near, far))
        add(f"vision/mux/{near.name}-{far.name}", mux, near, far, needs=(near, far))


_plan()
