"""XTLS Vision with real TLS inside.

    tools -> socks [near program] == VLESS, Vision, TLS 1.3 ==> [far program] -> targets

Plain payload, UDP and servers that speak first are cells of the matrix like any other
carrier's. Here are inner TLS 1.3 and 1.2, HTTP/2, the proof that the outer TLS ends,
reverse proxies, and what is refused.
"""
import hashlib
import os
import ssl
import struct
import subprocess

from . import LabError, configs, netns, peers, traffic
from .configs import CARRIERS
from .harness import add
from .peers import GARENNE, XRAY, XRAY_OLD
from .proc import until
from .t_matrix import FAR_PORT, NEAR_PORT, Targets, configure, hosts
from .t_reality_server import PRIVATE, PUBLIC, SHORT
from .t_reverse import Reverse

MIB = traffic.MIB
VISION = CARRIERS["vless-vision"]
FLOW = "xtls-rprx-vision"
WITH = (GARENNE, XRAY, XRAY_OLD)
NAME = "vps.test"
HTTPS, TAPPED = 8443, 7999


# ---- TLS inside -----------------------------------------------------------

def inner_server(pki, version):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(pki.cert, pki.key)
    c.minimum_version = c.maximum_version = version
    return c


def inner_client(pki, version=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(pki.ca)
    if version:
        c.minimum_version = c.maximum_version = version
    return c


class TlsServer(traffic.Server):
    """Serves its handler behind TLS."""

    def __init__(self, ns, handler, pki, version, **kw):
        self.context = inner_server(pki, version)
        super().__init__(ns, handler, **kw)

    def _serve(self, c, peer):
        c.settimeout(traffic.WAIT * 4)
        try:
            with self.context.wrap_socket(c, server_side=True) as s:
                self.handler(self, s, peer)
        except (OSError, LabError) as e:
            self.ends.setdefault("errors", []).append(str(e))


def serve_one_way(_srv, c, _peer):
    """Bulk in one direction after the other, any number of times on a connection: an
    SSL object is not for two threads."""
    while head := c.recv(1):
        size, = struct.unpack("!Q", traffic.recv_exact(c, 8))
        if head == b"D":
            traffic.send_pattern(c, "down", size)
        elif head == b"U":
            traffic.recv_pattern(c, "up", size)
            c.sendall(b"fine")
        else:
            raise LabError("not one of ours")


def download(s, size):
    s.sendall(b"D" + struct.pack("!Q", size))
    traffic.recv_pattern(s, "down", size)


def upload(s, size):
    s.sendall(b"U" + struct.pack("!Q", size))
    traffic.send_pattern(s, "up", size)
    if traffic.recv_exact(s, 4) != b"fine":
        raise LabError("the server did not get what was sent")


def inner_bulk(via, host, srv, pki, size):
    """Small exchanges, a lot one way, a lot the other way, and small ones again."""
    with via.tcp(host, srv.port) as raw:
        raw.settimeout(60)
        with inner_client(pki, srv.context.maximum_version).wrap_socket(
                raw, server_hostname=NAME) as s:
            for n in range(40):
                download(s, n)
                upload(s, n * 37)
            download(s, size)
            upload(s, size)
            for n in range(10):
                upload(s, n * 100)
                download(s, n * 1000)


def many(via, host, srv, pki, n=100, may_fail=0):
    """The switch in @n connections, twenty at once, each with a burst behind it."""
    failed = []

    def one(i):
        with via.tcp(host, srv.port) as raw:
            raw.settimeout(60)
            with inner_client(pki).wrap_socket(raw, server_hostname=NAME) as s:
                if i % 2:
                    upload(s, 1000 + i * 1111)
                    download(s, MIB // 4)
                else:
                    download(s, 1000 + i * 1111)
                    upload(s, MIB // 4)

    def some(k):
        for i in range(k, n, 20):
            try:
                one(i)
            except (OSError, LabError) as e:
                failed.append(e)
    traffic.together(20, some)
    if len(failed) > may_fail:
        raise LabError(f"{len(failed)} of {n} failed: {failed[0]}")
    return len(failed)


def again(old, fn, *args):
    """Xray 1.8.24 now and then mixes up the bytes around its own switch, between two of
    its kind most of all: what fails with it gets another try."""
    for last in (not old, True):
        try:
            return fn(*args)
        except (OSError, LabError):
            if last:
                raise
    return None


class Nginx:
    """HTTP/2 and 1.1 over TLS: a file to get, a place to put one. @sparse: of zeros."""

    def __init__(self, t, ns, size, sparse=False):
        self.dir = os.path.join(t.dir, "www")
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o777)
        for f in os.listdir(self.dir):
            os.unlink(os.path.join(self.dir, f))
        self.body = b"" if sparse else \
            bytes(traffic.pattern("down", 0, traffic.CHUNK)) * (size // traffic.CHUNK)
        with open(os.path.join(self.dir, "big"), "wb") as f:
            f.write(self.body)
            f.truncate(size)
        conf = t.write("nginx.conf", f"""
            daemon off; master_process off; pid {t.dir}/nginx.pid; error_log {t.dir}/nginx.log;
            events {{ }}
            http {{
                access_log off; client_max_body_size 0;
                client_body_temp_path {t.dir}/body; proxy_temp_path {t.dir}/px;
                fastcgi_temp_path {t.dir}/fc; uwsgi_temp_path {t.dir}/uw;
                scgi_temp_path {t.dir}/sc;
                server {{
                    listen 0.0.0.0:{HTTPS} ssl http2;
                    ssl_certificate {t.pki.cert}; ssl_certificate_key {t.pki.key};
                    ssl_protocols TLSv1.2 TLSv1.3;
                    root {self.dir};
                    location /in/ {{ dav_methods PUT; create_full_put_path on; }}
                }}
            }}""")
        path = peers.tool("nginx")
        if not path:
            raise LabError("nginx is not installed (scripts/install-deps.sh)")
        t.defer(self._clean)
        t.spawn(ns, [path, "-c", conf, "-e", f"{t.dir}/nginx.log"], "nginx").wait_listening(
            {("tcp", HTTPS)})

    def _clean(self):
        for top, _, files in os.walk(self.dir, topdown=False):
            for f in files:
                os.unlink(os.path.join(top, f))
            os.rmdir(top)
        parent = os.path.dirname(self.dir)
        for d in ("body", "px", "fc", "uw", "sc"):
            p = os.path.join(parent, d)
            if os.path.isdir(p):
                os.rmdir(p)


def curl(t, ns, proxy, *more):
    path = peers.tool("curl")
    argv = [path, "-sS", "--fail", "--max-time", "60", "--http2", "--cacert", t.pki.ca,
            "--resolve", f"{NAME}:{HTTPS}:198.51.100.1", "--socks5", proxy, *more]
    with ns.inside():
        p = subprocess.run(argv, capture_output=True, timeout=90, stdin=subprocess.DEVNULL)
    if p.returncode:
        raise LabError(f"curl {p.returncode}: {p.stderr.decode().strip()[:200]}")
    return p.stdout


def http2(t, net, web):
    url = f"https://{NAME}:{HTTPS}"
    proxy = f"127.0.0.1:{NEAR_PORT[4]}"
    got = curl(t, net.client, proxy, "-w", "%{http_version}", url + "/big")
    if got[-1:] != b"2" or got[:-1] != web.body:
        raise LabError(f"HTTP/2 download: {len(got)} bytes, version {got[-1:]!r}")
    # Both at once on one connection's window, several times over.
    out = curl(t, net.client, proxy, "--parallel", "-w", "%{size_download} ",
               *[x for i in range(4) for x in (url + "/big", "-o", "/dev/null")])
    if out.split() != [b"%d" % len(web.body)] * 4:
        raise LabError(f"four downloads at once: {out!r}")
    path = t.write("upload", "")
    with open(path, "wb") as f:
        f.write(web.body)
    curl(t, net.client, proxy, "-T", path, url + "/in/file")
    os.unlink(path)
    with open(os.path.join(web.dir, "in", "file"), "rb") as f:
        if hashlib.sha256(f.read()).digest() != hashlib.sha256(web.body).digest():
            raise LabError("HTTP/2 upload: the file differs")


def pair(t, near, far):
    net = t.net(netns.Pair)
    hosts(t, net)
    targets = Targets(t, net.server)
    near_conf, far_conf = configure(t, VISION, net)
    t.program(far, net.server, far_conf, "far")
    t.program(near, net.client, near_conf, "near")
    via, host = traffic.Socks5(net.client, "127.0.0.1", NEAR_PORT[4]), net.server_addr[4]
    tls13 = t.server(TlsServer, net.server, serve_one_way, t.pki, ssl.TLSVersion.TLSv1_3)
    tls12 = t.server(TlsServer, net.server, serve_one_way, t.pki, ssl.TLSVersion.TLSv1_2)
    old = XRAY_OLD in (near, far)
    with t.cell("tls13"):
        again(old, inner_bulk, via, host, tls13, t.pki, 32 * MIB)
    with t.cell("tls12"):
        again(old, inner_bulk, via, host, tls12, t.pki, 16 * MIB)
    with t.cell("100 connections"):
        bad = many(via, host, tls13, t.pki, 100, 10 if old else 0)
        if bad:
            t.note(f"{bad} of 100 failed, as they do between two of {XRAY_OLD.title}")
    with t.cell("http2"):
        web = Nginx(t, net.server, 16 * MIB)
        again(old, http2, t, net, web)
    with t.cell("server first"):
        traffic.check_banner(via, host, targets.banner.port)
    with t.cell("udp"):
        traffic.check_udp(via, host, targets.udp.port, 2 * MIB)


# ---- the raw switch ---------------------------------------------------------

class InnerTls:
    """A TLS client whose records can be looked at: what it sent and got, as it was."""

    def __init__(self, sock, pki):
        self.sock, self.sent, self.got = sock, bytearray(), bytearray()
        self.inp, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.o = inner_client(pki).wrap_bio(self.inp, self.out, server_hostname=NAME)
        self._do(self.o.do_handshake)

    def _flush(self):
        if self.out.pending:
            data = self.out.read()
            self.sent += data
            self.sock.sendall(data)

    def _do(self, fn, *args):
        while True:
            try:
                r = fn(*args)
                self._flush()
                return r
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                if not data:
                    raise LabError("the inner connection was closed") from None
                self.got += data
                self.inp.write(data)

    def sendall(self, data):
        self._do(self.o.write, data)

    def send(self, data):
        return self._do(self.o.write, data)

    def recv(self, n):
        return self._do(self.o.read, n)

    def recv_into(self, buf, n):
        data = self._do(self.o.read, n)
        buf[:len(data)] = data
        return len(data)


def records(data):
    """(type, offset, length of the body) of TLS records as far as they go."""
    at, out = 0, []
    while at + 5 <= len(data):
        kind, version, n = data[at], data[at + 1:at + 3], data[at + 3] << 8 | data[at + 4]
        if not 20 <= kind <= 23 or version[0] != 3 or n > 18432:
            break
        out.append((kind, at, n))
        at += 5 + n
    return out


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


# ---- REALITY below ----------------------------------------------------------

def below_reality(t, near, far):
    """The same with REALITY instead of TLS."""
    net = t.net(netns.Pair)
    hosts(t, net)
    target = t.server(TlsServer, net.server, serve_one_way, t.pki, ssl.TLSVersion.TLSv1_3)
    near_conf, far_conf = configure(t, VISION, net)
    for i in far_conf["inbounds"]:
        i["streamSettings"] = {"network": "tcp", "security": "reality", "realitySettings": {
            "target": f"127.0.0.1:{target.port}", "serverNames": [NAME], "privateKey": PRIVATE,
            "shortIds": [SHORT]}}
    for o in near_conf["outbounds"]:
        if o["protocol"] == "vless":
            o["streamSettings"] = {"network": "tcp", "security": "reality", "realitySettings": {
                "fingerprint": "chrome", "serverName": NAME, "publicKey": PUBLIC,
                "shortId": SHORT}}
    t.program(far, net.server, far_conf, "far")
    t.program(near, net.client, near_conf, "near")
    via, host = traffic.Socks5(net.client, "127.0.0.1", NEAR_PORT[4]), net.server_addr[4]
    with t.cell("tls13"):
        inner_bulk(via, host, target, t.pki, 16 * MIB)
    with t.cell("100 connections"):
        many(via, host, target, t.pki)


# ---- reverse proxies --------------------------------------------------------

def reverse(t, dialect, portal, bridge):
    r = Reverse(t, dialect, "vless-vision", portal, bridge, fams=(4,))
    srv = t.server(TlsServer, r.net.lan, serve_one_way, t.pki, ssl.TLSVersion.TLSv1_3)
    with t.cell("tls13"):
        inner_bulk(r.via(4), r.net.LAN[4], srv, t.pki, 16 * MIB)
    with t.cell("30 visitors"):
        many(r.via(4), r.net.LAN[4], srv, t.pki, 30)
    with t.cell("bulk"):
        traffic.check_bulk(r.via(4), r.targets.bulk, r.net.LAN[4], 16 * MIB, strict=r.ours)
    with t.cell("udp"):
        traffic.check_udp(r.via(4), r.net.LAN[4], r.targets.udp.port, 2 * MIB)


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
            name = f"{near.name}-{far.name}"
            add(f"vision/inner/{name}", pair, near, far, full=stock, needs=(near, far), limit=180)
            add(f"vision/switch/{name}", switch, near, far, needs=(near, far),
                full=stock or XRAY_OLD in (near, far))
    for dialect in ("classic", "vless"):
        for portal in WITH:
            for bridge in WITH:
                if dialect == "vless" and XRAY_OLD in (portal, bridge):
                    continue     # it predates it
                stock = not portal.ours and not bridge.ours
                add(f"vision/reverse/{dialect}/{portal.name}-portal+{bridge.name}-bridge", reverse,
                    dialect, portal, bridge, needs=(portal, bridge), limit=180,
                    full=stock or XRAY_OLD in (portal, bridge))
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
        add(f"vision/reality/{near.name}-{far.name}", below_reality, near, far, needs=(near, far))
        add(f"vision/udp443/{near.name}-{far.name}", udp443, near, far, needs=(near, far))
        add(f"vision/mux/{near.name}-{far.name}", mux, near, far, needs=(near, far))


_plan()
