"""Programs that people really have around a proxy: nginx behind it and beside it, dig,
iperf3, curl; unix sockets; PROXY headers from real senders.
"""
import contextlib
import hashlib
import json
import os
import random
import socket
import subprocess

from . import LabError, Skip, configs, netns, peers, traffic
from .harness import add, test
from .peers import GARENNE, XRAY
from .proc import until
from .scene import expect
from .t_reverse import Reverse

BLOB = 16 * traffic.MIB


def tool(name):
    path = peers.tool(name)
    if not path:
        raise Skip(f"{name} is not installed")
    return path


def run(ns, *argv, limit=60):
    """(exit status, standard output, standard error) of a program of the system."""
    with ns.inside():
        p = subprocess.run([tool(argv[0]), *argv[1:]], capture_output=True, text=True,
                           timeout=limit, stdin=subprocess.DEVNULL, errors="replace")
    return p.returncode, p.stdout, p.stderr


def curl(ns, *args, ok=True):
    code, out, err = run(ns, "curl", "-sS", "--max-time", "20", *args)
    if ok and code != 0:
        raise LabError(f"curl {' '.join(args)}: {code}, {err.strip()}")
    return out if ok else code


def nginx(t, ns, servers, want):
    """A web server of the lab: `servers` are server blocks, `want` what it listens on."""
    d = t.dir
    paths = "".join(f"{k}_temp_path {d}/tmp-{k};\n" for k in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = t.write("nginx.conf", f"""
user root;
worker_processes 1;
pid {d}/nginx.pid;
error_log {d}/nginx-error.log;
daemon off;
events {{ }}
http {{
access_log off;
{paths}{servers}
}}
""")
    t.defer(forget, d)
    p = t.spawn(ns, [tool("nginx"), "-c", conf, "-p", d, "-e", f"{d}/nginx-error.log"], "nginx")
    return p.wait_listening(want)


def forget(folder):
    """nginx leaves folders; the next run expects files only."""
    for name in os.listdir(folder):
        if name.startswith("tmp-"):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(folder, name))


def blob(t):
    """A file to fetch, and its digest."""
    data = random.Random(5).randbytes(BLOB)
    with open(os.path.join(t.dir, "blob"), "wb") as f:
        f.write(data)
    t.defer(os.unlink, os.path.join(t.dir, "blob"))
    return hashlib.sha256(data).hexdigest()


def fetch_digest(ns, *args):
    """SHA-256 of what curl gets."""
    with ns.inside():
        p = subprocess.run([tool("curl"), "-sS", "--max-time", "60", *args], capture_output=True,
                           timeout=90, stdin=subprocess.DEVNULL)
    if p.returncode != 0:
        raise LabError(f"curl {p.returncode}: {p.stderr.decode().strip()}")
    return hashlib.sha256(p.stdout).hexdigest()


# ---- nginx as the service behind the reverse proxy ------------------------------------

WHO = 'return 200 "$proxy_protocol_addr $proxy_protocol_port $remote_addr";'


def far_service(t, portal, bridge):
    """A web server on the hidden network, told who the visitor is by PROXY v2."""
    r = Reverse(t, "vless", "vless-tls", portal, bridge, start=False)
    for tag, rules in (("pp1", 1), ("pp2", 2)):
        r.bridge_conf["outbounds"].append(configs.freedom(tag, proxyProtocol=rules))
        r.bridge_conf["routing"]["rules"].insert(0, configs.rule(
            tag, inboundTag=["bridge4", "bridge6"], port=8080 + rules))
    nginx(t, r.net.lan, f"""
server {{ listen 8080; listen [::]:8080; root {t.dir}; }}
server {{ listen 8081 proxy_protocol; listen [::]:8081 proxy_protocol;
          location / {{ {WHO} }} }}
server {{ listen 8082 proxy_protocol; listen [::]:8082 proxy_protocol;
          location / {{ {WHO} }} }}
""", {("tcp", p) for p in (8080, 8081, 8082)})
    digest = blob(t)
    r.start_portal()
    r.start_bridge()
    r.wait_up()
    for f in (4, 6):
        lan = f"[{r.net.LAN[f]}]" if f == 6 else r.net.LAN[f]
        vps = f"[{r.net.VPS[f]}]" if f == 6 else r.net.VPS[f]
        via = ["--socks5-hostname", f"{vps}:{r.via(f).port}"]
        with t.cell(f"page{f}"):
            got = fetch_digest(r.net.client, *via, f"http://{lan}:8080/blob")
            expect(got == digest, "the file is not whole")
            # Many requests on few connections.
            out = curl(r.net.client, *via, "-o", os.devnull, "-w", "%{http_code}\n",
                       f"http://{lan}:8080/blob?[1-20]", "-r", "0-999")
            expect(out.split() == ["206"] * 20, f"answers {out.split()}")
        for v in (1, 2):
            with t.cell(f"proxy protocol v{v}, {f}"):
                out = curl(r.net.client, *via, f"http://{lan}:{8080 + v}/").split()
                expect(out[0] == r.net.CLIENT[f], f"nginx was told {out}")
                expect(out[2] == r.net.BRIDGE[f], f"nginx saw {out}")


