"""REALITY, our server: stock clients of every kind in front of targets of every kind;
strangers, who must see the target and nothing else; and what the log says of clients
whose settings are wrong.
"""
import contextlib
import hashlib
import os
import random
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

from . import LabError, Skip, configs, netns, peers, traffic
from .harness import add
from .peers import GARENNE, SING_BOX, XRAY, XRAY_OLD
from .proc import until
from .scene import clock_shifted, expect

PRIVATE, PUBLIC = configs.REALITY_PRIVATE, configs.REALITY_PUBLIC
PRIVATE_OLD = "ERERERERERERERERERERERERERERERERERERERERERE"
NAME = "www.target.test"
SHORT = configs.REALITY_SHORT
FINGERPRINTS = ("chrome", "firefox", "safari", "ios", "edge")
SERVER, SOCKS, TARGET = 1443, 1080, 8443
LOOP = "127.0.0.1"


def tool(name):
    path = peers.tool(name)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


def certificate(t, kind):
    """A self-signed certificate for the target: nobody looks at who signed it."""
    new = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}[kind]
    cert, key = (os.path.join(t.dir, f"{kind}-{n}.pem") for n in ("cert", "key"))
    netns.run(["openssl", "req", "-x509", "-newkey", *new, "-nodes", "-days", "30", "-keyout",
               key, "-out", cert, "-subj", f"/CN={NAME}", "-addext",
               f"subjectAltName=DNS:{NAME}"])
    return cert, key


NGINX = """daemon off; master_process off; pid {own}/pid; error_log {dir}/nginx.log;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {own}/body; proxy_temp_path {own}/p;
  fastcgi_temp_path {own}/f; uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;
  client_header_timeout {wait}; client_body_timeout 2s; client_max_body_size 64m;
  server {{
    listen {listen} ssl{more}; http2 on;
    server_name {name}; ssl_certificate {cert}; ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{ return 200 "the target's page\\n"; }}
    location /big {{ root {dir}; }}
  }}
}}
"""


def nginx(t, ns, port, kind="ecdsa", more="", wait="2s"):
    cert, key = certificate(t, kind)
    own = tempfile.mkdtemp()    # its folders do not belong among the test's files
    t.defer(shutil.rmtree, own, True)
    text = NGINX.format(dir=t.dir, own=own, listen=f"{LOOP}:{port}", name=NAME, cert=cert, key=key,
                        more=more, wait=wait)
    path = tool("nginx")
    version = subprocess.run([path, "-v"], capture_output=True, text=True).stderr
    if tuple(int(x) for x in version.split("/")[1].split()[0].split(".")) < (1, 25, 1):
        text = text.replace("; http2 on;", " http2;")
    conf = t.write(f"nginx-{port}.conf", text)
    return t.spawn(ns, [path, "-c", conf, "-p", t.dir], f"nginx-{port}").wait_listening(
        [("tcp", port)])


def s_server(t, ns, port, kind, suite):
    cert, key = certificate(t, kind)
    return t.spawn(ns, [tool("openssl"), "s_server", "-accept", f"{LOOP}:{port}", "-cert", cert,
                        "-key", key, "-ciphersuites", suite, "-www", "-quiet"],
                   f"s_server-{port}").wait_listening([("tcp", port)])


def server(port=SERVER, target=f"{LOOP}:{TARGET}", **more):
    return configs.inbound(f"in{port}", "vless", LOOP, port, {
        "decryption": "none", "clients": [{"id": configs.UUID_A}]}, streamSettings={
            "network": "tcp", "security": "reality", "realitySettings": {
                "target": target, "serverNames": [NAME, ""], "privateKey": PRIVATE,
                "shortIds": [SHORT, "ab"], **more}})


def client(tag, port=SERVER, **more):
    return configs.outbound(tag, "vless", {"vnext": [{"address": LOOP, "port": port, "users": [
        {"id": configs.UUID_A, "encryption": "none"}]}]}, streamSettings={
            "network": "tcp", "security": "reality", "realitySettings": {
                "fingerprint": "chrome", "serverName": NAME, "password": PUBLIC,
                "publicKey": PUBLIC, "shortId": SHORT, **more}})


class Stage:
    """One host: a target, ours, and a stock client with a SOCKS port for each outbound."""

    def __init__(self, t):
        t.need(GARENNE)
        self.t = t
        self.net = t.net(netns.Solo)
        self.ns = self.net.host
        self.bulk = t.server(traffic.Server, self.ns, traffic.serve_bulk, 0, LOOP)
        self.echo = t.server(traffic.Server, self.ns, traffic.serve_echo, 0, LOOP)

    def ours(self, *inbounds, env=None, name="ours"):
        conf = configs.config(inbounds, [configs.freedom()], level="debug")
        self.p = self.t.program(GARENNE, self.ns, conf, name, env=env)
        return self.p

    def theirs(self, *outbounds, name="xray", peer=XRAY):
        ins = [configs.socks_in(f"s-{o['tag']}", LOOP, SOCKS + i)
               for i, o in enumerate(outbounds)]
        rules = [configs.rule(o["tag"], inboundTag=[f"s-{o['tag']}"]) for o in outbounds]
        self.t.program(peer, self.ns, configs.config(ins, outbounds, rules, level="debug"), name)
        return [traffic.Socks5(self.ns, LOOP, SOCKS + i) for i in range(len(outbounds))]

    def connect(self, port=SERVER):
        s = self.ns.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.settimeout(traffic.WAIT)
        s.connect((LOOP, port))
        return s

    def passes(self, via, size=traffic.MIB):
        for ender in ("client", "server"):
            traffic.check_bulk(via, self.bulk, LOOP, size=size, ender=ender, strict=False)


