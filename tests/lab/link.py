"""Cables that delay, lose, and hold only so much (link.c), for kernels without netem."""
import os
import subprocess

from . import LabError, netns


def compiled(t, source, *flags):
    """The path of a helper program of the lab, compiled once for all tests."""
    path = os.path.join(os.path.dirname(__file__), source)
    out = os.path.join(t.opts.out, os.path.splitext(source)[0])
    if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(path):
        tmp = os.path.join(t.dir, os.path.basename(out))
        netns.run(["cc", "-O2", *flags, "-o", tmp, path])
        os.replace(tmp, out)
    return out


class Line:
    """What one direction, or both, of a cable is like. Milliseconds each way, percent, Mbit/s,
    KiB of queue."""

    def __init__(self, delay=0, loss=0, rate=0, queue=256, seed=1):
        self.delay, self.loss, self.rate, self.queue, self.seed = delay, loss, rate, queue, seed

    def orders(self):
        return (f"delay={round(self.delay * 1000)} loss={round(self.loss * 10000)} "
                f"rate={round(self.rate * 1e6)} queue={round(self.queue * 1024)}")


class Cable:
    """Between device @dev_a of @a and @dev_b of @b, which it makes; they are gone with it."""

    def __init__(self, t, a, dev_a, b, dev_b, line=Line()):
        argv = [compiled(t, "link.c"), a.path, dev_a, b.path, dev_b,
                f"both seed={line.seed} {line.orders()}"]
        self.name = f"cable {dev_a}-{dev_b}"
        with a.inside():
            self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True)
        t.defer(self.close)
        self._answer("up")

    def _answer(self, want=None):
        line = self.p.stdout.readline().strip()
        if want and line != want:
            raise LabError(f"{self.name}: {line!r}")
        return line

    def _order(self, text):
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()

    def set(self, line, way="both"):
        """@way: both, or "ab" from the first host to the second, or "ba"."""
        self._order(f"{way} {line.orders()}")
        self._answer("ok")
        return self

    def count(self):
        """({passed, lost, full} from a to b, the same from b to a)."""
        self._order("count")
        n = [int(x) for x in self._answer().split()]
        return tuple(dict(zip(("passed", "lost", "full"), n[i:i + 3])) for i in (0, 3))

    def close(self):
        if self.p.poll() is None:
            self.p.stdin.close()
            try:
                self.p.wait(5)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait(5)
        self.p.stdout.close()
