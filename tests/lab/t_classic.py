"""Smaller parts of the classic mode, each beside a real peer where there is one."""
import base64
import os
import ssl
import subprocess
import time

from . import Skip, configs, netns, peers, traffic
from .harness import add
from .peers import GARENNE, V2RAY, XRAY
from .proc import until
from .scene import expect
from .t_matrix import Targets
from .t_reverse import carriers_of

HUB_PORT = 7004


def hub_user(**reverse):
    return {"id": configs.UUID_A, "email": "home@lab", "reverse": {"tag": "to-home", **reverse}}


def two_ways(t, home_peer, forward):
    """One identity at home: it offers its bridge and uses the hub as a proxy. Only
    where the hub says so; stock hubs never do."""
    t.need(GARENNE, home_peer)
    net = t.net(netns.Wan)
    inner, outer = Targets(t, net.lan), Targets(t, net.client)
    hub_in = configs.CARRIERS["vless-tls"].far("in", net.VPS[4], HUB_PORT, t.pki)
    hub_in["settings"]["clients"] = [hub_user(**({"forward": True} if forward else {}))]
    t.program(GARENNE, net.vps, configs.config(
        [hub_in, configs.socks_in("visitors", net.VPS[4], 1080)],
        [configs.freedom()], [configs.rule("to-home", inboundTag=["visitors"])]), "hub")
    out = configs.CARRIERS["vless-tls"].near("hub", net.VPS[4], HUB_PORT, t.pki)
    out["settings"] = {"address": net.VPS[4], "port": HUB_PORT, "id": configs.UUID_A,
                       "encryption": "none", "reverse": {"tag": "from-hub"}}
    t.program(home_peer, net.bridge, configs.config(
        [configs.socks_in("local", "127.0.0.1", 1080)], [configs.freedom(), out],
        [configs.rule("direct", inboundTag=["from-hub"]),
         configs.rule("hub", inboundTag=["local"])]), "home")
    visitor = traffic.Socks5(net.client, net.VPS[4], 1080)
    user = traffic.Socks5(net.bridge, "127.0.0.1", 1080)
    until(lambda: traffic.works(visitor, net.LAN[4], inner.echo.port), 20, "the bridge is there",
          0.1)
    if not forward:
        expect(not traffic.works(user, net.CLIENT[4], outer.echo.port, 3),
               "a bridge used the hub as a proxy without being allowed to")
        return
    traffic.check_echo(user, net.CLIENT[4], outer.echo.port)
    traffic.check_bulk(user, outer.bulk, net.CLIENT[4], traffic.MIB, strict=home_peer.ours)
    traffic.udp_ask(user, net.CLIENT[4], outer.udp.port)
    traffic.check_echo(visitor, net.LAN[4], inner.echo.port)


for _p in (GARENNE, XRAY):
    add(f"classic/bridge-and-client/{_p.name}-home", two_ways, _p, True, needs=(GARENNE, _p))
add("classic/bridge-is-no-client", two_ways, GARENNE, False, needs=(GARENNE,))


# ---- targetStrategy ---------------------------------------------------------

def near_and_far(t, near_peer, far_peer, out, more=None):
    """socks -> [near] == VLESS ==> [far] -> targets on the far host; a resolver that only
    the near program asks."""
    t.need(near_peer, far_peer)
    net = t.net(netns.Pair)
    dns = t.server(traffic.Dns, net.client, {
        "both.test": [net.server_addr[4], net.server_addr[6]],
        "only4.test": [net.server_addr[4]]})
    carrier = configs.CARRIERS["vless-tls"]
    t.program(far_peer, net.server, configs.config(
        [carrier.far("in", net.server_addr[4], HUB_PORT, t.pki)], [configs.freedom()]), "far")
    near = carrier.near("out", net.server_addr[4], HUB_PORT, t.pki)
    near.update(out)
    proc = t.program(near_peer, net.client, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)], [near], **(more or {})), "near")
    return net, Targets(t, net.server), traffic.Socks5(net.client, "127.0.0.1", 1080), dns, proc


