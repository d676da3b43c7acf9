"""The tutorial as it reads, and what goes wrong with it: S1 to S5.

Every numbered row is a test. Where stock programs are known to do worse, the row says
what is expected of them and what of us (s.ours).
"""
import base64
import copy
import json
import os
import time

from . import Skip, configs, peers, traffic
from .proc import until
from .scene import (DOMAIN, USER_ID, WEB, clock_shifted, expect, in_of, load, out_of,
                    plain_vless, row, rules_of)


# ---- S1: the basic triangle --------------------------------------------------

@row("S1.1")
def no_bridge(s):
    s.triangle(bridge=False, up=False)
    code = s.no_page()
    expect(code in (52, 56, 97) or not s.prompt, f"curl {code}; an empty reply is 52")
    s.portal.wait_log("failed to process reverse connection > .*empty worker list")
    s.logged(s.portal, "no bridge for .*" + DOMAIN + ".* has ever connected")


@row("S1.2")
def registration_is_logged(s):
    s.triangle(bridge=False, up=False)
    begin = time.monotonic()
    s.triangle(portal=False, client=False, up=False)
    arrow = r"\[portal\]" if s.subject is peers.V2RAY else r"\[incoming -> portal\]"
    s.portal.wait_log(rf"accepted (tcp:)?reverse\.hellohabr\.com:0 {arrow}")
    s.t.note(f"registered after {time.monotonic() - begin:.2f} s")


@row("S1.3")
def page(s):
    s.triangle()
    expect("peer 127.0.0.1" in s.page(), "the service sees somebody else than the bridge")
    arrow = r"\[direct\]" if s.subject is peers.V2RAY else r"\[bridge -> direct\]"
    s.bridge.wait_log(rf"accepted tcp:127\.0\.0\.1:8081 {arrow}")


@row("S1.4")
def name_resolved_on_bridge(s):
    s.triangle(hosts={"nas.home.test": "127.0.0.1"})
    s.page("http://nas.home.test:8081/")
    s.page("http://localhost:8081/")


@row("S1.5")
def udp(s):
    s.t.server(traffic.UdpServer, s.ns, lambda d, p: d[::-1], 9053, "127.0.0.1")
    s.triangle()
    data, peer = traffic.udp_ask(s.socks, "127.0.0.1", 9053, b"abc")
    expect(data == b"cba", f"answer {data!r}")
    expect(peer[1] == 9053, f"answer from {peer}")
    s.bridge.wait_log(r"udp:127\.0\.0\.1:9053")


@row("S10.7", idle=True, limit=160)
@row("S1.6", idle=True, limit=160)
def idle(s):
    seconds = 75 if s.t.opts.full else 40
    s.triangle()
    begin = time.monotonic()
    # A spare carrier may come a little later; then nothing more.
    until(lambda: time.monotonic() - begin > 6, 10, "settled", 0.5)
    n = s.registrations()
    until(lambda: time.monotonic() - begin > 6 + seconds, seconds + 10, "idle time", 0.5)
    s.page()
    again = s.registrations() - n
    expect(again == 0, f"{again} new registrations in {seconds} idle seconds")


@row("S1.7")
def closed_port(s):
    s.triangle()
    s.no_page("http://127.0.0.1:8099/")


@row("S1.8")
def trailing_comma(s):
    """The bridge's file as printed: a comma too many, address and key filled in."""
    conf = load("s1/bridge")
    del conf["log"]
    text = json.dumps(conf, indent=2)
    key = '"password": "jrvnZ48LFcUpPyNgEwKTKQ=="'
    expect(key in text, "the key stands where it stood")
    text = text.replace(key, key + ",")
    code, out = s.check(text)
    if not s.ours:
        expect(code != 0, "a stock program loads a file with a trailing comma")
        return
    line = 1 + text[:text.index(key)].count("\n")
    expect(code == 0, f"refused: {out[:300]}")
    # The comma, or the brace on the next line before which it is one too many.
    expect("comma" in out and any(f":{n}:" in out for n in (line, line + 1)),
           f"no warning with line {line}: {out[:300]!r}")
    s.program("portal", load("s1/portal"))
    s.program("bridge", os.path.join(s.t.dir, "checked.json"), wait=False)
    s.program("client", load("s1/client"))
    s.wait_up()


def _keyed(key):
    conf = load("s1/bridge")
    out_of(conf, "outgoing")["settings"]["servers"][0]["password"] = key
    return conf


