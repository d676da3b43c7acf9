"""A mesh: one file, compiled; two sites with one LAN prefix behind NATs, a hub, visitors."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

from . import LabError, Skip, netns, peers, traffic
from .peers import ROOT
from .harness import add, test
from .netns import Net
from .proc import until
from .scene import PAGE
from .t_reality_server import NAME, nginx

GARENNE, XRAY, V2RAY = peers.GARENNE, peers.XRAY, peers.V2RAY
HUB, HUB2, VISITOR = "203.0.113.10", "203.0.113.11", "203.0.113.20"
GATE, NAS = "192.168.1.2", "192.168.1.20"
SOCKS = 1080


class Office(Net):
    """Two houses with the same LAN, each behind its own NAT:

        hub, hub2, visitor --+-- wan -- natp --+-- paris (the site), pnas (a server)
                                    +-- natb --+-- berlin (the site), bpc (a desk)
    """

    def __init__(self, prefix):
        super().__init__(prefix)
        (self.wan, self.hub, self.hub2, self.visitor) = self.add("wan", "hub", "hb2", "vis")
        self.wan.ip("link add sw type bridge", "link set dev sw up")
        for ns, port, addr in ((self.hub, "hub", HUB), (self.hub2, "hb2", HUB2),
                               (self.visitor, "vis", VISITOR)):
            self._join(ns, port, addr)
        self.paris, self.pnas = self._house("p", "203.0.113.31", "pnas")
        self.berlin, self.bpc = self._house("b", "203.0.113.32", "bpc")

    def _join(self, ns, port, addr):
        self.link(ns, "eth0", self.wan, port, (addr + "/24",), ())
        self.wan.ip(f"link set dev {port} master sw")

    def _house(self, letter, public, name):
        nat, site, host = self.add("n" + letter, "s" + letter, name)
        self._join(nat, "n" + letter, public)
        nat.ip("link add lan type bridge", "link set dev lan up",
               "address add 192.168.1.1/24 dev lan")
        for ns, port, addr in ((site, "site", GATE), (host, "host", NAS)):
            self.link(ns, "eth0", nat, port, (addr + "/24",), ())
            nat.ip(f"link set dev {port} master lan")
            ns.ip("route add default via 192.168.1.1")
        nat.masquerade()
        return site, host


def garenne(folder, *args):
    p = subprocess.run([GARENNE.path, *args], cwd=folder, capture_output=True, text=True,
                       timeout=30)
    if p.returncode != 0:
        raise LabError(f"{' '.join(args[:3])}: {(p.stdout + p.stderr).strip()[-300:]}")
    return p.stdout


POLICY = """
    { "name": "web", "from": "any", "to": "nas.paris", "ports": 80 },
    { "name": "no-admin", "from": "berlin", "to": "nas.paris", "ports": 82, "action": "deny" },
    { "name": "admin", "from": "sites", "to": "nas.paris", "ports": "82-83" },
    { "name": "self", "from": "sites", "to": "100.65.0.1", "ports": "90" },
    { "name": "spare", "from": "sites", "to": "198.18.1.21" }
