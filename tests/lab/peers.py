"""The programs that can play a role, what each can do, and how it is started."""
import os
import shutil
import subprocess

from . import sing

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))

# What a program can do, in the words that tests ask for.
_V2RAY = {"vless", "tls", "mux", "ss-classic", "classic", "v2-udp"}
_XRAY = _V2RAY | {"xudp", "ss2022", "vision", "reality", "socks4"}
_ALL = _XRAY | {"vless-reverse", "tun"}


class Peer:
    def __init__(self, name, title, can, ours=False, translate=None):
        """@translate: makes a file of its own kind from one of configs.py."""
        self.name, self.title, self.can, self.ours = name, title, frozenset(can), ours
        self.translate = translate
        self.path = None
        self.why_not = None
        self.software = name.split("-")[0]  # as a mesh file calls it

    def can_all(self, *words):
        return all(w in self.can for w in words)

    def run_argv(self, conf):
        if self.name == "v2ray":
            return [self.path, "-config", conf]
        return [self.path, "run", "-c", conf]

    def test_argv(self, *confs):
        if self.name == "sing-box":
            return [self.path, "check"] + [a for c in confs for a in ("-c", c)]
        if self.name == "v2ray":
            return [self.path, "-test"] + [a for c in confs for a in ("-config", c)]
        return [self.path, "run", "-test"] + [a for c in confs for a in ("-c", c)]

    def sanitized(self):
        """Built with AddressSanitizer: what it says about memory is not the program's own."""
        with open(self.path, "rb") as f:
            return b"__asan_init" in f.read()

    def version(self):
        argv = [self.path, "-version" if self.name == "v2ray" else "version"]
        out = subprocess.run(argv, capture_output=True, text=True, timeout=20)
        return (out.stdout + out.stderr).split("\n")[0].split(" (")[0]


GARENNE = Peer("garenne", "garenne", _ALL | {"honest"}, ours=True)
V2RAY = Peer("v2ray", "Debian's v2ray 4.34", _V2RAY)
XRAY = Peer("xray", "Xray 26.3.27", _ALL)
XRAY_25 = Peer("xray-25", "Xray 25.12.8", _ALL)
XRAY_OLD = Peer("xray-old", "Xray 1.8.24", _XRAY)
SING_BOX = Peer("sing-box", "sing-box 1.14.1", {"vless", "tls", "xudp", "vision", "reality"},
                translate=sing.translate)
ALL = {p.name: p for p in (GARENNE, V2RAY, XRAY, XRAY_25, XRAY_OLD, SING_BOX)}
LIBEV = Peer("libev", "shadowsocks-libev", {"ss-classic"})
# In every matrix; the others only in that of XTLS.
STOCK = (V2RAY, XRAY, XRAY_OLD)


def _cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("GARENNE_PEERS") or os.path.join(base, "garenne", "peers")


def _built(name, release):
    for base in (os.path.join(ROOT, "build", "peers"), _cache()):
        p = os.path.join(base, f"{name}-{release}", name)
        if os.access(p, os.X_OK):
            return p
    return None


def find(binary=None):
    """Looks for every program. Missing ones carry the reason."""
    GARENNE.path = binary or os.environ.get("GARENNE") or \
        os.path.join(ROOT, "build", "release", "garenne")
    if not os.access(GARENNE.path, os.X_OK):
        GARENNE.path, GARENNE.why_not = None, "garenne is not built"
    V2RAY.path = shutil.which("v2ray")
    V2RAY.why_not = None if V2RAY.path else "v2ray is not installed"
    for p in (XRAY, XRAY_25, XRAY_OLD, SING_BOX):
        name, release = p.title.lower().split()
        p.path = _built(name, release)
        p.why_not = None if p.path else f"{p.title} is not built (scripts/install-peers.sh)"


def tool(name):
    """A program of the system; None if it is missing."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
