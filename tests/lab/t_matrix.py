"""Every carrier between every two programs, both families, TCP and UDP.

        client host                                server host
    tools -> socks [near program] == carrier ==> [far program] -> targets

The near and the far program are each ours or a stock one. A TCP cell moves 16 MiB
both ways at once, ends from either side, asks for a closed port, for a name, for a
target that speaks first, and half-closes. A UDP cell echoes 16 MiB.
"""
from fnmatch import fnmatch

from . import LabError, Skip, configs, netns, peers, traffic
from .configs import CARRIERS
from .harness import add, test
from .peers import GARENNE, STOCK, XRAY_OLD

NEAR_PORT = {4: 1084, 6: 1086}
FAR_PORT = {4: 7004, 6: 7006}
MIB = traffic.MIB


def configure(t, carrier, net):
    """The two files: one carrier per family, told apart by the port that is asked."""
    ins = [carrier.far(f"far{fam}", net.server_addr[fam], FAR_PORT[fam], t.pki)
           for fam in (4, 6)]
    far = configs.config(ins, [configs.freedom()])
    near = configs.config(
        [configs.socks_in(f"in{fam}", "127.0.0.1", NEAR_PORT[fam]) for fam in (4, 6)],
        [configs.blackhole()] + [carrier.near(f"out{fam}", net.server_addr[fam], FAR_PORT[fam],
                                              t.pki) for fam in (4, 6)],
        [configs.rule(f"out{fam}", inboundTag=[f"in{fam}"]) for fam in (4, 6)])
    return near, far


class Targets:
    def __init__(self, t, ns):
        self.bulk = t.server(traffic.Server, ns, traffic.serve_bulk)
        self.echo = t.server(traffic.Server, ns, traffic.serve_echo)
        self.banner = t.server(traffic.Server, ns, traffic.serve_banner)
        self.digest = t.server(traffic.Server, ns, traffic.serve_digest)
        self.udp = t.server(traffic.UdpServer, ns)
        self.udp2 = t.server(traffic.UdpServer, ns)


# What stock programs are known for: carrier, near, far (patterns), check, reason.
QUIRKS = (
    ("ss2022-*", "*", "[vx]*", "ends", "an end is not passed on before the idle limit"),
    ("ss2022-*", "[vx]*", "*", "ends", "keeps its client open until the client ends too"),
    ("ss2022-*", "[vx]*", "*", "refused", "nor of a failed dial does it tell the client"),
    ("http*", "[vx]*", "*", "banner", "dials only after the client's first bytes"),
    ("ss-*", "xray", "[vxl]*", "banner", "its first chunk is empty, which others take for an end"),
)


def quirk(carrier, near, far, check):
    return any(fnmatch(carrier.name, c) and fnmatch(near.name, n) and fnmatch(far.name, f)
               and check == k for c, n, f, k, _ in QUIRKS)


def tcp_cell(via, host, targets, ours, name=None, known=lambda check: False):
    """@ours: both programs are ours, so nothing may be lost, half-close included."""
    traffic.check_bulk(via, targets.bulk, host, ender="client", strict=ours)
    traffic.check_bulk(via, targets.bulk, host, MIB, ender="server", strict=ours,
                       ends=not known("ends"))
    traffic.check_bulk(via, targets.bulk, host, 0, ender="client", strict=ours)
    if not known("refused"):
        traffic.check_refused(via, host, 1)
    if not known("banner"):
        traffic.check_banner(via, host, targets.banner.port)
    if name:
        traffic.check_echo(via, name, targets.echo.port)
    # Between two of ours the answer must come; else the flow must end, that is all.
    how = traffic.half_close(via, host, targets.digest.port, wait=15 if ours else 3)
    if how and ours:
        raise LabError(f"half-close: {how}")