for _p, _b in ((GARENNE, GARENNE), (GARENNE, XRAY), (XRAY, GARENNE)):
    add(f"real/nginx-service/{_p.name}-portal+{_b.name}-bridge", far_service, _p, _b,
        needs=(_p, _b), full=not (_p.ours and _b.ours))


# ---- nginx as what a browser sees ----------------------------------------------------

def fallbacks(t, peer):
    """VLESS over TLS whose strangers are shown a web site: by ALPN, by path, by name, by
    TCP and by unix socket, with PROXY v1 and v2."""
    net = t.net(netns.Pair)
    a = net.server_addr[4]
    sock = os.path.join(t.dir, "web.sock")
    say = 'return 200 "%s $server_protocol $proxy_protocol_addr";'
    nginx(t, net.server, f"""
server {{ listen 127.0.0.1:8081 proxy_protocol; root {t.dir};
          location = / {{ {say % "h1"} }} }}
server {{ listen 127.0.0.1:8082 http2 proxy_protocol; root {t.dir};
          location = / {{ {say % "h2"} }} }}
server {{ listen unix:{sock}; location / {{ {say % "unix"} }} }}
server {{ listen 127.0.0.1:8084; location / {{ {say % "named"} }} }}
""", {("tcp", 8081), ("tcp", 8082), ("tcp", 8084), ("unix", sock)})
    digest = blob(t)
    t.defer(lambda: os.path.exists(sock) and os.unlink(sock))
    i = configs.CARRIERS["vless-tls"].far("in", a, 443, t.pki)
    i["streamSettings"]["tlsSettings"]["alpn"] = ["h2", "http/1.1"]
    i["settings"]["fallbacks"] = [
        {"dest": 8081, "xver": 1}, {"alpn": "h2", "dest": "127.0.0.1:8082", "xver": 2},
        {"path": "/sock", "dest": sock}, {"name": "hub.test", "dest": 8084}]
    p = t.program(peer, net.server, configs.config([i], [configs.freedom()]), "server")
    to = ["--cacert", t.pki.ca, "--resolve", f"vps.test:443:{a}",
          "--resolve", f"hub.test:443:{a}"]
    client = net.client_addr[4]

    def get(url, *more):
        return curl(net.client, *to, *more, url).split()
    with t.cell("http/1.1"):
        got = get("https://vps.test/", "--http1.1")
        expect(got == ["h1", "HTTP/1.1", client], f"answered {got}")
    with t.cell("h2"):
        got = get("https://vps.test/", "--http2")
        expect(got == ["h2", "HTTP/2.0", client], f"answered {got}")
    with t.cell("by path to a unix socket"):
        got = get("https://vps.test/sock", "--http1.1")
        expect(got[:2] == ["unix", "HTTP/1.1"], f"answered {got}")
    with t.cell("by name"):
        got = get("https://hub.test/", "--http1.1")
        expect(got[:2] == ["named", "HTTP/1.1"], f"answered {got}")
    for version in ("--http1.1", "--http2"):
        with t.cell(f"16 MiB {version}"):
            got = fetch_digest(net.client, *to, version, "https://vps.test/blob")
            expect(got == digest, "the file is not whole")
    with t.cell("users are served beside"):
        targets = traffic.Server(net.server, traffic.serve_echo)
        t.defer(targets.close)
        near = configs.config([configs.socks_in("in", "127.0.0.1", 1080)],
                              [configs.CARRIERS["vless-tls"].near("out", a, 443, t.pki)])
        t.program(GARENNE, net.client, near, "near")
        traffic.check_echo(traffic.Socks5(net.client, "127.0.0.1", 1080), a, targets.port)
    with t.cell("garbage gets what the web server says"):
        code, out, _ = run(net.client, "sh", "-c", "printf 'nonsense\\r\\n\\r\\n' | openssl s_client "
                           f"-quiet -connect {a}:443 -alpn http/1.1 2>/dev/null")
        expect("400" in out and "nginx" in out, f"answered {out[:100]!r}")
    if peer.ours:
        expect(p.alive(), "the server died")


