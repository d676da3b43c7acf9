"""The control socket: what status, flows and why say of programs that run."""
import json
import os
import re
import signal
import subprocess

from . import LabError, Skip
from .harness import test
from .proc import until
from .scene import Scene, load


def ask(s, *argv):
    """(exit status, output) of a command of ours."""
    with s.ns.inside():
        p = subprocess.run([s.subject.path, *argv], capture_output=True, text=True, timeout=40)
    return p.returncode, p.stdout + p.stderr


def with_socket(s, conf, name):
    conf["control"] = {"name": name, "socket": os.path.join(s.t.dir, name + ".sock")}
    return conf


def status(s, name):
    code, out = ask(s, "status", "--json", "--socket", os.path.join(s.t.dir, name + ".sock"))
    if code != 0:
        raise LabError(f"status of {name}: {code}, {out.strip()[:300]}")
    return json.loads(out)


def one(rows, tag):
    return next(r for r in rows if r["tag"] == tag)


def stage(t, portal=None):
    s = Scene(t)
    if not s.ours:
        raise Skip("only ours has a control socket")
    portal = with_socket(s, portal or load("s1/portal"), "hub")
    bridge = with_socket(s, load("s1/bridge"), "home")
    return s.triangle(portal=portal, bridge=bridge)


@test("control/states")
def states(t):
    """A bridge that comes, is killed and is missed."""
    s = stage(t)
    hub, home = status(s, "hub"), status(s, "home")
    portal = one(hub["outbounds"], "portal")
    if portal["state"] != "up" or not portal["carriers"] or hub["node"] != "hub":
        raise LabError(f"the portal is not up: {portal}")
    bridge = home["bridges"][0]
    if bridge["state"] != "up" or not all(c["garenne"] for c in bridge["carriers"]):
        raise LabError(f"the bridge is not up: {bridge}")
    s.page()
    portal = until(lambda: (p := one(status(s, "hub")["outbounds"], "portal"))["served"] > 0 and p,
                   10, "the page is counted")
    if portal["down"] < 10:
        raise LabError(f"bytes are not counted: {portal}")
    s.bridge.kill()
    lost = until(lambda: (p := one(status(s, "hub")["outbounds"], "portal"))["state"] == "lost" and p,
                 20, "the portal misses the bridge")
    if not lost["last_error"] or lost["carriers"]:
        raise LabError(f"no reason for the loss: {lost}")
    code, out = ask(s, "status", "--socket", os.path.join(t.dir, "hub.sock"))
    if code != 0 or not re.search(r"portal +portal +lost for .*domain reverse", out):
        raise LabError(f"status says nothing of it: {out}")


@test("control/reload")
def reload(t):
    """The program's own file, read again: a rule more, a fault, and that rule gone again."""
    conf = load("s1/portal")
    s = stage(t, conf)
    sock, way = os.path.join(t.dir, "hub.sock"), conf["routing"]["rules"][0]
    s.page()

    def read(text, code, said):
        t.write("portal.json", text)
        got = ask(s, "reload", "--socket", sock)
        if got[0] != code or said not in got[1]:
            raise LabError(f"reload: {got}, not {code} and {said!r}")
    shut = {**way, "port": 8081, "outboundTag": "block"}
    conf["routing"]["rules"] = [shut, way]
    read(json.dumps(conf), 0, "hub: taken over, users 0, rules 2")
    s.no_page()
    read(json.dumps(conf)[:-1], 1, "nothing was changed: the configuration has errors")
    s.no_page()
    conf["routing"]["rules"] = [way]
    read(json.dumps(conf), 0, "hub: taken over, users 0, rules 1")
    s.page()
    read(json.dumps(conf), 0, "hub: nothing had changed, users 0, rules 1")
    conf["inbounds"][0]["port"] = 5556
    read(json.dumps(conf), 1, "inbounds[0] (incoming) has changed, which needs a restart")
    s.page()


# Reads a page as Prometheus' own library for Python does; a line per sample.
PARSE = """
import json, sys
try:
    from prometheus_client.parser import text_string_to_metric_families as parse
except ImportError:
    sys.exit(3)
for family in parse(sys.stdin.read()):
    for s in family.samples:
        print(json.dumps([s.name, s.labels, s.value, family.type]))
"""


def samples(page):
    p = subprocess.run(["/usr/bin/python3", "-c", PARSE], input=page, capture_output=True,
                       text=True, timeout=30)
    if p.returncode == 3:
        raise Skip("python3-prometheus-client is not installed")
    if p.returncode != 0:
        raise LabError(f"not a page for Prometheus: {p.stderr[-500:]}")
    return [json.loads(line) for line in p.stdout.splitlines()]


