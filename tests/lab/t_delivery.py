"""Whom the far service sees: its site, by `dial`; the originator, told by a PROXY header or as
the peer's own address. Hosts of two LANs with the same prefixes, their sites and the hub.
"""
import contextlib
import errno
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile

from . import LabError, Skip, configs, netns, traffic
from .harness import test
from .meshlab import GATE, NAMES, NAS, Mesh
from .peers import GARENNE, XRAY, tool
from .proc import until
from .scene import expect
from .t_ping import Ping
from .t_tun import DEV, Stage, connect_error

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


@test("delivery/policy", limit=150, needs=(GARENNE,))
def policy(t):
    """The destination refuses by itself, and knows a machine in a LAN as its site's; nginx there
    logs who asked, by both ways of telling it."""
    m = Mesh(t, hubs=1, sites=2, start=False, edit=lambda text: delivering("transparent")(
        text.replace('{ "name": "everybody", "from": "any", "to": "any" }', """
    { "name": "not-you", "from": "berlin", "to": "nas.paris", "ports": 8082, "action": "deny" },
    { "name": "told", "from": "sites", "to": "nas.paris", "ports": 8081, "delivery": "proxy" },
    { "name": "sites", "from": "sites", "to": "sites", "ports": "8080-8090" }""")))
    hub = m.files["hub"]["routing"]["rules"]
    hub[:] = [{"type": "field", "inboundTag": ["mesh"], "ip": ["198.18.1.0/24"],
               "outboundTag": "to.paris"}] + hub
    m.start()
    log = nginx(t, m.ns("pnas"))
    via, host = traffic.Direct(m.ns("bpc")), m.at["pnas"][4]
    until(lambda: page(via, host, 8080), 30, "a page by the mesh", 0.2)
    expect(page(via, host, 8081), "no page by PROXY header")
    for port, why in ((8082, "not-you"), (8091, "default deny")):
        got = connect_error(via.ns, host, port, 5)
        expect(got is not None, f"port {port} was reached")
        until(lambda w=why: any(w in line and "block" in line
                                for line in m.procs["paris"].log().split("\n")), 8,
              f"paris names the rule {why}")
    datagrams(t, m, via, host)
    want = {"8080 peer 198.18.2.20 told -", f"8081 peer {GATE[0]} told 198.18.2.20"}
    until(lambda: want <= set(lines(log)), 8, f"nginx logs {want}, not {lines(log)}")


def datagrams(t, m, via, host):
    """One socket, three places: each is judged, and sees the socket's own port."""
    places = {p: t.server(traffic.UdpServer, m.ns("pnas"), traffic.udp_whoami, p)
              for p in (8085, 8086, 8092)}
    with via.udp(host) as u:
        u.s.settimeout(1)
        u.s.bind(("", 0))
        for port in (8085, 8086):
            def told(port=port):
                u.send(b"who?", host, 8092)
                u.send(b"who?", host, port)
                with contextlib.suppress(socket.timeout):
                    return u.recv()[0].decode()
            want = f"198.18.2.20 {u.s.getsockname()[1]}"
            until(lambda: told() == want, 15, f"{want} at port {port}", 0.1)
    expect(not places[8092].peers, "a datagram came to a port that no rule allows")


def page(via, host, port):
    try:
        return "lab page" in traffic.http_get(via, host, port, timeout=3)[1]
    except (OSError, LabError):
        return False


def lines(path):
    with contextlib.suppress(FileNotFoundError):
        with open(path) as f:
            return f.read().split("\n")
    return []


def nginx(t, ns):
    """Logs "PORT peer ADDRESS told ADDRESS"; the latter is what a PROXY header says."""
    path = tool("nginx")
    if not path:
        raise Skip("there is no nginx")
    own = tempfile.mkdtemp()
    t.defer(shutil.rmtree, own, True)
    servers = "".join(f"""
    server {{ listen 8080; listen 8082; listen 8091; {common} }}
    server {{ listen 8081 proxy_protocol; {common} }}""" for common in (
        'location / { default_type text/plain; return 200 "lab page"; }',))
    conf = t.write("nginx-delivery.conf", f"""
daemon off; pid {own}/pid; error_log stderr; events {{ }}
http {{
    client_body_temp_path {own}/b; proxy_temp_path {own}/p; fastcgi_temp_path {own}/f;
    uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;
    log_format who "$server_port peer $remote_addr told $proxy_protocol_addr";
    access_log {own}/access.log who; {servers}
}}""")
    t.spawn(ns, [path, "-c", conf, "-p", own], "nginx").wait_listening([("tcp", 8080)])
    return os.path.join(own, "access.log")