# ---- clients and targets -------------------------------------------------


def fingerprints(t):
    s = Stage(t)
    nginx(t, s.ns, TARGET)
    s.ours(server())
    vias = s.theirs(*(client(fp, fingerprint=fp) for fp in FINGERPRINTS))
    for fp, via in zip(FINGERPRINTS, vias):
        with t.cell(fp):
            s.passes(via, 64 * traffic.MIB if fp == "chrome" else 4 * traffic.MIB)
    with t.cell("randomized"):
        randomized(t, s)


def randomized(t, s):
    """A hello drawn by lot, once for each start. Some of them no server takes, ours no more
    than its target: then another is drawn."""
    port = SOCKS + len(FINGERPRINTS)
    for n in range(6):
        conf = configs.config([configs.socks_in("in", LOOP, port)],
                              [client("randomized", fingerprint="randomized")], level="debug")
        p = t.program(XRAY, s.ns, conf, f"xray-randomized-{n}")
        s.p.mark()
        try:
            s.passes(traffic.Socks5(s.ns, LOOP, port), 4 * traffic.MIB)
            return
        except (LabError, OSError):
            if "it refuses the ClientHello with an alert" not in s.p.log_since_mark():
                raise
        p.kill()
        p.wait_exit()
    raise LabError("the target took none of six hellos")


def without_hybrid(t, peer, *prints):
    """The clients of an older Xray and of sing-box, which have no hybrid key shares."""
    s = Stage(t)
    nginx(t, s.ns, TARGET)
    s.ours(server())
    vias = s.theirs(*(client(fp, fingerprint=fp) for fp in prints), peer=peer)
    for fp, via in zip(prints, vias):
        with t.cell(fp):
            s.passes(via, 4 * traffic.MIB)


def ourselves(t):
    """Our own client, with the flow and without, with ML-DSA-65, in front of both shapes."""
    s = Stage(t)
    seed, verify = mldsa_keys()
    nginx(t, s.ns, TARGET)
    Shape(t, s.ns, flight([3900]), TARGET + 1)
    vision_in = server(SERVER + 1)
    vision_in["settings"]["clients"][0]["flow"] = "xtls-rprx-vision"
    s.ours(server(), vision_in, server(SERVER + 2, f"{LOOP}:{TARGET + 1}", mldsa65Seed=seed))
    vision_out = client("vision", SERVER + 1)
    vision_out["settings"]["vnext"][0]["users"][0]["flow"] = "xtls-rprx-vision"
    outs = [client("chrome"), client("firefox", fingerprint="firefox"), vision_out,
            client("mldsa", SERVER + 2, mldsa65Verify=verify), client("refused", shortId="ff")]
    for o in outs:      # one of the two names is enough, and said so
        o["streamSettings"]["realitySettings"].pop("publicKey")
    vias = s.theirs(*outs, peer=GARENNE, name="client")
    for o, via in list(zip(outs, vias))[:4]:
        with t.cell(o["tag"]):
            s.passes(via, 4 * traffic.MIB)
    with t.cell("refused"):
        expect(not traffic.works(vias[4], LOOP, s.echo.port), "the client got through")
        s.p.wait_log("Warning.*short id is not in")


def mldsa_keys():
    seed = "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI"
    out = subprocess.run([GARENNE.path, "mldsa65", "-i", seed], capture_output=True, text=True,
                         check=True).stdout
    return seed, next(line.split(":")[1].strip() for line in out.split("\n")
                      if line.startswith("Verify"))


def targets(t):
    s = Stage(t)
    kinds = [(f"{cert}, {suite}", TARGET + i, cert, suite) for i, (cert, suite) in enumerate(
        [("ecdsa", "TLS_AES_128_GCM_SHA256"), ("rsa", "TLS_AES_256_GCM_SHA384"),
         ("rsa", "TLS_CHACHA20_POLY1305_SHA256"), ("ecdsa", "TLS_AES_256_GCM_SHA384")])]
    for _, port, cert, suite in kinds:
        s_server(t, s.ns, port, cert, suite)
    s.ours(*(server(SERVER + i, f"{LOOP}:{k[1]}") for i, k in enumerate(kinds)))
    vias = s.theirs(*(client(f"out{i}", SERVER + i) for i in range(len(kinds))))
    for (name, *_), via in zip(kinds, vias):
        with t.cell(name):
            s.passes(via)


