"""Policies drawn by lot: what `mesh check` says of a flow is what happens to it, and each of the
two locks, at the hub and at the destination, refuses by itself and says by which rule.

Three houses, a hub with users of its own and a phone with stock Xray. For each policy all flows
are tried with both locks, then with the hub's rules taken out of its file, then with those of the
destinations.
"""
import copy
import json
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from . import LabError, traffic
from .harness import add
from .meshlab import PHONE_SOCKS, Mesh, garenne
from .peers import GARENNE, V2RAY, XRAY
from .proc import until
from .scene import expect

SEED, AT_ONCE, PROBE = 2026, 8, 9
CAM = "192.168.1.30"
PORTS = ((80, "tcp"), (82, "tcp"), (83, "tcp"), (5000, "udp"))
BASE = (
    {"name": "web", "from": "any", "to": "nas.paris", "ports": "80"},
    {"name": "no-admin", "from": "berlin", "to": "nas.paris", "ports": "82", "action": "deny"},
    {"name": "admin", "from": "sites", "to": "nas.paris", "ports": "82-83"},
    {"name": "camera", "from": "staff", "to": "198.18.1.16/28"},
    {"name": "six", "from": "hubs", "to": "nas6.paris", "network": "tcp"},
    {"name": "names", "from": "oslo", "to": "berlin", "ports": "5000", "network": "udp"},
)
FROM = ("any", "sites", "phones", "hubs", "alice", "paris", "berlin", "oslo", "staff",
        ["hub", "oslo"])
TO = ("sites", "paris", "berlin", "nas.paris", "nas.berlin", "nas6.paris", "198.18.1.0/27",
      "100.65.0.1", ["berlin", "oslo"])
SOME_PORTS = (None, "80", "82", "82-83", "80,5000", "5000")
NETWORKS = (None, None, "tcp", "udp")


# ---- policies --------------------------------------------------------------------

def draw_rule(rng, name):
    rule = {"name": name, "from": rng.choice(FROM), "to": rng.choice(TO),
            "ports": rng.choice(SOME_PORTS), "network": rng.choice(NETWORKS),
            "action": rng.choice(("allow", "allow", "deny"))}
    return {k: v for k, v in rule.items() if v}


def mutate(rng):
    """One to five changes of the policy: rules come, go, move, or say something else."""
    rules = copy.deepcopy(list(BASE))
    for n in range(rng.randint(1, 5)):
        i = rng.randrange(len(rules))
        what = rng.choice(("flip", "drop", "move", "add", "from", "to", "ports", "network"))
        if what == "flip":
            rules[i]["action"] = "allow" if rules[i].get("action") == "deny" else "deny"
        elif what == "drop" and len(rules) > 2:
            rules.pop(i)
        elif what == "move":
            rules.insert(rng.randrange(len(rules)), rules.pop(i))
        elif what == "add":
            rules.insert(i, draw_rule(rng, f"drawn-{n}"))
        else:
            value = draw_rule(rng, "")
            rules[i].pop(what, None)
            rules[i].update({k: value[k] for k in (what,) if k in value})
    return rules


# ---- the stage ---------------------------------------------------------------------

