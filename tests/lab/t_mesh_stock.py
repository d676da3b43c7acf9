"""A mesh in which one node is a stock program: what does not work is what `mesh compile` said
beforehand, and nothing else.

    hub: no ping through it: its program carries TCP and UDP only

Each such line of `compile` names a kind of row and a direction. The whole matrix is run, and
a row that fails without a word is as wrong as one that works in spite of it.
"""
import os
import re
from concurrent.futures import ThreadPoolExecutor

from . import LabError, Skip, netns, peers, traffic
from .harness import add
from .meshlab import GATE, NAS, SOCKS, Mesh
from .peers import GARENNE, V2RAY, XRAY, XRAY_25
from .proc import until
from .scene import expect
from .t_mesh import dig
from .t_mesh_matrix import FILTERED, MIB, SIZES, trace
from .t_ping import Ping
from .t_tun import connect_error

AT_ONCE = 6
UNNAMED = ("192.168.1.21", "fd77::21")
LIMIT = re.compile(r"^  (\S+): no (.+?) ((?:from|to|through|, | and )+) it: ", re.M)


class Elsewhere(Exception):
    """A row that is not about this pair."""


class Mixed(Mesh):
    """Stock programs run the files as they are. Whose node has no TUN has its SOCKS proxy."""

    def __init__(self, t, stock, security):
        super().__init__(t, 1, 2, software=stock, edit=self.proxy,
                         security=(security,))
        self.whoami = {b: t.server(traffic.Server, self.ns(b), traffic.serve_whoami)
                       for b in self.at}
        for host in self.dead:
            self.ns(host).ip(*(f"address add {a}/{64 if ':' in a else 24} dev eth0"
                               + " nodad preferred_lft 0" * (":" in a) for a in UNNAMED))
            self.ns(host).nft(f"""
                table inet f {{
                    chain in {{ type filter hook input priority 0; tcp dport {FILTERED} drop; }}
                }}""")

    def start(self, *names):
        super().start(*names)
        conf = os.path.join(self.dir, "nodes", "hub.stunnel.conf")
        if not os.path.exists(conf):
            return
        stunnel = peers.tool("stunnel4")
        if not stunnel:
            raise Skip("stunnel4 is not installed")
        with open(conf) as f:
            text = f.read().replace("/etc/stunnel/", os.path.join(self.dir, "nodes", ""))
        path = self.t.write("hub.stunnel.conf", text)
        self.t.spawn(self.ns("hub"), [stunnel, path], "stunnel").wait_listening({("tcp", 443)})

    def proxy(self, text):
        return text if self.peer["hub"].ours else text.replace(
            '"hub": {', f'"hub": {{ "socks": {SOCKS},')

    def node_file(self, node, folder=None):
        return super().node_file(node, folder) if self.peer[node].ours else \
            os.path.join(folder or self.dir, "nodes", node + ".json")

    def pairs(self):
        return [(a, b) for a in self.at for b in self.at
                if a != b and (a not in self.house or self.house[a] != self.house.get(b))]

    def node(self, role):
        return self.house.get(role, role)

    def via(self, role):
        """The way of that host into the mesh."""
        if self.asks(role):
            return traffic.Direct(self.ns(role))
        return traffic.Socks5(self.ns(role), GATE[0] if role in self.house else "127.0.0.1", SOCKS)

    def name(self, role, f):
        return self.names[role].replace("nas.", "nas6." if f == 6 else "nas.")

    def reaches(self, a, b, f=4):
        return traffic.works(self.via(a), self.at[b][f], self.targets[b].echo.port)

    def accepted(self):
        """Stock programs take their files, without an edit."""
        for node, peer in self.peer.items():
            if not peer.ours:
                with self.t.cell(f"{peer.name} accepts {node}.json"):
                    netns.run(peer.test_argv(self.files[node]))

    def named(self):
        """{(node, kind of row, direction)} that compile called impossible."""
        return {(node, kind, d) for node, kind, dirs in LIMIT.findall(self.said)
                for d in re.findall(r"\w+", dirs.replace("and", ""))}

    def way(self, a, b):
        """(node, direction) of those that a flow from a to b meets."""
        hops = self.hops(a, b)
        return list(zip(hops, ["from"] + ["through"] * (len(hops) - 2) + ["to"]))