@test("delivery/plan", needs=(GARENNE,))
def plan(t):
    """What a site lacks for its LAN's answers to come back is said before it starts."""
    m = Mesh(t, hubs=1, sites=2, edit=delivering("transparent"), start=False)
    path = t.write("paris.json", m.files["paris"])
    ns = m.ns("paris")

    def routes():
        with ns.inside():
            return subprocess.run([GARENNE.path, "check", "--routes", path], capture_output=True,
                                  text=True, timeout=20).stdout.split("\n")
    said = routes()
    six = [p for p in m.prefixes if ":" in p][0]
    for line in ("deliver 192.168.1.0/24 by eth0 transparent [lan.transparent]",
                 "deliver 192.168.1.0/24 by eth0 dial [lan]",
                 f"deliver {m.at['paris'][4]}/32 here transparent [lan.transparent]",
                 "note: delivery into 192.168.1.0/24: its router 192.168.1.1 must send "
                 "100.64.0.0/10, 198.18.0.0/15 to 192.168.1.2",
                 f"note: delivery into fd77::/64: its router fd77::1 must send {six} to fd77::2"):
        expect(line in said, f"no {line!r} in {said}")
    expect(not any("passes no packets" in line for line in said), f"forwarding is on: {said}")
    ns.sysctl("net.ipv4.ip_forward", 0)
    ns.sysctl("net.ipv6.conf.all.forwarding", 0)
    said = routes()
    for line in ("warning: delivery of IPv4: this machine passes no packets on; set "
                 "net.ipv4.ip_forward to 1", "warning: delivery of IPv6: this machine passes no "
                 "packets on; set net.ipv6.conf.all.forwarding to 1"):
        expect(line in said, f"no {line!r} in {said}")


def ended(c):
    try:
        return c.recv(1) == b""
    except ConnectionResetError:
        return True


@test("delivery/loop", needs=(GARENNE,))
def loop(t):
    """A target that this machine knows in its own device only: nothing goes round."""
    into = "198.18.0.2"
    s = Stage(t, inbounds=[configs.doko_in("pub", "203.0.113.1", 8000, into, 9000),
                           configs.doko_in("pubu", "203.0.113.1", 8002, into, 9001, "udp")],
              outbounds=[configs.outbound("lan", "tun")],
              rules=[configs.rule("lan", inboundTag=["pub", "pubu"])])
    gw = s.net.gateway
    via = traffic.Direct(s.net.server)

    def packets():
        out = netns.run(["ip", "-n", gw.name, "-s", "-j", "link", "show", "dev", DEV])
        return sum(json.loads(out)[0]["stats64"][way]["packets"] for way in ("rx", "tx"))
    def refused():
        with via.tcp("203.0.113.1", 8000) as c:
            c.settimeout(10)
            expect(ended(c), "the connection lives, to nowhere")
    before = packets()
    refused()
    expect(packets() > before, "no packet came to the device")
    with via.udp("203.0.113.1") as u:
        for _ in range(20):
            u.send(b"round and round", "203.0.113.1", 8002)
        until(lambda: packets() > before + 4, 8, "a datagram in the device")
        for _ in range(20):
            refused()  # time for whatever goes round
    t.note(f"{packets() - before} packets")
    expect(packets() - before < 300, f"{packets() - before} packets went by the device")


@test("delivery/names-without-a-hub", limit=150, needs=(GARENNE,))
def no_hub(t):
    """A site's own names are answered, others SERVFAIL at once, or soon where the hub is silent."""
    m = Mesh(t, hubs=1, sites=1, start=False)
    m.start("paris")
    desk = m.ns("pnas")
    until(lambda: dig(desk, "paris.lab.mesh") == "NOERROR", 15, "the site's own name")
    with t.cell("nobody listens"):
        got = dig(desk, "+timeout=10", "hub.lab.mesh")
        expect(got == "SERVFAIL", f"{got}")
    with t.cell("silence"):
        m.ns("hub").nft("""
            table inet f {
                chain in { type filter hook input priority 0; tcp dport 443 drop; }
            }""")
        got = dig(desk, "+timeout=5", "hub.lab.mesh")
        expect(got == "SERVFAIL", f"{got}")


def dig(ns, *argv):
    with ns.inside():
        p = subprocess.run(["dig", "@" + NAMES, "+tries=1", *argv], capture_output=True, text=True,
                           timeout=30)
    return p.stdout.split("status: ")[1].split(",")[0] if "status: " in p.stdout else "SILENT"