class Stage:
    def __init__(self, t, stock=None):
        self.t = t
        # A hub with v2ray has its TLS done by another program; here it needs none.
        security = "none" if stock and stock.get("hub") is V2RAY else "tls"
        self.m = m = Mesh(t, 1, 3, phone=True, software=stock, security=(security,))
        self.via = {n: traffic.Direct(m.ns(n)) for n in m.nodes if m.asks(n)}
        self.via["alice"] = traffic.Socks5(m.ns("phone"), "127.0.0.1", PHONE_SOCKS)
        m.start_phone()
        # The same reserved rule stands before every policy, for waiting.
        with open(m.path()) as f:
            self.text = re.sub(r'"(policy|expect)": \[.*?\n  \]', r'"\1": @\1@', f.read(), flags=re.S)
        self.text = self.text.replace('"policy": @', '"groups": { "staff": ["alice", "berlin"] },\n'
                                      '  "policy": @')
        m.ns("pnas").ip(f"address add {CAM}/24 dev eth0")
        at = m.at
        self.targets = {  # where: (node, address)
            "nas.paris": ("paris", at["pnas"][4]), "camera": ("paris", at["pnas"][4][:-2] + "30"),
            "nas6.paris": ("paris", at["pnas"][6]), "paris": ("paris", at["paris"][4]),
            "paris6": ("paris", at["paris"][6]), "nas.berlin": ("berlin", at["bpc"][4]),
            "berlin": ("berlin", at["berlin"][4])}
        if not m.asks("paris"):  # which reaches only what has a name
            del self.targets["camera"]
        for role in ("pnas", "paris", "bpc", "berlin", "oslo"):
            for port in (80, 82, 83, PROBE):
                t.server(traffic.Server, m.ns(role), traffic.serve_echo, port)
            t.server(traffic.UdpServer, m.ns(role), port=5000)
        self.flows = [(who, where, port, net) for who in self.via
                      for where, (node, _) in self.targets.items() if node != who
                      for port, net in PORTS]

    def write(self, rules, expects):
        first = {"name": "probe", "from": "any", "to": "sites", "ports": str(PROBE)}
        with open(self.m.path(), "w") as f:
            f.write(self.text.replace("@policy@", json.dumps([first, *rules]))
                    .replace("@expect@", json.dumps(expects)))

    @staticmethod
    def line(flow, may=True):
        who, ip, port, net = flow
        host = f"[{ip}]" if ":" in ip else ip
        return f"{who} may {'' if may else 'not '}reach {host}:{port}/{net}"

    def named(self, flow):
        return (flow[0], self.targets[flow[1]][1], *flow[2:])

    def verdicts(self, rules):
        """{flow: None when it is allowed, or why not}, as `mesh check` sees it."""
        said = {}
        for i in range(0, len(self.flows), 15):
            self.write(rules, [self.line(self.named(x)) for x in self.flows[i:i + 15]])
            p = subprocess.run([GARENNE.path, "mesh", "check", self.m.path()], capture_output=True,
                               text=True, timeout=20)
            said.update(re.findall(r'"([^"]+)" is not so: (.*)', p.stderr))
            expect(p.returncode == 0 or said, f"mesh check: {p.stderr}")
        return {x: said.get(self.line(self.named(x))) for x in self.flows}

    def compile(self, rules, verdicts):
        """With every verdict as something expected."""
        self.write(rules, [self.line(self.named(x), why is None) for x, why in verdicts.items()])
        garenne(self.m.dir, "mesh", "compile")
        self.m.files = {n: self.m.node_file(n) for n in self.m.nodes}

    def restart(self, files):
        for name, conf in files.items():
            p = self.m.procs[name]
            blame = p.stop()
            expect(blame is None, f"{blame}")
            self.t.write(name + ".json", conf)
            p.start()
            if name == "hub":
                p.wait_listening({("tcp", 443)})
        for who, via in self.via.items():
            for site in ("paris", "berlin", "oslo"):
                if site != who:
                    until(lambda v=via, s=site: traffic.works(v, self.m.at[s][4], PROBE, 2), 30,
                          f"{who} reaches {site}", 0.05)

    # ---- files with one lock

    def open_hub(self):
        conf = copy.deepcopy(self.m.files["hub"])
        rules = [{"type": "field", "ruleTag": f"to {site}", "inboundTag": ["mesh", "tun"],
                  "outboundTag": f"to.{site}", "ip": self.places(site)}
                 for site in ("paris", "berlin", "oslo")]
        conf["routing"]["rules"] = rules + conf["routing"]["rules"]
        return conf

    def open_site(self, site):
        conf = copy.deepcopy(self.m.files[site])
        conf["routing"]["rules"].insert(0, {"type": "field", "ruleTag": "no lock",
                                            "inboundTag": ["mesh"], "outboundTag": "lan"})
        return conf

    def places(self, site):
        plan = json.loads(re.sub(r"^\s*//.*$", "", open(self.m.path()).read(), flags=re.M))
        s = plan["sites"][site]
        return [s["ip"], s["ip6"], *(lan["as"] for lan in s["lans"])]

    # ---- what happens

    def passes(self, flow, allowed):
        who, ip, port, net = self.named(flow)
        if net == "tcp":
            return traffic.works(self.via[who], ip, port, 3)
        try:
            # A phone forgets what it has not sent yet when its association ends: each lock is to
            # see the datagram, so what is refused is said more than once, too.
            data, _ = traffic.udp_ask(self.via[who], ip, port, tries=5 if allowed else 2,
                                      wait=1.0 if allowed else 0.4)
            return data == b"hello"
        except (OSError, LabError):
            return False

    def observe(self, flows, verdicts):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            got = pool.map(lambda x: self.passes(x, verdicts[x] is None), flows)
        return dict(zip(flows, got))


