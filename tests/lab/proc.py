"""Running programs: start, wait until ready, watch, stop, and judge the log.

A program's output goes to a file in the test's folder. A program of ours that
dies by a signal, exits non-zero on SIGTERM or trips a sanitizer fails the test
in which it ran, whatever the test itself looked at.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

from . import LabError

SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed|ASSERT")


def until(cond, deadline=10.0, what="condition", step=0.02):
    """Polls until cond() is true and returns its value; LabError after deadline seconds."""
    end = time.monotonic() + deadline
    while True:
        v = cond()
        if v:
            return v
        if time.monotonic() > end:
            raise LabError(f"not within {deadline:g} s: {what}")
        time.sleep(step)


def took(cond, deadline, what, step=0.05):
    """Like until(), but returns how long it took."""
    t = time.monotonic()
    until(cond, deadline, what, step)
    return time.monotonic() - t


class Proc:
    """One running program in one namespace."""

    def __init__(self, ns, argv, log, name, binds=(), env=None, cwd=None, ours=False):
        self.ns, self.argv, self.log_path, self.name = ns, list(argv), log, name
        self.binds, self.env, self.cwd, self.ours = binds, env, cwd, ours
        self.p = None
        self.status = None

    def start(self):
        """Also used to start it again after a stop; the log is appended to."""
        pre = ["setpriv", "--pdeathsig", "KILL", "--"]
        if self.binds:
            # A private mount namespace in which some files of /etc are others.
            sh = "".join(f'mount --bind "{src}" "{dst}" && ' for src, dst in self.binds)
            pre += ["unshare", "-m", "--propagation", "private",
                    "sh", "-c", sh + 'exec "$@"', "sh"]
        env = dict(os.environ, **(self.env or {}))
        with open(self.log_path, "ab") as out, self.ns.inside():
            self.p = subprocess.Popen(pre + self.argv, stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=subprocess.STDOUT, env=env, cwd=self.cwd,
                                      start_new_session=True)
        self.status = None
        self._mark = 0
        return self

    @property
    def pid(self):
        return self.p.pid

    def alive(self):
        return self.p is not None and self.p.poll() is None

    def wait_exit(self, deadline=10):
        """Waits for it to end by itself; its exit status."""
        try:
            self.status = self.p.wait(deadline)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} is still running after {deadline} s") from None
        return self.status

    def kill(self, sig=signal.SIGKILL):
        """Ends it the hard way, as a fault: not judged."""
        if self.alive():
            os.kill(self.pid, sig)
            if sig == signal.SIGKILL:
                self.p.wait(10)
                self.status = "killed"

    def signal(self, sig):
        os.kill(self.pid, sig)

    def stop(self):
        """SIGTERM, then, if need be, SIGKILL. Returns what is to be blamed, or None."""
        if self.p is None or self.status is not None:
            return self._judge_log()
        died = self.p.poll()
        if died is None:
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.status = self.p.wait(8)
            except subprocess.TimeoutExpired:
                self._save_stack()
                os.kill(self.pid, signal.SIGKILL)
                self.status = self.p.wait(10)
                if self.ours:
                    return f"{self.name} did not stop within 8 s of SIGTERM"
            if self.ours and self.status != 0:
                return f"{self.name} ended with {self.status} on SIGTERM; {self.tail(3)}"
        else:
            self.status = died
            if self.ours:
                return f"{self.name} died with {died}; {self.tail(6)}"
        return self._judge_log()

    def _save_stack(self):
        """Where a program of ours that does not stop is, if there is a debugger to ask."""
        gdb = shutil.which("gdb")
        if not self.ours or not gdb:
            return
        with open(self.log_path + ".stack", "w") as f, \
                contextlib.suppress(subprocess.TimeoutExpired):
            f.write(f"cpu {self.cpu_s()} s\n")
            f.flush()
            subprocess.run([gdb, "-p", str(self.pid), "-batch", "-ex", "thread apply all bt"],
                           stdout=f, stderr=subprocess.DEVNULL, timeout=20)

    def _judge_log(self):
        if self.ours:
            m = SANITIZER.search(self.log())
            if m:
                line = self.log()[m.start():].split("\n", 1)[0]
                return f"{self.name}: {line}"
        return None

    # Looking at it.

    def log(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def tail(self, lines=8):
        return " | ".join(self.log().strip().split("\n")[-lines:])

    def mark(self):
        """What is logged from here on is what log_since_mark() returns."""
        self._mark = len(self.log())

    def log_since_mark(self):
        return self.log()[self._mark:]

    def wait_log(self, pattern, deadline=10, since_mark=False):
        rx = re.compile(pattern)

        def seen():
            return rx.search(self.log_since_mark() if since_mark else self.log())
        try:
            return until(seen, deadline, f"{self.name} logs /{pattern}/")
        except LabError as e:
            raise LabError(f"{e}; log ends: {self.tail()}") from None

    def listening(self):
        """{('tcp', port), ('udp', port), ('unix', path)} that its namespace listens on."""
        found = set()
        for kind in ("tcp", "tcp6", "udp", "udp6"):
            try:
                with open(f"/proc/{self.pid}/net/{kind}") as f:
                    rows = f.read().split("\n")[1:]
            except (FileNotFoundError, ProcessLookupError):
                return found
            for row in rows:
                col = row.split()
                if len(col) > 3 and col[3] == ("0A" if kind[0] == "t" else "07"):
                    found.add((kind[:3], int(col[1].rsplit(":", 1)[1], 16)))
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                open(f"/proc/{self.pid}/net/unix") as f:
            found.update(("unix", row.split()[7]) for row in f.read().split("\n")[1:]
                         if len(row.split()) > 7)
        return found

    def wait_listening(self, want, deadline=15):
        want = set(want)

        def ready():
            if not self.alive():
                raise LabError(f"{self.name} ended with {self.p.poll()} while starting; "
                               f"log ends: {self.tail()}")
            return want <= self.listening()
        until(ready, deadline, f"{self.name} listens on {sorted(want)}")
        return self

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"VmRSS:\s*(\d+)", f.read()).group(1))

    def cpu_s(self):
        """User and system seconds so far."""
        with open(f"/proc/{self.pid}/stat") as f:
            col = f.read().rsplit(")", 1)[1].split()
        return (int(col[11]) + int(col[12])) / os.sysconf("SC_CLK_TCK")
