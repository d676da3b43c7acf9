"""Balancers whose servers die: the flows that come next go by another, at once."""
import time

from . import LabError, configs, netns, traffic
from .harness import add
from .peers import GARENNE

PORTS, SOCKS = (8441, 8442), 1080


def stage(t, strategy, mux=None):
    """near -> two hubs; the echo server is behind both."""
    t.need(GARENNE)
    net = t.net(netns.Pair)
    echo = t.server(traffic.Server, net.server, traffic.serve_echo, 0, "127.0.0.1")
    carrier = configs.Vless("vless", mux=mux)
    hubs = [t.program(GARENNE, net.server, configs.config(
        [carrier.far("far", net.server_addr[4], port)], [configs.freedom()]), f"hub{n}")
        for n, port in enumerate(PORTS)]
    outs = [carrier.near(f"hub{n}", net.server_addr[4], port) for n, port in enumerate(PORTS)]
    conf = configs.config([configs.socks_in("in", "127.0.0.1", SOCKS)], outs)
    conf["routing"] = {
        "rules": [{"type": "field", "inboundTag": ["in"], "balancerTag": "hubs"}],
        "balancers": [{"tag": "hubs", "selector": ["hub"], "strategy": {"type": strategy}}]}
    near = t.program(GARENNE, net.client, conf, "near")
    return net, echo, hubs, near


def refused(t, strategy, mux=None):
    """A hub is killed: no flow that begins afterwards fails."""
    net, echo, hubs, near = stage(t, strategy, mux)
    via = traffic.Socks5(net.client, "127.0.0.1", SOCKS)
    for hub in hubs:
        for _ in range(4):
            traffic.check_echo(via, "127.0.0.1", echo.port)
        hub.kill()
        hub.wait_exit()
        begin = time.monotonic()
        for _ in range(8):
            traffic.check_echo(via, "127.0.0.1", echo.port)
        print(f"eight flows after the loss in {time.monotonic() - begin:.2f} s")
        near.wait_log(r"does not reach its server .* is tried")
        hub.start()
        hub.wait_listening([("tcp", PORTS[hubs.index(hub)])])


def nobody(t, strategy):
    """Both are gone: the flow fails, and says why."""
    net, echo, hubs, near = stage(t, strategy)
    for hub in hubs:
        hub.kill()
        hub.wait_exit()
    via = traffic.Socks5(net.client, "127.0.0.1", SOCKS)
    try:
        traffic.check_echo(via, "127.0.0.1", echo.port)
    except (OSError, LabError):
        near.wait_log("connection refused")
        return
    raise LabError("an answer without a server")


for s in ("random", "roundRobin"):
    add(f"balance/{s}/one-dies", lambda t, s=s: refused(t, s), limit=60)
    add(f"balance/{s}/all-die", lambda t, s=s: nobody(t, s), limit=60)
add("balance/mux/one-dies", lambda t: refused(t, "roundRobin", {"enabled": True, "concurrency": 8}),
    limit=60)
