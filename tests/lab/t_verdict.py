"""The far side's word on a target, carried back to the near end before bytes move: over
VLESS with and without Vision, and further through a portal to its bridge."""
import os
import re
import subprocess

from . import LabError, configs, netns, traffic
from .harness import add
from .peers import GARENNE
from .proc import until

PORT, SOCKS = 8443, 1080
REFUSED = "socks reply 5"
CARRIERS = (configs.Vless("vless"), configs.Vless("vless-tls", tls=True),
            configs.Vless("vless-tls-mux", tls=True, mux={"enabled": True, "concurrency": 8}),
            configs.Vless("vless-vision", tls=True, flow="xtls-rprx-vision"))


def control(t, name, **more):
    return {"name": name, "socket": os.path.join(t.dir, name + ".sock"), **more}


def near(t, carrier, net):
    out = carrier.near("hub", net.server_addr[4], PORT, t.pki)
    out["settings"]["garenne"] = True
    conf = configs.config(
        [configs.socks_in("in", "127.0.0.1", SOCKS, replyAfterConnect=True)], [out],
        control=control(t, "near"))
    return t.program(GARENNE, net.client, conf, "near")


def hub(t, carrier, net, rules=(), reverse=None, outs=()):
    conf = configs.config(
        [carrier.far("far", net.server_addr[4], PORT, t.pki)], [configs.freedom(), *outs],
        rules, reverse, control=control(t, "hub", remoteTrace=True))
    return t.program(GARENNE, net.server, conf, "hub")


def check(net, echo):
    """An answer for the port that listens, a refusal for the one that does not, each time."""
    via = traffic.Socks5(net.client, "127.0.0.1", SOCKS)
    for _ in range(3):
        traffic.check_echo(via, "127.0.0.1", echo.port)
        try:
            via.tcp("127.0.0.1", 1).close()
        except ConnectionRefusedError as e:
            if str(e) != REFUSED:
                raise LabError(f"a closed port looks like {e}") from e
        else:
            raise LabError("a closed port looks open")


def trace(t, net, port):
    with net.client.inside():
        p = subprocess.run([GARENNE.path, "trace", "--socket", os.path.join(t.dir, "near.sock"),
                            f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=40)
    return p.returncode, p.stdout + p.stderr


def direct(t, carrier):
    t.need(GARENNE)
    net = t.net(netns.Pair)
    echo = t.server(traffic.Server, net.server, traffic.serve_echo, 0, "127.0.0.1")
    hub(t, carrier, net)
    near(t, carrier, net)
    check(net, echo)
    code, out = trace(t, net, 1)
    for want in (r"near: tcp:127\.0\.0\.1:1 -> \[hub\] \((vless|mux)\)",
                 r"hub: tcp:127\.0\.0\.1:1 from inbound far -> \[direct\] \(freedom\)",
                 r"hub: .*connection refused"):
        if code != 1 or not re.search(want, out):
            raise LabError(f"trace: {code}, no /{want}/ in {out}")


def through(t, carrier):
    """near -> hub -> portal -> bridge: three programs, and the bridge's word counts."""
    t.need(GARENNE)
    net = t.net(netns.Pair)
    echo = t.server(traffic.Server, net.client, traffic.serve_echo, 0, "127.0.0.1")
    hub(t, carrier, net,
        [configs.rule("portal", domain=["full:home.test"]),
         configs.rule("portal", ip=["127.0.0.1"])],
        {"portals": [{"tag": "portal", "domain": "home.test"}]})
    out = carrier.near("hub", net.server_addr[4], PORT, t.pki)
    t.program(GARENNE, net.client, configs.config(
        (), [configs.freedom(), out],
        [configs.rule("hub", domain=["full:home.test"])],
        {"bridges": [{"tag": "bridge", "domain": "home.test"}]},
        control=control(t, "home")), "home")
    near(t, carrier, net)
    via = traffic.Socks5(net.client, "127.0.0.1", SOCKS)

    def up():
        try:
            via.tcp("127.0.0.1", echo.port).close()
        except OSError:
            return False
        return True
    until(up, 20, "the bridge serves")
    check(net, echo)
    code, out = trace(t, net, echo.port)
    for want in (r"hub: .* -> \[portal\] \(portal\), rule 2", r"hub: by the carrier of bridge",
                 r"home: .* from inbound bridge -> \[direct\]",
                 r"home: connected to 127\.0\.0\.1:\d+ in \d+ ms; it sees", "it works"):
        if code != 0 or not re.search(want, out):
            raise LabError(f"trace: {code}, no /{want}/ in {out}")


for c in CARRIERS:
    add(f"verdict/{c.name}/direct", lambda t, c=c: direct(t, c), limit=60)
    add(f"verdict/{c.name}/through", lambda t, c=c: through(t, c), limit=90)