# ---- rows: each raises LabError or OSError when it does not work ----------------

def row_tcp(m, a, b, f):
    traffic.check_bulk(m.via(a), m.targets[b].bulk, m.at[b][f], m.size, strict=False)


def row_half_close(m, a, b, f):
    bad = traffic.half_close(m.via(a), m.at[b][f], m.targets[b].digest.port, wait=3)
    expect(bad is None, f"{bad}")


def row_udp(m, a, b, f):
    traffic.check_udp(m.via(a), m.at[b][f], m.targets[b].udp.port, sum(n for n in SIZES if n >= 4),
                      SIZES, window=4)


def row_big(m, a, b, f):
    data, _ = traffic.udp_ask(m.via(a), m.at[b][f], m.targets[b].udp.port, os.urandom(8000),
                              tries=2, wait=1.0)
    expect(len(data) == 8000, f"{len(data)} of 8000 bytes came back")


def row_cone(m, a, b, f):
    traffic.check_full_cone(m.via(a), m.at[b][f], (m.targets[b].udp.port, m.targets[b].udp2.port))


def row_ping(m, a, b, f):
    if not m.asks(a):
        raise LabError("it has no TUN")
    got = Ping(m.ns(a), m.at[b][f]).ask(wait=1.5)
    expect(got == "reply", f"{got}")


def row_verdict(m, a, b, f):
    """Closed ports look closed, and filtered ones filtered."""
    if not m.asks(a):
        got = traffic.check_refused(m.via(a), m.at[b][f], 1, 3)
        expect(got.startswith("refused"), got)
        return
    for port, want in ((1, "ECONNREFUSED"), (FILTERED, "silence")):
        if port == 1 or m.is_host(b):
            got = connect_error(m.ns(a), m.at[b][f], port, 1.5 if want == "silence" else 3)
            expect(got == want, f"port {port}: {got}")


def only(ok):
    if not ok:
        raise Elsewhere


def row_source(m, a, b, f):
    """Compiled files dial: a LAN's host sees its own site."""
    only(m.is_host(b))
    with m.via(a).tcp(m.at[b][f], m.whoami[b].port, 5) as s:
        got = s.recv(200).decode().split()[0]
    expect(got == GATE[f == 6], f"it saw {got}")


def row_own(m, a, b, f):
    """What a node itself serves sees the node's own address."""
    only(not m.is_host(b))
    with m.via(a).tcp(m.at[b][f], m.whoami[b].port, 5) as s:
        got = s.recv(200).decode().split()[0]
    expect(got == m.at[b][f], f"it saw {got}")


def row_unnamed(m, a, b, f):
    """A machine that the mesh file does not mention."""
    only(m.is_host(b))
    host = m.at[b][f][:-2] + UNNAMED[f == 6][-2:]
    traffic.check_echo(m.via(a), host, m.targets[b].echo.port, timeout=5)


def row_sender(m, a, b, f):
    """The log of the node that dials says who has sent the flow."""
    node, who = m.node(b), m.node(a)
    host = f"[{m.at[b][f]}]" if f == 6 else m.at[b][f]
    rx = re.compile(rf"accepted (tcp:)?{re.escape(host)}:{m.targets[b].banner.port}\b")
    traffic.check_banner(m.via(a), m.at[b][f], m.targets[b].banner.port)

    def seen():
        return any(rx.search(line) and (m.at[who][f] + "]" * (f == 6) + ":" in line
                                        or line.endswith("email: " + who))
                   for line in m.procs[node].log().split("\n"))
    until(seen, 2, f"the log of {node} has {who} as sender")


def row_name(m, a, b, f):
    """By name: as who has a proxy does it."""
    only(not m.asks(a))
    traffic.check_echo(m.via(a), m.name(b, f), m.targets[b].echo.port)


def row_lookup(m, a, b, f):
    if not m.asks(a):
        raise LabError("it has no name server")
    for question, answer in (((m.name(b, f), "A" if f == 4 else "AAAA"), m.at[b][f]),
                             (("-x", m.at[b][f]), m.name(b, f) + ".")):
        got = dig(m.ns(a), *question)
        if got[0] == "SILENT":  # as every resolver does
            got = dig(m.ns(a), *question)
        expect(got[:2] == ("NOERROR", [answer]), f"{got}")


