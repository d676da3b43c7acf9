"""Our outbound with REALITY, and with a browser's ClientHello over plain TLS, against
stock Xray; what goes wrong is said in one line; what the hellos look like from outside.
"""
import hashlib
import os
import re
import shutil
import ssl
import struct
import subprocess
import tempfile
import threading

from . import LabError, Skip, configs, netns, peers, traffic
from .harness import add, test
from .peers import GARENNE, XRAY
from .proc import until
from .scene import clock_shifted, expect

PRIVATE, PUBLIC = configs.REALITY_PRIVATE, configs.REALITY_PUBLIC
OTHER = "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"
SHORT = "0123abcd"
PRINTS = ("chrome", "firefox", "safari", "ios", "edge", "randomized")
MIB = traffic.MIB


def tls_site(pki, seen, chain=None):
    """The target: a web server with a real certificate, HTTP/1.1 over TLS 1.3."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(chain or pki.cert, pki.key)
    ctx.minimum_version = ssl.TLSVersion.TLSv1_3
    ctx.set_alpn_protocols(["http/1.1"])

    def serve(srv, c, peer):
        with ctx.wrap_socket(c, server_side=True) as s:
            buf = b""
            while b"\r\n\r\n" not in buf:
                part = s.recv(65536)
                if not part:
                    return
                buf += part
            seen.append(buf)
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            s.recv(1)
    return serve


class Stage:
    """garenne on the client's host, a server (Xray) and the site it hides behind on the server's."""

    def __init__(self, t, chain=None, peer=XRAY, **server):
        t.need(GARENNE, peer)
        self.vless = configs.Vless("vless")
        self.t, self.seen = t, []
        self.net = t.net(netns.Pair)
        self.host = self.net.server_addr[4]
        self.site = t.server(traffic.Server, self.net.server, tls_site(t.pki, self.seen, chain))
        self.bulk = t.server(traffic.Server, self.net.server, traffic.serve_bulk)
        self.echo = t.server(traffic.Server, self.net.server, traffic.serve_echo)
        far = self.vless.far("in", self.host, 443)
        far["streamSettings"] = {"network": "tcp", "security": "reality", "realitySettings": {
            "dest": f"127.0.0.1:{self.site.port}", "serverNames": ["vps.test"],
            "privateKey": PRIVATE, "shortIds": [SHORT, ""], **server}}
        t.program(peer, self.net.server, configs.config([far], [configs.freedom()],
                                                        level="debug"), "server")
        self.count = 0

    def client(self, env=None, **more):
        """Starts ours with these settings; (via, program)."""
        self.count += 1
        near = self.vless.near("out", self.host, 443)
        near["streamSettings"] = {"network": "tcp", "security": "reality", "realitySettings": {
            "serverName": "vps.test", "publicKey": PUBLIC, "shortId": SHORT, **more}}
        port = 1080 + self.count
        conf = configs.config([configs.socks_in("in", "127.0.0.1", port)], [near], level="debug")
        p = self.t.program(GARENNE, self.net.client, conf, f"client{self.count}", env=env)
        return traffic.Socks5(self.net.client, "127.0.0.1", port), p

    def fails(self, says, env=None, **more):
        via, p = self.client(env, **more)
        try:
            traffic.check_echo(via, self.host, self.echo.port)
        except (OSError, LabError):
            pass
        else:
            raise LabError("a connection came about")
        p.wait_log(says, 10)
        return p


@test("reality-client/payload", needs=(GARENNE, XRAY), limit=200)
def payload(t):
    s = Stage(t, minClientVer="26.3.27", maxTimeDiff=60000)
    for fp in PRINTS:
        with t.cell(fp):
            via, _ = s.client(fingerprint=fp)
            total = 64 * MIB if fp == "chrome" else 4 * MIB
            traffic.check_bulk(via, s.bulk, s.host, total)
            traffic.check_echo(via, s.host, s.echo.port)
    with t.cell("no short id"):
        via, _ = s.client(shortId="")
        traffic.check_echo(via, s.host, s.echo.port)


def other_server(t, peer):
    s = Stage(t, peer=peer)
    for fp in ("chrome", "firefox", "safari", "ios"):
        with t.cell(fp):
            via, _ = s.client(fingerprint=fp)
            traffic.check_bulk(via, s.bulk, s.host, 4 * MIB)


for _peer in (peers.XRAY_25, peers.XRAY_OLD, peers.SING_BOX, GARENNE):
    add(f"reality-client/to-{_peer.name}", other_server, _peer, needs=(GARENNE, _peer))


@test("reality-client/refused", needs=(GARENNE, XRAY))
def refused(t):
    """The real site answers, whatever is wrong: with its roots known, and without."""
    s = Stage(t, minClientVer="26.3.27", maxTimeDiff=60000)
    roots = {"SSL_CERT_FILE": t.pki.ca}
    real = "REALITY: received real certificate"
    with t.cell("wrong key"):
        s.fails(real, roots, publicKey=OTHER)
    with t.cell("wrong short id"):
        s.fails(real, roots, shortId="ffff")
    with t.cell("wrong name"):
        s.fails(real, roots, serverName="hub.test")
    with t.cell("old version"):
        s.fails(real, roots, clientVer="1.8.1")
    with t.cell("clock"):
        s.fails(real, {**roots, **clock_shifted(t, 600)})
    with t.cell("unknown roots"):
        s.fails("REALITY: not our server, and its certificate signed by an unknown authority",
                publicKey=OTHER)
    with t.cell("nobody's name"):
        s.fails("REALITY: not our server, and its certificate is valid for", roots,
                serverName="elsewhere.test")
    with t.cell("the visit"):
        s.seen.clear()
        s.fails(real, roots, publicKey=OTHER, spiderX="/news?p=40&a=1")
        until(lambda: s.seen, 10, "the site is visited")
        expect(s.seen[0].startswith(b"GET /news?a=1 HTTP/1.1\r\nHost: vps.test\r\n"),
               f"visited with {s.seen[0][:80]!r}")
        expect(b"Chrome/" in s.seen[0] and b"\r\ncookie: padding=" + b"0" * 40 + b"\r\n"
               in s.seen[0], f"no browser asks so: {s.seen[0]!r}")
        expect(all(b"GET" == x[:3] for x in s.seen), "the site got something else")


SITE = """daemon off; master_process off; pid {own}/nginx.pid; error_log {dir}/nginx.err;
events {{}}
http {{ client_body_temp_path {own}/b; proxy_temp_path {own}/p; fastcgi_temp_path {own}/f;
uwsgi_temp_path {own}/u; scgi_temp_path {own}/s; default_type text/html;
log_format asked '$server_protocol $request_uri "$http_referer" "$http_cookie" $http_user_agent';
access_log {dir}/asked.log asked; gzip on; gzip_min_length 1;
server {{ listen 127.0.0.1:8443 ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};
ssl_protocols TLSv1.3;
location / {{ return 200 '<a href="/a">a</a> <a href="https://vps.test/b">b</a> <a
href="https://else.test/c">c</a> <img src="/d.png"> <a href="/e.pdf">e</a>'; }} }}
}}
"""


@test("reality-client/crawl", needs=(GARENNE,))
def crawl(t):
    """nginx with HTTP/2 gets the pages that it links to, one after the other, and nothing
    else; the next visit begins where the first one has been."""
    path = peers.tool("nginx")
    if not path:
        raise Skip("nginx is not installed")
    net = t.net(netns.Solo)
    own = tempfile.mkdtemp()
    t.defer(shutil.rmtree, own)
    conf = t.write("nginx.conf", SITE.format(own=own, dir=t.dir, cert=t.pki.cert, key=t.pki.key))
    t.spawn(net.host, [path, "-c", conf], "nginx").wait_listening({("tcp", 8443)})
    near = configs.Vless("vless").near("out", "127.0.0.1", 8443)
    near["streamSettings"] = {"network": "tcp", "security": "reality", "realitySettings": {
        "serverName": "vps.test", "publicKey": OTHER, "shortId": SHORT,
        "spiderX": "/start?p=5&c=2&t=3&i=1-20&r=100"}}
    p = t.program(GARENNE, net.host, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)], [near], level="debug"), "client",
        env={"SSL_CERT_FILE": t.pki.ca})

    def asked():
        try:
            with open(os.path.join(t.dir, "asked.log")) as f:
                return f.read().split("\n")[:-1]
        except FileNotFoundError:
            return []
    via = traffic.Socks5(net.host, "127.0.0.1", 1080)
    for visit in (1, 2):
        expect(not traffic.works(via, "127.0.0.1", 9), "a connection came about")
        # the first page, and three of each of two workers
        until(lambda visit=visit: len(asked()) == 7 * visit, 20, "the pages are got")
    p.wait_log("received real certificate")
    lines = [re.fullmatch(r'HTTP/2.0 (\S+) "(\S+)" "padding=00000" (.*Chrome/.*)', x)
             for x in asked()]
    expect(all(lines), f"asked for {asked()}")
    expect({m[1] for m in lines} == {"/start", "/a", "/b"}, f"asked for {asked()}")
    expect([m[2] for m in lines].count("-") == 2 and lines[0][1] == "/start",
           f"came from {asked()}")
    expect(all(m[2] == "-" or m[2].startswith("https://vps.test/") for m in lines),
           f"came from {asked()}")


@test("reality-client/mldsa", needs=(GARENNE, XRAY))
def mldsa(t):
    """A second proof, by ML-DSA-65. It is long, and so must the site's certificates be."""
    out = subprocess.run([XRAY.path, "mldsa65"], capture_output=True, text=True, timeout=20).stdout
    seed, verify = (re.search(name + r": *(\S+)", out)[1] for name in ("Seed", "Verify"))
    with open(t.pki.cert) as leaf, open(t.pki.ca) as ca:
        chain = t.write("chain.pem", leaf.read() + ca.read() * 9)
    s = Stage(t, chain, mldsa65Seed=seed)
    with t.cell("asked for"):
        via, _ = s.client(mldsa65Verify=verify)
        traffic.check_bulk(via, s.bulk, s.host, 4 * MIB)
    with t.cell("not asked for"):
        via, _ = s.client()
        traffic.check_echo(via, s.host, s.echo.port)
    with t.cell("another key"):
        wrong = ("B" if verify[0] == "A" else "A") + verify[1:]
        s.fails("REALITY: not our server", mldsa65Verify=wrong)


@test("reality-client/other-order", needs=(GARENNE, XRAY))
def other_order(t):
    """A site that is not there, and one that wants another key first."""
    s = Stage(t)
    with t.cell("no site"):
        s.site.close()
        s.fails("the peer closed the connection during the TLS handshake|reset")


@test("hello/tls", needs=(GARENNE, XRAY))
def tls(t):
    """security: tls with a fingerprint against Xray, which takes the post-quantum key."""
    net = t.net(netns.Pair)
    host = net.server_addr[4]
    bulk = t.server(traffic.Server, net.server, traffic.serve_bulk)
    vless = configs.Vless("vless+tls", tls=True)
    t.program(XRAY, net.server, configs.config([vless.far("in", host, 443, t.pki)],
                                               [configs.freedom()]), "xray")
    for n, fp in enumerate(PRINTS + ("randomizednoalpn",)):
        with t.cell(fp):
            near = vless.near("out", host, 443, t.pki)
            near["streamSettings"]["tlsSettings"]["fingerprint"] = fp
            t.program(GARENNE, net.client, configs.config(
                [configs.socks_in("in", "127.0.0.1", 1080 + n)], [near]), fp)
            traffic.check_bulk(traffic.Socks5(net.client, "127.0.0.1", 1080 + n), bulk, host,
                               4 * MIB)


@test("hello/nginx", needs=(GARENNE,))
def nginx(t):
    """The tls ping of the program would do; here a forward, and curl's plain HTTP in it."""
    path = peers.tool("nginx")
    if not path:
        raise Skip("nginx is not installed")
    net = t.net(netns.Solo)
    own = tempfile.mkdtemp()     # nginx makes folders; a test's may hold files only
    t.defer(shutil.rmtree, own)
    conf = t.write("nginx.conf", f"""
daemon off; master_process off; pid {own}/nginx.pid; error_log {t.dir}/nginx.err;
events {{}}
http {{ access_log off; client_body_temp_path {own}/b; proxy_temp_path {own}/p;
fastcgi_temp_path {own}/f; uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;
server {{ listen 127.0.0.1:8443 ssl; ssl_certificate {t.pki.cert};
ssl_certificate_key {t.pki.key}; ssl_protocols TLSv1.3;
location / {{ return 200 "page $ssl_cipher $ssl_curve\\n"; }} }}
server {{ listen 127.0.0.1:8444 ssl; ssl_certificate {t.pki.cert};
ssl_certificate_key {t.pki.key}; ssl_protocols TLSv1.3; ssl_ecdh_curve secp384r1;
location / {{ return 200 "page $ssl_cipher $ssl_curve\\n"; }} }}
}}
""")
    p = t.spawn(net.host, [path, "-c", conf], "nginx")
    p.wait_listening({("tcp", 8443), ("tcp", 8444)})
    ins, outs, rules = [], [], []
    for n, fp in enumerate(PRINTS):
        for k, port in enumerate((8443, 8444)):
            tag = f"{fp}{port}"
            ins.append(configs.doko_in(tag, "127.0.0.1", 1100 + 2 * n + k, "127.0.0.1", port))
            out = configs.freedom(tag)
            out["streamSettings"] = configs.tls_client(t.pki)
            out["streamSettings"]["tlsSettings"].update(fingerprint=fp, alpn=["http/1.1"])
            outs.append(out)
            rules.append(configs.rule(tag, inboundTag=[tag]))
    t.program(GARENNE, net.host, configs.config(ins, outs, rules, level="debug"), "client")
    for n, fp in enumerate(PRINTS):
        for k, what in enumerate(("", " after a retry")):
            with t.cell(fp + what):
                status, body = traffic.http_get(
                    traffic.Direct(net.host, "127.0.0.1", 1100 + 2 * n + k), "vps.test", 80)
                expect("200" in status and "page TLS_" in body, f"{status} {body!r}")


# ---- what is seen on the wire ------------------------------------------------

def _is_grease(v):
    return v & 0x0f0f == 0x0a0a and v >> 8 == v & 0xff


def _u16s(b):
    return [v for v, in struct.iter_unpack("!H", b[:len(b) // 2 * 2])]


def fingerprints(hello):
    """JA3 and JA4 of a ClientHello message, computed without any of our code."""
    at = 38
    at += 1 + hello[at]
    n, = struct.unpack_from("!H", hello, at)
    suites = [v for v in _u16s(hello[at + 2:at + 2 + n]) if not _is_grease(v)]
    at += 2 + n
    at += 1 + hello[at] + 2
    ext = []
    while at < len(hello):
        kind, n = struct.unpack_from("!HH", hello, at)
        ext.append((kind, hello[at + 4:at + 4 + n]))
        at += 4 + n
    body = dict(ext)
    kinds = [k for k, _ in ext if not _is_grease(k)]
    groups = [v for v in _u16s(body[10][2:]) if not _is_grease(v)]
    ja3 = ",".join(("771", "-".join(map(str, suites)), "-".join(map(str, kinds)),
                    "-".join(map(str, groups)), "-".join(map(str, body[11][1:]))))

    def short(text):
        return hashlib.sha256(text.encode()).hexdigest()[:12]
    name = body[16][3:3 + body[16][2]].decode()
    ja4 = (f"t13{'d' if 0 in body else 'i'}{len(suites):02}{len(kinds):02}{name[0]}{name[-1]}_"
           + short(",".join(f"{v:04x}" for v in sorted(suites))) + "_"
           + short(",".join(f"{v:04x}" for v in sorted(set(kinds) - {0, 16})) + "_"
                   + ",".join(f"{v:04x}" for v in _u16s(body[13][2:]))))
    return hashlib.md5(ja3.encode()).hexdigest(), ja4


def _profile(name):
    """The hashes in a data file."""
    path = os.path.join(peers.ROOT, "configs", "fingerprints", name + ".fp")
    with open(path) as f:
        return dict(re.findall(r"^(ja[34]) (\S+)$", f.read(), re.M))


def _capture(path, record):
    """A capture file with one segment that carries @record."""
    tcp = struct.pack("!HHIIBBHHH", 40000, 443, 1, 1, 5 << 4, 0x18, 65535, 0, 0)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(record), 1, 0, 64, 6, 0,
                     bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
    frame = ip + tcp + record
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101))
        f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def _dissected(t, name, record):
    """What tshark says: (JA3, remarks); None if it is not there."""
    tshark = shutil.which("tshark")
    if not tshark:
        return None
    path = os.path.join(t.dir, name + ".pcap")
    _capture(path, record)
    out = subprocess.run(
        [tshark, "-r", path, "-o", "tcp.check_checksum:FALSE", "-o", "ip.check_checksum:FALSE",
         "-Y", "tls.handshake.type==1", "-T", "fields", "-e", "tls.handshake.ja3",
         "-e", "_ws.malformed", "-e", "tls.handshake.extensions_server_name",
         "-e", "_ws.expert.message"],
        capture_output=True, text=True, timeout=60).stdout.rstrip("\n").split("\t")
    # of the segment, not of what is in it: there is no SYN in the capture
    out[3] = ",".join(x for x in out[3].split(",") if "TCP" not in x and "segment" not in x)
    return out


@test("hello/on-the-wire", needs=(GARENNE,))
def on_the_wire(t):
    """The first record of a connection, taken by a listener that never answers."""
    net = t.net(netns.Solo)
    taken, lock = [], threading.Lock()

    def take(srv, c, peer):
        head = traffic.recv_exact(c, 5)
        record = head + traffic.recv_exact(c, struct.unpack("!H", head[3:])[0])
        with lock:
            taken.append(record)
    sink = t.server(traffic.Server, net.host, take)
    for n, fp in enumerate(("chrome", "firefox", "safari", "ios")):
        for k, security in enumerate(("tls", "reality")):
            with t.cell(f"{fp} {security}"):
                near = configs.Vless("vless").near("out", "127.0.0.1", sink.port)
                near["streamSettings"] = {"security": security, "tlsSettings": {
                    "serverName": "vps.test", "fingerprint": fp}, "realitySettings": {
                    "serverName": "vps.test", "fingerprint": fp, "publicKey": PUBLIC}}
                port = 1080 + 2 * n + k
                t.program(GARENNE, net.host, configs.config(
                    [configs.socks_in("in", "127.0.0.1", port)], [near]), f"{fp}-{security}")
                taken.clear()
                try:
                    traffic.http_get(traffic.Socks5(net.host, "127.0.0.1", port),
                                     "127.0.0.1", 80)
                except (OSError, LabError):
                    pass
                until(lambda: taken, 10, "a hello")
                record = taken[0]
                expect(record[:3] == b"\x16\x03\x01" and record[5] == 1, "no hello")
                expect(record[43] == 32, "no session id of 32 bytes")
                ja3, ja4 = fingerprints(record[5:])
                want = _profile(fp)
                expect(ja4 == want["ja4"], f"JA4 is {ja4}, not {want['ja4']}")
                expect(ja3 == want.get("ja3", ja3), f"JA3 is {ja3}, not {want.get('ja3')}")
                if (out := _dissected(t, f"{fp}-{security}", record)) is None:
                    t.note("tshark is not installed: not dissected")
                    continue
                expect(out[1] == "" and out[2] == "vps.test" and out[3] == "",
                       f"tshark remarks: {out}")
                expect(out[0] == ja3, f"tshark's JA3 is {out[0]}, not {ja3}")