@row("S1.9")
def key_lengths(s):
    if s.subject is peers.V2RAY:
        raise Skip("v2ray 4.34 has no Shadowsocks 2022")
    code, out = s.check(_keyed(base64.b64encode(b"x" * 15).decode()))
    if s.ours:
        expect(code != 0 and "password" in out and "15" in out, f"15 bytes: {out[:300]!r}")
        code, out = s.check(_keyed(base64.b64encode(b"x" * 17).decode()))
        expect(code == 0 and "password" in out and "17" in out, f"17 bytes: {out[:300]!r}")
    code, out = s.check(_keyed("..."))
    expect(code != 0 and "base64" in out, f"not base64: {out[:300]!r}")
    if s.ours:
        expect("password" in out, f"the field is not named: {out[:300]!r}")


@row("S1.10")
def clock_skew(s):
    if not s.ours:
        raise Skip("the clock of a Go program cannot be shifted from outside")
    s.triangle(bridge=False, up=False)
    s.program("bridge", load("s1/bridge"), env=clock_shifted(s.t, 31))
    s.logged(s.portal, "clock", 20)
    s.logged(s.t.procs[-1], "clock|not confirmed|no connection to the portal", 20)
    s.no_page()


# ---- S2: port forwarding -----------------------------------------------------

SEED_RULE = {"type": "field", "inboundTag": ["bridge"], "outboundTag": "web_server_local"}


def forwarding(s, order, address="10.99.99.99", port=80, up=True):
    """The files of S2 with the bridge's rules in another order: "domain", "generic", the
    narrow rule of the files ("narrow"), or the tutorial's rule ("seed")."""
    web = s.t.server(traffic.Server, s.ns, traffic.web(WEB), 8080, "127.0.0.1")
    portal, bridge = load("s2/portal"), load("s2/bridge")
    in_of(portal, "web_server_forward")["settings"].update(address=address, port=port)
    named = dict(zip(("domain", "narrow", "generic"), rules_of(bridge)), seed=SEED_RULE)
    bridge["routing"]["rules"] = [copy.deepcopy(named[n]) for n in order]
    s.triangle("s2", portal, bridge, up=up)
    return bridge, web


def forward_page(s):
    return s.page("http://127.0.0.1:8000/", WEB, proxy=None)


@row("S2.1")
def seed_rule_last(s):
    bridge, _ = forwarding(s, ("domain", "generic", "seed"), "127.0.0.1", 8080)
    forward_page(s)
    s.page()
    expect("-> web_server_local]" not in s.bridge.log(), "the rule was hit after all")
    s.warns(bridge, r"never|cannot match|unreachable")


@row("S2.2")
def seed_rule_between(s):
    forwarding(s, ("domain", "seed", "generic"), "127.0.0.1", 8080)
    forward_page(s)
    s.page(what=WEB)


@row("S6.8")
@row("S2.3")
def seed_rule_first(s):
    bridge, _ = forwarding(s, ("seed", "domain", "generic"), up=False)
    s.no_page()
    s.no_page("http://127.0.0.1:8000/", proxy=None)
    s.bridge.wait_log(r"tcp:reverse\.hellohabr\.com:0.*web_server_local|"
                      r"web_server_local.*tcp:reverse\.hellohabr\.com:0")
    s.logged(s.bridge, "not confirmed", 15)
    s.warns(bridge, "web_server_local|never|portal")


@row("S2.4")
def seed_rule_last_other_target(s):
    forwarding(s, ("domain", "generic", "seed"))
    s.no_page("http://127.0.0.1:8000/", proxy=None, quick=False)
    s.page()


@row("S2.5")
def as_printed(s):
    web = forwarding(s, ("domain", "narrow", "generic"))[1]
    expect("peer 127.0.0.1" in forward_page(s), "the web server sees somebody else")
    s.page()
    if s.subject is not peers.V2RAY:
        s.portal.wait_log(r"accepted tcp:10\.99\.99\.99:80 \[web_server_forward -> portal\]")
        s.bridge.wait_log(r"\[bridge -> web_server_local\]")
    seen = len(web.peers)
    with traffic.Direct(s.ns, "127.0.0.1", 8000).tcp("", 0) as c:
        # Nothing is sent: the server must see the connection all the same.
        until(lambda: len(web.peers) > seen, 5, "the server sees a silent connection")
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while part := c.recv(4096):
            got += part
        expect(WEB.encode() in got, "no page")