"""


class Mesh:
    """A mesh made by our own commands, and the programs that run its files."""

    def __init__(self, t, hub=GARENNE, paris=GARENNE, berlin=GARENNE, tun=False, hubs=1,
                 security=("tls",), phone=None, leaves="phones"):
        """@phone: the app of a phone that there is, too."""
        t.need(GARENNE, hub, paris, berlin)
        self.t, self.net = t, t.net(Office)
        self.peer = {"hub": hub, "paris": paris, "berlin": berlin, "hub2": hub}
        self.dir = tempfile.mkdtemp()
        t.defer(shutil.rmtree, self.dir)
        garenne(self.dir, "mesh", "init", "lab", "-address", HUB + ":443", "-security",
                *security, "-software", hub.name)
        if hubs == 2:
            garenne(self.dir, "mesh", "add", "hub", "hub2", "-address", HUB2 + ":443",
                    "-security", *security, "-software", hub.name)
        for site, peer in (("paris", paris), ("berlin", berlin)):
            more = ["-socks", f"{GATE}:{SOCKS}"] + ([] if tun or not peer.ours else ["-no-tun"])
            garenne(self.dir, "mesh", "add", "site", site, "-lan", "192.168.1.0/24", "-software",
                    peer.name, *more)
        if phone:
            garenne(self.dir, "mesh", "add", "phone", "alice", "-app", phone)
        self.edit(leaves if phone or leaves != "phones" else None)
        garenne(self.dir, "mesh", "compile")
        self.files = {}
        for name in ["hub", "paris", "berlin"] + ["hub2"] * (hubs == 2):
            with open(os.path.join(self.dir, "nodes", name + ".json")) as f:
                self.files[name] = json.load(f)
        for port in (80, 81, 82, 83, 84):
            t.server(traffic.Server, self.net.pnas, traffic.web(PAGE), port, "0.0.0.0")

    def edit(self, leaves):
        path = os.path.join(self.dir, "mesh.json")
        with open(path) as f:
            text = f.read()
        old = '    { "name": "everybody", "from": "any", "to": "sites" }\n'
        if old not in text:
            raise LabError("init does not write what the test expects")
        text = text.replace(old, POLICY)
        text = text.replace('"198.18.1.0/24" }]',
                            '"198.18.1.0/24" }],\n      "hosts": { "nas": "192.168.1.20" }')
        text = text.replace('"forwards": [',
                            '"forwards": [{ "name": "web", "port": 8080, "to": "nas.paris:81" }')
        text = text.replace('"expect": [', '"expect": ["berlin may reach nas.paris:83", '
                            '"berlin may not reach nas.paris:82"')
        if leaves:
            text = text.replace('"exits": [',
                                f'"exits": [{{ "from": "{leaves}", "through": "paris" }}')
        with open(path, "w") as f:
            f.write(text)

    def start(self, *names, wait=True):
        hosts = {"hub": self.net.hub, "hub2": self.net.hub2, "paris": self.net.paris,
                 "berlin": self.net.berlin}
        procs = [self.t.program(self.peer[n], hosts[n], self.files[n], n, wait=wait)
                 for n in names or self.files]
        return procs if len(procs) > 1 else procs[0]

    # Ways in.

    def desk(self):
        """A machine of berlin's LAN that uses the site's proxy."""
        return traffic.Socks5(self.net.bpc, GATE, SOCKS)

    def page(self, port=80, host="198.18.1.20", via=None):
        try:
            return PAGE in traffic.http_get(via or self.desk(), host, port, timeout=3)[1]
        except (OSError, LabError):
            return False

    def wait_up(self):
        until(self.page, 25, "a page of paris at berlin", 0.2)


def reach(m):
    """What may be reached is, by address, name and forward; what may not is not."""
    t = m.t
    m.wait_up()
    with t.cell("by name"):
        if not m.page(host="nas.paris.lab.mesh"):
            raise LabError("no page by name")
    with t.cell("by forward"):
        if not m.page(8080, HUB, traffic.Direct(m.net.visitor)):
            raise LabError("no page for a visitor of the hub")
    with t.cell("another port"):
        if not m.page(83):
            raise LabError("83 is allowed")
    for port, why in ((81, "default deny"), (82, "no-admin")):
        with t.cell(f"forbidden {port}"):
            if m.page(port) or m.page(port, "nas.paris.lab.mesh"):
                raise LabError(f"{port} is not to be reached ({why})")
    with t.cell("the other house's own address"):
        if m.page(80, "192.168.1.20"):
            raise LabError("a real address of a LAN was led through the mesh")


def cell(t, hub, paris, berlin):
    m = Mesh(t, hub, paris, berlin)
    m.start()
    reach(m)


for _hub, _paris, _berlin in ((GARENNE, GARENNE, GARENNE), (GARENNE, XRAY, GARENNE),
                              (GARENNE, GARENNE, XRAY), (XRAY, GARENNE, GARENNE),
                              (XRAY, XRAY, XRAY), (GARENNE, V2RAY, GARENNE),
                              (GARENNE, GARENNE, V2RAY)):
    add(f"mesh/reach/{_hub.name}-hub+{_paris.name}+{_berlin.name}", cell, _hub, _paris, _berlin,
        needs=(_hub, _paris, _berlin), full=_hub is XRAY and _paris is XRAY)


def reality(t, hub, paris, berlin):
    """As init makes it when nothing else is said: REALITY, and Vision inside."""
    m = Mesh(t, hub, paris, berlin, security=("reality", "-target", f"{NAME}:8443"))
    if not any(o.get("settings", {}).get("flow") for o in m.files["berlin"]["outbounds"]):
        raise LabError("no flow although there is REALITY")
    with open(os.path.join(t.dir, "hosts"), "a") as f:
        f.write(f"127.0.0.1 {NAME}\n")
    nginx(t, m.net.hub, 8443)
    m.start()
    reach(m)


for _hub, _paris, _berlin in ((GARENNE, GARENNE, GARENNE), (GARENNE, XRAY, GARENNE),
                              (XRAY, GARENNE, XRAY)):
    add(f"mesh/reality/{_hub.name}-hub+{_paris.name}+{_berlin.name}", reality, _hub, _paris, _berlin,
        needs=(_hub, _paris, _berlin))


# ---- two locks ---------------------------------------------------------------

def _blames(proc, name):
    until(lambda: any(name in line and "block" in line for line in proc.log().split("\n")), 8,
          f"a line of {proc.name} names the rule {name}")


@test("mesh/hub-does-not-care")
def hub_does_not_care(t):
    """Without any policy at the hub the destination still refuses, and says by which rule."""
    m = Mesh(t)
    places = next(r["ip"] for r in m.files["hub"]["routing"]["rules"] if "denies" in r["ruleTag"])
    m.files["hub"]["routing"]["rules"] = [
        {"type": "field", "inboundTag": ["mesh"], "ip": places, "outboundTag": "to.paris"}]
    _, paris, _ = m.start()
    m.wait_up()
    if not m.page(83) or m.page(84) or m.page(82):
        raise LabError("the destination does not enforce the policy by itself")
    _blames(paris, "no-admin")
    _blames(paris, "default deny")


@test("mesh/site-does-not-care")
def site_does_not_care(t):
    m = Mesh(t)
    rules = m.files["paris"]["routing"]["rules"]
    m.files["paris"]["routing"]["rules"] = [
        {"type": "field", "inboundTag": ["mesh"], "outboundTag": "lan"}] + rules
    hub, _, _ = m.start()
    m.wait_up()
    if not m.page(83) or m.page(84) or m.page(82):
        raise LabError("the hub does not enforce the policy by itself")
    _blames(hub, "no-admin")
    _blames(hub, "default deny")


@test("mesh/source-is-kept")
def source_is_kept(t):
    """The service is told the machine that asked, by its mapped address."""
    m = Mesh(t)
    for o in m.files["paris"]["outbounds"]:
        if o["tag"] == "lan":
            o["settings"]["proxyProtocol"] = 1
    heads = []

    def serve(_srv, c, _peer):
        buf = b""
        while b"\r\n" not in buf:
            buf += c.recv(200)
        heads.append(buf.split(b"\r\n")[0].decode())
        c.sendall(b"seen")
    m.files["paris"]["routing"]["rules"][0]["port"] = "80-99"
    srv = t.server(traffic.Server, m.net.pnas, serve, 85, "0.0.0.0")
    for r in m.files["hub"]["routing"]["rules"]:
        if r.get("port") == "80":
            r["port"] = "80-99"
    m.start()

    def ask():
        try:
            with m.desk().tcp("198.18.1.20", 85, 3) as s:
                s.sendall(b"hello")
                return traffic.recv_exact(s, 4) == b"seen"
        except (OSError, LabError):
            return False
    until(ask, 25, "an answer", 0.2)
    if heads[-1].split()[:3] != ["PROXY", "TCP4", "198.18.2.20"]:
        raise LabError(f"the service was told {heads[-1]!r}")
    del srv


INTERNET = "9.9.9.9"


@test("mesh/tun-exit", limit=150)
def tun_exit(t):
    """Berlin leaves for the internet by the house in Paris: everything goes into the TUN but
    the way to the hub."""
    m = Mesh(t, tun=True, leaves="berlin")
    m.net.hub2.ip(f"address add {INTERNET}/32 dev lo")
    for nat in ("np", "nb"):
        m.net[nat].ip(f"route add {INTERNET} via {HUB2}")
    t.server(traffic.Server, m.net.hub2, traffic.serve_whoami, 7, INTERNET)
    m.start()
    site = traffic.Direct(m.net.berlin)
    until(lambda: m.page(80, "198.18.1.20", site), 30, "a page of paris at berlin", 0.3)
    with site.tcp(INTERNET, 7, 5) as s:
        seen = s.recv(200).decode()
    if "203.0.113.31" not in seen:
        raise LabError(f"the internet saw {seen!r}, not the house in Paris")


# ---- phones ------------------------------------------------------------------

def phone(t, hub, paris, app):
    """What a phone's profile leads where: the mesh by address and by name, everything else
    out of the house in Paris, the Wi-Fi that it is in past all of it."""
    m = Mesh(t, hub, paris, phone="v2rayng")
    m.net.hub2.ip(f"address add {INTERNET}/32 dev lo")
    m.net["np"].ip(f"route add {INTERNET} via {HUB2}")
    t.server(traffic.Server, m.net.hub2, traffic.serve_whoami, 7, INTERNET)
    t.server(traffic.Server, m.net.hub2, traffic.web("wifi"), 80, "0.0.0.0")
    m.start("hub", "paris")
    with open(os.path.join(m.dir, "nodes", "alice.v2rayng.json")) as f:
        t.program(app, m.net.visitor, json.load(f), "alice")
    via = traffic.Socks5(m.net.visitor, "127.0.0.1", 10808)
    until(lambda: m.page(via=via), 25, "a page of paris on the phone", 0.2)
    with t.cell("by name"):
        if not m.page(host="nas.paris.lab.mesh", via=via):
            raise LabError("no page by name")
    with t.cell("forbidden"):
        if m.page(83, via=via):
            raise LabError("83 is for sites")
    with t.cell("this network"):
        if "wifi" not in traffic.http_get(via, HUB2, 80)[1]:
            raise LabError("an address of the phone's own network is not reached directly")
    with t.cell("exit"):
        with via.tcp(INTERNET, 7, 5) as s:
            seen = s.recv(200).decode()
        if "203.0.113.31" not in seen:
            raise LabError(f"the internet saw {seen!r}, not the house in Paris")


for _hub, _paris, _app in ((GARENNE, GARENNE, XRAY), (GARENNE, GARENNE, GARENNE),
                           (XRAY, GARENNE, XRAY), (GARENNE, XRAY, XRAY)):
    add(f"mesh/phone/{_hub.name}-hub+{_paris.name}+{_app.name}-app", phone, _hub, _paris, _app,
        needs=(_hub, _paris, _app))


# ---- hubs --------------------------------------------------------------------

@test("mesh/failover", limit=150)
def failover(t):
    """The hub that is used dies; flows go by the other one."""
    m = Mesh(t, hubs=2)
    first, second, *_ = m.start("hub", "hub2", "paris", "berlin")
    m.wait_up()
    for dead in (first, second):
        other = second if dead is first else first
        if not other.alive():
            other.start()
            other.wait_listening([("tcp", 443)])
            until(m.page, 60, "a page with both hubs", 0.2)
        dead.kill()
        until(m.page, 60, "a page by the other hub", 0.2)
        for _ in range(5):
            if not m.page():
                raise LabError("the other hub is not used for good")


# ---- without any proxy setting ------------------------------------------------

def _routed(m):
    """LANs whose machines know the way into the mesh: by their site."""
    for ns in (m.net.bpc, m.net.pnas):
        ns.ip(*(f"route add {r} via {GATE}" for r in ("100.64.0.0/10", "198.18.0.0/15")))
    for ns in (m.net.paris, m.net.berlin):
        ns.forward()


def _pings(ns, host):
    ping = peers.tool("ping")
    if not ping:
        raise Skip("there is no ping")
    with ns.inside():
        return subprocess.run([ping, "-c", "2", "-W", "3", host], capture_output=True,
                              timeout=20).returncode == 0


@test("mesh/tun", limit=150)
def tun(t):
    """A desk in Berlin opens pages in Paris by mapped and virtual addresses, with nothing
    installed on it; what is forbidden is not reached."""
    m = Mesh(t, tun=True)
    _routed(m)
    m.start()
    desk, site = traffic.Direct(m.net.bpc), traffic.Direct(m.net.berlin)
    until(lambda: m.page(80, "198.18.1.20", desk), 30, "a page of paris at a desk in berlin", 0.3)
    with t.cell("from the site itself"):
        if not m.page(80, "198.18.1.20", site):
            raise LabError("no page")
    for port in (81, 82):
        with t.cell(f"forbidden {port}"):
            if m.page(port, "198.18.1.20", desk):
                raise LabError("reached")
    with t.cell("the site's own address"):
        t.server(traffic.Server, m.net.paris, traffic.web(PAGE), 90, "0.0.0.0")
        if not m.page(90, "100.65.0.1", desk):
            raise LabError("no page of the site itself")
    m.net.pnas.ip("address add 192.168.1.21/24 dev eth0")
    with t.cell("udp"):
        u = t.server(traffic.UdpServer, m.net.pnas, addr="192.168.1.21")
        got, _peer = traffic.udp_ask(desk, "198.18.1.21", u.port)
        if got != b"hello":
            raise LabError(f"the answer is {got!r}")
    with t.cell("ping"):
        if not _pings(m.net.bpc, "198.18.1.21"):
            raise LabError("no answer")
    with t.cell("ping of nobody, and of who may not be"):
        if _pings(m.net.bpc, "198.18.1.99") or _pings(m.net.bpc, "198.18.1.20"):
            raise LabError("an answer that nobody gave")
    with t.cell("own LAN stays"):
        t.server(traffic.Server, m.net.bpc, traffic.web("here"), 8000, "0.0.0.0")
        if "here" not in traffic.http_get(site, NAS, 8000)[1]:
            raise LabError("192.168.1.20 is not berlin's own at berlin")


# ---- names -------------------------------------------------------------------

NAMES = "100.127.255.254"


def dig(ns, *argv):
    """The answer's code and its data, from the mesh's name server."""
    with ns.inside():
        p = subprocess.run(["dig", "@" + NAMES, "+time=2", "+tries=1", "+noall", "+comments",
                            "+answer", "+authority", *argv], capture_output=True, text=True,
                           timeout=20)
    code = p.stdout.split("status: ")[1].split(",")[0] if "status: " in p.stdout else "SILENT"
    rows = [line.split(None, 4) for line in p.stdout.splitlines()
            if line and not line.startswith(";")]
    return code, [r[4] for r in rows if r[3] != "SOA"], [r[0] for r in rows if r[3] == "SOA"]


NAME_CELLS = (
    # question, code, answer
    (("paris.lab.mesh", "A"), "NOERROR", ["100.65.0.1"]),
    (("NAS.Paris.lab.mesh", "A"), "NOERROR", ["198.18.1.20"]),
    (("hub.lab.mesh", "A"), "NOERROR", ["100.64.0.1"]),
    (("berlin.lab.mesh", "A"), "NOERROR", ["100.65.0.2"]),
    (("+tcp", "nas.paris.lab.mesh", "A"), "NOERROR", ["198.18.1.20"]),
    (("+tcp", "berlin.lab.mesh", "A"), "NOERROR", ["100.65.0.2"]),
    (("-x", "198.18.1.20"), "NOERROR", ["nas.paris.lab.mesh."]),
    (("-x", "100.65.0.1"), "NOERROR", ["paris.lab.mesh."]),
    (("-x", "100.65.0.2"), "NOERROR", ["berlin.lab.mesh."]),
)
NAME_NOTHING = (
    # question, code, zone
    (("nas.paris.lab.mesh", "AAAA"), "NOERROR", ["lab.mesh."]),
    (("nobody.lab.mesh", "A"), "NXDOMAIN", ["lab.mesh."]),
    (("+tcp", "printer.berlin.lab.mesh", "A"), "NXDOMAIN", ["lab.mesh."]),
    (("-x", "198.18.1.21"), "NXDOMAIN", ["18.198.in-addr.arpa."]),
    (("-x", "100.65.7.7"), "NXDOMAIN", ["65.100.in-addr.arpa."]),
    (("www.example.com", "A"), "REFUSED", []),
    (("-x", "9.9.9.9"), "REFUSED", []),
)


@test("mesh/names/resolver")
def resolver(t):
    """Names that are not the mesh's, where it has a resolver; no hub is needed for them, nor for
    the site's own names."""
    m = Mesh(t, tun=True)
    path = os.path.join(m.dir, "mesh.json")
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace('"mesh": "lab",', f'"mesh": "lab", "resolver": "{HUB2}",'))
    garenne(m.dir, "mesh", "compile")
    with open(os.path.join(m.dir, "nodes", "berlin.json")) as f:
        m.files["berlin"] = json.load(f)
    t.server(traffic.Dns, m.net.hub2, {"a.test": ["192.0.2.7"]}, HUB2, 53)
    _routed(m)
    m.start("berlin")
    until(lambda: dig(m.net.bpc, "a.test") == ("NOERROR", ["192.0.2.7"], []), 15,
          "an address of a.test")
    for q, want in (("b.test", ("NXDOMAIN", [], [])),
                    ("berlin.lab.mesh", ("NOERROR", ["100.65.0.2"], []))):
        with t.cell(q):
            got = dig(m.net.bpc, q)
            if got != want:
                raise LabError(f"{got}, expected {want}")
    with t.cell("another type"):
        if dig(m.net.bpc, "a.test", "MX")[0] != "NOTIMP":
            raise LabError(f"{dig(m.net.bpc, 'a.test', 'MX')}")