for _p in (GARENNE, XRAY):
    add(f"real/nginx-fallback/{_p.name}", fallbacks, _p, needs=(_p,), full=not _p.ours)


# ---- dig ------------------------------------------------------------------------------

NAMES = {"both.test": ["198.51.100.77", "2001:db8:7::7"], "four.test": ["198.51.100.78"],
         "direct.test": ["198.51.100.79"]}


def dig(net, at, name, kind, *more, port=5353):
    code, out, err = run(net.client, "dig", f"@{at}", "-p", str(port), "+tries=2", "+time=3",
                         "+noall", "+answer", "+comments", *more, name, kind)
    status = out.partition("status: ")[2].split(",")[0]
    rows = [r.split() for r in out.split("\n") if r and not r.startswith(";")]
    return code, status, [r[4] for r in rows if len(r) > 4 and r[3] == kind]


def dns_outbound(t, peer):
    """A resolver made of a tunnel inbound and the dns outbound, asked by dig: over UDP and
    TCP, over IPv4 and IPv6."""
    net = t.net(netns.Pair)
    dns = t.server(traffic.Dns, net.server, NAMES, "127.0.0.1")
    ins = [configs.doko_in(f"dns{f}", net.server_addr[f], 5353, "127.0.0.1", 53, "tcp,udp")
           for f in (4, 6)]
    out = configs.outbound("dns", "dns", {"nonIPQuery": "reject"})
    t.program(peer, net.server, configs.config(ins, [out], dns={"servers": ["127.0.0.1"]}), "dns")
    for f in (4, 6):
        a = net.server_addr[f]
        for more in ((), ("+tcp",)):
            with t.cell(" ".join((f"ipv{f}", *more))):
                for name, kind, want in (("both.test", "A", ["198.51.100.77"]),
                                         ("both.test", "AAAA", ["2001:db8:7::7"]),
                                         ("four.test", "A", ["198.51.100.78"])):
                    code, status, got = dig(net, a, name, kind, *more)
                    expect(code == 0 and status == "NOERROR" and got == want,
                           f"{name} {kind}: {status or code} {got}")
                _, status, got = dig(net, a, "nobody.test", "A", *more)
                expect(not got and status in ("NXDOMAIN", "NOERROR"), f"nobody: {status} {got}")
                _, status, got = dig(net, a, "both.test", "TXT", *more)
                expect(status == "REFUSED" and not got, f"TXT: {status} {got}")
    expect(not any(q == 16 for _, q in dns.asked), "a refused question was asked")


for _p in (GARENNE, XRAY):
    add(f"real/dig/dns-outbound/{_p.name}", dns_outbound, _p, needs=(_p,), full=not _p.ours)