@test("control/metrics")
def metrics(t):
    """What status says, as Prometheus reads it, with a tag that wants to be escaped."""
    portal = load("s1/portal")
    portal["outbounds"].append({"tag": 'a "quoted\\\n tag', "protocol": "blackhole"})
    s = stage(t, portal)
    s.page()

    def read(name):
        code, page = ask(s, "status", "--metrics", "--socket",
                         os.path.join(t.dir, name + ".sock"))
        if code != 0:
            raise LabError(f"exit {code}: {page}")
        return samples(page)

    def value(got, name, **labels):
        found = [(v, kind) for n, have, v, kind in got
                 if n == name and all(have.get(k) == x for k, x in labels.items())]
        if len(found) != 1:
            raise LabError(f"{name} {labels}: {found}")
        return found[0]
    until(lambda: value(read("hub"), "garenne_served_total", outbound="portal")[0] > 0, 10,
          "the page is counted")
    hub, home = read("hub"), read("home")
    for got, want, name, labels in (
            (hub, (1, "gauge"), "garenne_portal_up", {"node": "hub", "portal": "portal"}),
            (hub, (0, "counter"), "garenne_served_total", {"outbound": 'a "quoted\\\n tag'}),
            (home, (1, "gauge"), "garenne_bridge_up", {"node": "home", "bridge": "bridge"}),
            (home, (1, "gauge"), "garenne_info", {"node": "home"})):
        if value(got, name, **labels) != want:
            raise LabError(f"{name} {labels}: {value(got, name, **labels)}, not {want}")
    if value(hub, "garenne_portal_carriers", portal="portal")[0] < 1:
        raise LabError("no carriers")


@test("control/why")
def why(t):
    """The story of a flow that failed, by its number in the log."""
    s = stage(t)
    s.no_page("http://127.0.0.1:1/")
    sock = os.path.join(t.dir, "hub.sock")
    until(lambda: "127.0.0.1:1 " in ask(s, "flows", "--all", "--socket", sock)[1], 10,
          "the flow is among those that ended")
    code, out = ask(s, "flows", "--all", "--socket", sock)
    number = re.search(r"^ *(\d+) ended +tcp \S+ +-> 127\.0\.0\.1:1 ", out, re.M)
    code, out = ask(s, "why", number.group(1), "--socket", sock)
    for want in (r"to +tcp:127\.0\.0\.1:1\b", r"rule \d+ .*portal\.json:\d+", "ended +"):
        if code != 0 or not re.search(want, out):
            raise LabError(f"why: no /{want}/ in {out!r}")
    code, out = ask(s, "why", "999999999", "--socket", sock)
    if code != 1 or "no flow 999999999" not in out:
        raise LabError(f"why of an unknown flow: {code}, {out!r}")


@test("control/leftovers")
def leftovers(t):
    """A socket that a killed process left is taken over; a wrong question does no harm."""
    s = stage(t)
    path = os.path.join(t.dir, "hub.sock")
    s.portal.kill(signal.SIGKILL)
    s.portal.wait_exit()
    if not os.path.exists(path):
        raise LabError("the socket vanished by itself: nothing is tested")
    s.portal = s.program("portal2", with_socket(s, load("s1/portal"), "hub"))
    status(s, "hub")
    if os.stat(path).st_mode & 0o777 != 0o600:
        raise LabError("others may connect to the control socket")
    code, out = ask(s, "status", "--socket", path + ".none")
    if code != 1 or "No such file" not in out:
        raise LabError(f"status without a program: {code}, {out!r}")
    s.wait_up()


@test("control/trace")
def trace(t):
    """Through portal and bridge, step by step; a closed port is seen as such."""
    s = stage(t)
    sock = os.path.join(t.dir, "hub.sock")
    code, out = ask(s, "trace", "--in", "incoming", "--socket", sock, "127.0.0.1:8081")
    for want in (r"hub: tcp:127\.0\.0\.1:8081 from inbound incoming -> \[portal\] \(portal\), "
                 r"rule \d+ \(portal\.json:\d+\)",
                 r"hub: by the carrier of bridge 127\.0\.0\.1:\d+",
                 r"home: tcp:127\.0\.0\.1:8081 from inbound bridge -> \[direct\] \(freedom\)",
                 r"home: connected to 127\.0\.0\.1:8081 in \d+ ms; it sees 127\.0\.0\.1:\d+",
                 r"it works: \d+ ms"):
        if code != 0 or not re.search(want, out):
            raise LabError(f"trace: {code}, no /{want}/ in {out}")
    code, out = ask(s, "trace", "--in", "incoming", "--socket", sock, "127.0.0.1:1")
    if code != 1 or not re.search(r"home: .*connection refused", out):
        raise LabError(f"trace of a closed port: {code}, {out}")


@test("control/ping")
def ping(t):
    """Through portal and bridge: the far host really answers, and a dead one does not."""
    s = stage(t)
    sock = os.path.join(t.dir, "hub.sock")
    s.page()
    code, out = ask(s, "ping", "-c", "2", "--in", "incoming", "--socket", sock, "127.0.0.1")
    if code != 0 or "127.0.0.1: 2 sent, 2 answered" not in out:
        raise LabError(f"ping: {code}, {out}")
    code, out = ask(s, "ping", "-c", "1", "--in", "incoming", "--socket", sock, "198.51.100.9")
    if code != 1 or "0 answered" not in out:
        raise LabError(f"ping of a host without a way to it: {code}, {out}")
    code, out = ask(s, "ping", "-c", "11", "--socket", sock, "127.0.0.1")
    if code != 1 or "from 1 to 10" not in out:
        raise LabError(f"ping with a bad count: {code}, {out}")