@row("S2.5-parallel")
def twenty_downloads(s):
    """Twenty parallel downloads through the port forward arrive intact."""
    portal, bridge = load("s2/portal"), load("s2/bridge")
    srv = s.t.server(traffic.Server, s.ns, traffic.serve_bulk, 8080, "127.0.0.1")
    s.triangle("s2", portal, bridge)
    via = traffic.Direct(s.ns, "127.0.0.1", 8000)
    failed = traffic.together(20, lambda _: traffic.check_bulk(
        via, srv, "127.0.0.1", 4 * traffic.MIB, strict=s.ours))
    expect(not failed, f"{len(failed)} of 20 failed: {failed[:1]}")


@row("S2.5-no-bridge")
def forward_without_bridge(s):
    """Accepted, then closed at once: no refusal can be given."""
    s.triangle("s2", bridge=False, client=False, up=False)
    code = s.no_page("http://127.0.0.1:8000/", proxy=None)
    expect(code in (52, 56), f"curl {code}")


@row("S2.6")
def seed_rule_instead(s):
    forwarding(s, ("domain", "seed"), "127.0.0.1", 8080)
    forward_page(s)
    s.page(what=WEB)


@row("S2-simplest")
def no_redirect(s):
    """The dokodemo inbound names the real address; nothing special on the bridge."""
    forwarding(s, ("domain", "generic"), "127.0.0.1", 8080)
    forward_page(s)
    s.page()


# ---- S3: restricting the bridge ---------------------------------------------

def restricted(s, edit=None, up=True, **kw):
    for addr, port in (("127.0.9.1", 8081), ("127.0.9.1", 8082), ("127.0.10.1", 8081)):
        s.t.server(traffic.Server, s.ns, traffic.web(f"page of {addr}:{port}"), port, addr)
    bridge = load("s3/bridge")
    if edit:
        edit(bridge)
    s.triangle("s1", bridge=bridge, up=False, **kw)
    if up:
        s.wait_up("http://127.0.9.1:8081/")
    return bridge


@row("S3.1")
def allowed_and_not(s):
    restricted(s)
    s.page("http://127.0.9.1:8081/", "page of 127.0.9.1:8081")
    s.no_page("http://127.0.9.1:8082/")
    s.no_page("http://127.0.10.1:8081/")


def _strategy(name):
    def edit(conf):
        conf["routing"]["domainStrategy"] = name
    return edit


for _n, _strat in (("S3.2-AsIs", "AsIs"), ("S3.2-IPIfNonMatch", "IPIfNonMatch")):
    @row(_n)
    def by_name_blocked(s, strat=_strat):
        restricted(s, _strategy(strat), hosts={"allowed.test": "127.0.9.1"})
        s.no_page("http://allowed.test:8081/")


@row("S3.3")
def by_name_on_demand(s):
    dns = s.t.server(traffic.Dns, s.ns, {"allowed.test": ["127.0.9.1"]})
    restricted(s, _strategy("IPOnDemand"))
    s.page("http://allowed.test:8081/", "page of 127.0.9.1:8081")
    asked = [n for n, _ in dns.asked]
    expect("allowed.test" in asked, "the name was not resolved")
    expect(DOMAIN not in asked, "the virtual name was looked up")


def _no_deny(first):
    def edit(conf):
        rules_of(conf).pop()
        outs = conf["outbounds"]
        outs.sort(key=lambda o: o["tag"] != first)
    return edit


@row("S3.4")
def endless_loop(s):
    """Without a final deny and with the way back as default route: a loop."""
    bridge = restricted(s, _no_deny("outgoing"))
    code, _ = s.curl("http://127.0.10.1:8081/", limit=4)
    lines = s.bridge.log().count("tcp:127.0.10.1:8081")
    s.t.note(f"{lines} lines about the flow on the bridge")
    if s.ours:
        expect(code not in (0, 28), f"curl {code}: the loop was not ended")
        expect(lines < 200, "the flow went round and round")
        s.logged(s.bridge, "loop", 5)
        s.warns(bridge, "default|loop")


@row("S3.5")
def blocked_by_default(s):
    restricted(s, _no_deny("block"))
    s.no_page("http://127.0.10.1:8081/")


@row("S3.6")
def misspelt_tag(s):
    def edit(conf):
        _no_deny("outgoing")(conf)
        rules_of(conf).append(configs.rule("blok", inboundTag=["bridge"]))
    if s.ours:
        bridge = load("s3/bridge")
        edit(bridge)
        code, out = s.check(bridge)
        expect("blok" in out, f"nothing is said about the tag: {out[:300]!r}")
        if code != 0:
            return
    restricted(s, edit)
    if s.subject is not peers.V2RAY:
        s.no_page("http://127.0.10.1:8081/")