def names(t, hub, hubs):
    """Names of nodes and machines, both ways, for a desk and for the site itself."""
    m = Mesh(t, hub, tun=True, hubs=hubs)
    _routed(m)
    m.start()
    desk = traffic.Direct(m.net.bpc)
    until(lambda: m.page(80, "198.18.1.20", desk), 30, "a page of paris at a desk in berlin", 0.3)
    v6 = next(a for a in m.files["paris"]["inbounds"][0]["settings"]["addresses"] if ":" in a)
    v6 = v6.split("/")[0]
    good = NAME_CELLS + ((("paris.lab.mesh", "AAAA"), "NOERROR", [v6]),
                         (("-x", v6), "NOERROR", ["paris.lab.mesh."]))
    for where, ns in (("desk", m.net.bpc), ("site", m.net.berlin)):
        for q, *want in [(q, code, data, []) for q, code, data in good] + \
                [(q, code, [], zone) for q, code, zone in NAME_NOTHING]:
            with t.cell(f"{where}: {' '.join(q)}"):
                got = list(dig(ns, *q))
                if got != want:
                    raise LabError(f"{got}, expected {want}")


for _hub, _hubs in ((GARENNE, 1), (GARENNE, 2), (XRAY, 1)):
    add(f"mesh/names/{_hub.name}-hub{'s' * (_hubs - 1)}", names, _hub, _hubs, limit=150,
        needs=(GARENNE, _hub))