class Shape:
    """A target that is only a shape: what it answers to a ClientHello is made up."""

    def __init__(self, t, ns, answer, port=TARGET):
        self.answer, self.heard = answer, []
        t.server(traffic.Server, ns, self.serve, port, LOOP)

    def serve(self, _srv, c, _peer):
        head = traffic.recv_exact(c, 5)
        hello = traffic.recv_exact(c, struct.unpack("!H", head[3:])[0])
        self.heard.append(hello)
        c.sendall(self.answer(hello))
        with contextlib.suppress(OSError):
            while c.recv(4096):
                pass


def record(kind, body):
    return bytes([kind, 3, 3]) + struct.pack("!H", len(body)) + body


def server_hello(hello, group, share, version=0x0304, suite=0x1301, random=None):
    exts = struct.pack("!HHHHHHH", 51, len(share) + 4, group, len(share), 0, 0, 0)[:8] + share
    exts += struct.pack("!HHH", 43, 2, version)
    body = b"\3\3" + (random or os.urandom(32)) + b"\x20" + hello[39:71]
    body += struct.pack("!HBH", suite, 0, len(exts)) + exts
    return record(22, b"\2" + len(body).to_bytes(3, "big") + body)


CCS = b"\x14\3\3\0\1\1"
X25519, HYBRID, P256 = 29, 0x11ec, 23


def flight(lengths, group=X25519, share=32, **kw):
    def answer(hello):
        out = server_hello(hello, group, os.urandom(share), **kw) + CCS
        return out + b"".join(record(23, os.urandom(n - 5)) for n in lengths)
    return answer


def shapes(t):
    """Merged and separate flights, either group, an extra record at the end, the shortest
    flight that there can be (no browser offers Ed25519, so no real target makes it)."""
    for name, answer in (("merged", flight([3900])),
                         ("merged, hybrid", flight([700], HYBRID, 1120)),
                         ("separate", flight([36, 1200, 101, 58])),
                         ("separate, hybrid", flight([32, 900, 280, 58], HYBRID, 1120)),
                         ("separate, SHA-384", flight([32, 900, 280, 74], suite=0x1302)),
                         ("separate, as with Ed25519", flight([28, 213, 94, 58])),
                         ("separate and one more", flight([36, 1200, 101, 58, 255]))):
        with t.cell(name):
            s = Stage(t)
            Shape(t, s.ns, answer)
            s.ours(server(), name="ours-" + name.replace(" ", "-"))
            via, = s.theirs(client("out"), name="xray-" + name.replace(" ", "-"))
            s.passes(via)


RETRY = hashlib.sha256(b"HelloRetryRequest").digest()