# ---- S4: clients that block geoip:private -------------------------------------

def geo_assets(t):
    """A geoip.dat of our own with the private ranges, and where it is."""
    nets = ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
            "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10")
    configs.write_geoip(os.path.join(t.dir, "geoip.dat"), {"PRIVATE": nets})
    return {"V2RAY_LOCATION_ASSET": t.dir, "XRAY_LOCATION_ASSET": t.dir}


def private_client(s, to, strategy="AsIs", outbounds=(), hosts=None):
    client = load("s1/client")
    client["outbounds"] += [configs.freedom(), configs.blackhole(), *outbounds]
    client["routing"] = {"domainStrategy": strategy, "rules": [
        configs.rule(to, ip=["geoip:private"])]}
    s.triangle(client=False, up=False, hosts={"nas.home.test": "127.0.0.1"})
    s.client = s.program("client", client, hosts=hosts, env=geo_assets(s.t))


@row("S4.1")
def private_blocked(s):
    private_client(s, "block")
    s.wait_up("http://nas.home.test:8081/")
    s.portal.mark()
    s.no_page()
    s.no_page("http://192.168.1.10/")
    expect("127.0.0.1:8081" not in s.portal.log_since_mark(), "it reached the VPS")


@row("S4.2")
def private_by_name(s):
    private_client(s, "block")
    s.wait_up("http://nas.home.test:8081/")
    s.page("http://nas.home.test:8081/")


@row("S4.3")
def private_by_name_resolved(s):
    private_client(s, "block", "IPIfNonMatch", hosts={"nas.home.test": "127.0.0.1"})
    until(s.registrations, 10, "registered")
    s.no_page("http://nas.home.test:8081/")


@row("S4.4")
def private_direct(s):
    """Dialled from the client's own network: it works, against another machine."""
    private_client(s, "direct")
    s.wait_up("http://nas.home.test:8081/")
    s.portal.mark()
    s.page()
    expect("tcp:127.0.0.1:8081" not in s.portal.log_since_mark(), "it went by the VPS")


@row("S4.5")
def private_to_nowhere(s):
    if s.ours:
        client = load("s1/client")
        client["routing"] = {"rules": [configs.rule("nowhere", ip=["geoip:private"])]}
        geo_assets(s.t)
        code, out = s.check(client, argv=None)
        expect("nowhere" in out, f"nothing is said about the tag: {out[:300]!r}")
        if code != 0:
            return
    private_client(s, "nowhere")
    s.wait_up("http://nas.home.test:8081/")
    if s.subject is peers.V2RAY:
        s.page()
    else:
        s.no_page()


# What an app's VPN interface takes that leaves private prefixes out (v2rayNG's default).
PUBLIC = ("0.0.0.0/5", "8.0.0.0/7", "11.0.0.0/8", "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3",
          "64.0.0.0/3", "96.0.0.0/4", "112.0.0.0/5", "120.0.0.0/6", "124.0.0.0/7", "128.0.0.0/3",
          "160.0.0.0/5", "168.0.0.0/6", "172.0.0.0/12", "172.32.0.0/11", "172.64.0.0/10",
          "173.0.0.0/8", "174.0.0.0/7", "176.0.0.0/4", "192.0.0.0/9", "192.128.0.0/11",
          "192.160.0.0/13", "192.169.0.0/16", "192.170.0.0/15", "192.172.0.0/14", "192.176.0.0/12",
          "192.192.0.0/10", "193.0.0.0/8", "194.0.0.0/7", "196.0.0.0/6", "200.0.0.0/5",
          "208.0.0.0/4", "224.0.0.0/4")


@row("S4.6")
def phone_routes(s):
    """The device of the phone decides what the client ever sees: our TUN, with an app's routes."""
    if not s.ours:
        raise Skip("the interface is not the stock program's but the app's")
    s.triangle(client=False, up=False)
    for routes, enters in ((PUBLIC, False), ((*PUBLIC, "192.168.0.0/16"), True)):
        client = load("s1/client")
        client["inbounds"] = [{"tag": "phone", "protocol": "tun", "settings": {
            "name": "phone0", "gateway": ["10.10.14.1/30"],
            "autoSystemRoutingTable": list(routes)}}]
        phone = s.program("phone", client)

        def asked(addr):
            s.no_page(f"http://{addr}:8081/", proxy=None, limit=2, quick=False)
            return f"{addr}:8081" in phone.log()

        until(lambda: asked("203.0.113.9"), 20, "the device is up, a public address enters")
        expect(asked("192.168.1.10") == enters,
               f"192.168.1.10 {'never entered' if enters else 'entered'} the client")
        phone.stop()
        s.t.procs.remove(phone)


