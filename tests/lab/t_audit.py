"""`garenne reality check` and `garenne audit`: sites and hubs with one fault each, and
one hub that answers every probe as the site behind it does."""
import contextlib
import os
import re
import shutil
import ssl
import subprocess
import tempfile

from . import LabError, Skip, netns, peers, traffic
from .configs import UUID_A, config
from .harness import test
from .proc import until

NAME = "vps.test"
SITE, HUB, WEB = "127.0.0.2", "127.0.0.1", "127.0.0.3"
KEY = "AAIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH2A"
SETTINGS = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100])


def speak(c, location=None, h2=True):
    """A site of one page, in HTTP/1 and as much of HTTP/2 as a prober sees."""
    buf = b""
    while b"\r\n\r\n" not in buf:
        part = c.recv(65536)
        if not part:
            return
        buf += part
    if buf.startswith(b"PRI * HTTP/2.0") and h2:
        c.sendall(SETTINGS)
        while c.recv(65536):
            pass
        return
    if not buf.startswith(b"GET "):
        c.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        return
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n" if location else "HTTP/1.1 200 OK\r\n"
    c.sendall(head.encode() + b"Content-Length: 5\r\nConnection: close\r\n\r\npage\n")


def context(t, cert=None, key=None, max12=False, retry=False, alpn=("h2", "http/1.1")):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(cert or t.pki.cert, key or t.pki.key)
    ctx.set_alpn_protocols(list(alpn))
    ctx.num_tickets = 0
    if max12:
        ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    if retry:
        ctx.set_ecdh_curve("prime256v1")
    return ctx


def site(t, ns, addr=SITE, location=None, h2=True, **kw):
    ctx = context(t, **kw)

    def serve(_srv, c, _peer):
        with contextlib.suppress(OSError), ctx.wrap_socket(c, server_side=True) as tls:
            speak(tls, location, h2)
    return t.server(traffic.Server, ns, serve, 443, addr)


def web(t, ns, h2=True):
    def serve(_srv, c, _peer):
        speak(c, h2=h2)
    return t.server(traffic.Server, ns, serve, 80, WEB)


def self_signed(t):
    cert, key = (os.path.join(t.dir, n) for n in ("own.pem", "own-key.pem"))
    netns.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "30", "-keyout", key, "-out", cert, "-subj", f"/CN={NAME}",
               "-addext", f"subjectAltName=DNS:{NAME}"])
    return cert, key


def big_certificate(t):
    """One of the lab's CA, as long as chains of large sites are."""
    cert, key = (os.path.join(t.dir, n) for n in ("big.pem", "big-key.pem"))
    ca_key = os.path.join(os.path.dirname(t.pki.ca), "ca-key.pem")
    names = ",".join([f"DNS:{NAME}"] + [f"DNS:shop-number-{i}.vps.test" for i in range(150)])
    netns.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "30", "-CA", t.pki.ca, "-CAkey", ca_key, "-keyout", key,
               "-out", cert, "-subj", f"/CN={NAME}", "-addext", f"subjectAltName={names}",
               "-addext", "basicConstraints=critical,CA:FALSE"])
    return cert, key


def hub(stream, port=443, flow="xtls-rprx-vision", **settings):
    user = {"id": UUID_A} | ({"flow": flow} if flow else {})
    return config([{
        "tag": "hub", "listen": HUB, "port": port, "protocol": "vless",
        "settings": {"clients": [user], "decryption": "none"} | settings,
        "streamSettings": {"network": "raw"} | stream}],
        [{"protocol": "freedom", "tag": "direct"}])


def reality(port=443, flow="xtls-rprx-vision", **more):
    return hub({"security": "reality", "realitySettings": {
        "target": f"{SITE}:443", "serverNames": [NAME], "privateKey": KEY,
        "shortIds": ["0123456789abcdef"], "minClientVer": "26.3.27",
        "maxTimeDiff": 60000} | more}, port, flow)


def tls(t, cert=None, key=None, port=443, flow="xtls-rprx-vision", fallbacks=None, alpn=None):
    s = {"certificates": [{"certificateFile": cert or t.pki.cert, "keyFile": key or t.pki.key}]}
    if alpn:
        s["alpn"] = alpn
    if fallbacks is None:
        fallbacks = [{"dest": f"{WEB}:80"}, {"alpn": "h2", "dest": f"{WEB}:80"}]
    return hub({"security": "tls", "tlsSettings": s}, port, flow,
               **({"fallbacks": fallbacks} if fallbacks else {}))


class Look:
    """What a command of ours printed."""

    def __init__(self, t, ns, *argv):
        env = dict(os.environ, SSL_CERT_FILE=t.pki.ca)
        with ns.inside():
            p = subprocess.run([peers.GARENNE.path, *argv], capture_output=True, text=True,
                               timeout=100, env=env, stdin=subprocess.DEVNULL)
        self.code, self.out = p.returncode, p.stdout
        self.text = p.stdout + p.stderr
        self.lines = re.findall(r"^(ok|note|warn|FAIL) +(.*?)  +(.*)$", p.stdout, re.M)

    def has(self, how, matter, text=""):
        return any(g == how and m == matter and text in s for g, m, s in self.lines)

    def must(self, how, matter, text=""):
        if not self.has(how, matter, text):
            raise LabError(f"no \"{how} {matter} {text}\" in: {self.text.strip()[-1500:]}")

    def must_not(self, how):
        bad = [f"{m}: {s}" for g, m, s in self.lines if g == how]
        if bad:
            raise LabError("; ".join(bad))


