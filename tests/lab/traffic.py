"""Bytes and those who count them: servers, clients and checks of our own.

A *via* is a way to reach a target: directly, through a fixed port forward, or
through a SOCKS or HTTP proxy. tcp(host, port) gives a connected socket, udp() a
UdpFlow. Servers run in threads; their sockets live in the namespace they were
made for. Every blocking call has a time limit.
"""
import contextlib
import hashlib
import os
import random
import socket
import struct
import threading
import time

from . import LabError
from .proc import until

MIB = 1 << 20
CHUNK = 256 * 1024
WAIT = 15.0

# What bulk streams carry: a pattern whose length is prime, so that a lost, doubled or
# swapped piece shows up at its own place. The two directions start elsewhere in it.
_LEN = 1048573
_PAT = memoryview((lambda b: b + b[:CHUNK])(random.Random(11).randbytes(_LEN)))
_START = {"up": 0, "down": 77777}


def pattern(direction, off, n):
    at = (_START[direction] + off) % _LEN
    return _PAT[at:at + min(n, CHUNK)]


def recv_exact(s, n):
    buf = b""
    while len(buf) < n:
        part = s.recv(n - len(buf))
        if not part:
            raise LabError(f"closed after {len(buf)} of {n} expected bytes")
        buf += part
    return buf


def send_pattern(s, direction, total):
    off = 0
    while off < total:
        off += s.send(pattern(direction, off, total - off))


def recv_pattern(s, direction, total):
    """Receives and compares; LabError with the offset of the first wrong byte."""
    buf = memoryview(bytearray(CHUNK))
    off = 0
    while off < total:
        n = s.recv_into(buf, min(CHUNK, total - off))
        if n == 0:
            raise LabError(f"{direction}: closed after {off} of {total} bytes")
        if buf[:n] != pattern(direction, off, n):
            want = pattern(direction, off, n)
            bad = next(i for i in range(n) if buf[i] != want[i])
            raise LabError(f"{direction}: byte {off + bad} of {total} is wrong")
        off += n


def recv_end(s):
    """How the peer ends a connection on which nothing more is due: eof or reset."""
    try:
        part = s.recv(4096)
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except socket.timeout:
        return "timeout"
    return "eof" if part == b"" else f"{len(part)} more bytes"


def plain(addr):
    """An address as the other family's programs write it."""
    return addr[7:] if addr.startswith("::ffff:") else addr


# ---- servers -------------------------------------------------------------