def dig_udp(t, far):
    """dig -> tunnel -> SOCKS5 UDP association -> the name server; the same over
    Shadowsocks, VLESS with mux and with XUDP: carriers whose first session is UDP."""
    net = t.net(netns.Pair)
    t.server(traffic.Dns, net.server, NAMES, net.server_addr[4])
    c = configs.CARRIERS
    kinds = [k for k in ("socks", "ss2022-aes128", "ss-aes128", "vless-xudp", "vless-tls-mux")
             if not c[k].cannot(GARENNE, far)]
    a = net.server_addr[4]
    t.program(far, net.server, configs.config(
        [c[k].far(k, a, 7000 + n, t.pki) for n, k in enumerate(kinds)], [configs.freedom()]),
        "far")
    t.program(GARENNE, net.client, configs.config(
        [configs.doko_in(f"in-{k}", "127.0.0.1", 5300 + n, a, 53, "udp")
         for n, k in enumerate(kinds)],
        [c[k].near(k, a, 7000 + n, t.pki) for n, k in enumerate(kinds)],
        [configs.rule(k, inboundTag=[f"in-{k}"]) for k in kinds]), "near")
    for n, k in enumerate(kinds):
        with t.cell(k):
            for _ in range(5):
                code, status, got = dig(net, "127.0.0.1", "both.test", "A", port=5300 + n)
                expect(code == 0 and got == ["198.51.100.77"], f"{status or code} {got}")


for _p in (GARENNE, *peers.STOCK):
    add(f"real/dig/udp-association/garenne-{_p.name}", dig_udp, _p, needs=(GARENNE, _p),
        full=not _p.ours)


# ---- iperf3 ----------------------------------------------------------------------------

def iperf(t, portal, bridge):
    """iperf3 through the port forward: TCP either way, several streams, and UDP. Not
    --bidir: the server tells its two connections apart by the order in which they arrive,
    which no proxy can promise."""
    r = Reverse(t, "classic", "vless-tls", portal, bridge, start=False, fams=(4,))
    r.portal_conf["inbounds"] += [
        configs.doko_in("iperf", r.net.VPS[4], 5201, r.net.LAN[4], 5201, "tcp"),
        configs.doko_in("iperf-udp", r.net.VPS[4], 5201, r.net.LAN[4], 5201, "udp")]
    r.portal_conf["routing"]["rules"].append(
        configs.rule("portal4", inboundTag=["iperf", "iperf-udp"]))
    srv = t.spawn(r.net.lan, [tool("iperf3"), "-s", "--forceflush"], "iperf3")
    srv.wait_listening({("tcp", 5201)})
    done = 0
    r.start_portal()
    r.start_bridge()
    r.wait_up()
    for name, args in (("up", ("-n", "64M")), ("down", ("-n", "64M", "-R")),
                       ("8 streams", ("-n", "64M", "-P", "8")),
                       ("udp", ("-u", "-b", "40M", "-l", "1200", "-n", "8M")),
                       ("udp down", ("-u", "-b", "40M", "-l", "1200", "-n", "8M", "-R"))):
        with t.cell(name):
            # It serves one test at a time, and the end of the last one takes its way.
            done += 1
            until(lambda n=done: srv.log().count("Server listening") >= n, 30, "iperf3 is free")
            code, out, err = run(r.net.client, "iperf3", "-c", r.net.VPS[4], "-J", *args)
            res = json.loads(out) if out.startswith("{") else {}
            if not bridge.ours and "-R" in args and "reset by peer" in res.get("error", ""):
                # At its end iperf3 stops reading, and a stock bridge cannot be paused.
                t.note("the stream was reset when iperf3 no longer read it")
                continue
            expect(code == 0 and "error" not in res, f"{code}: {res.get('error', err)[:200]}")
            end = res["end"]
            got = end.get("sum_received") or end["sum"]
            expect(got["bytes"] > 0, "nothing arrived")
            lost = end.get("sum", {}).get("lost_percent") if "udp" in name else None
            t.note(f"{got['bits_per_second'] / 1e6:.0f} Mbit/s"
                   + (f", {lost:.1f} % lost" if lost is not None else ""))


for _p, _b in ((GARENNE, GARENNE), (GARENNE, XRAY), (XRAY, GARENNE)):
    add(f"real/iperf3/{_p.name}-portal+{_b.name}-bridge", iperf, _p, _b, needs=(_p, _b),
        full=not (_p.ours and _b.ours))


# ---- unix sockets ------------------------------------------------------------------------

