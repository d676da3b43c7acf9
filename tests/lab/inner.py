"""What goes through the tunnels of XTLS: TLS of either version with bulk inside, HTTP/2
by nginx and curl, and TLS whose records can be looked at.
"""
import hashlib
import os
import ssl
import struct
import subprocess

from . import LabError, peers, traffic

MIB = traffic.MIB
NAME = "vps.test"
HTTPS = 8443


def server_context(pki, version):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(pki.cert, pki.key)
    c.minimum_version = c.maximum_version = version
    return c


def client_context(pki, version=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(pki.ca)
    if version:
        c.minimum_version = c.maximum_version = version
    return c


class TlsServer(traffic.Server):
    """Serves its handler behind TLS."""

    def __init__(self, ns, handler, pki, version, **kw):
        self.context = server_context(pki, version)
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


def check_tls(via, host, srv, pki, size):
    """Small exchanges, a lot one way, a lot the other way, and small ones again."""
    with via.tcp(host, srv.port) as raw:
        raw.settimeout(60)
        with client_context(pki, srv.context.maximum_version).wrap_socket(
                raw, server_hostname=NAME) as s:
            for n in range(40):
                download(s, n)
                upload(s, n * 37)
            download(s, size)
            upload(s, size)
            for n in range(10):
                upload(s, n * 100)
                download(s, n * 1000)


def check_many(via, host, srv, pki, n=100, may_fail=0):
    """The switch in @n connections, twenty at once, each with a burst behind it."""
    failed = []

    def one(i):
        with via.tcp(host, srv.port) as raw:
            raw.settimeout(60)
            with client_context(pki).wrap_socket(raw, server_hostname=NAME) as s:
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
    """Xray 1.8.24 now and then mixes up the bytes around its own switch, in two of 900
    connections between two of its kind: what fails with it gets another try."""
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


def curl(t, ns, host, proxy, *more):
    path = peers.tool("curl")
    argv = [path, "-sS", "--fail", "--max-time", "100", "--http2", "--cacert", t.pki.ca,
            "--resolve", f"{NAME}:{HTTPS}:{host}", "--socks5", proxy, *more]
    with ns.inside():
        p = subprocess.run(argv, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    if p.returncode:
        raise LabError(f"curl {p.returncode}: {p.stderr.decode().strip()[:200]}")
    return p.stdout


def check_http2(t, ns, host, proxy, web):
    """A file down and up again, then pieces of it at once on one connection's window."""
    url = f"https://{NAME}:{HTTPS}"
    got = curl(t, ns, host, proxy, "-w", "%{http_version}", url + "/big")
    if got[-1:] != b"2" or got[:-1] != web.body:
        raise LabError(f"HTTP/2 download: {len(got)} bytes, version {got[-1:]!r}")
    path = t.write("upload", "")
    with open(path, "wb") as f:
        f.write(web.body)
    curl(t, ns, host, proxy, "-T", path, url + "/in/file")
    os.unlink(path)
    with open(os.path.join(web.dir, "in", "file"), "rb") as f:
        if hashlib.sha256(f.read()).digest() != hashlib.sha256(web.body).digest():
            raise LabError("HTTP/2 upload: the file differs")
    piece = min(len(web.body), 4 * MIB)
    out = curl(t, ns, host, proxy, "--parallel", "-r", f"0-{piece - 1}", "-w", "%{size_download} ",
               *[x for i in range(4) for x in (url + "/big", "-o", "/dev/null")])
    if out.split() != [b"%d" % piece] * 4:
        raise LabError(f"four downloads at once: {out!r}")


class InnerTls:
    """A TLS client whose records can be looked at: what it sent and got, as it was."""

    def __init__(self, sock, pki, protocols=None):
        self.sock, self.sent, self.got = sock, bytearray(), bytearray()
        self.inp, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = client_context(pki)
        if protocols:
            context.set_alpn_protocols(protocols)
            context.options &= ~0x10     # SSL_OP_TLSEXT_PADDING would make hellos alike
        self.o = context.wrap_bio(self.inp, self.out, server_hostname=NAME)
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