class Server:
    """A TCP server on every address of a host (or on one), one thread a connection."""

    def __init__(self, ns, handler, port=0, addr="::", backlog=512):
        fam = socket.AF_INET6 if ":" in addr else socket.AF_INET
        self.s = ns.socket(fam, socket.SOCK_STREAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if addr == "::":
            self.s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.s.bind((addr, port))
        self.s.listen(backlog)
        self.port = self.s.getsockname()[1]
        self.handler, self.peers, self.ends, self.lock = handler, [], {}, threading.Lock()
        self.stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.stopped:
            try:
                c, peer = self.s.accept()
            except OSError:
                return
            self.peers.append((plain(peer[0]), peer[1]))
            threading.Thread(target=self._serve, args=(c, peer), daemon=True).start()

    def _serve(self, c, peer):
        c.settimeout(WAIT * 4)
        with c:
            with contextlib.suppress(OSError, LabError):
                self.handler(self, c, peer)

    def close(self):
        self.stopped = True
        with contextlib.suppress(OSError):
            self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()


def serve_bulk(srv, c, _peer):
    """Header: magic, id, flags, bytes up, bytes down. Both directions at once, then a
    verdict; with flag 1 the server closes first, else it notes how the client ends."""
    magic, ident, flags, up, down = struct.unpack("!4s8sIQQ", recv_exact(c, 32))
    if magic != b"LABB":
        raise LabError("not a bulk client")
    t = threading.Thread(target=_quiet, args=(send_pattern, c, "down", down), daemon=True)
    t.start()
    verdict = b"fine"
    try:
        recv_pattern(c, "up", up)
    except LabError as e:
        srv.ends[ident] = str(e)
        verdict = b"oops"
    t.join()
    c.sendall(verdict)
    if verdict == b"fine":
        srv.ends[ident] = "closed" if flags & 1 else recv_end(c)


BANNER = b"SSH-2.0-lab\r\n"


def serve_banner_bulk(srv, c, peer):
    """Speaks first, then serves bulk."""
    c.sendall(BANNER)
    serve_bulk(srv, c, peer)


def _quiet(fn, *args):
    with contextlib.suppress(OSError):
        fn(*args)


def serve_echo(_srv, c, _peer):
    while part := c.recv(CHUNK):
        c.sendall(part)


def serve_digest(_srv, c, _peer):
    """Answers only after the end of the request has been seen: needs half-close."""
    h, n = hashlib.sha256(), 0
    while part := c.recv(CHUNK):
        h.update(part)
        n += len(part)
    c.sendall(f"{n} {h.hexdigest()}\n".encode())


def serve_banner(_srv, c, _peer):
    """Speaks first, as sshd does, then echoes."""
    c.sendall(BANNER)
    serve_echo(_srv, c, _peer)


def serve_whoami(_srv, c, peer):
    c.sendall(f"{plain(peer[0])} {peer[1]}\n".encode())


def serve_close(_srv, _c, _peer):
    """Closes without a byte."""


def serve_hold(_srv, c, _peer):
    """Reads nothing and says nothing until the client has gone (its window fills)."""
    until(lambda: _gone(c), 600, "client gone", 0.1)


def _gone(c):
    state = c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state != 1     # TCP_ESTABLISHED


def serve_flood(_srv, c, _peer):
    """Sends for as long as somebody takes it."""
    off = 0
    while True:
        off += c.send(pattern("down", off, CHUNK))


def serve_sink(srv, c, _peer):
    buf = bytearray(CHUNK)
    while n := c.recv_into(buf):
        with srv.lock:
            srv.ends["bytes"] = srv.ends.get("bytes", 0) + n


def web(page):
    """A small web server: GET and POST, one page that names the peer it saw."""
    def serve(srv, c, peer):
        buf = b""
        while True:
            while b"\r\n\r\n" not in buf:
                part = c.recv(65536)
                if not part:
                    return
                buf += part
            head, buf = buf.split(b"\r\n\r\n", 1)
            lines = head.decode("latin-1").split("\r\n")
            fields = {k.lower(): v.strip() for k, _, v in
                      (x.partition(":") for x in lines[1:])}
            size = int(fields.get("content-length", 0))
            while len(buf) < size:
                buf += c.recv(65536)
            body, buf = buf[:size], buf[size:]
            with srv.lock:
                srv.ends.setdefault("requests", []).append((lines[0], fields, body))
            out = f"{page}\npeer {plain(peer[0])}\n".encode()
            close = fields.get("connection", "").lower() == "close"
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
                      + str(len(out)).encode() + (b"\r\nConnection: close" if close else b"")
                      + b"\r\n\r\n" + out)
            if close:
                return
    return serve


class UdpServer:
    """Answers each datagram with reply(data, peer); None answers nothing."""

    def __init__(self, ns, reply=lambda data, peer: data, port=0, addr="::"):
        fam = socket.AF_INET6 if ":" in addr else socket.AF_INET
        self.s = ns.socket(fam, socket.SOCK_DGRAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)
        if addr == "::":
            self.s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.s.bind((addr, port))
        self.port = self.s.getsockname()[1]
        self.reply, self.peers = reply, []
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self):
        while True:
            try:
                data, peer = self.s.recvfrom(65536)
            except OSError:
                return
            who = (plain(peer[0]), peer[1])
            if who not in self.peers:
                self.peers.append(who)
            out = self.reply(data, who)
            if out is not None:
                with contextlib.suppress(OSError):
                    self.s.sendto(out, peer)

    def close(self):
        self.s.close()