@test("delivery/icmp", limit=200, needs=(GARENNE,))
def icmp(t):
    """What routers and hosts of the far LAN say about delivered packets is heard: TCP and UDP get
    the verdict, pings the very error, and a narrow way makes packets smaller."""
    m = Mesh(t, hubs=1, sites=2, edit=delivering("transparent"))
    m.wait_up()
    nas, site = m.ns("pnas"), m.ns("paris")
    via = traffic.Direct(m.ns("bpc"))
    nas.nft("""
        table inet f {
            chain in {
                type filter hook input priority 0;
                tcp dport 11 reject with icmpx host-unreachable
                tcp dport 13 reject with icmpx admin-prohibited
                udp dport 13 reject with icmpx admin-prohibited
            }
        }""")
    for f, real in ((4, NAS[0]), (6, NAS[1])):
        host, on = m.at["pnas"][f], m.targets["pnas"]
        with t.cell(f"TCP v{f}"):
            for port in (11, 13):
                got = connect_error(via.ns, host, port, 2)
                expect(got == "EHOSTUNREACH", f"port {port}: {got}")
        with t.cell(f"UDP v{f}"):
            got = udp_error(via, host, 1)
            expect(got == "ECONNREFUSED", f"a closed port: {got}")
            got = udp_error(via, host, 13)
            expect(got == "EHOSTUNREACH", f"a forbidden port: {got}")
        with t.cell(f"UDP, later, v{f}"):
            later(via, nas, host)
        with t.cell(f"ping v{f}"):
            nas.nft(f"""
                table inet p {{
                    chain in {{
                        type filter hook input priority 0;
                        {'icmpv6' if f == 6 else 'icmp'} type echo-request reject with icmpx host-unreachable
                    }}
                }}""")
            ping = Ping(via.ns, host)
            got = next(filter(None, (ping.ask(wait=1.5) for _ in range(5))), None)
            expect(got == host, f"{got}, not the error of {host}")
            nas.nft("delete table inet p")
        with t.cell(f"narrow v{f}"):
            site.ip(f"route add {real}/{32 if f == 4 else 128} dev eth0 mtu 1300")
            traffic.check_bulk(via, on.bulk, host, 4 * MIB)
            for n in (1400, 8000):
                data, _ = traffic.udp_ask(via, host, on.udp.port, os.urandom(n))
                expect(len(data) == n, f"{len(data)} of {n} bytes came back")


def udp_error(via, host, port):
    with via.ns.socket(socket.AF_INET6 if ":" in host else socket.AF_INET,
                       socket.SOCK_DGRAM) as s:
        s.setsockopt(*((41, 25) if ":" in host else (0, 11)), 1)  # ..._RECVERR: what passes, too
        s.connect((host, port))
        return asked(s)


def asked(s):
    """An answer, or the name of an error; hosts send about one a second to the same place."""
    s.settimeout(1.5)
    for _ in range(5):
        try:
            s.send(b"anybody?")
            return s.recv(100)
        except socket.timeout:
            continue
        except OSError as e:
            return errno.errorcode[e.errno]
    return None


def later(via, ns, host):
    """A service that goes away in the middle of a conversation."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with via.ns.socket(family, socket.SOCK_DGRAM) as s:
        with ns.socket(family, socket.SOCK_DGRAM) as server:
            server.settimeout(3)
            server.bind(("", 0))
            s.settimeout(3)
            s.connect((host, server.getsockname()[1]))
            for i in range(5):
                s.send(b"%d" % i)
                data, peer = server.recvfrom(100)
                server.sendto(data, peer)
                expect(s.recv(100) == b"%d" % i, "another answer")
        got = asked(s)
        expect(got == "ECONNREFUSED", f"a port that was closed: {got}")


@test("delivery/phone", limit=120, needs=(GARENNE, XRAY))
def phone(t):
    """A stock app is seen by the address that its account has, also when it asks by name."""
    m = Mesh(t, hubs=1, sites=1, phone=True, edit=delivering("transparent"))
    whoami = t.server(traffic.Server, m.ns("pnas"), traffic.serve_whoami)
    via, mine = m.start_phone(), m.phone_at
    for host, want in ((m.at["pnas"][4], mine["ip"]), (m.at["pnas"][6], mine["ip6"]),
                       ("nas.paris.lab.mesh", mine["ip"])):
        def seen(host=host):
            try:
                with via.tcp(host, whoami.port, 3) as s:
                    return s.recv(100).decode().split()[0]
            except (OSError, LabError, IndexError) as e:
                return str(e)
        until(lambda s=seen, w=want: s() == w, 20, f"{host} sees {want}", 0.2)