def target_strategy(t, near_peer, far_peer):
    """The near program looks names up, so the far one needs not know them."""
    net, targets, via, dns, _ = near_and_far(t, near_peer, far_peer,
                                             {"targetStrategy": "ForceIPv4"})
    traffic.check_echo(via, "both.test", targets.echo.port)
    traffic.udp_ask(via, "both.test", targets.udp.port)
    expect(("both.test", 1) in dns.asked, "the near program did not ask for the name")
    traffic.check_echo(via, net.server_addr[6], targets.echo.port)
    expect(not traffic.works(via, "none.test", targets.echo.port, 5), "a name from nowhere")


def target_strategy_off(t, near_peer, far_peer):
    """Without it the far program is asked for the name, which it cannot find."""
    net, targets, via, dns, _ = near_and_far(t, near_peer, far_peer, {})
    expect(not traffic.works(via, "both.test", targets.echo.port, 5),
           "the far program found a name that it cannot know")
    expect(not dns.asked, "the near program asked for the name")


for _n, _f in ((GARENNE, GARENNE), (GARENNE, XRAY), (XRAY, GARENNE)):
    add(f"classic/target-strategy/{_n.name}+{_f.name}", target_strategy, _n, _f, needs=(_n, _f))
add("classic/target-strategy-off", target_strategy_off, GARENNE, GARENNE, needs=(GARENNE,))


# ---- UDP through another outbound -------------------------------------------

