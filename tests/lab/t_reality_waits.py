"""How long strangers wait at a port with REALITY, beside how long they wait at the target.

A stranger of ours is one hop further away from the target, and nothing else may tell
him so. Sixteen kinds of visitors come in turn, in an order drawn by lot each round, to
the target (twice), to a plain forward of the same program to the same target, and to
the port with REALITY; the wait is from connecting to the first byte of the answer, or
to the end where there is none.

What a wait gives away is the distance of two distributions as Kolmogorov and Smirnov
measure it: D is the largest difference of the two shares of visitors who have been
answered by some moment, and (1 + D) / 2 is how often somebody is right who guesses from
one wait, knowing both distributions, at which of the two he is. REALITY is compared with
the plain forward. D by chance is what two series of that length reach which differ in
nothing (p = 0.001, for as many kinds as there are); the target's two series show what
the machine's unrest adds to that in this very run.

On loopback D shows what the decision costs, some hundredths of a millisecond for a hello
that could be a client's: two scalars on a curve, which no forward computes. "Within
noise" is said of visitors who come by a path. PATH_MS is how much its round trips vary, far
less than any path through the internet does; as much, drawn by lot, is added to each wait.
"""
import math
import random
import socket
import statistics
import time

from . import LabError, configs, traffic
from . import t_reality_server as rs
from .harness import add
from .peers import GARENNE

FORWARD = 1453
P = 0.001
PATH_MS = 1


def suites12(hello):
    """The same hello without the extension that offers TLS 1.3."""
    return hello.replace(b"\0\x2b\0\3\2\3\4", b"\xff\xfe\0\3\2\3\4")


def retry(hello):
    """A share of a group that nobody has: the target asks for another."""
    return hello.replace(b"\0\x24\0\x1d\0\x20", b"\0\x24\x2a\x2a\0\x20")


HELLO = rs.HELLO
PROBES = {
    "a hello that looks right": rs.hello_records(HELLO),
    "another name": rs.hello_records(rs.hello_bytes("other.test")),
    "no session id": rs.hello_records(rs.hello_bytes(sid=False)),
    "TLS 1.2": rs.hello_records(suites12(HELLO)),
    "another share": rs.hello_records(retry(HELLO)),
    "records of 7": rs.hello_records(HELLO, 7),
    "a long hello": rs.hello_records(rs.hello_bytes(extra=4000)),
    "two hellos": rs.hello_records(HELLO) * 2,
    "a hello and an end": (rs.hello_records(HELLO), True),
    "half a hello and an end": (rs.hello_records(HELLO)[:90], True),
    "an end": (b"", True),
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "garbage": bytes((i * 37 + 11) & 255 for i in range(700)),
    "not TLS": b"\x16\2\0" + bytes(40),
    "an alert": b"\x15\3\1\0\2\2\x28",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
}


def probe(s, port, what):
    """Milliseconds from connecting to the answer's first byte, or to the end."""
    data, ends = what if isinstance(what, tuple) else (what, False)
    with s.ns.socket(socket.AF_INET, socket.SOCK_STREAM) as c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.settimeout(traffic.WAIT)
        start = time.perf_counter()
        c.connect((rs.LOOP, port))
        c.sendall(data)
        if ends:
            c.shutdown(socket.SHUT_WR)
        try:
            c.recv(1)
        except ConnectionResetError:
            pass
        return (time.perf_counter() - start) * 1000


def measure(s, ports, count, probes=PROBES):
    """Waits by kind and by whom; @ports: name to port."""
    took = {(name, who): [] for name in probes for who in ports}
    for port in ports.values():     # whatever is done but once
        for _ in range(20):
            probe(s, port, probes["HTTP"])
    draw = random.Random(1)
    todo = [(name, who) for name in probes for who in ports]
    for _ in range(count):
        draw.shuffle(todo)
        for name, who in todo:
            took[name, who].append(probe(s, ports[who], probes[name]))
    return took


def distance(a, b):
    """Kolmogorov and Smirnov's D of two series."""
    a, b = sorted(a), sorted(b)
    i = j = 0
    most = 0.0
    while i < len(a) and j < len(b):
        at = min(a[i], b[j])
        while i < len(a) and a[i] <= at:
            i += 1
        while j < len(b) and b[j] <= at:
            j += 1
        most = max(most, abs(i / len(a) - j / len(b)))
    return most


def by_chance(n, tests):
    """What D of two series of @n is beyond with probability P in one of @tests."""
    return math.sqrt(-math.log(P / tests / 2) / n)


def by_a_path(series, draw):
    return [x + draw.uniform(0, PATH_MS) for x in series]


def rows(took, kinds):
    """For each kind: medians at the target, the forward and ours; D of ours and the
    forward as it is; the same, and of the two series at the target, by a path."""
    draw = random.Random(2)
    for name in kinds:
        near = [took[name, who] for who in ("target", "again", "forward", "ours")]
        target, again, plain, ours = (by_a_path(v, draw) for v in near)
        yield (name, *(statistics.median(near[i]) for i in (0, 2, 3)),
               distance(near[3], near[2]), distance(ours, plain), distance(target, again))


def stage(t):
    s = rs.Stage(t)
    rs.nginx(t, s.ns, rs.TARGET, wait="60s")
    s.ours(rs.server(), name="ours")
    plain = configs.doko_in("plain", rs.LOOP, FORWARD, rs.LOOP, rs.TARGET)
    t.program(GARENNE, s.ns, configs.config([plain], [configs.freedom()], level="debug"), "forward")
    # what ours asks the target at its start is over
    s.p.wait_log('for "" the target takes .* change_cipher_spec', 30)
    return s, {"target": rs.TARGET, "again": rs.TARGET, "forward": FORWARD, "ours": rs.SERVER}


def waits(t, count):
    s, ports = stage(t)
    took = measure(s, ports, count)
    table = list(rows(took, PROBES))
    unrest = max(r[6] for r in table)
    limit = by_chance(count, len(table)) + unrest
    t.note(f"{count} probes of {len(table)} kinds; D by chance {by_chance(count, len(table)):.3f}, "
           f"at the target itself {unrest:.3f} at most")
    for name, target, plain, ours, bare, d, chance in table:
        t.note(f"{name}: target {target:.3f} ms, forward {plain:.3f}, ours {ours:.3f}; D {d:.3f} "
               f"(target {chance:.3f}), guessed right {50 + 50 * d:.0f} %; on loopback {bare:.3f}")
    far = [f"{r[0]} {r[5]:.3f}" for r in table if r[5] > limit]
    if far:
        raise LabError(f"D is beyond {limit:.3f}: {', '.join(far)}")


add("reality-server/waits", waits, 500, needs=(GARENNE,), full=True, limit=900)