def udp_cell(t, via, host, targets, cone, ours):
    """Larger datagrams than a packet's are dropped or cut by stock programs."""
    lost = traffic.check_udp(via, host, targets.udp.port)
    if ours:
        traffic.check_udp(via, host, targets.udp.port, MIB // 4, sizes=(8000, 4000))
    if cone:
        traffic.check_full_cone(via, host, (targets.udp.port, targets.udp2.port), burst=ours)
    if lost and ours:
        t.note(f"{lost} datagrams sent twice")


def hosts(t, net):
    t.write("hosts", "127.0.0.1 localhost\n::1 localhost\n"
            f"{net.server_addr[4]} srv4.test\n{net.server_addr[6]} srv6.test\n")


def pair(t, carrier, near, far):
    t.need(near, far)
    net = t.net(netns.Pair)
    hosts(t, net)
    targets = Targets(t, net.server)
    near_conf, far_conf = configure(t, carrier, net)
    t.program(far, net.server, far_conf, "far")
    t.program(near, net.client, near_conf, "near")
    ours = near.ours and far.ours
    cone = ours or ("mux" not in carrier.name and near.can_all("xudp") and far.can_all("xudp"))
    run_cells(t, carrier, near, far, net, targets, ours, cone)


def run_cells(t, carrier, near, far, net, targets, ours, cone):
    for fam in (4, 6):
        via = traffic.Socks5(net.client, "127.0.0.1", NEAR_PORT[fam])
        host = net.server_addr[fam]
        with t.cell(f"tcp{fam}"):
            tcp_cell(via, host, targets, ours, f"srv{fam}.test",
                     lambda check: quirk(carrier, near, far, check))
        if carrier.udp:
            with t.cell(f"udp{fam}"):
                udp_cell(t, via, host, targets, cone, ours)


def libev(t, carrier, other, role):
    """shadowsocks-libev in one role: ss-local is near, ss-server far."""
    t.need(other)
    prog = peers.tool("ss-local" if role == "near" else "ss-server")
    if not prog:
        raise Skip("shadowsocks-libev is not installed")
    net = t.net(netns.Pair)
    hosts(t, net)
    targets = Targets(t, net.server)
    near_conf, far_conf = configure(t, carrier, net)
    common = {"password": carrier.password, "method": carrier.method, "mode": "tcp_and_udp",
              "timeout": 60}
    if role == "near":
        t.program(other, net.server, far_conf, "far")
    else:
        t.program(other, net.client, near_conf, "near")
    for fam in (4, 6):
        common.update(server=net.server_addr[fam], server_port=FAR_PORT[fam])
        if role == "near":
            conf = dict(common, local_address="127.0.0.1", local_port=NEAR_PORT[fam])
            want, ns = {("tcp", NEAR_PORT[fam])}, net.client
        else:
            conf, want, ns = common, {("tcp", FAR_PORT[fam]), ("udp", FAR_PORT[fam])}, net.server
        path = t.write(f"libev{fam}.json", conf)
        t.spawn(ns, [prog, "-c", path, "-u"], f"libev{fam}").wait_listening(want)
    pair_ = (peers.LIBEV, other) if role == "near" else (other, peers.LIBEV)
    run_cells(t, carrier, *pair_, net, targets, False, False)


# ---- which cells there are ------------------------------------------------

CANNOT = []


def _plan():
    everyone = (GARENNE,) + STOCK
    for carrier in CARRIERS.values():
        for near in everyone:
            for far in everyone:
                why = carrier.cannot(near, far)
                if why:
                    CANNOT.append((f"{carrier.name}/{near.name}-{far.name}", why))
                    continue
                stock = not near.ours and not far.ours
                old = XRAY_OLD in (near, far)
                add(f"matrix/{carrier.name}/{near.name}-{far.name}", pair, carrier, near, far,
                    full=stock or old, needs=(near, far))
        if "ss-classic" not in carrier.needs:
            continue
        for other in everyone:
            for role, name in (("near", f"libev-{other.name}"), ("far", f"{other.name}-libev")):
                add(f"matrix/{carrier.name}/{name}", libev, carrier, other, role,
                    full=not other.ours, needs=(other,))


_plan()


@test("matrix/cells-that-cannot-exist")
def cells_that_cannot_exist(t):
    """Printed, so that a hole in the matrix is never silent."""
    by_why = {}
    for cell, why in CANNOT:
        if "garenne" in cell:
            by_why.setdefault((cell.split("/")[0], why), []).append(cell.split("/")[1])
    for (carrier, why), cells in by_why.items():
        t.note(f"{carrier} {', '.join(cells)}: {why}")
    for carrier in CARRIERS.values():
        if not carrier.udp:
            t.note(f"{carrier.name} udp: the protocol carries TCP only")