def udp_whoami(_data, peer):
    return f"{peer[0]} {peer[1]}".encode()


class Dns(UdpServer):
    """Answers A and AAAA from a table, NXDOMAIN for the rest, and keeps the questions."""

    def __init__(self, ns, names, addr="127.0.0.1", port=53):
        self.names, self.asked = names, []
        super().__init__(ns, self._answer, port, addr)

    def _answer(self, data, _peer):
        if len(data) < 17:
            return None
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1"))
            at += 1 + data[at]
        name = ".".join(labels).lower()
        qtype, = struct.unpack("!H", data[at + 1:at + 3])
        self.asked.append((name, qtype))
        question = data[12:at + 5]
        addrs = self.names.get(name)
        out = []
        for a in addrs or ():
            fam = socket.AF_INET6 if ":" in a else socket.AF_INET
            if qtype == (28 if fam == socket.AF_INET6 else 1):
                raw = socket.inet_pton(fam, a)
                out.append(b"\xc0\x0c" + struct.pack("!HHIH", qtype, 1, 60, len(raw)) + raw)
        flags = 0x8580 | (0 if addrs is not None else 3)
        return data[:2] + struct.pack("!HHHHH", flags, 1, len(out), 0, 0) + question \
            + b"".join(out)


class Tap:
    """A TCP relay in the middle that remembers what passed, connection by connection:
    for replays, and to count connections without believing any log."""

    def __init__(self, ns, port, target, addr="::", keep=1 << 16):
        self.ns, self.target, self.keep = ns, target, keep
        self.conns = []       # [bytearray up, bytearray down, [ended?]]
        self.server = Server(ns, self._relay, port, addr)
        self.port = self.server.port

    def _relay(self, _srv, c, _peer):
        rec = [bytearray(), bytearray(), []]
        self.conns.append(rec)
        fam = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        o = self.ns.socket(fam, socket.SOCK_STREAM)
        with o:
            o.connect(self.target)
            c.settimeout(None)
            t = threading.Thread(target=self._pump, args=(o, c, rec[1]), daemon=True)
            t.start()
            self._pump(c, o, rec[0])
            t.join()
        rec[2].append(True)

    def _pump(self, src, dst, keep):
        try:
            while part := src.recv(CHUNK):
                if len(keep) < self.keep:
                    keep += part
                dst.sendall(part)
            dst.shutdown(socket.SHUT_WR)
        except OSError:
            for s in (src, dst):
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)

    def live(self):
        return sum(1 for r in self.conns if not r[2])

    def close(self):
        self.server.close()


# ---- ways to a target ----------------------------------------------------

def _connect(ns, addr, port, timeout=WAIT):
    s = ns.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(timeout)
    try:
        s.connect((addr, port))
    except OSError:
        s.close()
        raise
    return s


def _socks_addr(host, port):
    for fam, kind in ((socket.AF_INET, 1), (socket.AF_INET6, 4)):
        with contextlib.suppress(OSError):
            return bytes([kind]) + socket.inet_pton(fam, host) + struct.pack("!H", port)
    name = host.encode()
    return bytes([3, len(name)]) + name + struct.pack("!H", port)


def _socks_read_addr(read):
    kind = read(1)[0]
    if kind == 3:
        host = read(read(1)[0]).decode()
    else:
        fam, n = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
        host = socket.inet_ntop(fam, read(n))
    return host, struct.unpack("!H", read(2))[0]


