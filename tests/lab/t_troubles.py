"""The tutorial's troubles and its larger pictures: S6 to S10."""
import contextlib
import os
import re
import select
import signal
import subprocess
import threading
import time

from . import LabError, Skip, configs, meshlab, netns, peers, t_meshlab, traffic
from .proc import until
from .scene import DOMAIN, USER_ID, clock_shifted, expect, in_of, load, out_of, row, rules_of

# ---- S6: "empty worker list" and its causes ------------------------------------


def broken(s, portal=None, bridge=None):
    """The triangle of S1 with something wrong in it: a request fails."""
    s.triangle(portal=portal, bridge=bridge, up=False)
    s.no_page()


@row("S6.1")
def cause_never(s):
    s.triangle(bridge=False, up=False)
    s.no_page()
    s.portal.wait_log("empty worker list")
    s.logged(s.portal, "ever connected")


@row("S6.2")
def cause_domain_differs(s):
    """Also only in letter case: rules do not mind, portals do."""
    bridge = load("s1/bridge")
    bridge["reverse"]["bridges"][0]["domain"] = "Reverse.HelloHabr.com"
    rules_of(bridge)[0]["domain"] = ["full:Reverse.HelloHabr.com"]
    s.triangle(bridge=bridge, up=False)
    s.portal.wait_log(r"(?i)accepted (tcp:)?Reverse\.HelloHabr\.com:0")
    s.no_page()
    s.portal.wait_log("empty worker list")
    s.logged(s.portal, r"asked for 'Reverse\.HelloHabr\.com' instead")
    s.logged(s.bridge, "not confirmed", 15)


@row("S6.3")
def cause_no_domain_rule(s):
    bridge = load("s1/bridge")
    rules_of(bridge).pop(0)
    broken(s, bridge=bridge)
    s.portal.wait_log("empty worker list")
    s.bridge.wait_log(r"tcp:reverse\.hellohabr\.com:0.*direct|"
                      r"direct.*tcp:reverse\.hellohabr\.com:0")
    s.logged(s.bridge, "no connection to the portal")
    s.warns(bridge, DOMAIN.replace(".", r"\.") + "|bridge")


@row("S6.4")
def cause_no_portal_rule(s):
    """Registrations and users take the portal's default route."""
    portal = load("s1/portal")
    rules_of(portal)[0]["inboundTag"] = ["incomming"]
    s.triangle(portal=portal, up=False)
    if s.ours:
        s.portal.wait_log(r"tcp:reverse\.hellohabr\.com:0.*direct")
        s.warns(portal, "portal|incomming")
    else:
        s.portal.wait_log(r"default route for tcp:reverse\.hellohabr\.com:0")


@row("S6.5")
def cause_wrong_key(s):
    bridge = load("s1/bridge")
    out_of(bridge, "outgoing")["settings"]["servers"][0]["password"] = \
        "d3Jvbmcga2V5LCBzb3JyeQ=="
    broken(s, bridge=bridge)
    s.portal.wait_log("empty worker list")
    s.logged(s.portal, "(key|auth|password|decrypt|salt|invalid|wrong)")
    s.logged(s.bridge, "not confirmed|no connection to the portal|lost a carrier", 15)


@row("S6.6")
def cause_wrong_port(s):
    bridge = load("s1/bridge")
    out_of(bridge, "outgoing")["settings"]["servers"][0]["port"] = 5554
    broken(s, bridge=bridge)
    s.bridge.wait_log("(?i)connection refused|refused", 15)
    s.logged(s.bridge, "no connection to the portal.*refused", 15)


@row("S6.7")
def cause_handshake(s):
    """Clock skew is S1.10, a wrong name S7.3; here an expired certificate."""
    certificates(s, clock_shifted(s.t, -60 * 86400))
    s.triangle("s7", up=False)
    s.no_page()
    s.bridge.wait_log("(?i)expired", 15)


