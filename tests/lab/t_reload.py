"""A site more while everybody is at work: the hub takes its changed file over without a break."""
import copy
import json
import os
import shutil
import subprocess
import tempfile
import threading

from . import traffic
from .harness import test
from .meshlab import NAMES, Mesh, garenne, without_comments
from .peers import GARENNE
from .proc import until
from .scene import expect
from .t_mesh_faults import Held
from .t_meshlab import names

MIB = 1 << 20
TIMES = 20


def without(m, site):
    """The files of the mesh as they would be if @site had not been added yet."""
    folder = tempfile.mkdtemp()
    m.t.defer(shutil.rmtree, folder)
    with open(m.path()) as f:
        plan = without_comments(f.read())
    del plan["sites"][site]
    with open(os.path.join(folder, "mesh.json"), "w") as f:
        json.dump(plan, f)
    shutil.copytree(os.path.join(m.dir, "keys"), os.path.join(folder, "keys"))
    garenne(folder, "mesh", "compile")
    return {node: m.node_file(node, folder) for node in m.nodes if node != site}


def refusals(t, m, whole):
    """What would need a restart, or cannot be read at all: nothing happens, and it is said why."""
    def said(name, conf, *words):
        code, text = m.tool("hub", "reload", "-c", t.write(name, conf))
        expect(code == 1 and all(w in text for w in words), f"{name}: exit {code}, {text!r}")
    other = copy.deepcopy(whole)
    other["inbounds"][0]["port"] = 8443
    said("port.json", other, "nothing was changed: inbounds[0]", "needs a restart")
    other = copy.deepcopy(whole)
    users = other["inbounds"][0]["settings"]["clients"]
    users[:] = [u for u in users if u.get("email") != "paris"]
    said("user.json", other, "has lost a user")
    said("bad.json", "{ \"inbounds\": 3 }", "the configuration has errors", "bad.json:1: inbounds")


class Busy:
    """Downloads, one after the other, each checked."""

    def __init__(self, m, a, b):
        self.faults, self.done, self.over = [], 0, threading.Event()

        def run():
            while not self.over.is_set() and not self.faults:
                try:
                    traffic.check_bulk(traffic.Direct(m.ns(a)), m.targets[b].bulk, m.at[b][4],
                                       16 * MIB)
                    self.done += 1
                except Exception as e:               # pylint: disable=broad-except
                    self.faults.append(e)
        self.thread = threading.Thread(target=run)
        self.thread.start()

    def end(self):
        """One more that began after everything, and no fault."""
        enough = self.done + 2
        until(lambda: self.done >= enough or self.faults, 60, "another download", 0.05)
        self.over.set()
        self.thread.join(60)
        expect(not self.faults, f"a download: {self.faults}")


def again_and_again(t, m, conf):
    """A rule and a name more each time: the last one counts."""
    for i in range(TIMES):
        conf["routing"]["rules"].append({"ip": [f"192.0.2.{i}"], "outboundTag": "block"})
        hosts = next(o for o in conf["outbounds"] if o["protocol"] == "dns")["settings"]["hosts"]
        hosts[f"n{i}.lab.mesh"] = [f"192.0.2.{i}"]
        code, said = m.tool("hub", "reload", "-c", t.write("more.json", conf))
        rules = len(conf["routing"]["rules"])
        expect(code == 0 and f"rules {rules}" in said, f"{i}: exit {code}, {said!r}")
    with m.ns("hub").inside():
        p = subprocess.run(["dig", "@" + NAMES, "+short", "+time=3", f"n{TIMES - 1}.lab.mesh"],
                           capture_output=True, text=True, timeout=30)
    expect(p.stdout.split() == [f"192.0.2.{TIMES - 1}"], f"the last name: {p.stdout!r}")


@test("mesh/reload", limit=180, needs=(GARENNE,))
def reload(t):
    m = Mesh(t, hubs=1, sites=3, start=False)
    whole, fewer = dict(m.files), without(m, "oslo")
    for site in ("paris", "berlin"):
        expect(fewer[site] == whole[site], f"{site}'s file does not change")
    m.files["hub"] = fewer["hub"]
    m.start()
    m.learn_targets()
    until(lambda: m.reaches("bpc", "pnas"), 40, "berlin's LAN reaches paris'", 0.1)
    expect(not m.reaches("bpc", "oprn"), "oslo is not in the mesh yet")

    held, busy = Held(m, "bpc", "pnas"), Busy(m, "bpc", "pnas")
    refusals(t, m, fewer["hub"])
    code, said = m.tool("hub", "reload", "-c", t.write("whole.json", whole["hub"]))
    expect(code == 0 and "new portals: to.oslo" in said, f"exit {code}, {said!r}")
    code, said = m.tool("hub", "reload", "-c", t.write("whole.json", whole["hub"]))
    expect(code == 0 and "nothing had changed" in said, f"exit {code}, {said!r}")
    for a, b in (("bpc", "oprn"), ("oslo", "berlin"), ("oprn", "pnas")):
        until(lambda a=a, b=b: m.reaches(a, b), 40, f"{a} reaches {b}", 0.1)
    until(lambda: m.reaches("paris", "oslo", 6), 40, "paris reaches oslo by IPv6", 0.1)
    names(m, "paris")
    again_and_again(t, m, whole["hub"])
    held.ask()
    busy.end()
    log = m.procs["hub"].log()
    for line in ("is gone", "lost a carrier"):
        expect(line not in log, f"a carrier was lost: {log[-2000:]}")
