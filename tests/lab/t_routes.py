"""The TUN and the kernel's routing: plans that are refused, plans that work, a network
that is afterwards as it was before, whatever ended the program."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess

from . import LabError, configs, netns, peers, traffic
from .harness import add, test
from .proc import until

ID = configs.UUID_A
PORT = 4430
TUN = {"name": "vpn0", "addresses": ["10.77.0.2/24", "fd99::2/64"]}


# ---- what the kernel has -------------------------------------------------------

def state(ns):
    """Everything that a TUN might leave behind, but for what changes by itself."""
    out = {}
    for what in ("route show table all", "-6 route show table all", "rule show", "-6 rule show",
                 "addr show"):
        text = netns.run(["ip", "-n", ns.name, "-j"] + what.split())
        items = json.loads(text or "[]")
        for i in items:
            for a in i.get("addr_info", []):
                a.pop("valid_life_time", None), a.pop("preferred_life_time", None)
            for k in ("expires", "age", "used", "cacheinfo", "flags"):
                i.pop(k, None)
        out[what] = sorted(json.dumps(i, sort_keys=True) for i in items)
    out["rp_filter"] = [_sysctl(ns, f"net.ipv4.conf.{d}.rp_filter") for d in ("all", "eth0")]
    return out


def _sysctl(ns, key):
    with ns.inside(), open("/proc/sys/" + key.replace(".", "/")) as f:
        return f.read().strip()


def same(before, after, when):
    for what in before:
        lost = [x for x in before[what] if x not in after[what]]
        new = [x for x in after[what] if x not in before[what]]
        if lost or new:
            raise LabError(f"{when}: {what}: gone {lost}, new {new}")


def ours(ns):
    """Routes and rules with our protocol number."""
    text = netns.run(["ip", "-n", ns.name, "rule", "show"]) + \
        netns.run(["ip", "-n", ns.name, "-6", "rule", "show"])
    rules = [x for x in text.splitlines() if "proto 103" in x]
    text = netns.run(["ip", "-n", ns.name, "route", "show", "table", "all"]) + \
        netns.run(["ip", "-n", ns.name, "-6", "route", "show", "table", "all"])
    return rules, [x for x in text.splitlines() if "proto 103" in x]


# ---- plans --------------------------------------------------------------------

def _file(t, tun, server="203.0.113.5", name="plan.json"):
    return t.write(name, configs.config(
        [{"tag": "tun", "protocol": "tun", "settings": tun}],
        [configs.outbound("hub", "socks", {"address": server, "port": 443})]))


def plan(t, ns, tun, server="203.0.113.5"):
    """(exit status, text) of "check --routes"."""
    with ns.inside():
        p = subprocess.run([peers.GARENNE.path, "check", "--routes", _file(t, tun, server)],
                           capture_output=True, text=True, timeout=30)
    return p.returncode, p.stdout + p.stderr


ALL = {**TUN, "routes": ["default"]}
MESH = {**TUN, "routes": ["198.18.0.0/15"]}
HOME = ("link add eth0 type veth peer name far0", "link set eth0 up", "link set far0 up",
        "addr add 192.168.1.10/24 dev eth0",
        "route add default via 192.168.1.1")
WG = ("link add wg0 type veth peer name far1", "link set wg0 up", "link set far1 up",
      "route add default dev wg0 table 51820",
      "rule add not fwmark 51820 table 51820 prio 32765",
      "rule add table main suppress_prefixlength 0 prio 32764")

# name, commands, settings, server, refused?, what it must say
PLANS = [
    ("benign", HOME, ALL, "203.0.113.5", False, r"203\.0\.113\.5:443 of \[hub\] by eth0"),
    ("other-vpn", HOME + WG, ALL, "203.0.113.5", False, r"of \[hub\] by wg0"),
    ("ipv6-only", ("link add eth0 type veth peer name far0", "link set eth0 up", "link set far0 up",
                  
                   "addr add 2001:db8:1::10/64 dev eth0 nodad",
                   "route add default via 2001:db8:1::1"), ALL, "2001:db8:f::5", False,
     r"\[2001:db8:f::5\]:443 of \[hub\] by eth0"),
    ("hub-in-mapped-prefix", HOME, MESH, "198.19.0.1", False,
     r"route 198\.19\.0\.1/32 outside"),
    ("lan-inside", HOME, {**TUN, "routes": ["192.168.0.0/16"]}, "203.0.113.5", False,
     r"route 192\.168\.1\.0/24 outside"),
    ("hub-is-us", HOME, MESH, "10.77.0.2", True, "own address: a loop"),
    ("main-leads-in", HOME + ("tuntap add dev vpn0 mode tun", "link set vpn0 up",
                              "route add 203.0.113.0/24 dev vpn0"), MESH, "203.0.113.5", True,
     "leads our own connections into vpn0: a loop"),
    ("rule-leads-in", HOME + ("tuntap add dev vpn0 mode tun", "link set vpn0 up",
                              "route add default dev vpn0 table 99",
                              "rule add fwmark 0x2761 table 99 prio 100"), MESH, "203.0.113.5",
     True, "leads our own connections into vpn0: a loop"),
    ("lan-is-the-route", HOME, {**TUN, "routes": ["192.168.1.0/24"]}, "203.0.113.5", True,
     "network of eth0, which would be cut off"),
    ("address-taken", HOME + ("addr add 10.77.0.2/32 dev eth0",), MESH, "203.0.113.5", True,
     "eth0 has it already"),
    ("foreign-table", HOME + WG, {**MESH, "table": 51820}, "203.0.113.5", True,
     "table 51820 holds"),
    ("name-taken", HOME + ("link add vpn0 type bridge",), MESH, "203.0.113.5", True,
     "no TUN"),
]


@test("routes/plans", needs=(peers.GARENNE,))
def plans(t):
    for name, commands, tun, server, refused, says in PLANS:
        with t.cell(name):
            net = t.net(netns.Solo)
            net.host.ip(*commands)
            before = state_plain(net.host)
            code, text = plan(t, net.host, tun, server)
            if (code == 23) != refused or code not in (0, 23) or not re.search(says, text):
                raise LabError(f"exit {code}, expected {says!r}:\n{text}")
            if state_plain(net.host) != before:
                raise LabError("a check has changed something")


def state_plain(ns):
    return {what: netns.run(["ip", "-n", ns.name] + what.split())
            for what in ("-4 route show table all", "rule show", "-6 rule show")}


# ---- a node that sends everything through its hub -------------------------------

class Node:
    """The house of the tutorial: its host has a TUN, the hub is the vps."""

    def __init__(self, t, tun=None, hub=None, start=True, strict=False):
        self.t = t
        self.net = t.net(netns.Wan)
        self.ns = self.net.bridge
        if strict:
            self.ns.sysctl("net.ipv4.conf.all.rp_filter", 1)
            self.ns.sysctl("net.ipv4.conf.eth0.rp_filter", 1)
        self.web = t.server(traffic.Server, self.net.client, traffic.serve_whoami)
        self.lan = t.server(traffic.Server, self.net.lan, traffic.serve_whoami)
        self.before = state(self.ns)
        self.starts = 0
        self.hub = t.program(peers.GARENNE, self.net.vps, configs.config(
            [configs.inbound("in", "vless", "0.0.0.0", PORT,
                             {"clients": [{"id": ID}], "decryption": "none"})],
            [configs.freedom()]), "hub")
        self.conf = configs.config(
            [{"tag": "tun", "protocol": "tun",
              "settings": {**TUN, "routes": ["default"], **(tun or {})}}],
            [configs.outbound("hub", "vless", {"vnext": [{
                "address": hub or self.net.VPS[4], "port": PORT,
                "users": [{"id": ID, "encryption": "none"}]}]})], level="debug")
        if start:
            self.start()

    def start(self):
        self.starts += 1
        self.p = self.t.program(peers.GARENNE, self.ns, self.conf, f"node{self.starts}",
                                wait=False)
        self.p.wait_log("garenne .* started")

    def seen_from(self, host, port, fam=4, limit=5):
        """What a server says about where the connection came from."""
        with self.ns.inside():
            s = socket.socket(socket.AF_INET if fam == 4 else socket.AF_INET6)
        with contextlib.closing(s):
            s.settimeout(limit)
            s.connect((host, port))
            return s.recv(200).decode()

    def through(self):
        """A flow of the host's own goes through the hub."""
        who = self.seen_from(self.net.CLIENT[4], self.web.port)
        if self.net.VPS[4] not in who:
            raise LabError(f"the server saw {who}, not the hub")

    def works(self):
        with contextlib.suppress(OSError, LabError):
            self.through()
            return True
        return False


