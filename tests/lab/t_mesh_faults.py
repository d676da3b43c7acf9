"""What breaks in a mesh, and how it comes back by itself: nodes that die, lines that are cut or
bad, addresses that change. Lines of 5 ms, two hubs, the second further away.

Times are measured from the fault, or from its end, and printed.
"""
import json
import threading
import time

from . import LabError, traffic
from .harness import add, test
from .link import Line
from .meshlab import HUBS, Mesh
from .peers import GARENNE
from .proc import until
from .scene import expect
from .t_faults import cut
from .t_meshlab import lines, run_ping, up
from .t_routes import same, state

MIB = 1 << 20
DEADLINE = 15


def recovered(m, a, b, deadline=DEADLINE):
    """Seconds until a new flow from @a to @b is served. A new visitor every 50 ms, each for
    himself: one that is lost with an old carrier must not hide that the next is served."""
    begin, served, asked = time.monotonic(), [], []

    def ask():
        if m.reaches(a, b):
            served.append(time.monotonic() - begin)

    def visitor():
        asked.append(threading.Thread(target=ask, daemon=True))
        asked[-1].start()
        return served
    until(visitor, deadline, f"{a} reaches {b} again", 0.05)
    for x in asked:
        x.join(10)
    return min(served)


def lasting(m, pairs):
    for a, b in pairs:
        for _ in range(3):
            expect(m.reaches(a, b), f"{a} -> {b}: not lasting")


class Held:
    """A connection that is there during a fault: bytes back and forth, until it is over."""

    def __init__(self, m, a, b):
        self.s = traffic.Direct(m.ns(a)).tcp(m.at[b][4], m.targets[b].echo.port)
        self.ask()

    def ask(self):
        self.s.sendall(b"still there?")
        traffic.recv_exact(self.s, 12)

    def fate(self):
        """"lives", or how it ended; it must not hang for good."""
        self.s.settimeout(40)
        try:
            self.ask()
            return "lives"
        except (OSError, LabError) as e:
            return f"ended ({e})"
        finally:
            self.s.close()


def sizes(m):
    return {n: (p.fds(), p.rss_kib()) for n, p in m.procs.items() if p.ours and p.alive()}


def nothing_leaked(t, m, before, nodes):
    """Those that lived through it hold what they held: descriptors and memory."""
    def over():
        return {n: p.fds() for n, p in m.procs.items() if n in nodes and
                p.fds() > before[n][0] + 12}
    until(lambda: not over(), 40, f"descriptors are closed: {over()}", 0.5)
    for n in nodes:
        fds, rss = m.procs[n].fds(), m.procs[n].rss_kib()
        t.note(f"{n}: {before[n][0]} -> {fds} descriptors, {before[n][1]} -> {rss} KiB")
        # A sanitizer keeps what was freed.
        expect(rss < before[n][1] + 8192 or GARENNE.sanitized(), f"{n}: memory grew to {rss} KiB")


def started(t, **kw):
    m = Mesh(t, lines=lines(5), **{"sites": 2, **kw})
    failed = traffic.together(len(m.pairs()), lambda i: up(m, *m.pairs()[i], 4))
    expect(not failed, f"the mesh is not up: {failed[:1]}")
    return m


def routing(ns):
    """What a restart must restore; the kernel itself draws the device's link-local address."""
    return {k: [x for x in v if "fe80::" not in x] for k, v in state(ns).items()}


# ---- nodes ---------------------------------------------------------------------

PAIRS = (("bpc", "pnas"), ("pnas", "bpc"), ("berlin", "paris"))


