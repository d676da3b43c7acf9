"""The mesh in a world of slow lines: two hubs, three houses with one LAN prefix, a phone.

Everybody asks everybody: pings whose times are those of the lines, streams, datagrams, names.
"""
import concurrent.futures
import os
import re
import subprocess

from . import LabError, peers, traffic
from .harness import test
from .link import Line
from .meshlab import NAMES, Mesh
from .peers import GARENNE
from .proc import until
from .scene import expect

MIB = 1 << 20
AT_ONCE, FEW = 16, 4


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

def run_ping(ns, host, count, wait=3):
    """(how many came back, the shortest time in ms)."""
    with ns.inside():
        p = subprocess.run([peers.tool("ping"), "-n", "-c", str(count), "-i", "0.05", "-W",
                            str(wait), host], capture_output=True, text=True, timeout=60)
    times = [float(x) for x in re.findall(r"time=([\d.]+) ms", p.stdout)]
    return len(times), min(times, default=None)


def ping(m, a, b, f):
    """As long as the lines on the way, never shorter; the shortest of some, since a busy machine
    adds to each."""
    want, best = 2 * m.way_ms(a, b), None
    for _ in range(12):
        _, got = run_ping(m.ns(a), m.at[b][f], 4)
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


def udp(m, a, b, f, count):
    """@count datagrams of 1 to 1,400 bytes, and one of 8,000."""
    sizes = tuple(range(1, 1401, -(-1400 * 2 // count)))
    rounds = count // len(sizes)
    via, port = traffic.Direct(m.ns(a)), m.targets[b].udp.port
    traffic.check_udp(via, m.at[b][f], port, rounds * sum(n for n in sizes if n >= 4), sizes)
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

def matrix(t, near, far, size, datagrams, families):
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
        at_once(t, jobs)


@test("meshlab/matrix", limit=240, needs=(GARENNE,))
def small(t):
    matrix(t, lines(5), lines(25), MIB, 200, (4,))