class UdpFlow:
    """Datagrams to anywhere, from one local port."""

    def __init__(self, s, to=None):
        self.s, self.to = s, to
        s.settimeout(WAIT)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)

    def send(self, data, host, port):
        self.s.sendto(data, self.to or (host, port))

    def recv(self):
        data, peer = self.s.recvfrom(65536)
        return data, (plain(peer[0]), peer[1])

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SocksUdpFlow(UdpFlow):
    def __init__(self, control, s, to):
        self.control = control
        super().__init__(s, to)

    def send(self, data, host, port):
        self.s.sendto(b"\0\0\0" + _socks_addr(host, port) + data, self.to)

    def recv(self):
        data, _ = self.s.recvfrom(65536)
        at = [3]

        def read(n):
            part = data[at[0]:at[0] + n]
            at[0] += n
            return part
        peer = _socks_read_addr(read)
        return data[at[0]:], peer

    def close(self):
        self.s.close()
        self.control.close()


class Direct:
    """Straight to the target, or always to one address (a port forward)."""

    def __init__(self, ns, addr=None, port=None, udp_port=None):
        self.ns, self.addr, self.port, self.udp_port = ns, addr, port, udp_port or port

    def tcp(self, host, port, timeout=WAIT):
        return _connect(self.ns, self.addr or host, self.port or port, timeout)

    def udp(self, host=None):
        a = self.addr or host
        s = self.ns.socket(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_DGRAM)
        return UdpFlow(s, (self.addr, self.udp_port) if self.addr else None)


class Socks5:
    def __init__(self, ns, addr, port, user=None, password=None):
        self.ns, self.addr, self.port, self.user, self.password = ns, addr, port, user, password

    def _hello(self, s):
        s.sendall(b"\x05\x01" + (b"\x02" if self.user else b"\x00"))
        if recv_exact(s, 2) != (b"\x05\x02" if self.user else b"\x05\x00"):
            raise LabError("socks: method refused")
        if self.user:
            u, p = self.user.encode(), self.password.encode()
            s.sendall(bytes([1, len(u)]) + u + bytes([len(p)]) + p)
            if recv_exact(s, 2)[1] != 0:
                raise LabError("socks: wrong password")

    def _request(self, s, cmd, host, port):
        s.sendall(bytes([5, cmd, 0]) + _socks_addr(host, port))
        rep = recv_exact(s, 3)
        if rep[1] != 0:
            raise ConnectionRefusedError(f"socks reply {rep[1]}")
        return _socks_read_addr(lambda n: recv_exact(s, n))

    def tcp(self, host, port, timeout=WAIT):
        s = _connect(self.ns, self.addr, self.port, timeout)
        try:
            self._hello(s)
            self._request(s, 1, host, port)
        except BaseException:
            s.close()
            raise
        return s

    def udp(self, _host=None):
        c = _connect(self.ns, self.addr, self.port)
        try:
            self._hello(c)
            any4 = ":" not in self.addr
            host, port = self._request(c, 3, "0.0.0.0" if any4 else "::", 0)
        except BaseException:
            c.close()
            raise
        if host in ("0.0.0.0", "::"):
            host = self.addr
        s = self.ns.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        return SocksUdpFlow(c, s, (host, port))


class Socks4a:
    """Version 4 for addresses, 4a for names."""

    def __init__(self, ns, addr, port):
        self.ns, self.addr, self.port = ns, addr, port

    def tcp(self, host, port, timeout=WAIT):
        s = _connect(self.ns, self.addr, self.port, timeout)
        try:
            ip, name = socket.inet_aton(host), b""
        except OSError:
            ip, name = b"\0\0\0\1", host.encode() + b"\0"
        s.sendall(b"\4\1" + struct.pack("!H", port) + ip + b"lab\0" + name)
        rep = recv_exact(s, 8)
        if rep[1] != 0x5A:
            s.close()
            raise ConnectionRefusedError(f"socks4 reply {rep[1]:#x}")
        return s


