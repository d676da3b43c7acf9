"""The mesh in a world of slow lines: two hubs, three houses with one LAN prefix, a phone.

Everybody asks everybody: pings whose times are those of the lines, streams, datagrams, names.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import tempfile

from . import LabError, peers, traffic
from .harness import test
from .link import Line
from .meshlab import GATE, NAMES, Mesh, garenne
from .peers import GARENNE, XRAY
from .proc import until
from .scene import expect
from .t_tun import connect_error

MIB = 1 << 20
AT_ONCE, FEW = 16, 8


def lines(delay, loss=0, rate=0, **more):
    """The second hub is further away: it is clear by which one sites go."""
    near = {r: Line(delay, loss, rate, seed=i, **more)
            for i, r in enumerate(("hub", "paris", "berlin", "oslo", "phone"), 1)}
    return {**near, "hub2": Line(delay * 3, loss, rate, seed=9, **more)}


def at_once(t, jobs, many=AT_ONCE):
    """Runs jobs, (name, function, arguments...), several together, each a cell; whether all of
    them went well."""
    with concurrent.futures.ThreadPoolExecutor(many) as pool:
        done = [(name, pool.submit(fn, *args)) for name, fn, *args in jobs]
        for name, f in done:
            with t.cell(name):
                f.result()
    return all(f.exception() is None for _, f in done)


def everywhere(m, what, fn, families=(4, 6)):
    """A job for each pair and family: fn(m, who asks, who is asked, family)."""
    return [(f"{what} {a} -> {b} v{f}", fn, m, a, b, f) for a, b in m.pairs() for f in families]


def up(m, a, b, f):
    until(lambda: m.reaches(a, b, f), 40, "an echo", 0.1)


# ---- pings -------------------------------------------------------------------

def run_ping(ns, host, count, wait=3, every=0.05):
    """(how many came back, the shortest time in ms)."""
    with ns.inside():
        p = subprocess.run([peers.tool("ping"), "-n", "-c", str(count), "-i", str(every), "-W",
                            str(wait), host], capture_output=True, text=True, timeout=60)
    times = [float(x) for x in re.findall(r"time=([\d.]+) ms", p.stdout)]
    return len(times), min(times, default=None)


def ping(m, a, b, f):
    """As long as the lines on the way, never shorter; the shortest of some, since the first ones
    wait for a connection, and a busy machine adds to each."""
    want, best = 2 * m.way_ms(a, b), None
    for _ in range(12):
        _, got = run_ping(m.ns(a), m.at[b][f], 5, every=0.25)
        expect(got is not None, "no answer")
        expect(got >= want - 0.1, f"{got} ms, but the lines alone take {want}")
        best = min(got, best or got)
        if best <= want + max(0.1 * want, 0.5):
            return
    raise LabError(f"{best} ms, but the lines take {want}")


def ping_dead(m, a, b, f):
    n, _ = run_ping(m.ns(a), m.dead[b][f == 6], 3, 1)
    expect(n == 0, "nobody has answered")


def dead_jobs(m):
    return [(f"ping {a} -> nobody beside {b} v{f}", ping_dead, m, a, b, f)
            for a, b in m.pairs() if m.is_host(b) for f in (4, 6)]


# ---- bytes -------------------------------------------------------------------

def tcp(m, a, b, f, size):
    via = traffic.Direct(m.ns(a))
    traffic.check_bulk(via, m.targets[b].bulk, m.at[b][f], size)
    bad = traffic.half_close(via, m.at[b][f], m.targets[b].digest.port, 64 << 10)
    expect(bad is None, f"half-close: {bad}")


def udp(m, a, b, f, count, wait=1.0):
    """@count datagrams of 1 to 1,400 bytes, and one of 8,000."""
    sizes = tuple(range(1, 1401, -(-1400 * 2 // count)))
    rounds = count // len(sizes)
    via, port = traffic.Direct(m.ns(a)), m.targets[b].udp.port
    traffic.check_udp(via, m.at[b][f], port, rounds * sum(n for n in sizes if n >= 4), sizes,
                      wait=wait)
    data, _ = traffic.udp_ask(via, m.at[b][f], port, os.urandom(8000))
    expect(len(data) == 8000, f"{len(data)} of 8000 bytes came back")


# ---- names -------------------------------------------------------------------

def names(m, a):
    """All names of the mesh, both families and back, as @a is told them."""
    ask, want = [], set()
    for role, name in m.names.items():
        for f, kind in ((4, "A"), (6, "AAAA")):
            # A host's name has an address of one family; its other address another name.
            n = name.replace("nas.", "nas6.") if m.is_host(role) and f == 6 else name
            ask += [n, kind, "-x", m.at[role][f]]
            want |= {(n, m.at[role][f]), (m.at[role][f], n)}
    with m.ns(a).inside():
        p = subprocess.run(["dig", "@" + NAMES, "+short", "+time=3", "+tries=2",
                            *[x for q in range(0, len(ask), 4) for x in ask[q:q + 4]]],
                           capture_output=True, text=True, timeout=60)
    got = p.stdout.split()
    answers = [x.rstrip(".") for x in got]
    asked = [q for i in range(0, len(ask), 4) for q in (ask[i], ask[i + 3])]
    expect(len(answers) == len(asked), f"{len(answers)} answers to {len(asked)}: {p.stdout}")
    wrong = set(zip(asked, answers)) - want
    expect(not wrong, f"{wrong}")


# ---- everything --------------------------------------------------------------

def matrix(t, near, far, size, datagrams, families, many=AT_ONCE):
    """On lines of @near; pings on those of @far, which are long beside what a busy machine adds."""
    m = Mesh(t, lines=near)
    if not at_once(t, everywhere(m, "up", up)):
        return
    at_once(t, [(f"names at {a}", names, m, a) for a in m.at])
    m.world.set_lines(far)
    at_once(t, everywhere(m, "ping", ping), FEW)
    m.world.set_lines(near)
    at_once(t, dead_jobs(m))
    for f in families:
        jobs = everywhere(m, "tcp", lambda *x: tcp(*x, size), (f,))
        jobs += everywhere(m, "udp", lambda *x: udp(*x, datagrams), (f,))
        at_once(t, jobs, many)


@test("meshlab/matrix", limit=240, needs=(GARENNE,))
def small(t):
    matrix(t, lines(5), lines(25), MIB, 200, (4,))


# ---- a phone: stock Xray, and nothing but our link -----------------------------

# What the apps do with private addresses unless they are told otherwise.
BYPASS = [{"type": "field", "ip": ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12",
                                   "192.168.0.0/16", "198.18.0.0/15", "fc00::/7"],
           "outboundTag": "direct"}]


def phone_reaches(m, via):
    """Every host by its name, and by its address of both families; datagrams, too."""
    jobs = []
    for b, name in m.names.items():
        if b == "hub2":
            continue     # that is at the other hub
        port, udp_port = m.targets[b].echo.port, m.targets[b].udp.port
        for host in (name, m.at[b][4], m.at[b][6]):
            jobs.append((f"tcp {host}", traffic.check_echo, via, host, port))
            jobs.append((f"udp {host}", phone_udp, via, host, udp_port))
    return jobs


def phone_udp(via, host, port):
    for size in (1, 1400, 7000):
        data, _ = traffic.udp_ask(via, host, port, os.urandom(size))
        expect(len(data) == size, f"{len(data)} of {size} bytes came back")


@test("meshlab/phone", limit=120, needs=(GARENNE, XRAY))
def phone(t):
    """What a phone can, by each hub's link, at home and roaming; and what it cannot."""
    m = Mesh(t, lines=lines(5), phone=True, edit=lambda text: text.replace(
        '"paris": {', '"paris": { "delivery": "transparent",'))
    via = m.start_phone()
    until(lambda: traffic.works(via, m.names["pnas"], m.targets["pnas"].echo.port), 40, "a name")
    failed = traffic.together(2, lambda i: up(m, ("bpc", "pnas")[i], ("pnas", "bpc")[i], 4))
    expect(not failed, f"the mesh is not up: {failed}")
    at_once(t, phone_reaches(m, via))
    with t.cell("a transfer"):
        traffic.check_bulk(via, m.targets["pnas"].bulk, m.names["pnas"], 4 * MIB, strict=False)
    with t.cell("who it is over there"):
        for b, want in (("pnas", m.phone_at["ip"]), ("bpc", GATE[0])):
            who = t.server(traffic.Server, m.ns(b), traffic.serve_whoami)
            with via.tcp(m.names[b], who.port) as s:
                seen = s.recv(200).decode().split()[0]
            expect(seen == want, f"{b} saw {seen}, not {want}")
    with t.cell("roaming"):
        for addr in ("203.0.113.21", "203.0.113.22"):
            m.world.roam("phone", addr)
            until(lambda: traffic.works(via, m.names["bpc"], m.targets["bpc"].echo.port), 20,
                  f"a name from {addr}", 0.1)
    with t.cell("it cannot be reached"):
        got = connect_error(m.ns("bpc"), m.phone_at["ip"], 80, 3)
        expect(got and got != "silence", f"{got}")
    with t.cell("closed ports look open"):
        traffic.check_refused(via, m.at["pnas"][4], 1)
    with t.cell("the other hub's own address"):
        expect(not traffic.works(via, m.at["hub2"][4], m.targets["hub2"].echo.port), "reached")
    m.procs["phone"].stop()
    with t.cell("private addresses past the hub"):
        via = m.start_phone(rules=BYPASS)
        until(lambda: traffic.works(via, m.names["pnas"], m.targets["pnas"].echo.port), 20, "a name")
        expect(not traffic.works(via, m.at["pnas"][4], m.targets["pnas"].echo.port),
               "an address was reached: then docs/phones.md is wrong")
    m.procs["phone"].stop()
    with t.cell("the second hub's link"):
        m.procs["hub"].kill()
        via = m.start_phone(1)
        for b in ("pnas", "bpc", "hub2"):
            until(lambda b=b: traffic.works(via, m.names[b], m.targets[b].echo.port), 20,
                  f"{b} by the second hub", 0.1)


