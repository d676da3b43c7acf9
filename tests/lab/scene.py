"""The stage of the scenarios: one host with nothing but loopback, the files of
scenarios/, the three programs of the tutorial, and curl as the user.

The files are written for ours and for Xray. For v2ray 4.34, which has no Shadowsocks
2022, method and keys are replaced, nothing else.
"""
import json
import os
import re
import subprocess

from . import LabError, Skip, netns, peers, traffic
from .harness import add
from .proc import until

DIR = os.path.join(os.path.dirname(__file__), "scenarios")
DOMAIN = "reverse.hellohabr.com"
PAGE = "a page of the LAN"
WEB = "the web server's page"
USER_ID = "22222222-2222-4222-8222-222222222222"


def load(name):
    with open(os.path.join(DIR, name + ".json")) as f:
        return json.load(f)


def _classic_shadowsocks(x):
    """The substitution for v2ray."""
    if isinstance(x, dict):
        x = {k: _classic_shadowsocks(v) for k, v in x.items()}
        if str(x.get("method", "")).startswith("2022"):
            x["method"] = "aes-128-gcm"
    return [_classic_shadowsocks(v) for v in x] if isinstance(x, list) else x


def out_of(conf, tag):
    return next(o for o in conf["outbounds"] if o["tag"] == tag)


def in_of(conf, tag):
    return next(i for i in conf["inbounds"] if i["tag"] == tag)


def rules_of(conf):
    return conf["routing"]["rules"]


class Scene:
    def __init__(self, t):
        self.t = t
        self.subject = peers.ALL[t.opts.subject]
        self.ours = self.subject.ours
        # Xray's Shadowsocks 2022 does not pass on an end: its users wait.
        self.prompt = self.subject is not peers.XRAY
        t.need(self.subject)
        self.net = t.net(netns.Solo)
        self.ns = self.net.host
        self.curl_path = peers.tool("curl")
        if not self.curl_path:
            raise Skip("curl is not installed")
        self.web = t.server(traffic.Server, self.ns, traffic.web(PAGE), 8081, "127.0.0.1")

    def program(self, name, conf, wait=True, hosts=None, **kw):
        """Starts the subject. @hosts: {name: address} that this program alone knows."""
        if isinstance(conf, dict) and self.subject is peers.V2RAY:
            conf = _classic_shadowsocks(conf)
        t = self.t
        old = t.binds
        if hosts:
            path = t.write(name + ".hosts", "127.0.0.1 localhost\n" + "".join(
                f"{a} {n}\n" for n, a in hosts.items()))
            t.binds = (old[0], (path, "/etc/hosts"))
        try:
            return t.program(self.subject, self.ns, conf, name, wait, **kw)
        finally:
            t.binds = old

    def triangle(self, scene="s1", portal=None, bridge=None, client=None, hosts=None, up=True):
        """Portal, bridge, client of a scene; each may be given, or False for none."""
        if portal is not False:
            self.portal = self.program("portal", portal or load(scene + "/portal"))
        if bridge is not False:
            self.bridge = self.program("bridge", bridge or load(scene + "/bridge"), hosts=hosts)
        if client is not False:
            c = "s7" if scene == "s7" else "s1"
            self.client = self.program("client", client or load(c + "/client"))
        if up:
            self.wait_up()
        return self

    def wait_up(self, url="http://127.0.0.1:8081/", deadline=35):
        until(lambda: self.curl(url, limit=3)[0] == 0, deadline, f"{url} is served", 0.1)

    def curl(self, url, *more, proxy="127.0.0.1:1080", limit=10):
        """(exit status, output) of curl through the client's proxy; no proxy if None."""
        argv = [self.curl_path, "-sS", "--max-time", str(limit)]
        if proxy:
            argv += ["--socks5-hostname", proxy]
        with self.ns.inside():
            p = subprocess.run(argv + list(more) + [url], capture_output=True, text=True,
                               timeout=limit + 10, stdin=subprocess.DEVNULL)
        return p.returncode, p.stdout + p.stderr

    def page(self, url="http://127.0.0.1:8081/", what=PAGE, **kw):
        """The page must come; what else the server said is returned."""
        code, out = self.curl(url, **kw)
        if code != 0 or what not in out:
            raise LabError(f"{url}: curl {code}, {out.strip()[:200]!r}; expected {what!r}")
        return out

    def no_page(self, url="http://127.0.0.1:8081/", quick=True, **kw):
        """Nothing must come, and (unless told otherwise) not by waiting either."""
        code, out = self.curl(url, **kw)
        if code == 0:
            raise LabError(f"{url} was answered: {out.strip()[:120]!r}")
        if quick and self.prompt and code == 28:
            raise LabError(f"{url} hung instead of ending")
        return code

    @property
    def socks(self):
        return traffic.Socks5(self.ns, "127.0.0.1", 1080)

    def check(self, conf, name="checked", argv=None):
        """(exit status, output) of a load test of a file's text or dict."""
        if isinstance(conf, dict) and self.subject is peers.V2RAY:
            conf = _classic_shadowsocks(conf)
        path = self.t.write(name + ".json", conf)
        with self.ns.inside():
            p = subprocess.run(argv or self.subject.test_argv(path), capture_output=True,
                               text=True, timeout=30, cwd=self.t.dir)
        out = p.stdout + p.stderr
        self.t.write(name + ".check.txt", out)
        return p.returncode, out

    def warns(self, conf, pattern, name="checked"):
        """Ours: `check` accepts the file and says something that matches."""
        if not self.ours:
            return
        code, out = self.check(conf, name, [self.subject.path, "check",
                                            os.path.join(self.t.dir, name + ".json")])
        if code != 0:
            raise LabError(f"check refuses the file: {out.strip()[:300]}")
        if not re.search(pattern, out, re.I):
            raise LabError(f"check says nothing about /{pattern}/: {out.strip()[:300]!r}")

    def registrations(self, domain=DOMAIN, proc=None):
        """How often the portal's access log has seen this name (Xray's Shadowsocks 2022
        writes it without the network)."""
        log = (proc or self.portal).log()
        return len(re.findall(rf"accepted (?:tcp:)?{re.escape(domain)}:0", log))

    def logged(self, proc, pattern, deadline=8):
        """What our log must say; stock programs have their own words."""
        if self.ours:
            proc.wait_log("(?i)" + pattern, deadline)


def expect(ok, what):
    if not ok:
        raise LabError(what)


def plain_vless(conf):
    """S7's outbounds without TLS."""
    for o in conf["outbounds"]:
        o.pop("streamSettings", None)
    return conf


def row(name, **kw):
    """Registers the function as the test of a row; it is handed a Scene."""
    def deco(fn):
        kw.setdefault("limit", 120)
        add("scenario/" + name, lambda t: fn(Scene(t)), **kw)
        return fn
    return deco


def clock_shifted(t, seconds):
    """Environment that puts a program's calendar ahead."""
    so = os.path.join(t.opts.out, "clockshift.so")
    if not os.path.exists(so):
        tmp = os.path.join(t.dir, "clockshift.so")
        netns.run(["cc", "-shared", "-fPIC", "-O1", "-o", tmp,
                   os.path.join(os.path.dirname(__file__), "clockshift.c")])
        os.replace(tmp, so)
    return {"LD_PRELOAD": so, "CLOCK_SHIFT": str(seconds),
            "ASAN_OPTIONS": "verify_asan_link_order=0"}