class HttpConnect:
    def __init__(self, ns, addr, port, user=None, password=None):
        self.ns, self.addr, self.port, self.user, self.password = ns, addr, port, user, password

    def tcp(self, host, port, timeout=WAIT):
        s = _connect(self.ns, self.addr, self.port, timeout)
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        auth = ""
        if self.user:
            import base64
            auth = "Proxy-Authorization: Basic " + base64.b64encode(
                f"{self.user}:{self.password}".encode()).decode() + "\r\n"
        s.sendall(f"CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n{auth}\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += recv_exact(s, 1)
        status = head.split(b" ", 2)[1]
        if status != b"200":
            s.close()
            raise ConnectionRefusedError(f"http status {status.decode()}")
        return s


# ---- checks --------------------------------------------------------------

def check_bulk(via, server, host, size=16 * MIB, ender="client", strict=True, ends=True,
               first=b""):
    """Both directions at once, byte by byte; then one side ends and the other must see it
    as an end. Where a stock peer is between (not strict) it may be a reset, and the
    server need not hear of it before that peer's idle limit; without @ends neither need
    the client. @first: what the server says before it hears anything."""
    ident = os.urandom(8)
    with via.tcp(host, server.port) as s:
        if recv_exact(s, len(first)) != first:
            raise LabError("wrong banner")
        s.sendall(struct.pack("!4s8sIQQ", b"LABB", ident, ender == "server", size, size))
        failed = []

        def up():
            try:
                send_pattern(s, "up", size)
            except OSError as e:
                failed.append(f"up: {e}")
        t = threading.Thread(target=up, daemon=True)
        t.start()
        recv_pattern(s, "down", size)
        t.join(WAIT)
        if failed:
            raise LabError(failed[0])
        verdict = recv_exact(s, 4)
        if verdict != b"fine":
            raise LabError(server.ends.get(ident, "up: wrong"))
        if ender == "server" and ends:
            end = recv_end(s)
            if end not in (("eof",) if strict else ("eof", "reset")):
                raise LabError(f"server closed, client saw: {end}")
    if ender == "client":
        end = until(lambda: server.ends.get(ident), WAIT, "server sees the client's end") \
            if strict else server.ends.get(ident, "eof")
        if end not in (("eof",) if strict else ("eof", "reset")):
            raise LabError(f"client closed, server saw: {end}")


def check_echo(via, host, port, data=b"hello", timeout=WAIT):
    with via.tcp(host, port, timeout) as s:
        s.settimeout(timeout)
        s.sendall(data)
        got = recv_exact(s, len(data))
        if got != data:
            raise LabError("echo differs")


def works(via, host, port, timeout=3.0):
    """One echo exchange, as a condition to poll."""
    try:
        check_echo(via, host, port, os.urandom(8).hex().encode(), timeout)
        return True
    except (OSError, LabError):
        return False


def check_refused(via, host, port, deadline=WAIT):
    """A closed port: an end without data, in one way or another. Which way is returned."""
    try:
        s = via.tcp(host, port, deadline)
    except ConnectionRefusedError as e:
        return f"refused ({e})"
    except (LabError, OSError) as e:
        return f"closed while connecting ({e})"
    with s:
        s.settimeout(deadline)
        with contextlib.suppress(OSError):
            s.sendall(b"anybody there?\n")
        end = recv_end(s)
        if end not in ("eof", "reset"):
            raise LabError(f"closed port: {end}")
        return end


def half_close(via, host, port, size=MIB, wait=WAIT):
    """Sends, ends its own direction, waits for the answer that only then comes.
    None if the answer was right, else what happened."""
    h = hashlib.sha256()
    with via.tcp(host, port) as s:
        s.settimeout(wait)
        off = 0
        try:
            while off < size:
                piece = pattern("up", off, size - off)
                s.sendall(piece)
                h.update(piece)
                off += len(piece)
            s.shutdown(socket.SHUT_WR)
            got = b""
            while part := s.recv(4096):
                got += part
        except OSError as e:
            return str(e)
    want = f"{size} {h.hexdigest()}\n".encode()
    return None if got == want else f"answer {got[:30]!r}"


def check_banner(via, host, port):
    """The target speaks first; the client is silent until it has."""
    with via.tcp(host, port) as s:
        if recv_exact(s, len(BANNER)) != BANNER:
            raise LabError("wrong banner")
        s.sendall(b"SSH-2.0-client\r\n")
        recv_exact(s, 16)


def check_udp(via, host, port, total=16 * MIB, sizes=(1400, 1200, 1400, 512, 1400, 64, 1400, 1),
              window=12, may_lose=0.002, wait=1.0):
    """Echoes @total bytes each way in numbered datagrams, one, then at most @window on
    their way: stock programs queue 16 and drop the rest.
    Every datagram must come back whole, alone and from the target; a few may be lost (not
    back within @wait seconds) and are sent again."""
    with via.udp(host) as f:
        f.s.settimeout(wait)
        sent = back = lost = 0
        out = {}
        k = 0
        deadline = time.monotonic() + 120
        while back < total:
            while sent < total and len(out) < (window if back else 1):
                n = sizes[k % len(sizes)]
                data = struct.pack("!I", k)[-min(4, n):]
                data += bytes(pattern("up", k * 7, max(0, n - 4)))
                # A datagram of one byte has no room for its number; it is let go.
                if n >= 4:
                    out[k] = data
                    sent += n
                f.send(data, host, port)
                k += 1
            try:
                data, peer = f.recv()
            except socket.timeout:
                lost += len(out)
                if time.monotonic() > deadline or lost > may_lose * max(k, 5000):
                    raise LabError(f"udp: {lost} of {k} datagrams lost, "
                                   f"{back} of {total} bytes back") from None
                for d in out.values():
                    f.send(d, host, port)
                continue
            if len(data) < 4:
                continue
            ident, = struct.unpack("!I", data[:4])
            want = out.pop(ident, None)
            if want is None:
                continue     # an answer to one that was sent twice
            if data != want:
                raise LabError(f"udp: datagram {ident} came back as {len(data)} bytes, "
                               f"{len(want)} were sent, or differs")
            if f.to is None or isinstance(f, SocksUdpFlow):
                if peer[1] != port:
                    raise LabError(f"udp: answer came from {peer}")
            back += len(data)
        return lost


def udp_ask(via, host, port, data=b"hello", tries=5, wait=2.0):
    """One question, one answer (data, peer); asked again if it gets lost."""
    with via.udp(host) as f:
        f.s.settimeout(wait)
        for _ in range(tries):
            f.send(data, host, port)
            with contextlib.suppress(socket.timeout):
                return f.recv()
    raise LabError(f"udp: no answer from {host}:{port}")


def check_full_cone(via, host, ports, burst=False):
    """One local port, several targets, each answers under its own address; asked one
    after the other, or all at once (which confuses some stock programs)."""
    rounds = [tuple(ports)] if burst else [(p,) for p in ports]
    with via.udp(host) as f:
        f.s.settimeout(2.0)
        for want in rounds:
            for _ in range(5):
                for p in want:
                    f.send(b"to %d" % p, host, p)
                got = set()
                with contextlib.suppress(socket.timeout):
                    while got != set(want):
                        data, peer = f.recv()
                        if data != b"to %d" % peer[1] or peer[0] != host:
                            raise LabError(f"udp: {data!r} came from {peer}")
                        got.add(peer[1])
                if got == set(want):
                    break
            else:
                raise LabError("udp: not every target answered on one association")


def http_get(via, host, port, path="/", headers="", timeout=WAIT, absolute=None):
    """A GET by hand; (status line, body). @absolute is the URI for a plain HTTP proxy."""
    with via.tcp(host, port, timeout) as s:
        s.settimeout(timeout)
        s.sendall(f"GET {absolute or path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
                  f"Connection: close\r\n{headers}\r\n".encode())
        buf = b""
        while part := s.recv(65536):
            buf += part
    if not buf:
        raise LabError("empty reply")
    head, _, body = buf.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode("latin-1"), body.decode("latin-1")


def together(n, fn):
    """fn(0) ... fn(n - 1) at once; the exceptions of those that failed."""
    failed = []

    def one(i):
        try:
            fn(i)
        except (OSError, LabError) as e:
            failed.append(e)
    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return failed