def udp_chain(t, kind, far_peer, how):
    """An outbound that reaches its server by another one, which is the only way there:
    everything it talks to is on the far host's loopback."""
    t.need(GARENNE, far_peer)
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    carrier = configs.CARRIERS["vless-tls"]
    socks, ss = configs.CARRIERS["socks"], configs.CARRIERS["ss2022-aes128"]
    ins = [carrier.far("in", net.server_addr[4], HUB_PORT, t.pki),
           socks.far("socks", "127.0.0.1", 1090), ss.far("ss", "127.0.0.1", 8388)]
    t.program(far_peer, net.server, configs.config(ins, [configs.freedom()]), "far")
    out = {"freedom": lambda: configs.freedom("out"),
           "socks": lambda: socks.near("out", "127.0.0.1", 1090),
           "shadowsocks": lambda: ss.near("out", "127.0.0.1", 8388)}[kind]()
    if how == "dialerProxy":
        out["streamSettings"] = {"sockopt": {"dialerProxy": "hub"}}
    else:
        out["proxySettings"] = {"tag": "hub"}
    t.program(GARENNE, net.client, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)],
        [out, carrier.near("hub", net.server_addr[4], HUB_PORT, t.pki)]), "near")
    via = traffic.Socks5(net.client, "127.0.0.1", 1080)
    traffic.check_echo(via, "127.0.0.1", targets.echo.port)
    traffic.udp_ask(via, "127.0.0.1", targets.udp.port)
    traffic.check_udp(via, "127.0.0.1", targets.udp.port, traffic.MIB // 2)
    if kind == "freedom":
        traffic.check_full_cone(via, "127.0.0.1", [targets.udp.port, targets.udp2.port])
        traffic.udp_ask(via, "localhost", targets.udp.port)


for _k in ("freedom", "socks", "shadowsocks"):
    for _p in (GARENNE, XRAY):
        add(f"classic/udp-chain/{_k}/{_p.name}-far", udp_chain, _k, _p, "dialerProxy",
            needs=(GARENNE, _p))
add("classic/udp-chain/proxy-settings", udp_chain, "freedom", GARENNE, "proxySettings",
    needs=(GARENNE,))


# ---- certificates -----------------------------------------------------------

def issued(t, near_peer, far_peer):
    """The server signs a certificate for whatever name it is asked for."""
    t.need(near_peer, far_peer)
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    carrier = configs.CARRIERS["vless-tls"]
    far = carrier.far("in", net.server_addr[4], HUB_PORT, t.pki)
    far["streamSettings"]["tlsSettings"] = {"certificates": [{
        "usage": "issue", "certificateFile": t.pki.ca, "keyFile": t.pki.ca_key}]}
    t.program(far_peer, net.server, configs.config([far], [configs.freedom()]), "far")
    names = ("one.test", "two.example.org")
    outs, ins, rules = [], [], []
    for n, name in enumerate(names):
        o = carrier.near(f"out{n}", net.server_addr[4], HUB_PORT, t.pki)
        o["streamSettings"] = configs.tls_client(t.pki, name)
        outs.append(o)
        ins.append(configs.socks_in(f"in{n}", "127.0.0.1", 1080 + n))
        rules.append(configs.rule(f"out{n}", inboundTag=[f"in{n}"]))
    t.program(near_peer, net.client, configs.config(ins, outs, rules), "near")
    for n in range(len(names)):
        via = traffic.Socks5(net.client, "127.0.0.1", 1080 + n)
        traffic.check_echo(via, net.server_addr[4], targets.echo.port)


for _n, _f in ((GARENNE, GARENNE), (XRAY, GARENNE), (GARENNE, XRAY)):
    add(f"classic/issued-certificate/{_n.name}+{_f.name}", issued, _n, _f, needs=(_n, _f))


def stapled(t):
    """openssl answers as the authority's responder, and asks as a client."""
    t.need(GARENNE)
    net = t.net(netns.Pair)
    t.server(traffic.Dns, net.server, {"ocsp.test": ["127.0.0.1"]})
    cert, key = os.path.join(t.dir, "leaf.pem"), os.path.join(t.dir, "leaf.key")
    netns.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "30", "-CA", t.pki.ca, "-CAkey", t.pki.ca_key, "-keyout", key,
               "-out", cert, "-subj", "/CN=stapled.test",
               "-addext", "authorityInfoAccess=OCSP;URI:http://ocsp.test:2560/ask"])
    serial = netns.run(["openssl", "x509", "-in", cert, "-noout", "-serial"]).strip()
    index = t.write("index.txt", "V\t491231235959Z\t\t%s\tunknown\t/CN=stapled.test\n"
                    % serial.split("=")[1])
    with open(cert) as f, open(t.pki.ca) as ca:
        chain = t.write("chain.pem", f.read() + ca.read())
    far = configs.CARRIERS["vless-tls"].far("in", net.server_addr[4], HUB_PORT, t.pki)
    far["streamSettings"]["tlsSettings"] = {"certificates": [{
        "certificateFile": chain, "keyFile": key, "ocspStapling": 5}]}

    def asked():
        with net.client.inside():
            p = subprocess.run(["openssl", "s_client", "-connect",
                                f"{net.server_addr[4]}:{HUB_PORT}", "-status", "-CAfile", t.pki.ca],
                               capture_output=True, text=True, timeout=20, input="")
        return p.stdout

    hub = t.program(GARENNE, net.server, configs.config([far], [configs.freedom()]), "hub")
    hub.wait_log("no OCSP answer for stapled.test", 10)
    expect("OCSP response: no response sent" in asked(), "an answer before there is one")
    t.spawn(net.server, ["openssl", "ocsp", "-port", "2560", "-index", index, "-CA", t.pki.ca,
                         "-rsigner", t.pki.ca, "-rkey", t.pki.ca_key, "-nmin", "5"], "responder")
    until(lambda: "Cert Status: good" in asked(), 30, "openssl s_client sees the answer", 0.5)
    out = asked()
    expect("OCSP Response Status: successful" in out and "Verify return code: 0" in out,
           "openssl does not like the answer")
    hub.wait_log("OCSP answer for stapled.test: good", 5)