@test("meshfault/nodes-killed", limit=240, needs=(GARENNE,))
def nodes_killed(t):
    """kill -9 of each role, and a new start; the machine's routing is then what it was."""
    m = started(t)
    before = sizes(m)
    for node in ("paris", "berlin", "hub2", "hub"):
        with t.cell(node):
            was = routing(m.ns(node))
            m.procs[node].kill()
            if node in HUBS:
                t.note(f"{node} gone: {recovered(m, 'bpc', 'pnas'):.2f} s")
            m.procs[node].start()
            times = [recovered(m, a, b) for a, b in PAIRS]
            t.note(f"{node} is back: {max(times):.2f} s")
            lasting(m, PAIRS)
            same(was, routing(m.ns(node)), f"after kill -9 and start of {node}")
    with t.cell("nothing leaked"):
        m.wait_up()
        nothing_leaked(t, m, before, ())
    with t.cell("leftovers"):
        bare = m.ns("paris")
        m.procs["paris"].kill()
        m.procs["paris"].start()
        recovered(m, "bpc", "pnas")
        blame = m.procs["paris"].stop()
        expect(not blame, f"{blame}")
        left = [x for k, v in state(bare).items() if k != "rp_filter" for x in v
                if '"proto": "103"' in x or '"protocol": "103"' in x or '"dev": "lab"' in x]
        expect(not left, f"a stop left {left}")


@test("meshfault/hub-dies", limit=120, needs=(GARENNE,))
def hub_dies(t):
    """In the middle of a transfer. It ends; new flows are served by the other hub."""
    m = started(t)
    before = sizes(m)
    host, port = m.at["pnas"][4], m.targets["pnas"].echo.port
    with traffic.Direct(m.ns("bpc")).tcp(host, port) as s:
        s.settimeout(30)
        moved, ended = [0], threading.Event()

        def transfer():
            try:
                while True:
                    s.sendall(traffic.pattern("up", moved[0], 65536))
                    moved[0] += len(s.recv(65536))
            except (OSError, LabError):
                ended.set()
        threading.Thread(target=transfer, daemon=True).start()
        until(lambda: moved[0] > MIB, 20, "a transfer is under way")
        m.procs["hub"].kill()
        # Promised: new flows go by the other hub within three seconds.
        t.note(f"new flows after {recovered(m, 'bpc', 'pnas', 3):.2f} s")
        expect(ended.wait(30), "the transfer hangs")
    lasting(m, PAIRS[:2])
    m.procs["hub"].start()
    recovered(m, "pnas", "hub")
    nothing_leaked(t, m, before, ("hub2", "paris", "berlin"))


# ---- lines ---------------------------------------------------------------------

def line_fault(t, m, what, begin, end, pairs=PAIRS, seconds=10):
    """@begin breaks something, for so long; @end mends it. Flows come back by themselves."""
    held = Held(m, "bpc", "pnas")
    begin()
    if seconds:
        cut(seconds)
    end()
    times = [recovered(m, a, b, 30) for a, b in pairs]
    fate = held.fate()
    t.note(f"{what}: new flows after {max(times):.2f} s; one from before {fate}")
    lasting(m, pairs)
    return fate


@test("meshfault/cut", limit=180, full=True, needs=(GARENNE,))
def cuts(t):
    """The line of a site, and then of the hub in use, is silent for 10 s."""
    m = started(t)
    before = sizes(m)
    for role in ("paris", "berlin", "hub"):
        with t.cell(role):
            line_fault(t, m, f"{role} was cut", lambda r=role: m.world.cut(r),
                       lambda r=role: m.world.mend(r))
    with t.cell("nothing leaked"):
        nothing_leaked(t, m, before, m.nodes)


@test("meshfault/short-cut", limit=120, needs=(GARENNE,))
def short_cut(t):
    """Two seconds, and connections from before live on."""
    m = started(t)
    held = Held(m, "bpc", "pnas")
    m.world.cut("paris")
    cut(2)
    m.world.mend("paris")
    t.note(f"new flows after {recovered(m, 'bpc', 'pnas'):.2f} s")
    expect(held.fate() == "lives", "a connection did not outlive two seconds")


