"""What breaks, and how long until it works again: our portal and our bridge, and each
of them beside a stock one. Times are measured from the end of the cause and printed; a
test only insists that recovery comes by itself, within a generous deadline.
"""
import contextlib
import os
import signal
import socket
import threading
import time

from . import LabError, configs, netns, traffic
from .harness import add, test
from .peers import GARENNE, V2RAY, XRAY
from .proc import until
from .scene import expect
from .t_reverse import CARRIER_PORT, Reverse

# v2ray's portal keeps dead carriers until a sweep every 30 s; stock peers notice silence
# by timeouts of their own.
DEADLINE = {True: 15, False: 95}


def measured(t, r, what, fam=4):
    """A new visitor every 50 ms, each for himself: one that is lost with an old carrier
    must not hide that the next is served."""
    begin, served = time.monotonic(), []

    def ask():
        if r.works(fam, 3.0):
            served.append(time.monotonic() - begin)
    asked = []

    def visitor():
        asked.append(threading.Thread(target=ask, daemon=True))
        asked[-1].start()
        return served
    until(visitor, DEADLINE[r.ours], f"{what}: works again", 0.05)
    t.note(f"{what}: works again after {min(served):.2f} s")
    for a in asked:
        a.join(10)
    for _ in range(5):
        if not r.works(fam) and r.ours:
            raise LabError(f"{what}: not lasting")


@contextlib.contextmanager
def stock_may_fail(t, stock, why):
    """What a stock program is known for is told, not counted."""
    try:
        yield
    except LabError as e:
        if not stock:
            raise
        t.note(f"as known of stock programs: {e} ({why})")


def pairs(dialect):
    out = [(GARENNE, GARENNE), (XRAY, XRAY)]
    for p in (V2RAY, XRAY) if dialect == "classic" else (XRAY,):
        out += [(GARENNE, p), (p, GARENNE)]
    return out


def fault(name, idle=False, limit=200):
    """Registers a fault for both dialects and every pair of programs."""
    def deco(fn):
        for dialect in ("classic", "vless"):
            for portal, bridge in pairs(dialect):
                ours = portal.ours and bridge.ours
                add(f"fault/{name}/{dialect}/{portal.name}-portal+{bridge.name}-bridge",
                    run_fault, fn, dialect, portal, bridge, needs=(portal, bridge),
                    full=not ours, idle=idle, limit=limit)
        return fn
    return deco


def run_fault(t, fn, dialect, portal, bridge):
    carrier = "vless-tls"
    fn(t, Reverse(t, dialect, carrier, portal, bridge, fams=(4,)))


@fault("bridge-killed")
def bridge_killed(t, r):
    for sig in (signal.SIGKILL, signal.SIGTERM):
        r.bridge.kill(sig)
        r.bridge.wait_exit()
        r.bridge.start()
        measured(t, r, "bridge restarted after " + signal.Signals(sig).name)


@fault("portal-killed")
def portal_killed(t, r):
    for sig in (signal.SIGKILL, signal.SIGTERM):
        r.portal.kill(sig)
        r.portal.wait_exit()
        r.portal.start().wait_listening(configs.listens(r.portal_conf))
        measured(t, r, "portal restarted after " + signal.Signals(sig).name)


@fault("wan-down")
def wan_down(t, r):
    """The cable is out for 5 s, with a flow under way."""
    with r.via(4).tcp(r.net.LAN[4], r.targets.echo.port):
        r.net.wan_down()
        cut(5)
        r.net.wan_up()
        measured(t, r, "after 5 s without a cable")


@fault("wan-silent")
def wan_silent(t, r):
    """Packets vanish for 5 s, then for 12 s (longer than a dead carrier is believed)."""
    for seconds in (5, 12):
        r.net.wan_silent()
        cut(seconds)
        r.net.wan_heard()
        measured(t, r, f"after {seconds} s of silence")


def cut(seconds):
    """The length of the fault itself."""
    begin = time.monotonic()
    until(lambda: time.monotonic() - begin > seconds, seconds + 5, "the fault's end", 0.05)


@fault("bridge-moves")
def bridge_moves(t, r):
    """The bridge's host gets another address: its sockets are orphans without a word."""
    r.net.move_bridge()
    with stock_may_fail(t, not r.bridge_peer.ours, "it notices only when its sockets time out"):
        measured(t, r, "another address")