add("classic/ocsp-stapling", stapled, needs=(GARENNE,), idle=True)


# ---- headers of an http outbound --------------------------------------------

def templates(t, peer):
    """What an http proxy is told in headers with placeholders."""
    t.need(peer)
    net = t.net(netns.Pair)
    heads = []

    def serve(_srv, c, _peer):
        buf = b""
        while b"\r\n\r\n" not in buf:
            buf += c.recv(4000)
        heads.append(buf.decode())
        c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        if not buf.endswith(b"hello"):
            traffic.recv_exact(c, 5)
        c.sendall(b"ready")

    proxy = t.server(traffic.Server, net.server, serve)
    t.program(peer, net.client, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)],
        [configs.outbound("out", "http", {
            "servers": [{"address": net.server_addr[4], "port": proxy.port}],
            "headers": {"X-Both": "{{.Source}}>{{ .Target }}",
                        "X-Parts": "{{.Source.Address}} {{.Target.Address}} {{.Target.Port}} "
                                   "{{.Target.Network}} {{.Target.NetAddr}}"}})]), "near")
    for host, address in (("far.test", "far.test"), ("192.0.2.9", "192.0.2.9"),
                          ("2001:db8::9", "[2001:db8::9]")):
        with traffic.Socks5(net.client, "127.0.0.1", 1080).tcp(host, 81) as s:
            s.sendall(b"hello")
            traffic.recv_exact(s, 5)
            port = s.getsockname()[1]
        lines = heads[-1].split("\r\n")
        for want in (f"X-Both: tcp:127.0.0.1:{port}>tcp:{address}:81",
                     f"X-Parts: 127.0.0.1 {address} 81 TCP {address}:81"):
            expect(want in lines, f"{want!r} is not in {lines}")


for _p in (GARENNE, XRAY):
    add(f"classic/header-templates/{_p.name}", templates, _p, needs=(_p,))


# ---- name servers -----------------------------------------------------------

def unbound(t, net, names):
    """Debian's unbound on the server host: UDP, TCP, and HTTPS by the name vps.test."""
    path = peers.tool("unbound")
    if not path:
        raise Skip("unbound is not installed")
    addr = net.server_addr[4]
    data = "".join(f'local-data: "{n}. {"AAAA" if ":" in a else "A"} {a}"\n'
                   for n, addrs in names.items() for a in addrs)
    conf = t.write("unbound.conf", f"""server:
        interface: {addr}@53
        interface: {addr}@443
        tls-service-key: {t.pki.key}
        tls-service-pem: {t.pki.cert}
        access-control: 0.0.0.0/0 allow
        do-daemonize: no
        username: ""
        chroot: ""
        directory: ""
        pidfile: ""
        use-syslog: no
        logfile: ""
        log-queries: yes
        verbosity: 1
        module-config: "iterator"
        local-zone: "test." static
        {data.replace(chr(10), chr(10) + "        ")}
""")
    p = t.spawn(net.server, [path, "-d", "-p", "-c", conf], "unbound")
    p.wait_listening({("tcp", 443), ("tcp", 53), ("udp", 53)})
    return p


def name_server(t, peer, address, routed):
    """freedom looks a name up in the dns object, whose server is a real one."""
    t.need(peer)
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    server = unbound(t, net, {"both.test": [net.server_addr[4], net.server_addr[6]]})
    system = t.server(traffic.Dns, net.client, {"vps.test": [net.server_addr[4]]})
    proc = t.program(peer, net.client, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)],
        [configs.freedom("out", domainStrategy="ForceIPv4"), configs.freedom("way-of-dns")],
        [configs.rule("way-of-dns", inboundTag=["dns-in"])], level="debug",
        dns={"servers": [address.format(ip=net.server_addr[4])], "tag": "dns-in",
             "queryStrategy": "UseIPv4"}),
        "near", env={"SSL_CERT_FILE": t.pki.ca})
    via = traffic.Socks5(net.client, "127.0.0.1", 1080)
    traffic.check_echo(via, "both.test", targets.echo.port)
    server.wait_log(r"(?i)both\.test\. A IN", 5)
    expect(not [n for n, _ in system.asked if n == "both.test"], "the system was asked")
    expect(not traffic.works(via, "none.test", targets.echo.port, 5), "a name from nowhere")
    if peer.ours:
        expect(("[dns-in -> way-of-dns]" in proc.log()) == routed,
               "the query was routed, or not, against what the file says")