@test("routes/everything-through-the-hub", needs=(peers.GARENNE,))
def everything(t):
    n = Node(t)
    n.through()
    with t.cell("LAN stays LAN"):
        who = n.seen_from(n.net.LAN[4], n.lan.port)
        if n.net.BRIDGE[4] not in who:
            raise LabError(f"the LAN was reached from {who}")
    with t.cell("stop leaves nothing"):
        n.p.stop()
        same(n.before, state(n.ns), "after SIGTERM")


@test("routes/strict-filter", needs=(peers.GARENNE,))
def strict(t):
    n = Node(t, strict=True)
    n.through()
    n.p.stop()
    same(n.before, state(n.ns), "after SIGTERM")


@test("routes/killed", needs=(peers.GARENNE,))
def killed(t):
    """The device goes with its process; what stays behind harms nobody, and the next
    start and stop leave nothing."""
    n = Node(t, strict=True)
    n.through()
    n.p.kill()
    with t.cell("the underlay works without the TUN"):
        until(lambda: n.net.NAT[4] in n.seen_from(n.net.CLIENT[4], n.web.port), 5,
              "a connection by the underlay")
    with t.cell("started again, with other settings"):
        n.conf["inbounds"][0]["settings"].update(priority=7000, mark=99)
        n.start()
        n.through()
        rules, _ = ours(n.ns)
        if any(not r.startswith("700") for r in rules):
            raise LabError(f"old rules: {rules}")
    with t.cell("and nothing stays"):
        n.p.stop()
        same(n.before, state(n.ns), "after kill, start and SIGTERM")


