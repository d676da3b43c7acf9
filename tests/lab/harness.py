"""Tests: how they are written down, run, judged and cleaned up after.

A test is a function that takes a T. It may report several results (cells); one that
reports none is one result itself. Each test runs in a process of its own, in a
session of its own: whatever happens in it, the runner can end all of it.
"""
import contextlib
import json
import os
import shutil
import subprocess
import traceback

from . import LabError, Skip, netns
from .proc import Proc

TESTS = []


class Test:
    def __init__(self, name, fn, args, full, limit, idle, needs):
        self.name, self.fn, self.args = name, fn, args
        self.full, self.limit, self.idle, self.needs = full, limit, idle, needs


def add(name, fn, *args, full=False, limit=120, idle=False, needs=()):
    """@full: only with --full; @limit: seconds; @idle: mostly waits, so that many may
    run at once; @needs: the programs without which it cannot run."""
    TESTS.append(Test(name, fn, args, full, limit, idle, tuple(needs)))


def test(name, **kw):
    def deco(fn):
        add(name, fn, **kw)
        return fn
    return deco


class Pki:
    """A certificate authority of the lab and one server certificate for vps.test."""

    def __init__(self, folder):
        self.ca, self.ca_key, self.cert, self.key = (os.path.join(folder, n) for n in (
            "ca.pem", "ca-key.pem", "cert.pem", "key.pem"))
        if os.path.exists(self.cert):
            return
        os.makedirs(folder, exist_ok=True)
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "30"]
        netns.run(new + ["-keyout", self.ca_key, "-out", self.ca, "-subj", "/CN=lab CA",
                         "-addext", "keyUsage=critical,keyCertSign"])
        san = "subjectAltName=DNS:vps.test,DNS:hub.test,IP:203.0.113.10,IP:2001:db8::10"
        netns.run(new + ["-CA", self.ca, "-CAkey", self.ca_key, "-keyout", self.key, "-out", self.cert,
                         "-subj", "/CN=vps.test", "-addext", san,
                         "-addext", "basicConstraints=critical,CA:FALSE"])


class T:
    """What a running test sees."""

    def __init__(self, test_, out, opts):
        self.name, self.opts, self._out = test_.name, opts, out
        self.dir = os.path.join(opts.out, test_.name.replace("/", "+"))
        shutil.rmtree(self.dir, ignore_errors=True)  # of an earlier run, perhaps killed midway
        os.makedirs(self.dir)
        self.prefix = f"{opts.prefix}p{os.getpid()}"
        self.procs, self._stack, self.cells, self._notes = [], contextlib.ExitStack(), 0, []
        self.pki = Pki(os.path.join(opts.out, "pki"))
        with open(os.path.join(self.dir, "resolv.conf"), "w") as f:
            f.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        with open(os.path.join(self.dir, "hosts"), "w") as f:
            f.write("127.0.0.1 localhost\n::1 localhost\n")
        self.binds = ((os.path.join(self.dir, "resolv.conf"), "/etc/resolv.conf"),
                      (os.path.join(self.dir, "hosts"), "/etc/hosts"))

    # -- results

    def report(self, status, cell=None, why=""):
        name = f"{self.name} [{cell}]" if cell else self.name
        if self._notes and status == "pass":
            why = "; ".join(self._notes)
        self._notes = []
        self.cells += 1
        self._out.write(json.dumps([status, name, why]) + "\n")
        self._out.flush()

    @contextlib.contextmanager
    def cell(self, name):
        """One result. A finding ends the cell, not the test."""
        try:
            yield
        except Skip as e:
            self.report("skip", name, str(e))
        except (LabError, OSError, subprocess.TimeoutExpired) as e:
            self.save_trace()
            kind = f"{type(e).__name__}: " if isinstance(e, OSError) else ""
            self.report("fail", name, kind + str(e))
        else:
            self.report("pass", name)

    def note(self, text):
        """Something measured or observed, printed beside the result."""
        self._notes.append(text)

    def save_trace(self):
        with open(os.path.join(self.dir, "traceback.txt"), "a") as f:
            f.write(traceback.format_exc() + "\n")

    # -- means

    def defer(self, fn, *args):
        self._stack.callback(fn, *args)

    def net(self, kind):
        n = kind(self.prefix)
        self.defer(n.close)
        return n

    def server(self, cls, *args, **kw):
        s = cls(*args, **kw)
        self.defer(s.close)
        return s

    def need(self, *programs):
        for p in programs:
            if not p.path:
                raise Skip(p.why_not)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text if isinstance(text, str) else json.dumps(text, indent=2) + "\n")
        return path

    def spawn(self, ns, argv, name, env=None, ours=False):
        p = Proc(ns, argv, os.path.join(self.dir, name + ".log"), name, self.binds, env,
                 self.dir, ours)
        self.procs.append(p)
        return p.start()

    def program(self, peer, ns, conf, name, wait=True, env=None):
        """Starts @peer on @ns with @conf (a dict, or the path of a file in its own form)."""
        self.need(peer)
        path = conf
        if not isinstance(conf, str):
            path = self.write(name + ".json", peer.translate(conf) if peer.translate else conf)
        p = self.spawn(ns, peer.run_argv(path), name, env, peer.ours)
        if wait:
            from .configs import listens
            if isinstance(conf, str):
                with open(conf) as f:
                    conf = json.loads(f.read())
            p.wait_listening(listens(conf))
        return p

    def stop_all(self):
        """Stops every program; what is to be blamed on ours."""
        blame = []
        for p in reversed(self.procs):
            b = p.stop()
            if b:
                blame.append(b)
        self.procs = []
        return blame

    def close(self):
        self._stack.close()


def run_one(test_, out, opts):
    """The body of a test's process. Results go to @out, one JSON line each."""
    t = T(test_, out, opts)
    try:
        try:
            t.need(*test_.needs)
            test_.fn(t, *test_.args)
            blame = t.stop_all()
            if blame:
                t.report("fail", "programs", "; ".join(blame))
            elif not t.cells:
                t.report("pass")
        except Skip as e:
            t.report("skip", None, str(e))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as e:     # a test that breaks is a test that fails
            t.save_trace()
            kind = "" if isinstance(e, LabError) else type(e).__name__ + ": "
            t.report("fail", None, kind + str(e))
    finally:
        t.stop_all()
        t.close()
