"""python3 -m lab [options] [filter...]: runs the tests whose name contains a filter.

Each result is one line; SKIP lines say why. The last line counts them. Logs and
generated files are in build/lab/TEST. Namespaces and processes are gone afterwards,
also after an interrupt.
"""
import argparse
import fnmatch
import importlib
import json
import os
import selectors
import signal
import sys
import time

from . import harness, netns, peers

MODULES = sorted(f[:-3] for f in os.listdir(os.path.dirname(__file__)) if f.startswith("t_"))


def options():
    a = argparse.ArgumentParser(prog="lab", description=__doc__)
    a.add_argument("filter", nargs="*", help="substring of a name, or a pattern with * ? []")
    a.add_argument("--full", action="store_true", help="every cell and the long tests")
    a.add_argument("--list", action="store_true", help="print the names and stop")
    a.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1)
    a.add_argument("--idle-jobs", type=int, default=6, help="tests that mostly wait, at once")
    a.add_argument("--garenne", help="the binary to test")
    a.add_argument("--subject", default="garenne",
                   choices=sorted(p.name for p in peers.ALL.values() if not p.translate),
                   help="the program in our place in scenarios and faults")
    a.add_argument("--without-garenne", action="store_true",
                   help="do not fail when it is not built: check the lab itself")
    a.add_argument("--verbose", action="store_true", help="print every result, not only failures")
    a.add_argument("--out", default=os.path.join(peers.ROOT, "build", "lab"))
    return a.parse_args()


def chosen(opts):
    for m in MODULES:
        importlib.import_module("lab." + m)
    return [t for t in harness.TESTS
            if (opts.full or not t.full or t.name in opts.filter)
            and (not opts.filter or any(fnmatch.fnmatch(t.name, f) or f in t.name
                                        for f in opts.filter))]


class Running:
    def __init__(self, test, opts):
        self.test, self.begin, self.buf, self.results = test, time.monotonic(), b"", []
        r, w = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(r)
                os.setsid()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
                with os.fdopen(w, "w") as out:
                    harness.run_one(test, out, opts)
                status = 0
            finally:
                os._exit(status)
        os.close(w)
        self.fd = r
        self.deadline = self.begin + test.limit
        self.asked = False

    def feed(self):
        """False at the end of its output."""
        part = os.read(self.fd, 65536)
        self.buf += part
        *lines, self.buf = self.buf.split(b"\n")
        self.results += [json.loads(x) for x in lines]
        return bool(part)

    def overdue(self):
        """Asks it to end when its time is over, then makes it."""
        now = time.monotonic()
        if now < self.deadline:
            return
        if not self.asked:
            self.asked, self.deadline = True, now + 15
            os.kill(self.pid, signal.SIGTERM)
        else:
            os.kill(self.pid, signal.SIGKILL)

    def finish(self, opts):
        os.close(self.fd)
        _, status = os.waitpid(self.pid, 0)
        netns.remove(netns.listed(f"{opts.prefix}p{self.pid}n"))
        if self.asked:
            self.results.append(["fail", self.test.name, f"not done within {self.test.limit} s"])
        elif status != 0 or not self.results:
            self.results.append(["fail", self.test.name, f"its process ended with {status}"])


def show(run, opts, count):
    secs = time.monotonic() - run.begin
    quiet = 0
    for status, name, why in run.results:
        count[status] += 1
        if status != "pass" or why or opts.verbose:
            print(f"{status.upper()} {name}" + (f": {why}" if why else ""))
        else:
            quiet += 1
    if quiet:
        print(f"PASS {run.test.name}" + (f" {quiet} cells" if quiet > 1 else "")
              + f" ({secs:.1f} s)")
    sys.stdout.flush()


def run_all(tests, opts, count):
    sel = selectors.DefaultSelector()
    waiting, idle = [t for t in tests if not t.idle], [t for t in tests if t.idle]
    running = {}
    try:
        while waiting or idle or running:
            busy = sum(1 for r in running.values() if not r.test.idle)
            for queue, limit, have in ((waiting, opts.jobs, busy),
                                       (idle, opts.idle_jobs, len(running) - busy)):
                while queue and have < limit:
                    r = Running(queue.pop(0), opts)
                    running[r.fd] = r
                    sel.register(r.fd, selectors.EVENT_READ)
                    have += 1
            for key, _ in sel.select(0.5):
                r = running[key.fd]
                if not r.feed():
                    sel.unregister(key.fd)
                    del running[key.fd]
                    r.finish(opts)
                    show(r, opts, count)
            for r in running.values():
                r.overdue()
    finally:
        for r in running.values():
            os.kill(r.pid, signal.SIGTERM)
        for r in running.values():
            r.finish(opts)


def main():
    opts = options()
    peers.find(opts.garenne)
    tests = chosen(opts)
    if opts.list:
        print("\n".join(t.name + (" (full)" if t.full else "") for t in tests))
        return 0
    if os.geteuid() != 0:
        print("lab: needs root, for network namespaces", file=sys.stderr)
        return 2
    if not peers.GARENNE.path and not opts.without_garenne:
        print(f"lab: {peers.GARENNE.why_not}: run make first", file=sys.stderr)
        return 2
    os.makedirs(opts.out, exist_ok=True)
    opts.prefix = f"{netns.PREFIX}{os.getpid()}"
    harness.Pki(os.path.join(opts.out, "pki"))
    netns.remove_stale()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for p in peers.ALL.values():
        print(f"lab: {p.name}: {p.version() if p.path else p.why_not}")
    sys.stdout.flush()
    begin = time.monotonic()
    count = {"pass": 0, "fail": 0, "skip": 0}
    try:
        run_all(tests, opts, count)
    except KeyboardInterrupt:
        print("lab: interrupted")
        count["fail"] += 1
    finally:
        netns.remove(netns.listed(opts.prefix))
    print(f"lab: took {time.monotonic() - begin:.0f} s")
    print(f"lab: {count['pass']} passed, {count['fail']} failed, {count['skip']} skipped")
    return 1 if count["fail"] or not count["pass"] else 0


if __name__ == "__main__":
    sys.exit(main())