def row_trace(m, a, b, f):
    """A carrier that is new knows its peer from its first flow on."""
    only(a in m.nodes)
    if not m.asks(a):
        raise LabError("it has no trace")
    for last in (False, False, True):
        try:
            return trace(m, a, b, f)
        except LabError:
            if last:
                raise


ROWS = {"TCP": row_tcp, "half-close": row_half_close, "UDP": row_udp, "large datagram": row_big,
        "second UDP target": row_cone, "ping": row_ping, "verdict": row_verdict,
        "source": row_source, "own address": row_own,
        "unnamed machine": row_unnamed, "sender": row_sender, "name": row_name,
        "lookup": row_lookup, "trace": row_trace}


def outcome(m, key):
    """Why the row does not work, or None."""
    kind, a, b, f = key
    try:
        ROWS[kind](m, a, b, f)
    except (OSError, LabError) as e:
        return str(e) or type(e).__name__
    return None


def observe(m):
    """{(kind, a, b, family): why not, or None}"""
    got = {}

    def one(key):
        try:
            got[key] = outcome(m, key)
        except Elsewhere:
            pass
    keys = [(k, a, b, f) for k in ROWS for a, b in m.pairs() for f in (4, 6)]
    # One at a time where the answers have addresses, which stock portals mix up.
    alone = [k for k in keys if k[0] == "second UDP target"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, [k for k in keys if k not in alone]))
    for key in alone:
        one(key)
    return {k: got[k] for k in keys if k in got}


def judge(m, got):
    named = m.named()
    used = set()
    for key, why in got.items():
        kind, a, b, f = key
        by = {(n, kind, d) for n, d in m.way(a, b)} & named
        used |= by
        if kind == "second UDP target" and m.peer[m.node(a)] is V2RAY:
            by = set()
        with m.t.cell(f"{kind} {a} -> {b} v{f}"):
            if why and not by:
                raise LabError(f"{why}; compile did not say so")
            # By luck it may work once.
            if by and not why and not any(outcome(m, key) for _ in range(5)):
                raise LabError(f"works, although compile says it cannot: {sorted(by)}")
    with m.t.cell("nothing is named in vain"):
        expect(used == named, f"no row is about {sorted(named - used)}")


def dead(m):
    for a, b in m.pairs():
        if m.is_host(b) and m.asks(a):
            with m.t.cell(f"ping {a} -> nobody beside {b}"):
                for host in m.dead[b]:
                    expect(Ping(m.ns(a), host).ask(wait=0.7) != "reply", "a dead host answered")


def stock(t, roles, size=MIB, security="tls"):
    m = Mixed(t, roles, security)
    m.size = size
    m.accepted()
    m.wait_up()
    t.write("said.txt", m.said)
    got = observe(m)
    t.write("rows.txt", "".join(f"{k} {a} -> {b} v{f}: {why or 'works'}\n"
                                for (k, a, b, f), why in got.items()))
    judge(m, got)
    dead(m)


def _add(roles, name=None, **kw):
    name = name or "+".join(f"{p.name}-{n}" for n, p in roles.items())
    args = [kw.pop("size", MIB), kw.pop("security", "tls")]
    add("mesh/stock/" + name, stock, roles, *args, limit=600, needs=(GARENNE, *roles.values()), **kw)


for _node, _peer in (("hub", XRAY), ("paris", XRAY), ("hub", V2RAY), ("paris", V2RAY)):
    _add({_node: _peer})
    _add({_node: _peer}, f"{_peer.name}-{_node}/64m", size=64 * MIB, full=True)
for _roles in ({"hub": XRAY_25}, {"paris": XRAY_25}, {"hub": XRAY, "paris": XRAY_25},
               {"hub": XRAY, "paris": XRAY, "berlin": XRAY}, {"paris": XRAY, "berlin": V2RAY},
               {"hub": V2RAY, "paris": V2RAY, "berlin": V2RAY}):
    _add(_roles, full=True)
_add({"paris": XRAY}, "xray-paris/none", security="none", full=True)
_add({"hub": XRAY}, "xray-hub/none", security="none", full=True)
_add({"hub": V2RAY}, "v2ray-hub/none", security="none", full=True)