def stage(t):
    t.need(peers.GARENNE)
    return t.net(netns.Solo).host


def answers(ns):
    try:
        traffic.Direct(ns).tcp(HUB, 443, 1).close()
        return True
    except OSError:
        return False


def start(t, peer, ns, conf):
    """The target has the same port: that somebody listens there says nothing yet."""
    t.program(peer, ns, conf, "hub")
    until(lambda: answers(ns), 15, "the hub answers")


def audit(t, ns, conf, *more):
    return Look(t, ns, "audit", "-wait", "700", *more, t.write("hub.json", conf))


@test("audit/check")
def check(t):
    """One site after the other, fit and unfit."""
    ns = stage(t)
    own = self_signed(t)
    table = [
        ("fit", {}, 0, ("ok", "key exchange")),
        ("TLS 1.2", {"max12": True}, 1, ("FAIL", "TLS 1.3")),
        ("asks again", {"retry": True}, 1, ("FAIL", "key exchange")),
        ("leads elsewhere", {"location": "https://www.example.com/"}, 1, ("FAIL", "redirect")),
        ("leads on", {"location": f"https://{NAME}/en/"}, 0, ("ok", "redirect")),
        ("no h2", {"alpn": ("http/1.1",)}, 0, ("warn", "h2")),
        ("own certificate", {"cert": own[0], "key": own[1]}, 1, ("FAIL", "certificate")),
    ]
    for name, kw, code, want in table:
        with t.cell(name):
            s = site(t, ns, **kw)
            look = Look(t, ns, "reality", "check", "-ip", SITE, NAME)
            s.close()
            look.must(*want)
            if look.code != code:
                raise LabError(f"ended with {look.code}: {look.text}")
    with t.cell("another name"):
        s = site(t, ns)
        look = Look(t, ns, "reality", "check", "-ip", SITE, "-name", "other.test", NAME)
        look.must("FAIL", "certificate", "other.test")
        look = Look(t, ns, "reality", "check", "-mldsa", "-ip", SITE, NAME)
        look.must("FAIL", "ML-DSA-65")
        s.close()
    with t.cell("nobody there"):
        look = Look(t, ns, "reality", "check", "-ip", SITE, NAME)
        look.must("FAIL", "connection")


def all_alike(t, ns, target):
    """Ours in front of a target: each probe is answered as by that."""
    conf = reality()
    start(t, peers.GARENNE, ns, conf)
    look = audit(t, ns, conf)
    look.must_not("FAIL")
    same = [m for g, m, s in look.lines if g == "ok" and s.startswith("as the target")]
    t.note(f"{len(same)} kinds of probes answered as by {target}")
    if look.code != 0 or len(same) < 20:
        raise LabError(f"{look.code}, {len(same)} alike: {look.text[-1500:]}")


@test("audit/reality")
def reality_hub(t):
    """Every probe is answered as by the target."""
    ns = stage(t)
    site(t, ns)
    all_alike(t, ns, "the target")


NGINX = """daemon off; master_process off; pid {own}/pid; error_log {dir}/nginx.err;
events {{}}
http {{ access_log off; client_body_temp_path {own}/b; proxy_temp_path {own}/p;
fastcgi_temp_path {own}/f; uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;
server {{ listen {site}:443 ssl http2; server_name {name}; ssl_certificate {cert};
ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
location / {{ return 200 "a page\\n"; }} }} }}
"""


@test("audit/nginx")
def reality_nginx(t):
    """The same with nginx for a target."""
    ns = stage(t)
    path = peers.tool("nginx")
    if not path:
        raise Skip("nginx is not installed")
    own = tempfile.mkdtemp()     # nginx makes folders; a test's may hold files only
    t.defer(shutil.rmtree, own, True)
    conf = t.write("nginx.conf", NGINX.format(own=own, dir=t.dir, site=SITE, name=NAME,
                                              cert=t.pki.cert, key=t.pki.key))
    t.spawn(ns, [path, "-c", conf, "-p", t.dir], "nginx")
    all_alike(t, ns, "nginx")


@test("audit/mldsa")
def mldsa_hub(t):
    """A second signature of 3309 bytes, behind a certificate that is long enough."""
    ns = stage(t)
    site(t, ns, **dict(zip(("cert", "key"), big_certificate(t))))
    conf = reality(mldsa65Seed="AQ" + "A" * 41)
    start(t, peers.GARENNE, ns, conf)
    look = audit(t, ns, conf)
    look.must("ok", "ML-DSA-65")
    look.must("ok", "replayed hello", "as the target")
    look.must_not("FAIL")