@row("S10.9")
@row("S6.9")
def cause_two_portals(s):
    """A second process on the port. Stock programs share it, with half of the requests
    failing; ours refuses to start."""
    s.triangle()
    second = s.program("portal2", load("s1/portal"), wait=False)
    if not s.ours:
        second.wait_listening({("tcp", 5555)})
        bad = sum(s.curl("http://127.0.0.1:8081/", limit=3)[0] != 0 for _ in range(40))
        s.t.note(f"{bad} of 40 requests failed")
        return
    expect(second.wait_exit() != 0, "the second portal started")
    expect("address already in use" in second.log().lower(), second.tail(3))
    s.t.procs.remove(second)
    for _ in range(10):
        s.page()


@row("S10.1")
@row("S6.10")
def cause_bridge_restarted(s):
    s.triangle()
    s.bridge.kill()
    s.bridge.start()
    recovered(s, 15 if s.ours else 40)


@row("S6.11")
def cause_overwritten(s):
    """A later -c file replaces the whole reverse object."""
    if s.subject is not peers.GARENNE:
        raise Skip("looks into our log")
    a = s.t.write("a.json", load("s1/bridge"))
    b = s.t.write("b.json", {"reverse": {"bridges": [{"tag": "bridge", "domain": "other.test"}]}})
    s.triangle(bridge=False, up=False)
    p = s.t.spawn(s.ns, [s.subject.path, "run", "-c", a, "-c", b], "bridge", ours=True)
    p.wait_log(r"tcp:other\.test:0")
    expect(DOMAIN + ":0" not in p.log(), "the first file's bridge lives on")


@row("S6.12")
def cause_too_early(s):
    """A user's flow right after a restart of the portal: at most a moment's failure."""
    s.triangle()
    s.portal.kill()
    s.portal.start().wait_listening({("tcp", 5555)})
    recovered(s, 15 if s.prompt else 90)


def recovered(s, deadline):
    begin = time.monotonic()
    failed = 0
    while s.curl("http://127.0.0.1:8081/", limit=3)[0] != 0:
        failed += 1
        if time.monotonic() - begin > deadline:
            raise LabError(f"not served again within {deadline} s ({failed} requests failed)")
    s.t.note(f"served again after {time.monotonic() - begin:.2f} s, {failed} requests failed")


# ---- S7: VLESS and TLS -----------------------------------------------------------

def certificates(s, env=None):
    """cert.pem and key.pem for hub.test, its own authority, where the files look."""
    d = s.t.dir
    netns.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "30", "-keyout", f"{d}/key.pem", "-out", f"{d}/cert.pem",
               "-subj", "/CN=hub.test", "-addext", "subjectAltName=DNS:hub.test"], env=env)
    os.environ["XRAY_LOCATION_CERT"] = d


def s7(s, up=True, **kw):
    certificates(s)
    files = {n: kw.get(n) or load("s7/" + n) for n in ("portal", "bridge", "client")}
    return s.triangle("s7", up=up, **files)


@row("S7.1")
def tls(s):
    s7(s)
    expect("peer 127.0.0.1" in s.page(), "the service sees somebody else")


@row("S7.2")
def users_id_may_not_register(s):
    bridge = load("s7/bridge")
    out_of(bridge, "outgoing")["settings"]["vnext"][0]["users"][0]["id"] = USER_ID
    s7(s, up=False, bridge=bridge)
    s.portal.wait_log(r"tcp:reverse\.hellohabr\.com:0.*block|block.*tcp:reverse\.hellohabr\.com:0")
    s.no_page()


def _tls_of(bridge):
    return out_of(bridge, "outgoing")["streamSettings"]["tlsSettings"]


@row("S7.3")
def wrong_name(s):
    bridge = load("s7/bridge")
    _tls_of(bridge)["serverName"] = "other.test"
    s7(s, up=False, bridge=bridge)
    s.bridge.wait_log(r"(?i)hub\.test|hostname mismatch|name", 15)
    s.logged(s.bridge, "other\\.test|mismatch|certificate", 15)
    s.no_page()