for _n, _a, _r in (("udp", "{ip}", True), ("tcp", "tcp://{ip}", True),
                   ("tcp-local", "tcp+local://{ip}", False),
                   ("https", "https://vps.test/dns-query", True),
                   ("https-local", "https+local://vps.test/dns-query", False)):
    for _p in (GARENNE, XRAY):
        add(f"classic/name-server/{_n}/{_p.name}", name_server, _p, _a, _r, needs=(_p,),
            full=not _p.ours)


def old_https(t):
    """A DoH server that speaks HTTP/1.1 only, answers in chunks, and then closes."""
    t.need(GARENNE)
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    t.server(traffic.Dns, net.client, {"vps.test": [net.server_addr[4]]})
    table = t.server(traffic.Dns, net.server, {"both.test": [net.server_addr[4]]}, "127.0.0.1", 5353)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(t.pki.cert, t.pki.key)
    seen = []

    def serve(_srv, c, _peer):
        with tls.wrap_socket(c, server_side=True) as s:
            head = b""
            while b"\r\n\r\n" not in head:
                head += s.recv(4000)
            first = head.decode().split("\r\n")
            seen.extend(first)
            text = first[0].split("dns=")[1].split()[0]
            query = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            answer = table._answer(query, None)
            s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                      b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer), answer))

    port = t.server(traffic.Server, net.server, serve).port
    t.program(GARENNE, net.client, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)],
        [configs.freedom("out", domainStrategy="ForceIPv4")],
        dns={"servers": [f"https://vps.test:{port}/some/path?x=1"], "clientIp": "192.0.2.77"}),
        "near", env={"SSL_CERT_FILE": t.pki.ca})
    via = traffic.Socks5(net.client, "127.0.0.1", 1080)
    traffic.check_echo(via, "both.test", targets.echo.port)
    expect(f"Host: vps.test:{port}" in seen, f"no such host in {seen}")
    expect(seen[0].startswith("GET /some/path?x=1&dns="), seen[0])
    query = seen[0].split("dns=")[1].split()[0]
    raw = base64.urlsafe_b64decode(query + "=" * (-len(query) % 4))
    expect(bytes.fromhex("00080007000118 00c00002".replace(" ", "")) in raw,
           "the client's network is not told")
    expect(len(raw) % 128 == 0, "no padding")


add("classic/name-server/https-1.1", old_https, needs=(GARENNE,))


def stale_server(t, near_peer):
    """serveStale: a name server that has gone does not hurt who has asked before."""
    t.need(near_peer)
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    alive = [True]
    table = t.server(traffic.Dns, net.server, {"both.test": [net.server_addr[4]]}, "127.0.0.1", 5353)

    def reply(data, peer):
        out = table._answer(data, peer) if alive[0] else None
        return out.replace(b"\x00\x00\x00\x3c", b"\x00\x00\x00\x01") if out else None   # ttl

    t.server(traffic.UdpServer, net.server, reply, 53, net.server_addr[4])
    t.program(near_peer, net.client, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)],
        [configs.freedom("out", domainStrategy="ForceIPv4")],
        dns={"servers": [net.server_addr[4]], "serveStale": True, "queryStrategy": "UseIPv4"}),
        "near")
    via = traffic.Socks5(net.client, "127.0.0.1", 1080)
    traffic.check_echo(via, "both.test", targets.echo.port)
    alive[0] = False
    # What it knows is over when it asks again; each flow meanwhile goes through at once.
    begin = time.monotonic()
    until(lambda: traffic.works(via, "both.test", targets.echo.port, 1) and
          time.monotonic() - begin > 5, 20, "flows go on without the name server", 0.2)


