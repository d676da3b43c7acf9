"""`garenne convert`: the new pair is accepted and works, on ours and on Xray, in any mixture."""
import json
import os
import shutil
import subprocess
import tempfile

from . import LabError, netns, peers, traffic
from .harness import test
from .proc import until
from .scene import PAGE, load

MIXTURES = [(p, b, c) for p in (peers.GARENNE, peers.XRAY) for b in (peers.GARENNE, peers.XRAY)
            for c in (peers.GARENNE, peers.XRAY)]


def _converted(t, scene):
    """The paths of the new files of a scene, by name."""
    t.need(peers.GARENNE)
    out = tempfile.mkdtemp()
    t.defer(shutil.rmtree, out)
    olds = [t.write(f"{scene}-{n}.json", load(f"{scene}/{n}")) for n in ("portal", "bridge")]
    names = [os.path.join(out, n + ".json") for n in ("portal", "bridge", "client")]
    p = subprocess.run([peers.GARENNE.path, "convert", *olds, "-out", out], capture_output=True,
                       text=True, timeout=20)
    if p.returncode != 0:
        raise LabError(f"convert: {p.stderr.strip()[-300:]}")
    return {os.path.basename(n)[:-5]: n for n in names if os.path.exists(n)}


def _accepted(peer, path):
    argv = [peer.path, "check", path] if peer.ours else peer.test_argv(path)
    p = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    if p.returncode != 0 or peer.ours and not p.stdout.startswith("0 warnings"):
        raise LabError(f"{peer.name}: {os.path.basename(path)}: {(p.stdout + p.stderr)[-300:]}")


@test("convert/accepted")
def accepted(t):
    for scene in ("s1", "s2"):
        files = _converted(t, scene)
        for peer in (peers.GARENNE, peers.XRAY):
            with t.cell(f"{scene} {peer.name}"):
                t.need(peer)
                for path in files.values():
                    _accepted(peer, path)


def _page(ns):
    curl = peers.tool("curl")
    with ns.inside():
        p = subprocess.run([curl, "-sS", "--max-time", "3", "--socks5-hostname",
                            "127.0.0.1:1080", "http://127.0.0.1:8081/"], capture_output=True,
                           text=True, timeout=10, stdin=subprocess.DEVNULL)
    return p.returncode == 0 and PAGE in p.stdout


@test("convert/works")
def works(t):
    net = t.net(netns.Solo)
    t.server(traffic.Server, net.host, traffic.web(PAGE), 8081, "127.0.0.1")
    files = _converted(t, "s1")
    for portal, bridge, client in MIXTURES:
        with t.cell(f"{portal.name} {bridge.name} {client.name}"):
            try:
                for peer, name in ((portal, "portal"), (bridge, "bridge"), (client, "client")):
                    with open(files[name]) as f:
                        t.program(peer, net.host, json.load(f), name)
                until(lambda: _page(net.host), 20, "the page comes through the new pair", 0.2)
            finally:
                blame = t.stop_all()
            if blame:
                raise LabError("; ".join(blame))