# ---- growing -------------------------------------------------------------------

@test("meshlab/fourth-site", needs=(GARENNE,))
def fourth_site(t):
    """A site more is at most eight lines, and no other site's file changes by a byte."""
    folder = tempfile.mkdtemp()
    t.defer(shutil.rmtree, folder)
    garenne(folder, "mesh", "init", "lab", "-address", "203.0.113.10:443", "-security", "tls")
    garenne(folder, "mesh", "add", "hub", "hub2", "-address", "203.0.113.11:443", "-security", "tls")
    garenne(folder, "mesh", "add", "phone", "alice")

    def add(site):
        garenne(folder, "mesh", "add", "site", site, "-lan", "192.168.1.0/24", "-lan", "fd77::/64")

    def files():
        garenne(folder, "mesh", "compile")
        with open(os.path.join(folder, "mesh.json")) as f:
            lines = f.read().splitlines()
        nodes = os.path.join(folder, "nodes")
        found = {}
        for name in os.listdir(nodes):
            with open(os.path.join(nodes, name), "rb") as f:
                found[name] = f.read()
        return lines, found
    for site in ("paris", "berlin", "oslo"):
        add(site)
    before, old = files()
    add("madrid")
    after, new = files()
    gone = [x.rstrip(",") for x in before if x.rstrip(",") not in [y.rstrip(",") for y in after]]
    expect(not gone, f"lines of the mesh file are gone: {gone}")
    expect(len(after) - len(before) <= 8, f"{len(after) - len(before)} lines more")
    expect(set(new) == set(old) | {"madrid.json"}, f"{sorted(set(new) ^ set(old))}")
    changed = sorted(n for n in old if old[n] != new[n])
    expect(changed == ["hub.json", "hub2.json"], f"changed: {changed}")
    t.note(f"{len(after) - len(before)} lines")


# ---- everything, at length -----------------------------------------------------

@test("meshlab/matrix-full", limit=3000, full=True, needs=(GARENNE,))
def large(t):
    """64 MiB each way and a thousand datagrams, from everywhere to everywhere."""
    matrix(t, lines(5), lines(25), 64 * MIB, 1000, (4, 6), 3)


@test("meshlab/bad-lines", limit=1200, full=True, needs=(GARENNE,))
def bad_lines(t):
    """20 ms, 1 % loss and 100 Mbit/s on each line."""
    m = Mesh(t, lines=lines(20, 1, 100))
    if not at_once(t, everywhere(m, "up", up)):
        return
    at_once(t, everywhere(m, "ping", ping), FEW)
    at_once(t, dead_jobs(m))
    at_once(t, [(f"names at {a}", names, m, a) for a in m.at])
    at_once(t, everywhere(m, "udp", lambda *x: udp(*x, 1000, 5)))
    at_once(t, [(f"tcp {a} -> {b}", tcp, m, a, b, 4, 64 * MIB) for a, b in
                (("bpc", "pnas"), ("pnas", "oprn"), ("hub2", "berlin"))], 1)
