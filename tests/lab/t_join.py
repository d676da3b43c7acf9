"""A node fetches its file with a token: over the network, once, in time, and nothing else."""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

from . import LabError, peers, traffic
from .harness import test
from .proc import until
from .scene import PAGE, clock_shifted
from .t_mesh import GARENNE, HUB, HUB2, Office, XRAY, _pings, garenne
from .t_reality_server import NAME, nginx

HEAD = "garenne-join-1."
PARIS, BERLIN = "100.65.0.1", "100.65.0.2"


class Desk:
    """The owner's machine: a mesh of one or two hubs and two sites, and their tickets."""

    def __init__(self, t, security=("tls",), hubs=1, software=("garenne", "garenne")):
        t.need(GARENNE)
        self.t, self.net = t, t.net(Office)
        self.dir = tempfile.mkdtemp()
        t.defer(shutil.rmtree, self.dir)
        garenne(self.dir, "mesh", "init", "lab", "-address", HUB + ":443", "-security", *security,
                "-software", software[0])
        if hubs == 2:
            garenne(self.dir, "mesh", "add", "hub", "hub2", "-address", HUB2 + ":443",
                    "-security", *security, "-software", software[1])
        for site in ("paris", "berlin"):
            garenne(self.dir, "mesh", "add", "site", site, "-lan", "192.168.1.0/24")
        path = os.path.join(self.dir, "mesh.json")
        with open(path) as f:
            text = f.read()
        for addr, hub, kind in ((HUB, "hub", software[0]), (HUB2, "hub2", software[1])):
            if kind == "garenne":
                os.makedirs(self.box(hub), exist_ok=True)
                text = text.replace(f'"address": "{addr}",',
                                    f'"address": "{addr}", "tickets": "{self.box(hub)}",')
        with open(path, "w") as f:
            f.write(text)
        garenne(self.dir, "mesh", "compile")
        if "reality" in security:
            with open(os.path.join(t.dir, "hosts"), "a") as f:
                f.write(f"127.0.0.1 {NAME}\n")

    def box(self, hub):
        return os.path.join(self.dir, "on-" + hub)

    def file(self, node):
        with open(os.path.join(self.dir, "nodes", node + ".json")) as f:
            return json.load(f)

    def start(self, node, env=None):
        ns = {"hub2": self.net.hub2}.get(node) or self.net[{"hub": "hub", "berlin": "sb"}[node]]
        return self.t.program(GARENNE, ns, self.file(node), node, env=env)

    def token(self, *args, hubs=("hub",)):
        """A fresh token for paris whose ticket lies on @hubs."""
        p = subprocess.run([GARENNE.path, "mesh", "token", *args, "paris"], cwd=self.dir,
                           capture_output=True, text=True, timeout=30)
        if p.returncode != 0 or "warning" in p.stderr:
            raise LabError(f"mesh token: {p.stdout + p.stderr}")
        self.said = p.stderr
        for hub in hubs:
            self.copy(hub)
        return p.stdout.strip()

    def copy(self, hub):
        made = os.path.join(self.dir, "nodes", hub + ".tickets")
        newest = max((os.path.join(made, n) for n in os.listdir(made)), key=os.path.getctime)
        shutil.copy(newest, self.box(hub))
        return os.path.join(self.box(hub), os.path.basename(newest))

    def join(self, token, name="paris", env=None):
        """What `join` says in the house in Paris, its exit status, and the file or None."""
        out = os.path.join(self.t.dir, name + "-joined.json")
        p = self.t.spawn(self.net.paris, [GARENNE.path, "mesh", "join", "-o", out, token], name,
                         env, ours=False)
        status = p.wait_exit(90)
        log = p.log()
        os.unlink(p.log_path)
        if os.path.exists(out + ".new"):
            raise LabError("join leaves a half of a file")
        if not os.path.exists(out):
            return log, status, None
        if os.stat(out).st_mode & 0o777 != 0o600:
            raise LabError("the file is not the node's alone")
        with open(out) as f:
            return log, status, json.load(f)

    def joined(self, token, name="paris"):
        log, status, conf = self.join(token, name)
        if status != 0 or conf != self.file("paris"):
            raise LabError(f"join ended with {status}: {log.strip()}")
        return log

    def refused(self, token, words, name, env=None):
        log, status, conf = self.join(token, name, env)
        if status == 0 or conf is not None or words not in log:
            raise LabError(f"expected {words!r}; join ended with {status}: {log.strip()}")