def slow_line(t, dialect, direction):
    """A bulk transfer on a thin line whose queue holds four seconds of it: answers to
    probes take long, and no carrier is given up for that."""
    r = Reverse(t, dialect, "vless-tls", GARENNE, GARENNE, fams=(4,))
    r.net.wan_slow()
    size = 5 * traffic.MIB
    with r.via(4).tcp(r.net.LAN[4], r.targets.echo.port if direction == "both" else
                      r.targets.digest.port) as s:
        s.settimeout(60)
        failed = []

        def up():
            try:
                traffic.send_pattern(s, "up", size)
                s.shutdown(socket.SHUT_WR)
            except OSError as e:
                failed.append(e)
        sender = threading.Thread(target=up, daemon=True)
        begin = time.monotonic()
        sender.start()
        if direction == "both":
            traffic.recv_pattern(s, "up", size)
        else:
            traffic.recv_exact(s, 64)
        sender.join(60)
        t.note(f"{size >> 20} MiB took {time.monotonic() - begin:.1f} s")
        expect(not failed, f"sending failed: {failed}")
    for p, words in ((r.bridge, "lost a carrier"), (r.portal, "is gone")):
        expect(words not in p.log(), f"{p.name}: {words}")


for _d in ("classic", "vless"):
    for _way in ("up", "both"):
        add(f"fault/slow-line/{_d}/{_way}", slow_line, _d, _way, needs=(GARENNE,), idle=True)


class Forward:
    """A client behind NAT with a mux outbound: what faults do to carriers that are not a
    bridge's."""

    ours = True

    def __init__(self, t, carrier):
        from .t_matrix import Targets
        self.net = t.net(netns.Wan)
        self.targets = Targets(t, self.net.vps)
        c = configs.CARRIERS[carrier]
        t.program(GARENNE, self.net.vps, configs.config(
            [c.far("in", self.net.VPS[4], CARRIER_PORT[4], t.pki)], [configs.freedom()]), "far")
        t.program(GARENNE, self.net.bridge, configs.config(
            [configs.socks_in("in", "127.0.0.1", 1080)],
            [c.near("out", self.net.VPS[4], CARRIER_PORT[4], t.pki)]), "near")
        self.via = traffic.Socks5(self.net.bridge, "127.0.0.1", 1080)

    def works(self, _fam=None, timeout=2.0):
        return traffic.works(self.via, self.net.VPS[4], self.targets.echo.port, timeout)


@test("fault/mux-outbound-moves", needs=(GARENNE,))
def mux_outbound_moves(t):
    r = Forward(t, "vless-tls-mux")
    until(r.works, 10, "the first flow")
    with r.via.tcp(r.net.VPS[4], r.targets.echo.port):
        r.net.move_bridge()
        measured(t, r, "another address")


@fault("bridge-frozen")
def bridge_frozen(t, r):
    """Stopped for 8 s with its sockets open, as a laptop that sleeps."""
    r.bridge.signal(signal.SIGSTOP)
    cut(8)
    r.bridge.signal(signal.SIGCONT)
    measured(t, r, "awake again")


def _late(dialect):
    def run(t, portal, bridge):
        r = Reverse(t, dialect, "vless-tls", portal, bridge, fams=(4,), start=False)
        r.start_bridge()
        cut(4)
        r.start_portal()
        measured(t, r, "the portal came 4 s after the bridge")
    return run


for _d in ("classic", "vless"):
    for _p, _b in pairs(_d):
        add(f"fault/portal-late/{_d}/{_p.name}-portal+{_b.name}-bridge", _late(_d), _p, _b,
            needs=(_p, _b), full=not (_p.ours and _b.ours))


# ---- leaks ------------------------------------------------------------------------

