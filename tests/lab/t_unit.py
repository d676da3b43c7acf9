"""The unit for nodes with a TUN: its rights, and no others, are enough. systemd is not there, so
a user of no name gets what the unit says: the user, the capabilities, the folder.
"""
import os
import re
import shutil
import stat
import subprocess
import tempfile

from . import LabError, Skip, traffic
from .harness import test
from .meshlab import Mesh
from .peers import GARENNE, ROOT, tool
from .proc import until
from .scene import expect
from .t_ping import Ping
from .t_routes import Node, ours, same, state

UNIT = os.path.join(ROOT, "scripts", "garenne-mesh@.service")
NOBODY = "65534"


def said(key):
    """All values of a key of the unit."""
    with open(UNIT) as f:
        return " ".join(re.findall(rf"^{key}=(.*)$", f.read(), re.M))


def bare(key):
    """The kernel's names of capabilities, as setpriv wants them: "-all,+net_admin"."""
    return ",".join(["-all"] + ["+" + c[4:].lower() for c in said(key).split()])


class Unit:
    """Starts ours as the unit does."""

    def __init__(self, t):
        self.t = t
        self.run = tempfile.mkdtemp()  # RuntimeDirectory=, kept from one life to the next
        t.defer(shutil.rmtree, self.run, True)
        os.chown(self.run, int(NOBODY), int(NOBODY))
        expect(said("RuntimeDirectoryPreserve") == "restart", "a kill would lose rp_filter")
        self.program = os.path.join(self.run, "garenne")
        shutil.copy(GARENNE.path, self.program)  # the tree may be closed to others
        os.chmod(t.dir, 0o755)
        # udev gives everybody the device (the right counts); without udev it is root's.
        tun = os.path.join(self.run, "tun")
        os.mknod(tun, 0o666 | stat.S_IFCHR, os.makedev(10, 200))
        os.chmod(tun, 0o666)
        t.binds += ((tun, "/dev/net/tun"),)

    def start(self, ns, conf, name):
        path = self.t.write(name + ".json", conf)
        os.chmod(path, 0o644)
        caps = bare("AmbientCapabilities")
        return self.t.spawn(ns, [
            "setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs",
            "--inh-caps", caps, "--ambient-caps", caps,
            "--bounding-set", bare("CapabilityBoundingSet"),
            self.program, "run", "-c", path], name, {"RUNTIME_DIRECTORY": self.run}, True)


def rights(p):
    """(user, effective capabilities, bounding set) of a process."""
    with open(f"/proc/{p.pid}/status") as f:
        s = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    return s["Uid"].split()[0], int(s["CapEff"], 16), int(s["CapBnd"], 16)


@test("unit/node", limit=150, needs=(GARENNE,))
def node(t):
    """Everything through the hub, with a strict filter: device, routes, rules, marks, rp_filter;
    all of it put back after a stop, and after a kill by the next life."""
    n, unit = Node(t, strict=True, start=False), Unit(t)

    def start(name):
        n.p = unit.start(n.ns, n.conf, name)
        n.p.wait_log("garenne .* started")
    start("first")
    net_admin, bind = 1 << 12, 1 << 10
    expect(rights(n.p) == (NOBODY, net_admin | bind, net_admin | bind), f"it has {rights(n.p)}")
    n.through()
    expect(state(n.ns)["rp_filter"][1] == "2", "the filter is still strict")
    n.p.kill()
    start("second")
    n.through()
    expect(ours(n.ns)[0], "no rules")
    n.p.stop()
    same(n.before, state(n.ns), "after a kill, a start and a stop")


@test("unit/mesh", limit=150, needs=(GARENNE,))
def mesh(t):
    """A hub on port 443 and two sites: flows, names, pings of the far LAN, originators' addresses."""
    def edit(text):
        return text.replace('{ "name": "everybody"', '{ "name": "who", "from": "any", "to": "any", '
                            '"ports": 9000, "delivery": "transparent" },\n    { "name": "everybody"')
    m, unit = Mesh(t, hubs=1, sites=2, start=False, edit=edit), Unit(t)
    t.server(traffic.Server, m.ns("pnas"), traffic.serve_whoami, 9000, "::")
    for n in m.nodes:
        # As systemd sets it for everybody; a new namespace has the kernel's default.
        m.ns(n).sysctl("net.ipv4.ping_group_range", "0 2147483647")
        m.files[n]["control"]["socket"] = os.path.join(unit.run, n + ".sock")
        m.procs[n] = unit.start(m.ns(n), m.files[n], n)
    m.world.leads(m.prefixes)
    via = traffic.Direct(m.ns("bpc"))

    def who(f):
        try:
            with via.tcp(m.at["pnas"][f], 9000, 3) as s:
                return s.recv(100).decode().split()[0]
        except (OSError, LabError, IndexError):
            return None
    for f in (4, 6):
        until(lambda f=f: who(f) == m.at["bpc"][f], 30, f"pnas sees who asks by IPv{f}", 0.2)
        got = Ping(m.ns("bpc"), m.at["pnas"][f]).ask()
        expect(got == "reply", f"ping: {got}")


@test("unit/verify")
def verify(t):
    """What systemd itself thinks of the units."""
    analyze = tool("systemd-analyze")
    if not analyze:
        raise Skip("there is no systemd-analyze")
    for name, most in (("garenne@lab.service", 2.0), ("garenne-mesh@lab.service", 2.5)):
        with open(os.path.join(ROOT, "scripts", name.replace("lab", ""))) as f:
            path = t.write(name, f.read().replace("@BINDIR@/garenne", GARENNE.path))
        p = subprocess.run([analyze, "verify", "--man=no", path], capture_output=True, text=True,
                           timeout=30)
        mine = [line for line in (p.stdout + p.stderr).split("\n") if "garenne" in line]
        expect(p.returncode == 0 and not mine, f"{name}: {mine}")
        p = subprocess.run([analyze, "security", "--offline=yes", "--no-pager", path],
                           capture_output=True, text=True, timeout=30)
        level = re.search(r"exposure level for \S+: ([\d.]+)", p.stdout)
        expect(level, p.stdout[-300:] + p.stderr[-300:])
        t.note(f"{name} {level.group(1)}")
        expect(float(level.group(1)) <= most, f"{name}: exposure {level.group(1)}")
