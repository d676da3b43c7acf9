"""The mesh of the lab: hubs, sites behind NATs whose LANs have the same prefixes, a phone.

        hub, hub2, phone --+-- wan -- router --+-- paris (the site), pnas (a server)
                                  -- router --+-- berlin (the site), bpc (a desk)
                                  -- router --+-- oslo (the site), oprn (a printer)

Each line to the wan may be a cable with delay, loss and rate (link.py). Nothing of ours runs on
the hosts of a LAN: their router knows that the mesh is by way of the site.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse

from . import LabError, configs, netns, traffic
from .link import Cable, Line
from .peers import GARENNE, XRAY
from .proc import until
from .scene import expect
from .t_matrix import Targets

HUBS = {"hub": "203.0.113.10", "hub2": "203.0.113.11"}
PHONE = "203.0.113.20"
# Site: (the host beside it, the public address of their router).
SITES = {"paris": ("pnas", "203.0.113.31"), "berlin": ("bpc", "203.0.113.32"),
         "oslo": ("oprn", "203.0.113.33")}
ROUTER, GATE, NAS, DEAD = ("192.168.1.1", "fd77::1"), ("192.168.1.2", "fd77::2"), \
    ("192.168.1.20", "fd77::20"), ("192.168.1.99", "fd77::99")
NAMES = "100.127.255.254"
SOCKS, PHONE_SOCKS = 1080, 10808


class World:
    """The hosts and their cables. @lines: {role: Line} of the lines to the wan; roles without one
    are wired directly. A house's line is its router's, and has the site's name."""

    def __init__(self, t, hubs=2, sites=3, phone=False, lines=None):
        self.t, self.net = t, t.net(netns.Net)
        self.lines, self.cables = dict(lines or {}), {}
        self.hubs, self.sites = list(HUBS)[:hubs], list(SITES)[:sites]
        self.wan, = self.net.add("wan")
        self.wan.ip("link add sw type bridge", "link set dev sw up")
        for role in self.hubs:
            self._join(*self.net.add(role), role, HUBS[role])
        if phone:
            self._join(*self.net.add("phone"), "phone", PHONE)
        for site in self.sites:
            self._house(site, *SITES[site])

    def __getitem__(self, role):
        return self.net[role]

    def _join(self, ns, role, addr):
        if role in self.lines:
            self.cables[role] = Cable(self.t, ns, "eth0", self.wan, role, self.lines[role])
            ns.ip(f"address add {addr}/24 dev eth0", "link set dev eth0 up")
            self.wan.ip(f"link set dev {role} up")
        else:
            self.net.link(ns, "eth0", self.wan, role, (addr + "/24",))
        self.wan.ip(f"link set dev {role} master sw")

    def _house(self, site, host, public):
        router, gate, nas = self.net.add("nat" + site, site, host)
        self._join(router, site, public)
        router.ip("link add lan type bridge", "link set dev lan up",
                  f"address add {ROUTER[0]}/24 dev lan", f"address add {ROUTER[1]}/64 dev lan nodad")
        for ns, port, addr in ((gate, "site", GATE), (nas, "host", NAS)):
            self.net.link(ns, "eth0", router, port, (addr[0] + "/24", addr[1] + "/64"))
            router.ip(f"link set dev {port} master lan")
            ns.ip(f"route add default via {ROUTER[0]}", f"route add ::/0 via {ROUTER[1]}")
        router.masquerade()
        gate.forward()

    def router(self, site):
        return self.net["nat" + site]

    def leads(self, prefixes):
        """What the owners tell their routers."""
        self.led = list(prefixes)
        for site in self.sites:
            self.router(site).ip(*(f"route add {p} via {GATE[':' in p]}" for p in prefixes))

    def way(self, *roles):
        """Milliseconds from the first to the last by the others, one way, without the programs."""
        ms = [self.lines[r].delay if r in self.lines else 0 for r in roles]
        return sum(a + b for a, b in zip(ms, ms[1:]))

    # What can go wrong.

    def set_lines(self, lines):
        for role, cable in self.cables.items():
            self.lines[role] = lines[role]
            cable.set(lines[role])

    def cut(self, role):
        """Packets vanish, both ways, without a word."""
        self.cables[role].set(Line(loss=100))

    def mend(self, role):
        self.cables[role].set(self.lines[role])

    def renumber(self, site, addr):
        """The provider gives the house another address."""
        self.router(site).ip("address flush dev eth0 scope global",
                             f"address add {addr}/24 dev eth0")

    def rehouse(self, site, addr, addr6):
        """The site's own address in its LAN changes, and its router is told."""
        self.net[site].ip("address flush dev eth0 scope global", f"address add {addr}/24 dev eth0",
                          f"address add {addr6}/64 dev eth0 nodad",
                          f"route replace default via {ROUTER[0]}",
                          f"route replace ::/0 via {ROUTER[1]}")
        self.router(site).ip(*(f"route replace {p} via {(addr, addr6)[':' in p]}"
                               for p in self.led))

    def roam(self, role, addr):
        self.net[role].ip("address flush dev eth0 scope global", f"address add {addr}/24 dev eth0")