def reconnects(t, dialect, n):
    """The carrier is broken n times: descriptors and memory stay flat."""
    r = Reverse(t, dialect, "vless-tls", GARENNE, GARENNE, fams=(4,), start=False)
    breaker = Breaker(r.net.vps, (r.net.VPS[4], CARRIER_PORT[4]))
    t.defer(breaker.close)
    for o in r.bridge_conf["outbounds"]:
        if o["protocol"] == "vless":
            s = o["settings"]
            (s["vnext"][0] if "vnext" in s else s)["port"] = breaker.port
    r.start_portal()
    r.start_bridge()
    r.wait_up()
    t.note(f"{n} reconnects")
    samples = []
    for i in range(n):
        breaker.cut_all()
        before = breaker.count
        until(lambda b=before: breaker.count > b, 15, f"reconnect {i}", 0.002)
        if i % 100 == 0 or i == n - 1:
            until(r.works, 15, "works after a reconnect", 0.05)
            samples.append([(p.fds(), p.rss_kib()) for p in (r.portal, r.bridge)])
    for k, name in enumerate(("portal", "bridge")):
        fds = [s[k][0] for s in samples[1:]] or [s[k][0] for s in samples]
        rss = [s[k][1] for s in samples[1:]] or [s[k][1] for s in samples]
        t.note(f"{name}: {min(fds)}..{max(fds)} descriptors, {rss[0]} -> {rss[-1]} KiB")
        # Descriptors breathe with the attempts under way; memory with the allocator.
        if max(fds) - min(fds) > 12:
            raise LabError(f"{name}: descriptors went from {min(fds)} to {max(fds)}")
        if rss[-1] > rss[0] + 4096 and not GARENNE.sanitized():
            raise LabError(f"{name}: memory grew from {rss[0]} to {rss[-1]} KiB")


class Breaker:
    """A relay whose connections can all be broken at once."""

    def __init__(self, ns, target):
        self.ns, self.target, self.count, self.live = ns, target, 0, set()
        self.lock = threading.Lock()
        self.srv = traffic.Server(ns, self._relay)
        self.port = self.srv.port

    def _relay(self, _srv, c, _peer):
        o = traffic._connect(self.ns, *self.target)
        c.settimeout(None)
        o.settimeout(None)
        with self.lock:
            self.live.add((c, o))
        self.count += 1
        t = threading.Thread(target=self._pump, args=(o, c), daemon=True)
        t.start()
        self._pump(c, o)
        t.join()
        with self.lock:
            self.live.discard((c, o))
        o.close()

    @staticmethod
    def _pump(a, b):
        with contextlib.suppress(OSError):
            while part := a.recv(65536):
                b.sendall(part)
        for s in (a, b):
            with contextlib.suppress(OSError):
                s.shutdown(2)

    def cut_all(self):
        with self.lock:
            live = list(self.live)
        for pair in live:
            for s in pair:
                with contextlib.suppress(OSError):
                    s.shutdown(2)

    def close(self):
        self.srv.close()
        self.cut_all()


for _d in ("classic", "vless"):
    add(f"fault/reconnects/1000/{_d}", reconnects, _d, 1000, needs=(GARENNE,), full=True,
        limit=1500, idle=True)
    add(f"fault/reconnects/60/{_d}", reconnects, _d, 60, needs=(GARENNE,), limit=200, idle=True)


@test("fault/many-flows-leave-nothing", needs=(GARENNE,))
def flows_leave_nothing(t):
    """3,000 short flows: descriptors and memory as before."""
    r = Reverse(t, "classic", "vless-tls", GARENNE, GARENNE, fams=(4,))

    def burst():
        failed = traffic.together(10, lambda _: [traffic.check_echo(
            r.via(4), r.net.LAN[4], r.targets.echo.port) for _ in range(100)])
        expect(not failed, f"{len(failed)} of 10 clients failed: {failed[:1]}")
        until(lambda: all(p.fds() < 60 for p in (r.portal, r.bridge)), 10, "flows are closed")
        return [(p.fds(), p.rss_kib()) for p in (r.portal, r.bridge)]
    first = burst()
    burst()
    last = burst()
    for (fd0, rss0), (fd1, rss1), name in zip(first, last, ("portal", "bridge")):
        t.note(f"{name}: {fd0} -> {fd1} descriptors, {rss0} -> {rss1} KiB")
        expect(fd1 <= fd0 + 8, f"{name}: descriptors went from {fd0} to {fd1}")
        # A sanitizer keeps what was freed.
        expect(rss1 <= rss0 + 4096 or GARENNE.sanitized(),
               f"{name}: memory grew from {rss0} to {rss1} KiB")


# ---- one stalls, the others go on -----------------------------------------------