def unusable(t):
    """What cannot be mirrored is passed on, with a line that says why."""
    cases = (("alert", lambda h: b"\x15\3\3\0\2\2\x28", "refuses the ClientHello"),
             ("TLS 1.2", flight([600], version=0x0303), "does not agree on TLS 1.3"),
             ("retry", flight([600], random=RETRY, share=0), "(?i)HelloRetryRequest|ServerHello"),
             ("P-256", flight([600], P256, 65), "neither X25519"),
             ("HTTP", lambda h: b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer with TLS"),
             ("long record", flight([8300]), "more than 8192"),
             ("short records", flight([28, 100, 94, 58]), "target's record for Certificate"))
    s = Stage(t)
    for i, (_, answer, _) in enumerate(cases):
        Shape(t, s.ns, answer, TARGET + i)
    s.ours(*(server(SERVER + i, f"{LOOP}:{TARGET + i}") for i in range(len(cases))))
    vias = s.theirs(*(client(f"out{i}", SERVER + i) for i in range(len(cases))))
    for (name, _, words), via in zip(cases, vias):
        with t.cell(name):
            expect(not traffic.works(via, LOOP, s.echo.port), "the client got through")
            s.p.wait_log(words)


def cut_up(t):
    """The ClientHello of a genuine client over many records, byte by byte, and behind a
    PROXY header."""
    s = Stage(t)
    nginx(t, s.ns, TARGET)
    behind = server(SERVER + 1)
    behind["streamSettings"]["tcpSettings"] = {"acceptProxyProtocol": True}
    s.ours(server(), behind)

    def splitter(cut, to=SERVER):
        def serve(_srv, c, _peer):
            head = traffic.recv_exact(c, 5)
            hello = traffic.recv_exact(c, struct.unpack("!H", head[3:])[0])
            with s.connect(to) as o:
                cut(o, head, hello)
                back = threading.Thread(target=pump, args=(o, c), daemon=True)
                back.start()
                pump(c, o)
                back.join()
        return t.server(traffic.Server, s.ns, serve, 0, LOOP).port

    def records(o, _head, hello):
        for at in range(0, len(hello), 100):
            o.sendall(record(22, hello[at:at + 100]).replace(b"\x16\3\3", b"\x16\3\1", 1))

    def bytewise(o, head, hello):
        for b in head + hello:
            o.sendall(bytes([b]))

    def headed(o, head, hello):
        o.sendall(b"PROXY TCP4 192.0.2.77 192.0.2.1 5555 443\r\n" + head + hello)

    cuts = (("records of 100", splitter(records)), ("byte by byte", splitter(bytewise)),
            ("PROXY header", splitter(headed, SERVER + 1)))
    vias = s.theirs(*(client(f"cut{i}", port) for i, (_, port) in enumerate(cuts)))
    for (name, _), via in zip(cuts, vias):
        with t.cell(name):
            s.passes(via)
    s.p.wait_log("from 192.0.2.77:5555 accepted")


def pump(src, dst):
    with contextlib.suppress(OSError):
        while part := src.recv(65536):
            dst.sendall(part)
        dst.shutdown(socket.SHUT_WR)


def lengths(data):
    """Total lengths of the records in @data, application data only."""
    out = []
    while len(data) >= 5:
        n = 5 + struct.unpack("!H", data[3:5])[0]
        if data[0] == 23:
            out.append(n)
        data = data[n:]
    return out


def manners(t):
    """After the handshake the client gets records like those that the target sends then."""
    s = Stage(t)
    nginx(t, s.ns, TARGET)
    p = s.ours(server())
    for alpn in ("no ALPN", "http/1.1", "h2"):
        p.wait_log(f'for "{NAME}" with {alpn} the target sends', 20)
    tap = t.server(traffic.Tap, s.ns, 0, (LOOP, SERVER), LOOP)
    direct = t.server(traffic.Tap, s.ns, 0, (LOOP, TARGET), LOOP)
    t.spawn(s.ns, ["sh", "-c", f"sleep 30 | openssl s_client -connect {LOOP}:{direct.port} -alpn "
                   f"h2,http/1.1 -servername {NAME} -ciphersuites TLS_AES_128_GCM_SHA256"], "direct")
    # two tickets and the settings of HTTP/2
    until(lambda: direct.conns and len(lengths(bytes(direct.conns[0][1]))) >= 7, 10, "the target")
    seen = lengths(bytes(direct.conns[0][1]))[:7]
    via, = s.theirs(client("out", tap.port))
    traffic.check_echo(via, LOOP, s.echo.port)
    got = lengths(bytes(tap.conns[0][1]))
    # the first four are the handshake; ECDSA makes signatures of several lengths
    expect(got[3:7] == seen[3:], f"the target sends {seen}, ours {got}")


def patience(t):
    """How many change_cipher_spec records a target takes is found out: one that counts, in
    front of nginx, for each of the known limits, one that does not, and nginx itself."""
    s = Stage(t)
    nginx(t, s.ns, TARGET, wait="60s")
    limits = (1, 16, 32, None)

    def counting(limit):
        def serve(_srv, c, _peer):
            with s.connect(TARGET) as o:
                back = threading.Thread(target=pump, args=(o, c), daemon=True)
                back.start()
                seen = 0
                with contextlib.suppress(OSError, LabError):
                    while True:
                        head = traffic.recv_exact(c, 5)
                        body = traffic.recv_exact(c, struct.unpack("!H", head[3:])[0])
                        seen += head[0] == 20
                        if limit and seen > limit:
                            c.sendall(b"\x15\3\3\0\2\2\x0a")
                            break
                        if seen < 2:    # nginx has a limit of its own
                            o.sendall(head + body)
        return t.server(traffic.Server, s.ns, serve, 0, LOOP).port
    ports = [counting(n) for n in limits] + [TARGET]
    programs = [s.ours(server(SERVER + i, f"{LOOP}:{port}"), name=f"ours{i}")
                for i, port in enumerate(ports)]
    for limit, p in zip(limits, programs):
        with t.cell(str(limit)):
            p.wait_log(f'for "{NAME}" the target takes {limit or "any number of"} '
                       "change_cipher_spec", 20)
    with t.cell("nginx"):
        # OpenSSL bears 32 records that bring nothing
        programs[-1].wait_log(f'for "{NAME}" the target takes 32 change_cipher_spec', 20)


def key_log(t):
    """masterKeyLog on both sides: the same secrets, under the same random."""
    s = Stage(t)
    nginx(t, s.ns, TARGET)
    near, far = (os.path.join(t.dir, f"{n}.keys") for n in ("near", "far"))
    p = s.ours(server(masterKeyLog=far))
    via, = s.theirs(client("out", masterKeyLog=near), peer=GARENNE, name="client")
    traffic.check_echo(via, LOOP, s.echo.port)
    p.wait_log("Warning.*masterKeyLog is set: whoever reads")

    def lines(path):
        with open(path) as f:
            return sorted(line for line in f.read().split("\n") if line)
    expect(len(lines(near)) == 4 and lines(near) == lines(far),
           f"{lines(near)} and {lines(far)}")
    expect(os.stat(far).st_mode & 0o077 == 0, "others may read it")


# ---- strangers -----------------------------------------------------------


def tls_talk(s, name, request, version=None):
    """A whole HTTPS exchange; how it goes is for the taps to compare."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if version:
        c.maximum_version = version
    with contextlib.suppress(OSError, ssl.SSLError), c.wrap_socket(
            s, server_hostname=name, suppress_ragged_eofs=True) as w:
        w.sendall(request)
        while w.recv(65536):
            pass


def hello_bytes(name=NAME, sid=True, extra=0):
    """A ClientHello that looks right and opens under no key."""
    def ext(kind, body):
        return struct.pack("!HH", kind, len(body)) + body
    host = name.encode()
    exts = ext(0, struct.pack("!HBH", len(host) + 3, 0, len(host)) + host)
    exts += ext(10, b"\0\2\0\x1d") + ext(13, b"\0\4\4\3\x08\4") + ext(43, b"\2\3\4")
    exts += ext(51, b"\0\x24\0\x1d\0\x20" + bytes(range(1, 33)))
    exts += ext(21, bytes(extra)) if extra else b""
    body = b"\3\3" + bytes(range(32)) + (b"\x20" + b"\x55" * 32 if sid else b"\0")
    body += b"\0\2\x13\1\1\0" + struct.pack("!H", len(exts)) + exts
    return b"\1" + len(body).to_bytes(3, "big") + body


def hello_records(hello, each=16384):
    return b"".join(b"\x16\3\1" + struct.pack("!H", len(hello[a:a + each])) + hello[a:a + each]
                    for a in range(0, len(hello), each))


GET = b"GET / HTTP/1.1\r\nHost: " + NAME.encode() + b"\r\nConnection: close\r\n\r\n"
GET_BIG = GET.replace(b"GET / ", b"GET /big ")
POST = (b"POST / HTTP/1.1\r\nHost: " + NAME.encode() +
        b"\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n" + bytes(1 << 20))


def sends(data, then=None, step=None):
    def probe(s):
        for at in range(0, len(data), step or len(data) or 1):
            s.sendall(data[at:at + (step or len(data))])
        if then == "fin":
            s.shutdown(socket.SHUT_WR)
        elif then == "rst":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
            return
        with contextlib.suppress(OSError):
            while s.recv(65536):
                pass
    return probe


def talks(name, request, version=None):
    return lambda s: tls_talk(s, name, request, version)


HELLO = hello_bytes()
PROBES = {
    "https": talks(NAME, GET),
    "https, 8 MiB": talks(NAME, GET_BIG),
    "https, POST of 1 MiB": talks(NAME, POST),
    "another name": talks("other.test", GET),
    "no name": talks(None, GET),
    "TLS 1.2": talks(NAME, GET, ssl.TLSVersion.TLSv1_2),
    "http": sends(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "garbage": sends(bytes((i * 37 + 11) & 255 for i in range(700))),
    "nothing, FIN": sends(b"", "fin"),
    "nothing": sends(b""),
    "half a hello, FIN": sends(hello_records(HELLO)[:90], "fin"),
    "half a hello": sends(hello_records(HELLO)[:90]),
    "hello, FIN": sends(hello_records(HELLO), "fin"),
    "hello": sends(hello_records(HELLO)),
    "hello, RST": sends(hello_records(HELLO), "rst"),
    "hello byte by byte": sends(hello_records(HELLO), step=1),
    "hello in records of 7": sends(hello_records(HELLO, 7)),
    "hello without session id": sends(hello_records(hello_bytes(sid=False))),
    "hello of 24 KiB": sends(hello_records(hello_bytes(extra=24 << 10))),
    "record of 65535": sends(b"\x16\3\1\xff\xff" + HELLO),
    "wrong version": sends(b"\x16\2\0" + struct.pack("!H", len(HELLO)) + HELLO),
    "alert first": sends(b"\x15\3\1\0\2\2\x28"),
    "ssh": sends(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "two hellos": sends(hello_records(HELLO) * 2),
}


def probe_once(s, tap, port, probe):
    """What passed on both sides of ours: sent and got here, heard and said by the target."""
    before = len(tap.conns)
    near = traffic.Tap(s.ns, 0, (LOOP, port), LOOP, 1 << 24)
    try:
        with s.connect(near.port) as c:
            probe(c)
        until(lambda: near.conns and near.conns[0][2], traffic.WAIT, "the probe is over")
        sent, got = near.conns[0][0], near.conns[0][1]
    finally:
        near.close()
    until(lambda: len(tap.conns) > before and tap.conns[before][2], traffic.WAIT,
          "the target's side is over")
    return [bytes(b) for b in (sent, got, tap.conns[before][0], tap.conns[before][1])]


def sockets(p):
    fds = f"/proc/{p.pid}/fd"
    n = 0
    for fd in os.listdir(fds):
        with contextlib.suppress(OSError):
            n += os.readlink(os.path.join(fds, fd)).startswith("socket:")
    return n


def strangers(t):
    """Each probe twice: at the target and at ours. On both sides of ours the same bytes
    must pass, and where the target's answer is always the same, so must ours be."""
    s = Stage(t)
    with open(os.path.join(t.dir, "big"), "wb") as f:
        f.write(os.urandom(8 << 20))
    nginx(t, s.ns, TARGET)
    tap = t.server(traffic.Tap, s.ns, 0, (LOOP, TARGET), LOOP, 1 << 24)
    p = s.ours(server(target=f"{LOOP}:{tap.port}"))
    # what ours asks the target at its start must not be taken for a probe of ours
    until(lambda: p.log().count(" the target sends") == 6 and
          len(re.findall("change_cipher_spec|h2, counting", p.log())) == 2, 30,
          "the target's manners")
    held = sockets(p)
    for name, probe in PROBES.items():
        with t.cell(name):
            _, d_got, d_up, _ = probe_once(s, tap, tap.port, probe)
            sent, got, up, down = probe_once(s, tap, SERVER, probe)
            if "RST" not in name:
                expect(sent == up, f"{len(sent)} bytes sent, the target heard {len(up)}")
                expect(got == down, f"the target said {len(down)} bytes, {len(got)} came")
            expect(up[:5] == d_up[:5], "the probe is another one")
            if probe.__qualname__.startswith("sends"):
                # a signature by ECDSA may be two bytes longer than another
                expect(abs(len(got) - len(d_got)) <= 4 and got[:1] == d_got[:1],
                       f"the target answers {d_got[:40]!r}, ours {got[:40]!r}")
    with t.cell("nothing is left open"):
        until(lambda: sockets(p) <= held, 10, f"connections are closed, down to {held} sockets")


def mutations(t):
    """The recorded beginning of a genuine connection: again as it was, which brings the
    replayer an answer that he cannot read, and damaged in a thousand ways."""
    s = Stage(t)
    nginx(t, s.ns, TARGET)
    p = s.ours(server())
    tap = t.server(traffic.Tap, s.ns, 0, (LOOP, SERVER), LOOP)
    via, = s.theirs(client("out", tap.port), peer=GARENNE, name="client")
    traffic.check_echo(via, LOOP, s.echo.port)
    said = bytes(tap.conns[0][0])

    def play(data):
        got, end = b"", "reset"
        with s.connect() as c, contextlib.suppress(OSError):
            c.sendall(data)
            c.shutdown(socket.SHUT_WR)
            while part := c.recv(65536):
                got += part
            end = "eof"
        return got, end
    with t.cell("replayed"):
        p.mark()
        got, end = play(said)
        # the alert is like any server's: 24 bytes, and then an end
        expect(got[:1] == b"\x16" and end == "eof", f"{got[:20]!r}, {end}")
        expect(got[-24:-19] == b"\x17\3\3\0\x13", f"{got[-24:]!r}")
        p.wait_log("a client of version", since_mark=True)
    with t.cell("damaged"):
        draw = random.Random(1)
        for i in range(1000):
            data = bytearray(said[:draw.choice((len(said), 700, 2000, draw.randrange(len(said))))])
            for _ in range(draw.choice((1, 1, 2, 5, 40))):
                if data:
                    data[draw.randrange(len(data))] = draw.randrange(256)
            play(bytes(data))
        traffic.check_echo(via, LOOP, s.echo.port)


def half_open(t):
    """Half-close in either direction, with a target that does not speak TLS at all."""
    s = Stage(t)

    def late(_srv, c, _peer):
        data = b""
        while part := c.recv(65536):
            data += part
        c.sendall(hashlib.sha256(data).digest())

    def early(_srv, c, _peer):
        c.sendall(b"220 hello\r\n")
        c.shutdown(socket.SHUT_WR)
        data = b""
        while part := c.recv(65536):
            data += part
        heard.append(data)
    heard = []
    ports = [t.server(traffic.Server, s.ns, fn, 0, LOOP).port for fn in (late, early)]
    s.ours(*(server(SERVER + i, f"{LOOP}:{p}") for i, p in enumerate(ports)))
    data = os.urandom(3 << 20)
    with t.cell("the visitor finishes first"), s.connect() as c:
        c.sendall(data)
        c.shutdown(socket.SHUT_WR)
        expect(traffic.recv_exact(c, 32) == hashlib.sha256(data).digest(), "other bytes")
        expect(traffic.recv_end(c) == "eof", "no end")
    with t.cell("the target finishes first"), s.connect(SERVER + 1) as c:
        expect(traffic.recv_exact(c, 11) == b"220 hello\r\n", "no banner")
        expect(traffic.recv_end(c) == "eof", "no end")
        c.sendall(data)
        c.shutdown(socket.SHUT_WR)
        # not by this visitor alone: it is asked for its manners too
        until(lambda: data in heard, traffic.WAIT, "the target has heard all")


def stopping(t):
    """The program ends in the middle of everything: silent visitors, half a hello, joined
    strangers with bytes under way, a client whose target does not answer, one of ours."""
    s = Stage(t)
    nginx(t, s.ns, TARGET)
    hold = t.server(traffic.Server, s.ns, traffic.serve_hold, 0, LOOP)
    flood = t.server(traffic.Server, s.ns, traffic.serve_flood, 0, LOOP)
    p = s.ours(server(), server(SERVER + 1, f"{LOOP}:{hold.port}"),
               server(SERVER + 2, f"{LOOP}:{flood.port}"))
    ours = traffic.Socks5(s.ns, LOOP, SOCKS)
    s.theirs(client("out"), client("held", SERVER + 1), peer=GARENNE, name="client")
    with contextlib.ExitStack() as stack:
        def visit(port, data):
            c = stack.enter_context(s.connect(port))
            c.sendall(data)
            return c
        for port in (SERVER, SERVER + 1):
            for data in (b"", hello_records(HELLO)[:90], hello_records(HELLO), b"GET / HTTP/1.1\r\n"):
                visit(port, data)
        traffic.recv_exact(visit(SERVER + 2, b"garbage, and much of it"), 1000)
        live = stack.enter_context(ours.tcp(LOOP, s.echo.port))
        live.sendall(b"ping")
        expect(traffic.recv_exact(live, 4) == b"ping", "no echo")
        waiting = threading.Thread(target=traffic.works, daemon=True, args=(
            traffic.Socks5(s.ns, LOOP, SOCKS + 1), LOOP, s.echo.port, 30))
        waiting.start()
        p.wait_log(r"a client of version .* key 0(.|\n)*a client of version")
        blame = p.stop()
        expect(not blame, blame)


def no_target(t):
    """A target that is not there: the visitor is let go, and the log says why."""
    s = Stage(t)
    s.ours(server(target=f"{LOOP}:1"))
    with s.connect() as c:
        expect(traffic.recv_end(c) in ("eof", "reset"), "it did not end")
    s.p.wait_log("target cannot be reached")


def rates(t):
    """limitFallbackDownload and -Upload: slower than without them, and every byte."""
    s = Stage(t)
    blob = os.urandom(300_000)

    def serve(_srv, c, _peer):
        c.sendall(blob)
        got = b""
        while len(got) < len(blob):
            got += c.recv(65536)
        c.sendall(hashlib.sha256(got).digest())
    port = t.server(traffic.Server, s.ns, serve, 0, LOOP).port
    limit = {"afterBytes": 50_000, "bytesPerSec": 100_000, "burstBytesPerSec": 100_000}
    s.ours(server(target=f"{LOOP}:{port}", limitFallbackUpload=limit,
                  limitFallbackDownload=limit))
    with s.connect() as c:
        start = time.monotonic()
        expect(traffic.recv_exact(c, len(blob)) == blob, "other bytes")
        down = time.monotonic() - start
        c.sendall(blob)
        expect(traffic.recv_exact(c, 32) == hashlib.sha256(blob).digest(), "other bytes")
        up = time.monotonic() - start - down
    # 150 000 bytes are beyond what is free and the burst: a second and a half
    expect(down > 1.2, f"300 kB came down in {down:.2f} s")
    expect(up > 0.5, f"300 kB went up in {up:.2f} s")


def proxy_header(t):
    """xver: the header comes first, for strangers and for ours."""
    s = Stage(t)
    nginx(t, s.ns, TARGET, more=" proxy_protocol")
    tap = t.server(traffic.Tap, s.ns, 0, (LOOP, TARGET), LOOP)
    s.ours(server(target=f"{LOOP}:{tap.port}", xver=1),
           server(SERVER + 1, f"{LOOP}:{tap.port}", xver=2))
    vias = s.theirs(client("one"), client("two", SERVER + 1))
    v2 = b"\r\n\r\n\0\r\nQUIT\n"
    for via, start, own in zip(vias, (b"PROXY TCP4 127.0.0.1 127.0.0.1 ", v2 + b"\x21\x11"),
                               (b"PROXY UNKNOWN", v2 + b"\x20\0")):
        s.passes(via)
        expect(any(bytes(c[0]).startswith(start) for c in tap.conns), f"no {start}")
        # what the target does after a handshake is asked without anybody's address
        expect(any(bytes(c[0]).startswith(own) for c in tap.conns), f"no {own}")
    with s.connect() as c:
        port = c.getsockname()[1]
        tls_talk(c, NAME, GET)
    mine = [c for c in tap.conns if f"127.0.0.1 {port} {SERVER}\r\n".encode() in bytes(c[0][:80])]
    expect(mine and len(mine[0][1]) > 500, "the stranger was not answered")


# ---- keys and refusals ---------------------------------------------------


def public_of(t, private):
    out = subprocess.run([GARENNE.path, "x25519", "-i", private], capture_output=True, text=True,
                         check=True).stdout
    return next(line.split(":")[1].strip() for line in out.split("\n") if "ublic" in line)


def rotation(t):
    """Two keys during a change; short ids of every length; no server name."""
    s = Stage(t)
    nginx(t, s.ns, TARGET)
    old = public_of(t, PRIVATE_OLD)
    s.ours(server(privateKey=[PRIVATE, PRIVATE_OLD], shortIds=[SHORT, "ab", ""]))
    cases = {"new key": {}, "old key": {"password": old, "publicKey": old},
             "short id of one byte": {"shortId": "ab"}, "empty short id": {"shortId": ""},
             "no server name": {"serverName": LOOP}}
    vias = s.theirs(*(client(f"out{i}", **kw) for i, kw in enumerate(cases.values())))
    for name, via in zip(cases, vias):
        with t.cell(name):
            s.passes(via)


def mldsa(t):
    """A signature by ML-DSA-65 in the certificate, for clients that look and that do not."""
    s = Stage(t)
    seed, verify = mldsa_keys()
    Shape(t, s.ns, flight([3900]), TARGET)
    Shape(t, s.ns, flight([36, 4200, 101, 58]), TARGET + 1)
    s.ours(server(SERVER, mldsa65Seed=seed),
           server(SERVER + 1, f"{LOOP}:{TARGET + 1}", mldsa65Seed=seed),
           server(SERVER + 2))
    vias = s.theirs(client("merged", mldsa65Verify=verify),
                    client("separate", SERVER + 1, mldsa65Verify=verify),
                    client("careless", SERVER),
                    client("unsigned", SERVER + 2, mldsa65Verify=verify))
    for name, via in zip(("merged", "separate", "a client that does not look"), vias):
        with t.cell(name):
            s.passes(via)
    with t.cell("a server without"):
        expect(not traffic.works(vias[3], LOOP, s.echo.port), "the client got through")


def refusals(t):
    """A client with one wrong setting: which one is in the log; it gets the target."""
    s = Stage(t)
    nginx(t, s.ns, TARGET)
    stranger = public_of(t, PRIVATE_OLD)
    cases = (("short id", {"shortId": "ffff"}, {}, "Warning.*short id is not in"),
             ("server name", {"serverName": "other.test"}, {},
              "Warning.*not in .serverNames.*other.test"),
             ("key", {"password": stranger, "publicKey": stranger}, {},
              "Info.*a visitor, or a client with another .password"),
             ("clock", {}, {"maxTimeDiff": 60000}, "Warning.*clock differs"),
             ("old version", {}, {"minClientVer": "99.0.0"}, "Warning.*below .minClientVer"),
             ("new version", {}, {"minClientVer": "1.0.0", "maxClientVer": "1.8.0"},
              "Warning.*above .maxClientVer"))
    s.ours(*(server(SERVER + i, **c[2]) for i, c in enumerate(cases)),
           env=clock_shifted(t, 3600))
    vias = s.theirs(*(client(f"out{i}", SERVER + i, **c[1]) for i, c in enumerate(cases)))
    for (name, _, _, words), via in zip(cases, vias):
        with t.cell(name):
            expect(not traffic.works(via, LOOP, s.echo.port), "the client got through")
            s.p.wait_log(words)


add("reality-server/fingerprints", fingerprints, needs=(GARENNE, XRAY), limit=240)
add("reality-server/generations", without_hybrid, XRAY_OLD, "chrome", "firefox",
    needs=(GARENNE, XRAY_OLD))
add("reality-server/sing-box", without_hybrid, SING_BOX, *FINGERPRINTS, "qq",
    needs=(GARENNE, SING_BOX))
add("reality-server/ourselves", ourselves, needs=(GARENNE,))
add("reality-server/targets", targets, needs=(GARENNE, XRAY))
add("reality-server/shapes", shapes, needs=(GARENNE, XRAY))
add("reality-server/unusable-targets", unusable, needs=(GARENNE, XRAY))
add("reality-server/cut-up", cut_up, needs=(GARENNE, XRAY))
add("reality-server/manners", manners, needs=(GARENNE, XRAY))
add("reality-server/patience", patience, needs=(GARENNE,))
add("reality-server/key-log", key_log, needs=(GARENNE,))
add("reality-server/strangers", strangers, needs=(GARENNE,), limit=240)
add("reality-server/mutations", mutations, needs=(GARENNE,), limit=240)
add("reality-server/half-open", half_open, needs=(GARENNE,))
add("reality-server/stopping", stopping, needs=(GARENNE,))
add("reality-server/no-target", no_target, needs=(GARENNE,))
add("reality-server/rates", rates, needs=(GARENNE,))
add("reality-server/proxy-header", proxy_header, needs=(GARENNE, XRAY))
add("reality-server/rotation", rotation, needs=(GARENNE, XRAY))
add("reality-server/mldsa", mldsa, needs=(GARENNE, XRAY))
add("reality-server/refusals", refusals, needs=(GARENNE, XRAY))