def other_secret(token):
    """The same hubs, another secret, and a checksum that is right again."""
    raw = base64.urlsafe_b64decode(token[len(HEAD):] + "==")
    raw = raw[:2] + bytes(b ^ 1 for b in raw[2:34]) + raw[34:-4]
    raw += hashlib.sha256(raw).digest()[:4]
    return HEAD + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def life(t, d):
    """From the token to a ping through the mesh, and what comes too late."""
    hub = d.start("hub")
    d.start("berlin")
    token = d.token()              # the hub runs: it sees the ticket without a restart
    with t.cell("joined"):
        d.joined(token)
    with t.cell("used"):
        d.refused(token, "was used at 20", "second")
        d.refused(token, "from 203.0.113.31", "third")
        d.copy("hub")
        d.refused(token, "was used at 20", "fourth")
    with t.cell("the joined file works"):
        p = t.spawn(d.net.paris, GARENNE.run_argv(os.path.join(t.dir, "paris-joined.json")),
                    "paris", ours=True)
        until(lambda: _pings(d.net.paris, BERLIN), 30, "an answer from berlin", 0.2)
        until(lambda: _pings(d.net.berlin, PARIS), 30, "an answer from paris", 0.2)
        p.stop()
    with t.cell("tampered"):
        token = d.token()
        d.refused(token[:60] + ("A" if token[60] != "A" else "B") + token[61:], "checksum", "bad")
        d.refused(token[:-9], "cut off", "cut")
        d.refused(other_secret(token), "does not know this token", "other")
    with t.cell("hub restarted"):
        hub.stop()
        hub.start()
        hub.wait_listening([("tcp", 443)])
        d.joined(token, "after")
        d.refused(token, "was used at 20", "after-that")
        hub.stop()
        hub.start()
        hub.wait_listening([("tcp", 443)])
        d.refused(token, "was used at 20", "after-all")


@test("join/tls", limit=180)
def join_tls(t):
    life(t, Desk(t))


@test("join/reality", limit=180)
def join_reality(t):
    d = Desk(t, ("reality", "-target", f"{NAME}:8443"))
    nginx(t, d.net.hub, 8443)
    life(t, d)


@test("join/expired")
def expired(t):
    """By the hub's clock, whatever the node believes the time to be."""
    d = Desk(t)
    token = d.token("-expires", "1h")
    hub = t.program(GARENNE, d.net.hub, d.file("hub"), "late-hub", env=clock_shifted(t, 3700))
    with t.cell("expired"):
        d.refused(token, "this token expired at 20", "late")
    hub.stop()
    d.start("hub")
    with t.cell("in time, with a node of 1970"):
        out = os.path.join(t.dir, "young-joined.json")
        shift = clock_shifted(t, -1700000000)
        if d.join(token, "young", shift)[1] != 0 or not os.path.exists(out):
            raise LabError("a node whose clock is wrong cannot join")


@test("join/damaged")
def damaged(t):
    d = Desk(t)
    with t.cell("a hub that comes late"):
        token = d.token()
        out = os.path.join(t.dir, "patient-joined.json")
        p = t.spawn(d.net.paris, [GARENNE.path, "mesh", "join", "-o", out, token], "patient")
        p.wait_log("refused")
        d.start("hub")
        if p.wait_exit(60) != 0 or not os.path.exists(out):
            raise LabError(f"join does not wait for it: {p.tail()}")
    token = d.token()
    path = d.copy("hub")
    with open(path, "rb") as f:
        whole = f.read()
    with t.cell("on its way"):
        with open(path, "wb") as f:
            f.write(whole[:100])
        d.refused(token, "its log says why", "half")
        with open(path, "wb") as f:
            f.write(whole)
        d.joined(token)
    with t.cell("exchanged"):
        token = d.token()
        path = d.copy("hub")
        with open(path, "r+b") as f:
            f.seek(-20, 2)
            f.write(b"another")
        d.refused(token, "does not open", "swapped")
    with t.cell("a file that is there"):
        token = d.token()
        path = os.path.join(t.dir, "there-joined.json")
        with open(path, "w") as f:
            f.write("{}")
        os.chmod(path, 0o600)
        log, status, conf = d.join(token, "there")
        if status == 0 or conf != {} or "already" not in log:
            raise LabError(f"a file was replaced: {log}")
        d.joined(token, "there2")  # and the token was not used for it


@test("join/broken", idle=True)
def broken(t):
    """The answer is lost on its way: the ticket is marked, and only this run of join gets it again."""
    d = Desk(t)
    d.start("hub")
    nat = d.net["np"]
    nat.sysctl("net.netfilter.nf_conntrack_acct", 1)
    nat.nft(f"""
        table inet cut {{
            chain f {{
                type filter hook forward priority -1;
                ip saddr {HUB} ct reply bytes > 5000 drop
            }}
        }}""")
    token = d.token()
    out = os.path.join(t.dir, "broken-joined.json")
    p = t.spawn(d.net.paris, [GARENNE.path, "mesh", "join", "-o", out, token], "broken")
    p.wait_log("no answer in time", 60)
    if not any(n.endswith(".used") for n in os.listdir(d.box("hub"))) or os.path.exists(out):
        raise LabError("the answer was not lost behind the mark")
    nat.nft("delete table inet cut")
    if p.wait_exit(60) != 0 or not os.path.exists(out):
        raise LabError(f"who was served is not served again: {p.tail()}")
    d.refused(token, "was used at 20", "after")