def one_stalls(t, dialect, portal, bridge):
    """100 streams on the tunnel, one of them never read: the other 99 finish, and
    memory stays bounded."""
    r = Reverse(t, dialect, "vless-tls", portal, bridge, fams=(4,))
    flood = t.server(traffic.Server, r.net.lan, traffic.serve_flood)
    before = [p.rss_kib() for p in (r.portal, r.bridge)]
    with r.via(4).tcp(r.net.LAN[4], flood.port) as stuck:
        traffic.recv_exact(stuck, 100000)
        begin = time.monotonic()
        failed = traffic.together(99, lambda _: traffic.check_bulk(
            r.via(4), r.targets.bulk, r.net.LAN[4], traffic.MIB // 2, strict=False))
        t.note(f"99 x 1 MiB beside it took {time.monotonic() - begin:.1f} s")
        with stock_may_fail(t, not portal.ours, "such a portal stops reading the carrier"):
            expect(not failed, f"{len(failed)} of 99 failed: {failed[:1]}")
        after = [p.rss_kib() for p in (r.portal, r.bridge)]
    t.note("KiB: " + ", ".join(f"{n} {a} -> {b}" for n, a, b in
                               zip(("portal", "bridge"), before, after)))
    if r.ours:
        # Two relay buffers and two windows a stream, and what the kernel holds is not ours.
        expect(max(after) < max(before) + 100 * 1024 or GARENNE.sanitized(),
               "memory is not bounded")


for _d in ("classic", "vless"):
    for _p, _b in pairs(_d):
        add(f"fault/one-of-100-stalls/{_d}/{_p.name}-portal+{_b.name}-bridge", one_stalls, _d,
            _p, _b, needs=(_p, _b), full=not (_p.ours and _b.ours))


# ---- hostile peers ---------------------------------------------------------------

@test("fault/slow-loris", needs=(GARENNE,), limit=150)
def slow_loris(t):
    """1,000 handshakes that never end, on each kind of inbound: others come through."""
    from .t_matrix import Targets
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    a = net.server_addr[4]
    c = configs.CARRIERS
    far = configs.config(
        [c["vless"].far("v", a, 7001), c["vless-tls"].far("t", a, 7002, t.pki),
         c["ss2022-aes128"].far("s", a, 7003), configs.socks_in("p", a, 7004),
         configs.http_in("h", a, 7005)], [configs.freedom()])
    near = configs.config(
        [configs.socks_in(f"in{n}", "127.0.0.1", 1080 + n) for n in (1, 2, 3)],
        [configs.blackhole(), c["vless"].near("o1", a, 7001),
         c["vless-tls"].near("o2", a, 7002, t.pki), c["ss2022-aes128"].near("o3", a, 7003)],
        [configs.rule(f"o{n}", inboundTag=[f"in{n}"]) for n in (1, 2, 3)])
    p = t.program(GARENNE, net.server, far, "far")
    t.program(GARENNE, net.client, near, "near")
    before = p.rss_kib()
    with contextlib.ExitStack() as stack:
        for port, first in ((7001, b"\0"), (7002, b"\x16\x03\x01"), (7003, b"x" * 20),
                            (7004, b"\5"), (7005, b"GET ")):
            for _ in range(1000):
                s = stack.enter_context(traffic._connect(net.client, a, port, 10))
                s.sendall(first)
        held = p.rss_kib()
        for n in (1, 2, 3):
            with t.cell(f"inbound {7000 + n}"):
                begin = time.monotonic()
                via = traffic.Socks5(net.client, "127.0.0.1", 1080 + n)
                traffic.check_bulk(via, targets.bulk, a)
                t.note(f"{time.monotonic() - begin:.2f} s for 2 x 16 MiB beside 5,000 "
                       f"half-open handshakes; {before} -> {held} KiB")
        for name, via in (("socks", traffic.Socks5(net.client, a, 7004)),
                          ("http", traffic.HttpConnect(net.client, a, 7005))):
            with t.cell(name):
                traffic.check_bulk(via, targets.bulk, a)


def _busy(t, order):
    """Every kind of carrier with flows in all states, then SIGTERM: both programs end at
    once and in order (their processes are judged, by the sanitizers too)."""
    from .t_matrix import Targets
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    flood = t.server(traffic.Server, net.server, traffic.serve_flood)
    a = net.server_addr[4]
    kinds = list(configs.CARRIERS.values())
    far = t.program(GARENNE, net.server, configs.config(
        [c.far(c.name, a, 7000 + n, t.pki) for n, c in enumerate(kinds)],
        [configs.freedom()]), "far")
    near = t.program(GARENNE, net.client, configs.config(
        [configs.socks_in(f"in-{c.name}", "127.0.0.1", 1080 + n) for n, c in enumerate(kinds)],
        [c.near(c.name, a, 7000 + n, t.pki) for n, c in enumerate(kinds)],
        [configs.rule(c.name, inboundTag=[f"in-{c.name}"]) for c in kinds]), "near")
    with contextlib.ExitStack() as stack:
        for n, c in enumerate(kinds):
            via = traffic.Socks5(net.client, "127.0.0.1", 1080 + n)
            talk = stack.enter_context(via.tcp(a, targets.echo.port))
            talk.sendall(b"x")
            expect(traffic.recv_exact(talk, 1) == b"x", "echo differs")
            traffic.recv_exact(stack.enter_context(via.tcp(a, flood.port)), 100000)
            half = stack.enter_context(via.tcp(a, targets.digest.port))
            half.sendall(b"y" * 1000)
            if c.udp:
                u = stack.enter_context(via.udp())
                for port in (targets.udp.port, targets.udp2.port):
                    u.send(b"datagram", a, port)
                    u.recv()
                u.send(b"nobody answers this", a, 9)
            # A beginning of a handshake, and of a dialogue.
            stack.enter_context(traffic._connect(net.client, a, 7000 + n)).sendall(b"\x16\3")
            stack.enter_context(traffic._connect(net.client, "127.0.0.1", 1080 + n)).sendall(b"\5")
        for p in {"far-first": (far, near), "near-first": (near, far)}[order]:
            begin = time.monotonic()
            blame = p.stop()
            expect(not blame, blame)
            t.note(f"{p.name} ended after {time.monotonic() - begin:.2f} s")


for _order in ("far-first", "near-first"):
    add(f"fault/stop-with-everything-open/{_order}", _busy, _order, needs=(GARENNE,))


def _shifted(t, seconds):
    from .scene import clock_shifted
    return clock_shifted(t, seconds)


def _ss_stage(t, carrier, near_peer, env=None, key=None):
    """near_peer behind SOCKS -> tap -> our Shadowsocks inbound."""
    from .t_matrix import Targets
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    a = net.server_addr[4]
    c = configs.CARRIERS[carrier]
    # An unauthenticated connection may be kept for as long as any handshake.
    far = t.program(GARENNE, net.server, configs.config(
        [c.far("in", a, 7003)], [configs.freedom()],
        policy={"levels": {"0": {"handshake": 4}}}), "far")
    tap = t.server(traffic.Tap, net.server, 7999, (a, 7003), a)
    out = c.near("out", a, 7999)
    if key:
        out["settings"]["servers"][0]["password"] = key
    t.program(near_peer, net.client, configs.config(
        [configs.socks_in("in", "127.0.0.1", 1080)], [out]), "near", env=env)
    return net, targets, far, tap, traffic.Socks5(net.client, "127.0.0.1", 1080)


def without_a_tell(net, port, first, what):
    """Sent to the server: not one byte may come back, however it ends."""
    with traffic._connect(net.client, net.server_addr[4], port, 5) as c:
        c.settimeout(20)
        with contextlib.suppress(OSError):
            c.sendall(first)
        end = traffic.recv_end(c)
        expect(end in ("eof", "reset"), f"{what}: {end}")


for _carrier in ("ss2022-aes128", "ss-aes128"):
    @test(f"fault/replayed-salt/{_carrier}", needs=(GARENNE,))
    def replayed_salt(t, carrier=_carrier):
        """The very bytes of a good connection, sent again: closed without a byte."""
        near = GARENNE
        net, targets, far, tap, via = _ss_stage(t, carrier, near)
        traffic.check_echo(via, net.server_addr[4], targets.echo.port)
        until(lambda: tap.conns and tap.conns[0][2], 10, "the connection is over")
        seen = len(targets.echo.peers)
        far.mark()
        without_a_tell(net, 7003, bytes(tap.conns[0][0]), "replay")
        expect(len(targets.echo.peers) == seen, "the replay reached the target")
        far.wait_log("(?i)replay|salt|repeated|again", 5, since_mark=True)


@test("fault/stale-timestamp", needs=(GARENNE,))
def stale_timestamp(t):
    net, targets, far, tap, via = _ss_stage(t, "ss2022-aes128", GARENNE, _shifted(t, -40))
    with contextlib.suppress(OSError, LabError):
        traffic.check_echo(via, net.server_addr[4], targets.echo.port, timeout=5)
        raise AssertionError("a stale request was served")
    expect(not targets.echo.peers, "a stale request reached the target")
    expect(not any(c[1] for c in tap.conns), "the server answered something")
    far.wait_log("(?i)clock|timestamp|time", 5)


@test("fault/wrong-password", needs=(GARENNE,))
def wrong_password(t):
    for n, (carrier, key) in enumerate((("ss2022-aes128", configs.KEY16_A),
                                        ("ss-aes128", "another phrase"))):
        with t.cell(carrier):
            net, targets, far, tap, via = _ss_stage(t, carrier, GARENNE, key=key)
            def attempt(_):
                for _ in range(4):
                    with contextlib.suppress(OSError, LabError):
                        traffic.check_echo(via, net.server_addr[4], targets.echo.port, timeout=1)
                        raise AssertionError("served with a wrong password")
            traffic.together(20, attempt)
            expect(not targets.echo.peers, "it reached the target")
            expect(not any(c[1] for c in tap.conns), "the server answered something")
            bad = [x for x in far.log().split("\n") if "[Warning]" in x or "[Error]" in x]
            t.note(f"80 attempts, {len(bad)} warnings")
            expect(0 < len(bad) <= 20, f"{len(bad)} lines: not rate-limited")
            for p in t.procs:
                p.stop()


@test("fault/wrong-uuid", needs=(GARENNE,))
def wrong_uuid(t):
    """A VLESS server: wrong id, wrong version, garbage, HTTP: closed, nothing said."""
    net = t.net(netns.Pair)
    a = net.server_addr[4]
    c = configs.CARRIERS
    far = t.program(GARENNE, net.server, configs.config(
        [c["vless"].far("in", a, 7001)], [configs.freedom()]), "far")
    wrong = b"\0" + os.urandom(16) + b"\0\1\0\x50\1\x7f\0\0\1"
    for what, first in (("wrong id", wrong), ("wrong version", b"\7" + wrong[1:]),
                        ("garbage", os.urandom(200)), ("http", b"GET / HTTP/1.1\r\n\r\n" * 3)):
        with t.cell(what):
            for _ in range(20):
                without_a_tell(net, 7001, first, what)
    bad = [x for x in far.log().split("\n") if "[Warning]" in x or "[Error]" in x]
    t.note(f"80 attempts, {len(bad)} warnings")
    expect(0 < len(bad) <= 20, f"{len(bad)} lines: not rate-limited")


@test("fault/garbage-everywhere", needs=(GARENNE,))
def garbage(t):
    """Random bytes, and good beginnings cut at every length, at every inbound: the
    program lives and serves."""
    from .t_matrix import Targets
    net = t.net(netns.Pair)
    targets = Targets(t, net.server)
    a = net.server_addr[4]
    c = configs.CARRIERS
    p = t.program(GARENNE, net.server, configs.config(
        [c["vless"].far("v", a, 7001), c["vless-tls"].far("t", a, 7002, t.pki),
         c["ss2022-aes128-users"].far("s", a, 7003), c["ss-aes128"].far("a", a, 7004),
         configs.socks_in("p", a, 7005), configs.http_in("h", a, 7006)],
        [configs.freedom()]), "far")
    good = b"\0" + bytes.fromhex(configs.UUID_A.replace("-", "")) + b"\0\1\0\x50\2\4x.ab"
    firsts = [os.urandom(n) for n in (0, 1, 2, 5, 17, 18, 50, 300, 5000)]
    firsts += [good[:n] for n in range(len(good))]
    firsts += [b"\5\1\0\5\1\0\3\4x.ab\0\x50"[:n] for n in range(14)]
    firsts += [b"CONNECT x:80 HTTP/1.1\r\n\r\n"[:n] for n in range(0, 25, 3)]
    for port in range(7001, 7007):
        for first in firsts:
            with contextlib.suppress(OSError), traffic._connect(net.client, a, port, 5) as s:
                s.sendall(first)
    u = net.client.socket(netns.socket.AF_INET, netns.socket.SOCK_DGRAM)
    with u:
        for first in firsts:
            for port in (7003, 7004):
                u.sendto(first, (a, port))
    traffic.check_bulk(traffic.Socks5(net.client, a, 7005), targets.bulk, a)
    until(lambda: p.fds() < 60, 20, "descriptors of broken handshakes are closed")