@row("S7.3-no-ca")
def no_ca(s):
    bridge = load("s7/bridge")
    del _tls_of(bridge)["certificates"]
    s7(s, up=False, bridge=bridge)
    s.bridge.wait_log("(?i)certificate", 15)
    s.no_page()


@row("S7.4")
def vision(s):
    def flow(conf, users):
        for u in users(conf):
            u["flow"] = "xtls-rprx-vision"
        return conf
    portal = flow(load("s7/portal"), lambda c: in_of(c, "incoming")["settings"]["clients"])
    if "vision" not in s.subject.can:
        raise Skip(f"{s.subject.title} has no Vision")
    if s.ours:
        certificates(s)

    def dialling(tag):
        return lambda c: out_of(c, tag)["settings"]["vnext"][0]["users"]
    s7(s, portal=portal, bridge=flow(load("s7/bridge"), dialling("outgoing")),
       client=flow(load("s7/client"), dialling("vps")))
    s.page()


@row("S7.5")
def browser(s):
    """A browser's visit: the handshake completes, then the connection ends; with
    fallbacks there is a web site."""
    s7(s)
    code, out = s.curl("https://hub.test:5556/", "--cacert", f"{s.t.dir}/cert.pem",
                       "--resolve", "hub.test:5556:127.0.0.1", proxy=None)
    expect(code in (18, 52, 56), f"curl {code}: {out[:200]!r}")
    for p in (s.bridge, s.client, s.portal):
        p.stop()
    portal = load("s7/portal")
    in_of(portal, "incoming")["settings"]["fallbacks"] = [{"dest": 8082}]
    tls_ = in_of(portal, "incoming")["streamSettings"]["tlsSettings"]
    tls_["alpn"] = ["http/1.1"]
    s.t.server(traffic.Server, s.ns, traffic.web("a harmless site"), 8082, "127.0.0.1")
    s.program("portal", portal)
    code, out = s.curl("https://hub.test:5556/", "--cacert", f"{s.t.dir}/cert.pem",
                       "--resolve", "hub.test:5556:127.0.0.1", proxy=None)
    expect(code == 0 and "a harmless site" in out, f"curl {code}: {out[:200]!r}")


LINK = (f"vless://{USER_ID}@hub.test:5556?type=tcp&encryption=none&security=tls&sni=hub.test"
        "&fp=chrome#home")


@row("S7.6")
def share_link(s):
    """A stock client that has nothing but the link, on the S7 portal and bridge."""
    s.t.need(peers.XRAY)
    certificates(s)
    s.triangle("s7", client=False, up=False)
    s.subject = peers.XRAY
    s.client = s.program("client", meshlab.xray_of_link(LINK, port=1080),
                         hosts={"hub.test": "127.0.0.1"},
                         env={"SSL_CERT_FILE": f"{s.t.dir}/cert.pem"})
    s.wait_up()
    s.page()


# ---- S8: leaving through home ------------------------------------------------------

def home(s, hosts=None, **kw):
    bridge = load("s1/bridge")
    out_of(bridge, "direct").update(kw)
    return s.triangle(bridge=bridge, hosts=hosts)


@row("S8.1")
def home_address(s):
    home(s, sendThrough="127.0.0.9")
    expect("peer 127.0.0.9" in s.page(), "the server sees another address")


@row("S8.2")
def home_resolver(s):
    s.t.server(traffic.Server, s.ns, traffic.web("the home country's page"), 8083, "127.0.0.1")
    home(s, {"cdn.test": "127.0.0.1"})
    s.page("http://cdn.test:8083/", "the home country's page")


