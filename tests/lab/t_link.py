"""The lab's own cable does what it says: delay, loss, rate with a bounded queue."""
import re
import socket
import subprocess
import time

from . import netns, peers
from .harness import test
from .link import Cable, Line
from .proc import until
from .scene import expect

A, B = "198.51.100.1", "198.51.100.2"


class Bench:
    def __init__(self, t, line):
        net = t.net(netns.Net)
        self.a, self.b = net.add("a", "b")
        self.cable = Cable(t, self.a, "eth0", self.b, "eth0", line)
        for ns, addr in ((self.a, A), (self.b, B)):
            ns.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
            ns.ip(f"address add {addr}/24 dev eth0", "link set dev eth0 up")

    def ping(self, *more):
        """(sent, received, shortest round trip in ms)."""
        with self.a.inside():
            out = subprocess.run([peers.tool("ping"), "-q", *more, B], capture_output=True,
                                 text=True, timeout=60).stdout
        sent, got = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
        rtt = re.search(r"= ([\d.]+)/", out)
        return sent, got, float(rtt.group(1)) if rtt else None


@test("link/delay")
def delay(t):
    """What it adds is what was ordered, while it runs, each way for itself; it adds nothing else."""
    b = Bench(t, Line(delay=20))
    b.ping("-c", "1", "-W", "2")
    for up, down in ((20, 20), (0, 0), (1, 0), (0, 3), (120, 5)):
        with t.cell(f"{up} + {down} ms"):
            b.cable.set(Line(up), "ab").set(Line(down), "ba")
            _, got, rtt = b.ping("-c", "20", "-i", "0.01", "-W", "2")
            expect(got == 20, f"{got} of 20 came back")
            expect(rtt >= up + down, f"{rtt} ms are less than the delay")
            t.note(f"{up} + {down} ms: {rtt:.2f}")
            # The shortest of twenty: a busy machine does not make all of them late.
            expect(rtt < up + down + 1, f"{rtt} ms")


@test("link/loss")
def loss(t):
    """So many as were ordered, the same ones each time, and counted."""
    seen = []
    for _ in range(2):
        b = Bench(t, Line(seed=7))
        b.ping("-c", "1", "-W", "2")
        at = b.cable.count()
        b.cable.set(Line(loss=10), "ab")
        sent, got, _ = b.ping("-c", "1000", "-i", "0.001", "-W", "1", "-s", "100")
        up, down = b.cable.count()
        lost = up["lost"] - at[0]["lost"]
        expect(sent == 1000 and got == sent - lost and down["lost"] == 0,
               f"{got} of {sent} came back, {lost} and {down['lost']} are counted as lost")
        expect(60 <= lost <= 140, f"{lost} of 1000 were lost, not about 100")
        seen.append(lost)
    b.cable.set(Line(loss=100))
    expect(b.ping("-c", "2", "-i", "0.05", "-W", "0.2")[1] == 0, "a cut cable carries")
    b.cable.set(Line())
    until(lambda: b.ping("-c", "1", "-W", "1")[1] == 1, 10, "an answer after the cut")
    t.note(f"{seen} of 1000 lost")


@test("link/rate")
def rate(t):
    """Bytes leave as fast as ordered; what does not fit the queue is lost."""
    b = Bench(t, Line())
    b.ping("-c", "1", "-W", "2")
    b.cable.set(Line(rate=10, queue=64), "ab")
    rx, tx = b.b.socket(socket.AF_INET, socket.SOCK_DGRAM), b.a.socket(socket.AF_INET,
                                                                       socket.SOCK_DGRAM)
    with rx, tx:
        rx.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        rx.bind((B, 9000))
        rx.settimeout(2)
        for _ in range(100):
            tx.sendto(bytes(1400), (B, 9000))
        begin, n = time.monotonic(), 0
        try:
            while True:
                rx.recv(2000)
                n, last = n + 1, time.monotonic()
        except socket.timeout:
            pass
    full = b.cable.count()[0]["full"]
    expect(n + full == 100, f"{n} arrived, {full} did not fit")
    # 64 KiB hold 45 frames of 1442 bytes; a few have left while the others came.
    expect(45 <= n <= 60, f"{n} of 100 fitted into the queue")
    # The last of them waits for all before it; it cannot be earlier.
    took, least = last - begin, (n - 10) * 1442 * 8 / 10e6
    expect(took > least, f"{n} packets took {took * 1000:.0f} ms, not {least * 1000:.0f}")
    t.note(f"{n} of 100 arrived in {took * 1000:.0f} ms")