def garenne(folder, *args, fails=False):
    p = subprocess.run([GARENNE.path, *args], cwd=folder, capture_output=True, text=True,
                       timeout=30)
    if (p.returncode != 0) != fails:
        raise LabError(f"{' '.join(args[:3])}: {(p.stdout + p.stderr).strip()[-300:]}")
    return p.stdout + (p.stderr if fails else "")


def xray_of_link(link, rules=(), port=PHONE_SOCKS):
    """What an app with Xray inside makes of a share link. @rules: the app's own, before "all
    else goes to the server"."""
    u = urllib.parse.urlsplit(link)
    q = dict(urllib.parse.parse_qsl(u.query))
    expect(u.scheme == "vless", f"a link of {u.scheme}")
    user = {"id": u.username, "encryption": q.pop("encryption")}
    stream = {"network": q.pop("type"), "security": q.pop("security")}
    if "flow" in q:
        user["flow"] = q.pop("flow")
    names = {"tls": {"sni": "serverName", "fp": "fingerprint", "alpn": "alpn",
                     "pcs": "pinnedPeerCertSha256"},
             "reality": {"sni": "serverName", "fp": "fingerprint", "pbk": "publicKey",
                         "sid": "shortId", "spx": "spiderX"}}.get(stream["security"], {})
    expect(set(q) <= set(names), f"the link has {sorted(set(q) - set(names))}")
    settings = {names[k]: v.split(",") if k == "alpn" else v for k, v in q.items()}
    if settings:
        stream[stream["security"] + "Settings"] = settings
    return configs.config(
        [configs.socks_in("socks", "127.0.0.1", port)],
        [configs.outbound("proxy", "vless", {"vnext": [{
            "address": u.hostname, "port": u.port, "users": [user]}]}, streamSettings=stream),
         configs.outbound("direct", "freedom")], rules)


def without_comments(text):
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))