@row("S8.3")
def home_udp(s):
    """Boundaries kept, one source port for the whole flow."""
    srv = s.t.server(traffic.UdpServer, s.ns, traffic.udp_whoami, 9053, "127.0.0.1")
    home(s)
    with s.socks.udp() as f:
        seen = set()
        for n in (1, 2, 3, 4, 5):
            f.send(b"x" * n * 100, "127.0.0.1", 9053)
            seen.add(f.recv()[0])
    expect(len(seen) == 1, f"the server saw {seen}")
    expect(len(srv.peers) == 1, f"the server saw {srv.peers}")
    sizes = []
    sink = s.t.server(traffic.UdpServer, s.ns, lambda d, p: sizes.append(len(d)) or d, 9054,
                      "127.0.0.1")
    with s.socks.udp() as f:
        for n in (1, 1400, 2, 1200):
            f.send(b"x" * n, "127.0.0.1", sink.port)
            f.recv()
    expect(sizes == [1, 1400, 2, 1200], f"datagrams arrived as {sizes}")


@row("S8.4")
def home_down(s):
    home(s)
    s.bridge.kill()
    before = len(s.web.peers)
    s.no_page(quick=False)
    expect(len(s.web.peers) == before, "something left by the VPS's own address")


@row("S8.5")
def home_without_ipv6(s):
    s.ns.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    dns = s.t.server(traffic.Dns, s.ns, {"both.test": ["2001:db8:9::9", "127.0.0.1"]})
    home(s)
    s.no_page("http://[2001:db8:9::9]:8081/")
    s.page("http://both.test:8081/")
    expect(("both.test", 1) in dns.asked, "the IPv4 address was not asked for")


# ---- S9: the pseudo-VPN by hand -----------------------------------------------------

NODES = {"alice": 1081, "bob": 1082, "carol": 1083}
VIRTUAL = {"alice": "10.77.0.11", "bob": "10.77.0.12", "carol": "10.77.0.13"}
HOME = {"alice": "127.0.1.11", "bob": "127.0.1.12", "carol": "127.0.1.13"}
SSH, SERVICE, ECHO = 22, 8000, 7000


def node_file(name, tun="socks"):
    """As printed, with two changes that one host needs: tun becomes a SOCKS inbound of
    that tag, and "127.0.0.1" of each node is an address of its own."""
    conf = load("s9/" + name)
    if tun == "socks":
        conf["inbounds"] = [configs.socks_in("tun", "127.0.0.1", NODES[name])]
    out_of(conf, "self")["settings"]["redirect"] = HOME[name] + ":0"
    return conf


def mesh(s, order=("hub", "alice", "bob", "carol")):
    if "ss2022" not in s.subject.can:
        raise Skip(f"{s.subject.title} has no Shadowsocks 2022")
    for n, addr in HOME.items():
        s.t.server(traffic.Server, s.ns, traffic.web(f"the service of {n}"), SERVICE, addr)
        s.t.server(traffic.Server, s.ns, traffic.serve_banner, SSH, addr)
    s.nodes = {}
    for n in order:
        s.nodes[n] = s.program(n, load("s9/hub") if n == "hub" else node_file(n))
    for n in NODES:
        until(lambda n=n: s.registrations(n + ".vpn.internal", s.nodes["hub"]), 15,
              f"{n} registers")
    until(lambda: ask(s, "bob", "alice")[0] == 0 and ask(s, "alice", "bob")[0] == 0
          and ask(s, "bob", "carol")[0] == 0, 15, "the mesh carries flows", 0.1)


def ask(s, who, whom, port=SERVICE):
    return s.curl(f"http://{VIRTUAL.get(whom, whom)}:{port}/", proxy=f"127.0.0.1:{NODES[who]}",
                  limit=5)


@row("S9.1")
def mesh_registers(s):
    begin = time.monotonic()
    mesh(s, ("carol", "alice", "hub", "bob"))
    s.t.note(f"up after {time.monotonic() - begin:.2f} s")
    for n in NODES:
        s.nodes["hub"].wait_log(rf"accepted (tcp:)?{n}\.vpn\.internal:0 .*email: {n}")