@test("join/hubs", limit=180)
def hubs_(t):
    """Each hub has the ticket; when one of them has served it, none does any more."""
    d = Desk(t, hubs=2)
    one, two = d.start("hub"), d.start("hub2")
    both = ("hub", "hub2")
    with t.cell("spent at both"):
        token = d.token(hubs=both)
        d.joined(token)
        one.kill()
        d.refused(token, "was used at 20", "second")   # says the second hub
    with t.cell("one is not there"):
        token = d.token(hubs=both)
        log = d.joined(token, "thief")
        if f"served by {HUB2}" not in log or f"{HUB}:443 could not be told" not in log:
            raise LabError(f"join says {log.strip()}")
    with t.cell("alarm"):
        one.start()
        one.wait_listening([("tcp", 443)])
        log, status, conf = d.join(token, "owner")     # the first hub was not told
        if status != 1 or conf is None or "ALARM" not in log:
            raise LabError(f"nobody cares that two have the file: {status} {log.strip()}")
    with t.cell("the ticket is not everywhere"):
        token = d.token(hubs=("hub2",))
        d.joined(token, "sparse")
    two.stop()


@test("join/nothing-else", limit=150)
def nothing_else(t):
    """The account of a token reaches neither a site nor the hub's own machine nor the internet; an
    ordinary account by the same way does."""
    d = Desk(t)
    t.server(traffic.Server, d.net.berlin, traffic.web(PAGE), 80, "0.0.0.0")
    t.server(traffic.Server, d.net.hub, traffic.web(PAGE), 8000, "0.0.0.0")
    t.server(traffic.Server, d.net.visitor, traffic.web(PAGE), 80, "0.0.0.0")
    d.start("hub")
    d.start("berlin")
    users = {u["email"]: u["id"] for u in d.file("hub")["inbounds"][0]["settings"]["clients"]}
    way = next(o for o in d.file("paris")["outbounds"] if o["tag"] == "hub.hub")

    def via(user, port, mux=False):
        o = json.loads(json.dumps(way))
        o["settings"]["id"] = users[user]
        if mux:
            o["mux"] = {"enabled": True}
        if user != "paris":
            o["settings"].pop("flow", None)
        conf = {"log": {"loglevel": "info"}, "outbounds": [o], "inbounds": [
            {"listen": "127.0.0.1", "port": port, "protocol": "socks", "settings": {"udp": True}}]}
        t.program(GARENNE, d.net.paris, conf, f"{user}-{port}")
        return traffic.Socks5(d.net.paris, "127.0.0.1", port)

    def page(way_in, host, port):
        try:
            return PAGE in traffic.http_get(way_in, host, port, timeout=3)[1]
        except (OSError, LabError):
            return False
    plain, token, muxed = via("paris", 1081), via("join.hub", 1082), via("join.hub", 1083, True)
    until(lambda: page(plain, BERLIN, 80), 25, "a page of berlin by paris's account", 0.2)
    for way_in, name in ((token, "token"), (muxed, "token, muxed")):
        for host, port in ((BERLIN, 80), ("berlin.lab.mesh", 80), ("127.0.0.1", 8000), (HUB, 8000),
                           ("100.64.0.1", 8000), ("203.0.113.20", 80), ("198.18.2.20", 80)):
            with t.cell(f"{name}: {host}"):
                if page(way_in, host, port):
                    raise LabError("reached")
    u = t.server(traffic.UdpServer, d.net.berlin, addr=BERLIN)
    for way_in, name, may in ((plain, "paris", True), (token, "token", False)):
        with t.cell(f"{name}: udp"):
            try:
                got = traffic.udp_ask(way_in, BERLIN, u.port)
            except (OSError, LabError):
                got = None
            if bool(got) != may:
                raise LabError("an answer" if got else "no answer")


@test("join/stock")
def stock(t):
    """Stock hubs have no join: the token leaves them out and says so by name."""
    t.need(XRAY)
    d = Desk(t, hubs=2, software=("xray", "garenne"))
    token = d.token(hubs=("hub2",))
    if "hub hub is left out: it runs xray" not in d.said:
        raise LabError(f"token says {d.said}")
    d.start("hub2")
    d.joined(token)