add("classic/name-server/serve-stale", stale_server, GARENNE, needs=(GARENNE,), idle=True)


# ---- connections opened in advance ------------------------------------------

NO_NEW = f"""
    table inet deaf {{
        chain in {{ type filter hook input priority 0; tcp dport {HUB_PORT} tcp flags syn drop; }}
    }}"""


def warm(t, near_peer, far_peer, carrier):
    """testpre: with new connections impossible, a flow goes by one that was there."""
    t.need(near_peer, far_peer)
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    carrier = configs.CARRIERS[carrier]
    far_conf = configs.config([carrier.far("in", net.server_addr[4], HUB_PORT, t.pki)],
                              [configs.freedom()])
    far = t.program(far_peer, net.server, far_conf, "far")
    out = carrier.near("out", net.server_addr[4], HUB_PORT, t.pki)
    s = out["settings"].pop("vnext")[0]
    user = s["users"][0]
    out["settings"] = {"address": s["address"], "port": s["port"], "testpre": 2, **user}
    t.program(near_peer, net.client, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)], [out], workers=1, level="debug"), "near")
    via = traffic.Socks5(net.client, "127.0.0.1", 1080)
    host = net.server_addr[4]

    def waiting(n):
        until(lambda: carriers_of(far, HUB_PORT) == n, 10, f"{n} connections wait", 0.05)

    traffic.check_echo(via, host, targets.echo.port)
    waiting(2)
    net.server.nft(NO_NEW)
    for _ in range(2):
        traffic.check_echo(via, host, targets.echo.port)
    net.server.nft("delete table inet deaf")
    traffic.check_bulk(via, targets.bulk, host, traffic.MIB, strict=near_peer.ours and far_peer.ours)
    traffic.udp_ask(via, host, targets.udp.port)
    # The server goes and comes back: what waited is no trap.
    until(lambda: traffic.works(via, host, targets.echo.port) and carriers_of(far, HUB_PORT) > 0,
          10, "some wait again", 0.1)
    far.kill()
    far = t.program(far_peer, net.server, far_conf, "far-again")
    traffic.check_echo(via, host, targets.echo.port)
    traffic.check_echo(via, host, targets.echo.port)


def impatient(t):
    """A server that closes who says nothing for two seconds: nobody is the worse for it."""
    t.need(GARENNE, V2RAY)
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    carrier = configs.CARRIERS["vless-tls"]
    far = t.program(V2RAY, net.server, configs.config(
        [carrier.far("in", net.server_addr[4], HUB_PORT, t.pki)], [configs.freedom()],
        policy={"levels": {"0": {"handshake": 2}}}), "far")
    out = carrier.near("out", net.server_addr[4], HUB_PORT, t.pki)
    out["settings"]["testpre"] = 3
    t.program(GARENNE, net.client, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)], [out], workers=1, level="debug"), "near")
    via = traffic.Socks5(net.client, "127.0.0.1", 1080)
    for _ in range(2):
        traffic.check_echo(via, net.server_addr[4], targets.echo.port)
        until(lambda: carriers_of(far, HUB_PORT) == 0, 15, "v2ray has closed them all", 0.1)
    traffic.check_echo(via, net.server_addr[4], targets.echo.port)


for _f, _c in ((GARENNE, "vless-tls"), (XRAY, "vless-tls"), (XRAY, "vless-vision"),
               (GARENNE, "vless-vision")):
    add(f"classic/warm/{_c}/garenne+{_f.name}", warm, GARENNE, _f, _c, needs=(GARENNE, _f))
add("classic/warm/impatient-server", impatient, needs=(GARENNE, V2RAY), idle=True)