@row("S9.2")
def mesh_pairs(s):
    mesh(s)
    for who in NODES:
        for whom in NODES:
            code, out = ask(s, who, whom)
            if (who, whom) == ("carol", "alice"):
                expect(code != 0, "carol reached alice's service")
            else:
                expect(code == 0 and f"the service of {whom}" in out,
                       f"{who} -> {whom}: curl {code} {out[:100]!r}")


@row("S9.3")
def mesh_ssh_only(s):
    mesh(s)
    via = traffic.Socks5(s.ns, "127.0.0.1", NODES["carol"])
    traffic.check_banner(via, VIRTUAL["alice"], SSH)
    traffic.check_refused(via, VIRTUAL["alice"], 2222)


@row("S9.4")
def mesh_foreign_name(s):
    """Alice's program registers bob's name: blocked, and bob does not notice."""
    mesh(s)
    rogue = node_file("alice")
    rogue["reverse"]["bridges"][0]["domain"] = "bob.vpn.internal"
    rules_of(rogue)[0]["domain"] = ["full:bob.vpn.internal"]
    rogue["inbounds"] = []
    s.nodes["hub"].mark()
    s.program("rogue", rogue, wait=False)
    until(lambda: "block" in s.nodes["hub"].log_since_mark()
          and "bob.vpn.internal" in s.nodes["hub"].log_since_mark(), 10, "the hub blocks it")
    for _ in range(5):
        expect("the service of bob" in ask(s, "carol", "bob")[1], "bob is gone")


@row("S9.5")
def mesh_nobody(s):
    mesh(s)
    expect(ask(s, "bob", "10.77.0.99")[0] not in (0, 28), "nobody answered, or silence")


@row("S9.6")
def mesh_ping(s):
    """The file as printed, with its device. Shadowsocks carries no echo: silence, and no reply
    that nobody gave."""
    if not s.ours:
        raise Skip("a stock tun answers every ping by itself")
    mesh(s)
    s.nodes["alice"].stop()
    s.t.procs.remove(s.nodes["alice"])
    alice = s.nodes["alice"] = s.program("alice-tun", node_file("alice", tun="tun"))
    until(lambda: s.curl(f"http://{VIRTUAL['bob']}:{SERVICE}/", proxy=None, limit=3)[0] == 0, 15,
          "bob's service is reached by the device", 0.1)
    for addr in (VIRTUAL["bob"], "10.77.0.99"):
        with s.ns.inside():
            p = subprocess.run(["ping", "-c", "2", "-i", "0.2", "-W", "1", addr],
                               capture_output=True, text=True, timeout=20)
        expect(p.returncode == 1 and " 0 received" in p.stdout, f"ping {addr}: {p.stdout}")
    alice.wait_log("pings are not carried")


@row("S9.7")
def mesh_source_lost(s):
    mesh(s)
    out = ask(s, "bob", "carol")[1]
    expect("peer 127.0." in out, f"the service saw {out!r}")


@row("S9.8")
def mesh_oneself(s):
    mesh(s)
    s.nodes["hub"].mark()
    expect("the service of bob" in ask(s, "bob", "bob")[1], "no answer")
    s.nodes["hub"].wait_log(r"tcp:10\.77\.0\.12:8000", since_mark=True)


def one_file(s):
    """What these rows lack by hand is there when the mesh is one file."""
    if not s.ours:
        raise Skip("states a lack of stock programs")
    m = meshlab.Mesh(s.t, hubs=1, sites=2)
    m.wait_up()
    return m


@row("S9.9")
def mesh_names(s):
    m = one_file(s)
    for a in m.nodes:
        t_meshlab.names(m, a)


@row("S9.10")
def mesh_sites(s):
    m = one_file(s)
    for f in (4, 6):
        expect(m.reaches("bpc", "pnas", f) and m.reaches("pnas", "bpc", f),
               f"192.168.1.20 and 192.168.1.20 do not reach each other by IPv{f}")


@row("S9.11")
def mesh_hub_restarts(s):
    mesh(s)
    s.nodes["hub"].kill()
    s.nodes["hub"].start()
    begin = time.monotonic()
    until(lambda: ask(s, "bob", "alice")[0] == 0, 20, "the mesh is back", 0.05)
    s.t.note(f"back after {time.monotonic() - begin:.2f} s")


