"""XTLS Vision: the proof that the outer TLS ends, what is refused, and UDP's two
exceptions. What goes through is in t_xtls.

    tools -> socks [near program] == VLESS, Vision, TLS 1.3 ==> [far program] -> targets
"""
import ssl

from . import LabError, netns, traffic
from .configs import CARRIERS
from .harness import add
from .inner import InnerTls, TlsServer, download, records, serve_one_way, upload
from .peers import GARENNE, XRAY, XRAY_OLD
from .proc import until
from .t_matrix import FAR_PORT, NEAR_PORT, Targets, configure, hosts

MIB = traffic.MIB
VISION = CARRIERS["vless-vision"]
FLOW = "xtls-rprx-vision"
WITH = (GARENNE, XRAY, XRAY_OLD)
TAPPED = 7999


# ---- the raw switch ---------------------------------------------------------

def look_at(direction, outer, inner, handshakes, ours, most):
    """The outer bytes of one direction against the inner ones: where they became the
    same. Of ours also that it took at most @most records of the outer TLS, and that until
    then no length told anything: Go's TLS cuts early records short, and Xray waits for a
    write that is whole records, which bulk may not bring for long.
    The number of outer records."""
    tail = bytes(inner[-4096:])
    if outer[-len(tail):] != tail:
        # a peer may have put its farewell behind it
        at = outer.rfind(tail)
        if at < 0 or len(outer) - at - len(tail) > 64:
            raise LabError(f"{direction}: the inner records are not on the wire as they are")
        outer = outer[:at + len(tail)]
    # How far back they agree: the switch.
    n = len(tail)
    while n < min(len(outer), len(inner)) and outer[-n - 1] == inner[-n - 1]:
        n += 1
    # A byte or two in front of it may be the same by chance.
    ends = [at + 5 + size for _, at, size in records(outer)]
    near_ = [e for e in ends if 0 <= e - (len(outer) - n) < 4]
    if not near_:
        raise LabError(f"{direction}: the switch is not at the end of an outer record")
    before = records(outer[:near_[0]])
    if not ours:
        return len(before)
    if len(before) > most:
        raise LabError(f"{direction}: {len(before)} outer records: the outer TLS went on")
    data = [n for kind, _, n in before if kind == 23]
    secret = {n for kind, _, n in records(inner)[:handshakes]}
    for n in data:
        # 16 bytes of tag, one of type, 5 of the block's header
        if n - 17 - 5 in secret or n - 17 - 21 in secret or n - 17 in secret:
            raise LabError(f"{direction}: a record of {n} bytes shows an inner length")
    # The first record belongs to the outer handshake itself.
    if direction == "up" and min(data[1:]) < 900:
        raise LabError(f"up: short records before the switch: {data}")
    return len(before)


def switch(t, near, far):
    net = t.net(netns.Pair)
    hosts(t, net)
    near_conf, far_conf = configure(t, VISION, net)
    tap = t.server(traffic.Tap, net.server, TAPPED, (net.server_addr[4], FAR_PORT[4]), "0.0.0.0",
                   64 * MIB)
    for o in near_conf["outbounds"]:
        if o["tag"] == "out4":
            o["settings"]["vnext"][0]["port"] = TAPPED
    t.program(far, net.server, far_conf, "far")
    t.program(near, net.client, near_conf, "near")
    via, host = traffic.Socks5(net.client, "127.0.0.1", NEAR_PORT[4]), net.server_addr[4]
    srv = t.server(TlsServer, net.server, serve_one_way, t.pki, ssl.TLSVersion.TLSv1_3)
    for first in ("download", "upload"):
        with t.cell(first + " first"):
            count = len(tap.conns)
            with via.tcp(host, srv.port) as raw:
                raw.settimeout(30)
                s = InnerTls(raw, t.pki)
                for _ in range(2):
                    (download if first == "download" else upload)(s, MIB)
                    (upload if first == "download" else download)(s, MIB)
                up, down, _ = tap.conns[count]
                until(lambda: up[-64:] == s.sent[-64:] and down[-64:] == s.got[-64:], 10,
                      "the last inner bytes on the wire, as they are")
            # ClientHello, CCS, Finished; ServerHello, CCS and what is encrypted behind
            n_up = look_at("up", bytes(up), s.sent, 3, near.ours, 40)
            n_down = look_at("down", bytes(down), s.got, 6, far.ours, 40)
            t.note(f"outer records before the switch: {n_up} up, {n_down} down")


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
    for near in WITH:
        for far in WITH:
            stock = not near.ours and not far.ours
            add(f"vision/switch/{near.name}-{far.name}", switch, near, far, needs=(near, far),
                full=stock or XRAY_OLD in (near, far))
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