class Mesh:
    """A mesh made by our own commands on a World, and the programs that run its files.

    at[role][4 or 6]: a role's address in the mesh; names[role]: its name; dead: addresses in each
    host's LAN that nobody has; house: whose LAN a role is in; targets: servers on each role.
    @software: {node: Peer} of those that are not ours. @edit: changes the file's text.
    """

    def __init__(self, t, hubs=2, sites=3, lines=None, phone=False, software=None, edit=None,
                 security=("tls",), start=True):
        t.need(GARENNE, *(software or {}).values())
        self.t = t
        self.world = World(t, hubs, sites, phone, lines)
        self.peer = {n: (software or {}).get(n, GARENNE)
                     for n in self.world.hubs + self.world.sites}
        self.nodes = list(self.peer)
        self.house = {r: s for s in self.world.sites for r in (s, SITES[s][0])}
        self.dir = tempfile.mkdtemp()
        t.defer(shutil.rmtree, self.dir)
        self._init(phone, security)
        self._learn(self.edited(edit))
        self.said = garenne(self.dir, "mesh", "compile")
        self.files = {n: self.node_file(n) for n in self.nodes}
        self.links = self._links() if phone else []
        self.procs, self.targets = {}, {}
        if start:
            self.start()
            self.learn_targets()

    # ---- files

    def _init(self, phone, security):
        for i, hub in enumerate(self.world.hubs):
            garenne(self.dir, "mesh", *(("init", "lab") if i == 0 else ("add", "hub", hub)),
                    "-address", HUBS[hub] + ":443", "-security", *security, "-software",
                    self.peer[hub].software)
        for site in self.world.sites:
            ours = self.peer[site].ours
            garenne(self.dir, "mesh", "add", "site", site, "-lan", "192.168.1.0/24", "-lan",
                    "fd77::/64", "-software", self.peer[site].software,
                    *(() if ours else ("-socks", f"{GATE[0]}:{SOCKS}")))
        if phone:
            garenne(self.dir, "mesh", "add", "phone", "alice")

    def path(self):
        return os.path.join(self.dir, "mesh.json")

    def edited(self, edit):
        """Hubs of ours have users too, hosts have a name, and everybody may go everywhere."""
        with open(self.path()) as f:
            text = f.read()
        for hub in self.world.hubs:
            if self.peer[hub].ours:
                text = text.replace(f'"{hub}": {{', f'"{hub}": {{ "tun": true,')
        text = re.sub(r'("lans": \[.*\])', rf'\1,\n      "hosts": {{ "nas": "{NAS[0]}", '
                      rf'"nas6": "{NAS[1]}" }}', text)
        text = text.replace('"from": "any", "to": "sites"', '"from": "any", "to": "any"')
        text = edit(text) if edit else text
        with open(self.path(), "w") as f:
            f.write(text)
        return text

    def _learn(self, text):
        plan = without_comments(text)
        self.prefixes = [plan.get("ipv4", "100.64.0.0/10"), plan.get("mapped", "198.18.0.0/15"),
                         plan["ipv6"]]
        every = {**plan["hubs"], **plan["sites"]}
        self.at = {n: {4: every[n]["ip"], 6: every[n]["ip6"]} for n in self.nodes}
        self.names = {n: f"{n}.lab.mesh" for n in self.nodes}
        self.dead = {}
        for site in self.world.sites:
            seen = [lan["as"].split("/")[0] for lan in plan["sites"][site]["lans"]]
            host = SITES[site][0]
            self.at[host] = {4: seen[0][:-1] + "20", 6: seen[1] + "20"}
            self.dead[host] = (seen[0][:-1] + "99", seen[1] + "99")
            self.names[host] = f"nas.{site}.lab.mesh"
        self.phone_at = plan.get("phones", {}).get("alice")

    def node_file(self, node, folder=None):
        """What a node runs, as compiled in our folder or another one."""
        with open(os.path.join(folder or self.dir, "nodes", node + ".json")) as f:
            conf = json.load(f)
        if self.peer[node].ours:
            conf["control"]["socket"] = self.socket(node)
        return conf

    def _links(self):
        with open(os.path.join(self.dir, "nodes", "alice.link")) as f:
            return f.read().split()

    # ---- programs

    def socket(self, node):
        return os.path.join(self.t.dir, node + ".sock")

    def ns(self, role):
        return self.world[role]

    def start(self, *names):
        for n in names or self.nodes:
            self.procs[n] = self.t.program(self.peer[n], self.ns(n), self.files[n], n,
                                           wait=n in self.world.hubs)
        self.world.leads(self.prefixes)

    def learn_targets(self):
        self.targets = {r: Targets(self.t, self.ns(r)) for r in self.at}

    def start_phone(self, hub=0, rules=()):
        """Stock Xray with what our link for one of the hubs says; a way through it."""
        self.procs["phone"] = self.t.program(XRAY, self.ns("phone"),
                                             xray_of_link(self.links[hub], rules), "phone")
        return traffic.Socks5(self.ns("phone"), "127.0.0.1", PHONE_SOCKS)

    def tool(self, node, *argv):
        """(exit status, output) of a command of ours on a node."""
        with self.ns(node).inside():
            p = subprocess.run([GARENNE.path, argv[0], "--socket", self.socket(node), *argv[1:]],
                               capture_output=True, text=True, timeout=40)
        return p.returncode, p.stdout + p.stderr

    # ---- who reaches whom

    def asks(self, role):
        """Whether it can begin flows without any proxy setting."""
        return self.peer[self.house.get(role, role)].ours

    def is_host(self, role):
        return role in self.dead

    def real(self, role, family):
        """The address by which the last node dials it."""
        return NAS[family == 6] if self.is_host(role) else self.at[role][family]

    def pairs(self):
        """Who asks, whom; neighbours reach each other without us."""
        return [(a, b) for a in self.at if self.asks(a) for b in self.at
                if a != b and (a not in self.house or self.house[a] != self.house.get(b))]

    def hops(self, a, b, hub="hub"):
        """The nodes of ours or others on the way from @a to @b, if sites go by @hub."""
        ends = [self.house.get(a, a), self.house.get(b, b)]
        way = ends if any(e in self.world.hubs for e in ends) else [ends[0], hub, ends[1]]
        return way

    def way_ms(self, a, b, hub="hub"):
        return self.world.way(*self.hops(a, b, hub))

    def each(self, what):
        """A cell for each pair and family: (asking host, who is asked, address of that)."""
        for a, b in self.pairs():
            for f in (4, 6):
                with self.t.cell(f"{what} {a} -> {b} v{f}"):
                    yield traffic.Direct(self.ns(a)), b, self.at[b][f]

    def reaches(self, a, b, f=4):
        return traffic.works(traffic.Direct(self.ns(a)), self.at[b][f], self.targets[b].echo.port)

    def wait_up(self, deadline=40):
        for a, b in self.pairs():
            for f in (4, 6):
                until(lambda a=a, b=b, f=f: self.reaches(a, b, f), deadline,
                      f"{a} reaches {b} by IPv{f}", 0.1)