class UnixSocks(traffic.Socks5):
    """A SOCKS client of an inbound that listens on a unix socket."""

    def __init__(self, path):
        self.path = path
        super().__init__(None, "unix", 0)

    def tcp(self, host, port, timeout=traffic.WAIT):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(timeout)
        try:
            s.connect(self.path)
            self._hello(s)
            self._request(s, 1, host, port)
        except BaseException:
            s.close()
            raise
        return s


@test("real/unix-sockets", needs=(GARENNE,))
def unix_sockets(t):
    """Inbounds on a path and on an abstract name; the file's mode; the file goes with the
    program, and one left behind by a dead program is replaced."""
    from .t_matrix import Targets
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    path, name = os.path.join(t.dir, "in.sock"), f"@lab-{os.getpid()}"
    ins = [configs.socks_in("path", path + ",0600", 0), configs.socks_in("name", name, 0)]
    for i in ins:
        i.pop("port")
        i["settings"].pop("ip")
        i["settings"]["udp"] = False
    conf = configs.config(ins, [configs.freedom()])
    t.defer(lambda: os.path.exists(path) and os.unlink(path))
    p = t.program(GARENNE, net.server, conf, "proxy")
    vias = {"path": path, "abstract": "\0" + name[1:]}

    def check(what):
        via = UnixSocks(vias[what])
        with net.server.inside():      # abstract names belong to a network namespace
            traffic.check_bulk(via, targets.bulk, "127.0.0.1")
            traffic.check_bulk(via, targets.bulk, "127.0.0.1", traffic.MIB, ender="server")
            traffic.check_refused(via, "127.0.0.1", 1)
            how = traffic.half_close(via, "127.0.0.1", targets.digest.port)
            expect(not how, f"half-close: {how}")
    for what in vias:
        with t.cell(what):
            check(what)
    with t.cell("mode"):
        mode = os.stat(path).st_mode & 0o777
        expect(mode == 0o600, f"the file has mode {mode:o}")
    with t.cell("left behind"):
        p.kill()
        expect(os.path.exists(path), "SIGKILL leaves the file")
        p.start().wait_listening(configs.listens(conf))
        check("path")
    with t.cell("gone with the program"):
        expect(p.stop() is None, "it did not stop well")
        expect(not os.path.exists(path), "the file is left behind")




# ---- PROXY headers -------------------------------------------------------------------------

def accept_proxy(t, sender):
    """Inbounds with acceptProxyProtocol: the address in the header is the client's, for
    rules, logs and the next header; without a header the connection is closed."""
    net = t.net(netns.Pair)
    a, c = net.server_addr, net.client_addr
    nginx(t, net.server, f"""
server {{ listen 127.0.0.1:8081 proxy_protocol; location / {{ {WHO} }} }}
""", {("tcp", 8081)})
    # The receiver tells nginx by a header of its own whom it has heard of.
    ins = []
    for f in (4, 6):
        i = configs.doko_in(f"in{f}", a[f], 8000, "127.0.0.1", 8081)
        i["streamSettings"] = {"sockopt": {"acceptProxyProtocol": True}}
        ins.append(i)
    rules = [configs.rule("block", source=["192.0.2.66"])]
    p = t.program(GARENNE, net.server, configs.config(
        ins, [configs.freedom(proxyProtocol=2), configs.blackhole()], rules), "receiver")
    # A program in the middle, whose visitors come by their own addresses.
    outs = [configs.freedom(f"v{v}", proxyProtocol=v, redirect=f"{a[4]}:8000") for v in (1, 2)]
    outs += [configs.freedom(f"w{v}", proxyProtocol=v, redirect=f"[{a[6]}]:8000") for v in (1, 2)]
    mids = [configs.doko_in(f"m{o['tag']}", {"v": c[4], "w": c[6]}[o["tag"][0]], 8100 + n, "x", 1)
            for n, o in enumerate(outs)]
    t.program(sender, net.client, configs.config(mids, outs, [
        configs.rule(o["tag"], inboundTag=[f"m{o['tag']}"]) for o in outs]), "sender")
    for n, o in enumerate(outs):
        f = 4 if o["tag"][0] == "v" else 6
        at = f"[{c[6]}]" if f == 6 else c[4]
        with t.cell(f"v{o['tag'][1]} over IPv{f}"):
            out = curl(net.server, f"http://{at}:{8100 + n}/").split()
            expect(out[0] == a[f], f"the service was told {out}, the visitor is {a[f]}")
            p.wait_log(rf"from (tcp:)?\[?{a[f]}\]?:\d+ accepted")
    with t.cell("curl's header"):
        out = curl(net.client, "--haproxy-protocol", f"http://{a[4]}:8000/").split()
        expect(out[0] == c[4], f"the service was told {out}")
    with t.cell("no header"):
        code = curl(net.client, f"http://{a[4]}:8000/", ok=False)
        expect(code in (52, 56), f"curl {code}")
    with t.cell("rules see the address in the header"):
        with net.client.inside(), socket.create_connection((a[4], 8000), 5) as s:
            s.sendall(b"PROXY TCP4 192.0.2.66 192.0.2.1 4444 80\r\nGET / HTTP/1.0\r\n\r\n")
            s.settimeout(10)
            expect(traffic.recv_end(s) in ("eof", "reset"), "answered")
        p.wait_log(r"192\.0\.2\.66:4444 accepted .*block")
    with t.cell("LOCAL"):
        head = b"\r\n\r\n\0\r\nQUIT\n" + b"\x20\0\0\0"
        with net.client.inside(), socket.create_connection((a[4], 8000), 5) as s:
            s.sendall(head + b"GET / HTTP/1.0\r\n\r\n")
            s.settimeout(10)
            expect(b"200 OK" in s.recv(4096), "a health check is not answered")