@row("S8.6")
@row("S4.7")
def server_blocks_private(s):
    """The exit of a VLESS server: private targets only where finalRules allow them."""
    if not s.ours:
        raise Skip("came with Xray 26.4.15")
    for allowed in (False, True):
        server = configs.config(
            [configs.CARRIERS["vless"].far("in", "127.0.0.1", 5558)],
            [configs.freedom() if allowed else {"tag": "direct", "protocol": "freedom"}])
        client = configs.config([configs.socks_in("socks", "127.0.0.1", 1080)],
                                [configs.CARRIERS["vless"].near("vps", "127.0.0.1", 5558)])
        a, b = s.program("server", server), s.program("client", client)
        if allowed:
            s.page()
        else:
            s.no_page(limit=5, quick=False)
            s.logged(a, "private|final|blocked")
        for p in (a, b):
            p.stop()


# ---- S5: abuse of the shared inbound ------------------------------------------

def _two_users(portal):
    """S7's inbound without TLS and without its user rules: any user may come in."""
    i = in_of(portal, "incoming")
    i.pop("streamSettings")
    portal["routing"]["rules"] = [configs.rule("portal", inboundTag=["incoming"])]
    return portal


@row("S5.1")
def rogue_bridge(s):
    """A user registers as a second bridge: refused, and named, where the portal says
    who may register."""
    portal = _two_users(load("s7/portal"))
    portal["reverse"]["portals"][0]["user"] = ["bridge@hub"]
    s.triangle("s7", portal, plain_vless(load("s7/bridge")), plain_vless(load("s7/client")))
    rogue = plain_vless(load("s7/bridge"))
    out_of(rogue, "outgoing")["settings"]["vnext"][0]["users"][0]["id"] = USER_ID
    rogue["outbounds"] = [o for o in rogue["outbounds"] if o["tag"] != "direct"]
    rogue["outbounds"].append(configs.outbound("direct", "freedom",
                                               {"redirect": "127.0.0.1:8079"}))
    s.t.server(traffic.Server, s.ns, traffic.web("the rogue's page"), 8079, "127.0.0.1")
    s.program("rogue", rogue, wait=False)
    if not s.ours:
        return
    s.logged(s.portal, "user@hub.*may not register", 15)
    for _ in range(20):
        s.page()


@row("S5.1-one-key")
def one_key_for_all(s):
    """One key for bridge and users: `check` says so."""
    s.warns(load("s1/portal"), "every user .* can register")


@row("S5.2")
def sniffed_registration(s):
    portal = load("s1/portal")
    in_of(portal, "incoming")["sniffing"] = {"enabled": True, "destOverride": ["http"]}
    s.triangle(portal=portal)
    s.curl("http://127.0.0.1:8081/", "-H", f"Host: {DOMAIN}", limit=3)
    if s.ours:
        for _ in range(5):
            s.page(limit=5)


@row("S5.3")
def virtual_name_typed(s):
    """A user types the virtual name into a browser, once."""
    s.triangle()
    s.curl(f"http://{DOMAIN}/", limit=2)
    if s.ours:
        begin = time.monotonic()
        s.wait_up(deadline=10)
        s.t.note(f"served again after {time.monotonic() - begin:.2f} s")
        for _ in range(5):
            s.page(limit=5)


@row("S5.3-held")
def virtual_name_held(s):
    """The same with the stream kept open: others must not be sent there."""
    s.triangle()
    with s.socks.tcp(DOMAIN, 80) as c:
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        if s.ours:
            begin = time.monotonic()
            s.wait_up(deadline=10)
            s.t.note(f"served after {time.monotonic() - begin:.2f} s")
            for _ in range(5):
                s.page(limit=5)


@row("S5.4")
def bridges_own_services(s):
    ssh = s.t.server(traffic.Server, s.ns, traffic.serve_banner, 22, "127.0.0.1")
    s.triangle()
    traffic.check_banner(s.socks, "127.0.0.1", ssh.port)
