"""Phones with sing-box: a Linux host runs the very profile that is compiled for one, with
its TUN, and everything on it goes where the profile says, without knowing of it.
"""
import os
import subprocess

from . import LabError, traffic
from .harness import add
from .peers import GARENNE, SING_BOX, XRAY, tool
from .proc import until
from .scene import PAGE, expect
from .t_mesh import HUB2, INTERNET, Mesh
from .t_reality_server import NAME, nginx

NAME_SERVER = "172.19.0.2"     # what the app puts beside its TUN


def resolve(ns, name):
    with ns.inside():
        return subprocess.run([tool("dig"), "+short", "+tries=1", "+time=3", "@" + NAME_SERVER,
                               name], capture_output=True, text=True, timeout=10).stdout.strip()


def page(ns, host, port=80):
    try:
        return traffic.http_get(traffic.Direct(ns), host, port, timeout=3)[1]
    except (OSError, LabError):
        return ""


def phone(t, hub, leaves):
    m = Mesh(t, hub, GARENNE, security=("reality", "-target", f"{NAME}:8443"), phone="sing-box",
             leaves="phones" if leaves else "berlin")
    ns = m.net.visitor
    with open(os.path.join(t.dir, "hosts"), "a") as f:
        f.write(f"127.0.0.1 {NAME}\n")
    nginx(t, m.net.hub, 8443)
    ns.ip(f"route add default via {HUB2}")
    m.net.hub2.ip(f"address add {INTERNET}/32 dev lo")
    m.net["np"].ip(f"route add {INTERNET} via {HUB2}")
    t.server(traffic.Server, m.net.hub2, traffic.serve_whoami, 7, INTERNET)
    t.server(traffic.Server, m.net.hub2, traffic.web("wifi"), 80, "0.0.0.0")
    m.start("hub", "paris")
    t.program(SING_BOX, ns, os.path.join(m.dir, "nodes", "alice.sing-box.json"), "alice",
              wait=False)
    until(lambda: PAGE in page(ns, "198.18.1.20"), 25, "a page of paris on the phone", 0.2)
    with t.cell("by name"):
        at = resolve(ns, "nas.paris.lab.mesh")
        expect(at.startswith("172.19."), f"the name is at {at!r}")
        expect(PAGE in page(ns, at), "no page by name")
    with t.cell("forbidden"):
        expect(not page(ns, "198.18.1.20", 83), "83 is for sites")
    with t.cell("this network"):
        expect("wifi" in page(ns, HUB2), "an address of the phone's own network is not reached")
    with t.cell("everything else"):
        with traffic.Direct(ns).tcp(INTERNET, 7, 5) as s:
            seen = s.recv(200).decode().split()[0]
        want = "203.0.113.31" if leaves else "203.0.113.20"
        expect(seen == want, f"the internet saw {seen}, not {want}")


for _hub in (GARENNE, XRAY):
    for _leaves in (True, False):
        add(f"mesh/phone/{_hub.name}-hub+sing-box-app" + ("" if _leaves else "/no-exit"), phone,
            _hub, _leaves, needs=(GARENNE, _hub, SING_BOX))