@test("audit/plain")
def plain(t):
    """VLESS that everybody on the way can read."""
    ns = stage(t)
    conf = hub({})
    conf["inbounds"][0]["listen"] = "0.0.0.0"
    conf["inbounds"][0]["settings"]["clients"][0].pop("flow")
    look = audit(t, ns, conf, "-offline")
    look.must("FAIL", "security")
    if look.code != 1:
        raise LabError(f"ended with {look.code}: {look.text}")


@test("audit/tls")
def tls_hub(t):
    """Every probe is answered as by a bare server, or by the fallback."""
    ns = stage(t)
    web(t, ns)
    conf = tls(t)
    start(t, peers.GARENNE, ns, conf)
    look = audit(t, ns, conf)
    look.must_not("FAIL")
    if look.code != 0 or len([1 for g, m, s in look.lines if s.startswith("as ")]) < 15:
        raise LabError(f"{look.code}: {look.text[-1500:]}")


@test("audit/pretender")
def pretender(t):
    """What answers by itself where the target would is told from it."""
    ns = stage(t)
    site(t, ns)
    ctx = context(t, alpn=("http/1.1",))

    def serve(_srv, c, _peer):
        with contextlib.suppress(OSError), ctx.wrap_socket(c, server_side=True) as s:
            s.recv(100)
    t.server(traffic.Server, ns, serve, 443, HUB)
    look = audit(t, ns, reality())
    look.must("FAIL", "page, HTTP/1.1")
    look.must("note", "HTTP/2 preface")
    if look.code != 1:
        raise LabError(f"ended with {look.code}")


@test("audit/planted")
def planted(t):
    """Each fault alone; the same line is not there without it."""
    ns = stage(t)
    own = self_signed(t)
    sound = {}
    s = site(t, ns)
    sound["reality"] = audit(t, ns, reality())
    s.close()
    w = web(t, ns)
    sound["tls"] = audit(t, ns, tls(t))
    w.close()
    h1 = [{"dest": f"{WEB}:80"}, {"alpn": "h2", "dest": f"{WEB}:80"}]
    table = [
        ("target of TLS 1.2", {"max12": True}, reality(), ("FAIL", "TLS 1.3")),
        ("target asks again", {"retry": True}, reality(), ("FAIL", "key exchange")),
        ("name not in the certificate", {}, reality(serverNames=["other.test"]),
         ("FAIL", "certificate", "not for other.test")),
        ("target leads elsewhere", {"location": "https://example.com/"}, reality(),
         ("FAIL", "redirect")),
        ("short ids empty", {}, reality(shortIds=[""]), ("warn", "shortIds")),
        ("another port", {}, reality(port=8443), ("warn", "port")),
        ("small certificate with ML-DSA", {}, reality(mldsa65Seed="AQ" + "A" * 41),
         ("FAIL", "ML-DSA-65")),
        ("no flow", {}, reality(flow=None), ("warn", "flow")),
        ("any client's version", {}, reality(minClientVer=""), ("note", "minClientVer")),
        ("any client's clock", {}, reality(maxTimeDiff=0), ("note", "maxTimeDiff")),
        ("target with its own certificate", {"cert": own[0], "key": own[1]}, reality(),
         ("FAIL", "certificate", "signed by itself")),
        ("no fallback", None, tls(t, fallbacks=[]), ("FAIL", "fallbacks")),
        ("fallback for what is not offered", None, tls(t, alpn=["http/1.1"], fallbacks=h1),
         ("FAIL", "ALPN")),
        ("no fallback for h2", None, tls(t, fallbacks=[{"dest": f"{WEB}:80"}]),
         ("warn", "ALPN")),
        ("own certificate", None, tls(t, *own), ("FAIL", "certificate", "signed by itself")),
    ]
    for name, target, conf, want in table:
        with t.cell(name):
            kind = "tls" if target is None else "reality"
            s = web(t, ns) if target is None else site(t, ns, **target)
            look = audit(t, ns, conf)
            s.close()
            look.must(*want)
            if sound[kind].has(*want):
                raise LabError(f"{want} is found without the fault, too")


@test("audit/h1-behind-h2")
def h1_behind_h2(t):
    """h2 is agreed on, and the fallback knows only HTTP/1: no static reading shows it."""
    ns = stage(t)
    web(t, ns, h2=False)
    conf = tls(t)
    start(t, peers.GARENNE, ns, conf)
    audit(t, ns, conf).must("FAIL", "HTTP/2 preface", "nobody speaks it")


@test("audit/xray", needs=(peers.XRAY,))
def xray_hub(t):
    """The same file run by Xray: what it answers to the probes, for comparison."""
    ns = stage(t)
    site(t, ns)
    conf = reality()
    start(t, peers.XRAY, ns, conf)
    look = audit(t, ns, conf)
    same = [m for g, m, s in look.lines if g == "ok" and s.startswith("as the target")]
    unlike = [m for g, m, s in look.lines if s.startswith("unlike")]
    t.note(f"{len(same)} kinds of probes answered as by the target; unlike it: "
           f"{', '.join(unlike) or 'none'}")
    if len(same) + len(unlike) < 20:
        raise LabError(look.text[-1500:])