# ---- files -------------------------------------------------------------------

@test("mesh/accepted")
def accepted(t):
    """Stock programs take the files that are made for them."""
    t.need(GARENNE)
    good = os.path.join(ROOT, "tests", "mesh", "good")
    for mesh in sorted(os.listdir(good)):
        work = tempfile.mkdtemp()
        t.defer(shutil.rmtree, work)
        netns.run(["cp", "-r", os.path.join(good, mesh), work])
        folder = os.path.join(work, mesh)
        with t.cell(f"{mesh} compiles"):
            garenne(folder, "mesh", "compile", "-out", "out")
        folder = os.path.join(good, mesh, "expected")
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".json"):
                continue
            path = os.path.join(folder, name)
            with open(path) as f:
                text = f.read().replace("/etc/xray/hub.crt", t.pki.cert).replace(
                    "/etc/xray/hub.key", t.pki.key)
            conf = json.loads(text)
            peer = _made_for(mesh, name, conf)
            with t.cell(f"{mesh}/{name} {peer.name}"):
                t.need(peer)
                _accept(peer, t.write(f"{mesh}-{name}", text))


def _made_for(mesh, name, conf):
    if name.endswith(".sing-box.json"):
        return peers.SING_BOX
    if "version" in conf or name.endswith(".v2rayng.json"):
        return XRAY
    classic = (("classic", "paris.json"), ("debian", "hub.json"), ("debian", "berlin.json"))
    return V2RAY if (mesh, name) in classic else GARENNE


def _accept(peer, path):
    argv = [peer.path, "check", path] if peer.ours else peer.test_argv(path)
    p = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    if p.returncode != 0 or peer.ours and not p.stdout.startswith("0 warnings"):
        raise LabError(f"{peer.name}: {(p.stdout + p.stderr).strip()[-300:]}")


@test("mesh/qr")
def qr(t):
    """A code on the terminal that a reader reads, where there is a reader."""
    t.need(GARENNE)
    work = tempfile.mkdtemp()
    t.defer(shutil.rmtree, work)
    garenne(work, "mesh", "init", "lab", "-address", "hub.example.org")
    garenne(work, "mesh", "add", "phone", "alice")
    out = garenne(work, "mesh", "show", "alice")
    if "vless://" not in out or "\u2580" not in out:
        raise LabError("no link or no code")
    if "\u2580" in garenne(work, "mesh", "show", "-no-qr", "alice"):
        raise LabError("a code in spite of -no-qr")
    with contextlib.suppress(FileNotFoundError):
        for f in os.listdir(os.path.join(work, "keys")):
            if os.stat(os.path.join(work, "keys", f)).st_mode & 0o77:
                raise LabError("others may read a key file")