def run(s, verdicts, what, flows):
    got = s.observe(flows, verdicts)
    odd = [f"{s.line(x)}: {'passed' if ok else 'refused'}, but {verdicts[x] or 'it is allowed'}"
           for x, ok in got.items() if ok != (verdicts[x] is None)]
    expect(not odd, f"{what}: {len(odd)} of {len(got)}: {'; '.join(odd[:4])}")


def blamed(s, verdicts, node_of, flows, since):
    """Each refusal stands in the log of the node that refused, with its rule."""
    def missing():
        logs = {n: s.m.procs[n].log()[since[n]:] for n in since}
        left = []
        for x in flows:
            _, ip, port, net = s.named(x)
            rule = re.match(r"(policy\[\d+\] \S+) at line", verdicts[x])
            tag = re.escape(rule.group(1)) + " denies" if rule else "default deny"
            host = rf"\[{ip}\]" if ":" in ip else re.escape(ip)
            who = s.m.at[x[0]] if x[0] in s.m.at else {4: s.m.phone_at["ip"],
                                                       6: s.m.phone_at["ip6"]}
            src = who[6 if ":" in ip else 4]
            if not re.search(rf"{re.escape(src)}\]?:\d+( user \S+)? -> {net}:{host}:{port}, rule \d+ {tag}",
                             logs[node_of(x)]):
                left.append(f"{s.line(x)}: no line of {node_of(x)} blames {tag}")
        return left
    last = []

    def none():
        last[:] = missing()
        return not last
    try:
        until(none, 5, "every refusal names its rule", 0.2)
    except LabError:
        raise LabError(f"{len(last)} of {len(flows)}: {'; '.join(last[:3])}") from None


def locks(s, rules, number):
    verdicts = s.verdicts(rules)
    forbidden = [x for x, why in verdicts.items() if why]
    s.compile(rules, verdicts)
    files, sites = s.m.files, ("paris", "berlin")

    def start(some):
        since = {n: len(s.m.procs[n].log()) for n in s.m.nodes}
        s.restart(some)
        return since
    with s.t.cell(f"policy {number}: {len(forbidden)} of {len(s.flows)} forbidden"):
        start(files)
        run(s, verdicts, "both locks", s.flows)
        since = start({"hub": s.open_hub()})
        run(s, verdicts, "hub open", s.flows)
        blamed(s, verdicts, lambda x: s.targets[x[1]][0], forbidden, since)
        since = start({"hub": files["hub"], **{n: s.open_site(n) for n in sites}})
        run(s, verdicts, "sites open", forbidden)
        blamed(s, verdicts, lambda x: "hub", forbidden, since)


def agrees(s, rules, number):
    """Stock nodes do not log rules, and a stock hub does not tell the sites who sends. With a
    stock site its lock is tried alone, too."""
    verdicts = s.verdicts(rules)
    forbidden = sum(1 for why in verdicts.values() if why)
    s.compile(rules, verdicts)
    with s.t.cell(f"policy {number}: {forbidden} of {len(s.flows)} forbidden"):
        s.restart(s.m.files)
        run(s, verdicts, "both locks", s.flows)
        if s.m.peer["hub"].ours:
            s.restart({"hub": s.open_hub()})
            run(s, verdicts, "hub open", s.flows)


def with_stock(t, stock):
    s = Stage(t, stock)
    rng = random.Random(SEED)
    agrees(s, list(BASE), "as written")
    for n in range(5):
        agrees(s, mutate(rng), n + 1)


def policies(t, begin, end):
    s = Stage(t)
    rng = random.Random(SEED)
    drawn = [mutate(rng) for _ in range(end)]
    t.write("policies.json", drawn)
    if begin == 0:
        locks(s, list(BASE), "as written")
    for n in range(begin, end):
        locks(s, drawn[n], n + 1)


add("mesh/policy/5", policies, 0, 5, limit=300, needs=(GARENNE, XRAY))
add("mesh/policy/20", policies, 5, 20, limit=600, full=True, needs=(GARENNE, XRAY))
for _node, _peer in (("hub", XRAY), ("paris", XRAY), ("hub", V2RAY)):
    add(f"mesh/policy/{_peer.name}-{_node}", with_stock, {_node: _peer}, limit=400, full=True,
        needs=(GARENNE, XRAY, _peer))