@test("meshfault/hub-silent", limit=120, full=True, needs=(GARENNE,))
def hub_silent(t):
    """The hub in use falls silent without a word: the other one takes over meanwhile."""
    m = started(t)
    m.world.cut("hub")
    for a, b in PAIRS[:2]:
        t.note(f"{a} -> {b}: new flows after {recovered(m, a, b, 20):.2f} s")
    # From time to time a flow is used to see whether it is back, and waits four seconds.
    begin, worst = time.monotonic(), 0
    while time.monotonic() - begin < 25:
        at = time.monotonic()
        expect(traffic.works(traffic.Direct(m.ns("bpc")), m.at["pnas"][4],
                             m.targets["pnas"].echo.port, 10), "not lasting")
        worst = max(worst, time.monotonic() - at)
    t.note(f"the slowest flow of 25 s: {worst:.2f} s")
    m.world.mend("hub")
    until(lambda: m.reaches("pnas", "hub"), 30, "the hub itself is reached again", 0.2)


@test("meshfault/addresses", limit=180, needs=(GARENNE,))
def addresses(t):
    """The provider gives a house another address; a site gets another one in its LAN."""
    m = started(t)
    before = sizes(m)
    with t.cell("another public address"):
        line_fault(t, m, "renumbered", lambda: m.world.renumber("paris", "203.0.113.41"),
                   lambda: None, seconds=0)
    with t.cell("another address in the LAN"):
        fate = line_fault(t, m, "moved", lambda: m.world.rehouse("berlin", "192.168.1.7", "fd77::7"),
                          lambda: None, (("berlin", "pnas"), ("pnas", "berlin")), 0)
        expect("timed out" not in fate, "a connection of the old address is not told")
    with t.cell("nothing leaked"):
        nothing_leaked(t, m, before, m.nodes)


def carriers(m, node):
    """{(which, peer): age in ms} of the carriers that a hub has, or that a site keeps."""
    code, out = m.tool(node, "status", "--json")
    expect(code == 0, out)
    doc, found = json.loads(out), {}

    def walk(x, path):
        if isinstance(x, dict):
            for i, c in enumerate(x.get("carriers", ())):
                found[(path, x.get("tag", ""), c.get("peer", i))] = c.get("since_ms", 0)
            for k, v in x.items():
                walk(v, path + "/" + k)
        elif isinstance(x, list):
            for v in x:
                walk(v, path)
    walk(doc, "")
    return found


def bad_line(t, delay, loss, size):
    """Connections come up and stay up, a transfer ends well, pings say what the line is."""
    bad = Line(delay, loss, seed=5)
    m = Mesh(t, sites=2, lines={**lines(5), "paris": bad})
    until(lambda: m.reaches("bpc", "pnas"), 60, "the first flow", 0.2)
    old = carriers(m, "hub")
    expect(old, "status shows no carrier")
    begin = time.monotonic()
    for a, b in (("bpc", "pnas"), ("pnas", "bpc")):
        with traffic.Direct(m.ns(a)).tcp(m.at[b][4], m.targets[b].echo.port, 30) as s:
            s.settimeout(120)
            got = threading.Thread(target=traffic.send_pattern, args=(s, "up", size), daemon=True)
            got.start()
            traffic.recv_pattern(s, "up", size)
            got.join(30)
    t.note(f"{size >> 10} KiB to and fro twice in {time.monotonic() - begin:.1f} s")
    n, rtt = run_ping(m.ns("bpc"), m.at["pnas"][4], 20, 10)
    want = 2 * m.way_ms("bpc", "pnas")
    t.note(f"ping: {n} of 20, {rtt} ms of {want}")
    expect(n >= 15 and want - 0.1 <= rtt <= want * 1.1, f"ping: {n} of 20, {rtt} ms of {want}")
    new = carriers(m, "hub")
    flapped = [k for k in old if k not in new or new[k] < old[k]]
    expect(not flapped, f"carriers were lost: {flapped}")
    for node, words in (("paris", "lost a carrier"), ("hub", "is gone"), ("hub2", "is gone")):
        expect(words not in m.procs[node].log(), f"{node}: {words}")


add("meshfault/bad-line", bad_line, 250, 2, 256 << 10, limit=240, needs=(GARENNE,), idle=True)
add("meshfault/bad-line/1s", bad_line, 500, 2, 4 << 20, limit=600, needs=(GARENNE,), idle=True,
    full=True)