for _p in (GARENNE, XRAY):
    add(f"real/proxy-protocol/{_p.name}-sender", accept_proxy, _p, needs=(GARENNE, _p),
        full=not _p.ours)


# ---- websocket ------------------------------------------------------------------------------

def serve_upgrade(_srv, c, _peer):
    """Answers an HTTP Upgrade and echoes from then on; any other request gets 426."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = c.recv(1)
        if not part:
            return
        head += part
    if b"upgrade: websocket" not in head.lower():
        c.sendall(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
              b"Upgrade: websocket\r\n\r\nearly")
    traffic.serve_echo(_srv, c, _peer)


def upgrade(t, peer):
    """A websocket through the http inbound: browsers use CONNECT, and what follows the
    answer 101 is theirs. Without it the hop-by-hop field does not pass."""
    net = t.net(netns.Pair)
    a = net.server_addr[4]
    srv = t.server(traffic.Server, net.server, serve_upgrade)
    t.program(peer, net.server, configs.config([configs.http_in("in", a, 3128)],
                                               [configs.freedom()]), "proxy")
    ask = (f"GET {{}} HTTP/1.1\r\nHost: {a}:{srv.port}\r\nConnection: Upgrade\r\n"
           "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           "Sec-WebSocket-Version: 13\r\n\r\n")
    with t.cell("by CONNECT"):
        with traffic.HttpConnect(net.client, a, 3128).tcp(a, srv.port) as s:
            s.sendall(ask.format("/chat").encode() + b"frame")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += traffic.recv_exact(s, 1)
            expect(head.startswith(b"HTTP/1.1 101"), f"answered {head[:40]!r}")
            expect(traffic.recv_exact(s, 10) == b"earlyframe", "the first bytes are lost")
            for n in (1, 1000, 300000):
                data = os.urandom(n)
                s.sendall(data)
                expect(traffic.recv_exact(s, n) == data, "echo differs")
    with t.cell("without"):
        with traffic.Direct(net.client).tcp(a, 3128) as s:
            s.sendall(ask.format(f"http://{a}:{srv.port}/chat").encode())
            head = b""
            while b"\r\n" not in head:
                head += traffic.recv_exact(s, 1)
            expect(b" 426 " in head, f"answered {head[:40]!r}")


for _p in (GARENNE, XRAY):
    add(f"real/websocket/{_p.name}", upgrade, _p, needs=(_p,), full=not _p.ours)