def carriers(s, who, to=5557):
    """The ports that a node's connections to the hub have at its own end."""
    with s.ns.inside():
        out = subprocess.run(["ss", "-Htnp", "state", "established", f"dport = :{to}"],
                             capture_output=True, text=True, check=True).stdout
    pid = f"pid={s.nodes[who].pid},"
    return {line.split()[2].rsplit(":", 1)[1] for line in out.splitlines() if pid in line}


def said_and_heard(f, what):
    f.sendall(what)
    heard = traffic.recv_exact(f, len(what))
    expect(heard == what, f"{heard!r} came back for {what!r}")


@row("S9.12")
def mesh_losses(s):
    """What alice's carrier loses, all her flows wait for, and nobody else does; none is lost."""
    mesh(s)
    for n in ("alice", "carol"):
        s.t.server(traffic.Server, s.ns, traffic.serve_echo, ECHO, HOME[n])
    via = traffic.Socks5(s.ns, "127.0.0.1", NODES["bob"])
    with contextlib.ExitStack() as flows:
        hers = [flows.enter_context(via.tcp(VIRTUAL["alice"], ECHO)) for _ in range(4)]
        other = flows.enter_context(via.tcp(VIRTUAL["carol"], ECHO))
        for f in (*hers, other):
            f.settimeout(traffic.WAIT)
            said_and_heard(f, b"before")
        ports = ", ".join(sorted(carriers(s, "alice")))
        s.ns.nft(f"""
            table inet lossy {{
                chain out {{ type filter hook output priority 0;
                    tcp dport 5557 tcp sport {{ {ports} }} drop
                    tcp sport 5557 tcp dport {{ {ports} }} drop
                }}
            }}""")
        for f in hers:
            f.sendall(b"during")
        for _ in range(50):
            said_and_heard(other, b"meanwhile")
        heard = select.select(hers, [], [], 0)[0]
        expect(not heard, f"{len(heard)} of alice's flows passed a carrier that passes nothing")
        s.ns.nft("delete table inet lossy")
        for f in hers:
            expect(traffic.recv_exact(f, 6) == b"during", "another answer")
            said_and_heard(f, b"after")


# ---- S10: restarts, freezes, load -----------------------------------------------------

@row("S10.2")
def portal_restarted(s):
    s.triangle()
    s.portal.kill()
    s.portal.start()
    recovered(s, 15 if s.prompt else 90)


@row("S10.3")
def frozen_alone(s):
    """A frozen bridge and no other: the request fails with a reason, it does not hang."""
    s.triangle()
    s.bridge.signal(signal.SIGSTOP)
    begin = time.monotonic()
    s.no_page(quick=s.ours, limit=25)
    s.t.note(f"failed after {time.monotonic() - begin:.1f} s")
    if s.ours:
        s.portal.wait_log("(?i)(gone|dead|silent|timeout|timed out)", 20)


@row("S5.5")
@row("S10.4")
def frozen_beside_live(s):
    s.triangle()
    s.program("bridge2", load("s1/bridge"), wait=False)
    until(lambda: s.registrations() >= 2, 15, "the second bridge registers")
    s.page()
    s.bridge.signal(signal.SIGSTOP)
    begin = time.monotonic()
    if s.ours:
        # Requests that were sent to the frozen one before it is known are lost.
        failed = 0
        while not re.search("is gone|silent|dead", s.portal.log()):
            failed += s.curl("http://127.0.0.1:8081/", limit=2)[0] != 0
            if time.monotonic() - begin > 25:
                raise LabError("the frozen bridge is still believed in after 25 s")
        s.t.note(f"declared dead after {time.monotonic() - begin:.1f} s, "
                 f"{failed} requests failed until then")
        for _ in range(10):
            s.page()
    else:
        codes = [s.curl("http://127.0.0.1:8081/", limit=2)[0] for _ in range(5)]
        s.t.note(f"requests ended with {codes} in {time.monotonic() - begin:.1f} s")