@test("routes/kill-switch", needs=(peers.GARENNE,))
def kill_switch(t):
    n = Node(t, {"killSwitch": True})
    n.through()
    n.p.kill()
    with t.cell("nothing leaks"):
        try:
            who = n.seen_from(n.net.CLIENT[4], n.web.port, limit=2)
        except OSError:
            who = ""
        if who:
            raise LabError(f"a connection left by the underlay: {who}")
    with t.cell("up again"):
        n.start()
        n.through()
    with t.cell("a stop opens it"):
        n.p.stop()
        same(n.before, state(n.ns), "after SIGTERM")


@test("routes/flushed", needs=(peers.GARENNE,))
def flushed(t):
    """Some network managers remove rules that they do not know."""
    n = Node(t)
    n.through()
    for r in ours(n.ns)[0]:
        prio = r.split(":")[0]
        netns.run(["ip", "-n", n.ns.name, "rule", "del", "prio", prio], check=False)
        netns.run(["ip", "-n", n.ns.name, "-6", "rule", "del", "prio", prio], check=False)
    netns.run(["ip", "-n", n.ns.name, "route", "flush", "table", "26465"])
    until(lambda: len(ours(n.ns)[0]) == 6, 10, "the rules are set again")
    until(n.works, 10, "flows go through the hub again")


@test("routes/roaming", needs=(peers.GARENNE,))
def roaming(t):
    """The underlay goes and comes back with another gateway."""
    n = Node(t)
    n.through()
    n.net.nat.ip("addr add 192.168.77.9/24 dev swlan")
    n.ns.ip("link set eth0 down", "link set eth0 up",
            "route add default via 192.168.77.9")
    until(n.works, 20, "flows go through the hub by the new gateway", 0.2)


@test("routes/no-loop", needs=(peers.GARENNE,))
def no_loop(t):
    """Somebody's routes lead the hub's address into the TUN, rules and all: our own
    connection is seen when it comes back, and that is that."""
    n = Node(t)
    n.through()
    # in front of everything, for marked packets too
    n.ns.ip("route add default dev vpn0 table 4242", "rule add prio 5 table 4242")
    n.works()
    n.p.wait_log("a loop")
    flows = len(re.findall(r"accepted tcp:", n.p.log()))
    if flows > 50:
        raise LabError(f"{flows} flows: it went round")
    n.ns.ip("rule del prio 5", "route flush table 4242")
    until(n.works, 20, "flows go through the hub again", 0.2)


def _dns(ns, server, kind, name):
    """The answer of a name server to one question, as bytes."""
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    with ns.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.closing(s):
        s.settimeout(5)
        s.sendto(b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + labels + b"\0" +
                 bytes([0, kind, 0, 1]), (server, 53))
        return s.recv(600)


@test("routes/names", needs=(peers.GARENNE,))
def names(t):
    """A name server that exists only in the TUN: the node answers from its host table."""
    n = Node(t, start=False)
    n.conf["outbounds"].append(configs.outbound("dns", "dns"))
    n.conf["dns"] = {"hosts": {"nas.vpn.example": "100.64.0.9"}, "servers": ["localhost"]}
    n.conf["routing"] = {"rules": [configs.rule("dns", inboundTag=["tun"], port=53,
                                                ip=["100.64.0.53"])]}
    n.start()
    got = _dns(n.ns, "100.64.0.53", 1, "nas.vpn.example")
    if not got.endswith(socket.inet_aton("100.64.0.9")):
        raise LabError(f"{got}")
    got = _dns(n.ns, "100.64.0.53", 12, "9.0.64.100.in-addr.arpa")
    if not got.endswith(b"\3nas\3vpn\7example\0"):
        raise LabError(f"{got}")


@test("routes/refused-at-start", needs=(peers.GARENNE,))
def refused_at_start(t):
    n = Node(t, hub="10.77.0.2", start=False)
    p = t.program(peers.GARENNE, n.ns, n.conf, "node", wait=False)
    status = p.wait_exit()
    p.ours = False     # it had to fail
    if status == 0:
        raise LabError("it started")
    p.wait_log("own address: a loop")
    same(n.before, state(n.ns), "after a refused start")