@row("S10.5")
def held_flows(s):
    """16 and then 40 flows held open: a bounded number of carriers."""
    echo = s.t.server(traffic.Server, s.ns, traffic.serve_echo, 8084, "127.0.0.1")
    s.triangle()
    seen = []
    with contextlib.ExitStack() as stack:
        for n in (16, 24):
            flows = [stack.enter_context(s.socks.tcp("127.0.0.1", echo.port)) for _ in range(n)]
            for i, c in enumerate(flows):
                c.sendall(b"%03d" % i)
                expect(traffic.recv_exact(c, 3) == b"%03d" % i, "echo differs")
            with contextlib.suppress(LabError):
                until(lambda: s.registrations() > (seen[-1] if seen else 1), 5, "one more")
            seen.append(s.registrations())
        for i, c in enumerate(flows):
            c.sendall(b"%03d" % i)
            expect(traffic.recv_exact(c, 3) == b"%03d" % i, "echo differs")
    s.t.note(f"carriers opened: {seen[0]} with 16 flows, {seen[1]} with 40")
    expect(seen[1] <= 8, "too many carriers")


@row("S10.6")
def in_turn(s):
    echo = s.t.server(traffic.Server, s.ns, traffic.serve_echo, 8084, "127.0.0.1")
    s.triangle()
    bad = sum(not traffic.works(s.socks, "127.0.0.1", echo.port) for _ in range(320))
    expect(bad == 0, f"{bad} of 320 requests failed")
    s.t.note(f"{s.registrations()} carriers in all")


@row("S10.8")
def mux_in_mux(s):
    bridge = load("s1/bridge")
    out_of(bridge, "outgoing")["mux"] = {"enabled": True, "concurrency": 8}
    s.triangle(bridge=bridge)
    for _ in range(20):
        s.page()


@row("S10.10")
def bulk_and_interactive(s):
    """A large download that nobody hurries, and a conversation beside it."""
    flood = s.t.server(traffic.Server, s.ns, traffic.serve_flood, 8085, "127.0.0.1")
    echo = s.t.server(traffic.Server, s.ns, traffic.serve_echo, 8084, "127.0.0.1")
    s.triangle()
    with s.socks.tcp("127.0.0.1", flood.port) as big, \
            s.socks.tcp("127.0.0.1", echo.port) as talk:
        stop = []

        def drain():
            with contextlib.suppress(OSError):
                while not stop and big.recv(traffic.CHUNK):
                    pass
        threading.Thread(target=drain, daemon=True).start()
        times = []
        for i in range(200):
            begin = time.monotonic()
            talk.sendall(b"%04d" % i)
            expect(traffic.recv_exact(talk, 4) == b"%04d" % i, "echo differs")
            times.append(time.monotonic() - begin)
        stop.append(True)
    times.sort()
    s.t.note(f"ping-pong beside a download: median {times[100] * 1000:.2f} ms, "
             f"p99 {times[197] * 1000:.2f} ms")


@row("S5.5-stopped-reader")
def stopped_reader(s):
    """Nobody reads the large download: the conversation on the same carrier goes on."""
    flood = s.t.server(traffic.Server, s.ns, traffic.serve_flood, 8085, "127.0.0.1")
    echo = s.t.server(traffic.Server, s.ns, traffic.serve_echo, 8084, "127.0.0.1")
    s.triangle()
    with s.socks.tcp("127.0.0.1", flood.port) as big:
        traffic.recv_exact(big, 100000)
        n = 50 if s.ours else 3
        bad = sum(not traffic.works(s.socks, "127.0.0.1", echo.port) for _ in range(n))
        if s.ours:
            expect(bad == 0, f"{bad} of {n} conversations failed beside a stopped reader")
        else:
            s.t.note(f"{bad} of {n} conversations failed")

