"""Hosts and networks: network namespaces, veth pairs, NAT.

A namespace's name begins with the runner's prefix, so that any run can tell its
own from another's and remove what a killed run has left behind.
"""
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
PREFIX = "gl"


def run(argv, text=None, check=True, env=None):
    """Runs a short command of ours; its output, or an exception with it."""
    p = subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=60, env=dict(os.environ, **env) if env else None)
    if check and p.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {p.stdout.strip()}")
    return p.stdout


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))


class Ns:
    """One host. Sockets made inside `with ns:` belong to it for good, and so do
    processes started there; only the calling thread is moved."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def inside(self):
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self._fd)
            try:
                yield self
            finally:
                _setns(back)
        finally:
            os.close(back)

    def socket(self, family, kind):
        with self.inside():
            return socket.socket(family, kind)

    def ip(self, *lines):
        """`ip` commands, one per line, in this namespace."""
        run(["ip", "-n", self.name, "-batch", "-"], "\n".join(lines) + "\n")

    def nft(self, rules):
        run(["ip", "netns", "exec", self.name, "nft", "-f", "-"], rules)

    def sysctl(self, key, value):
        with self.inside(), open("/proc/sys/" + key.replace(".", "/"), "w") as f:
            f.write(str(value))

    def forward(self):
        self.sysctl("net.ipv4.ip_forward", 1)
        self.sysctl("net.ipv6.conf.all.forwarding", 1)

    def masquerade(self):
        """A home router, whose way out is eth0: nothing comes in that was not asked for."""
        self.forward()
        self.nft("""
            table inet nat {
                chain post {
                    type nat hook postrouting priority 100;
                    oifname "eth0" masquerade
                }
                chain pass {
                    type filter hook forward priority 0;
                    ct state established,related accept
                    iifname "eth0" drop
                }
            }""")

    def pids(self):
        return [int(p) for p in run(["ip", "netns", "pids", self.name], check=False).split()
                if p.isdigit()]

    def close(self):
        os.close(self._fd)


class Net:
    """The hosts of one test. Made empty; hosts and links are added; close()
    kills what still runs there and removes all of it."""

    _count = 0

    def __init__(self, prefix):
        Net._count += 1
        self.prefix = f"{prefix}n{Net._count}"
        self.hosts = {}
        self._links = 0

    def add(self, *roles):
        run(["ip", "-batch", "-"], "".join(f"netns add {self.prefix}{r}\n" for r in roles))
        for r in roles:
            ns = self.hosts[r] = Ns(self.prefix + r)
            ns.sysctl("net.ipv6.conf.all.accept_dad", 0)
            ns.sysctl("net.ipv6.conf.default.accept_dad", 0)
            ns.ip("link set lo up")
        return [self.hosts[r] for r in roles]

    def __getitem__(self, role):
        return self.hosts[role]

    def link(self, a, dev_a, b, dev_b, addrs_a=(), addrs_b=()):
        """A cable between two hosts, with the addresses of both ends."""
        run(["ip", "link", "add", dev_a, "netns", a.name, "type", "veth",
             "peer", "name", dev_b, "netns", b.name])
        for ns, dev, addrs in ((a, dev_a, addrs_a), (b, dev_b, addrs_b)):
            ns.ip(*(f"address add {x} dev {dev}" + (" nodad" if ":" in x else "")
                    for x in addrs), f"link set dev {dev} up")

    def close(self):
        for ns in self.hosts.values():
            with contextlib.suppress(OSError):
                ns.close()
        remove([ns.name for ns in self.hosts.values()])
        self.hosts = {}


def remove(names):
    """Kills what runs in the namespaces, then removes them."""
    for name in names:
        for _ in range(50):
            pids = [p for p in run(["ip", "netns", "pids", name], check=False).split()
                    if p.isdigit() and int(p) != os.getpid()]
            if not pids:
                break
            for p in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(p), signal.SIGKILL)
            time.sleep(0.01)
        run(["ip", "netns", "del", name], check=False)


def listed(prefix):
    try:
        return sorted(n for n in os.listdir("/run/netns") if n.startswith(prefix))
    except FileNotFoundError:
        return []


def remove_stale():
    """Removes namespaces of runs whose process is gone. Names: glPID..."""
    for name in listed(PREFIX):
        digits = ""
        for c in name[len(PREFIX):]:
            if not c.isdigit():
                break
            digits += c
        if digits and not os.path.exists(f"/proc/{digits}"):
            remove([name])


# Topologies. Addresses are from the documentation ranges where they stand for
# public ones.

class Solo(Net):
    """One host with nothing but loopback."""

    def __init__(self, prefix):
        super().__init__(prefix)
        self.host, = self.add("h")


class Pair(Net):
    """client -- server, both families."""

    def __init__(self, prefix):
        super().__init__(prefix)
        self.client, self.server = self.add("c", "s")
        self.link(self.client, "eth0", self.server, "eth0",
                  ("198.51.100.2/24", "2001:db8:1::2/64"),
                  ("198.51.100.1/24", "2001:db8:1::1/64"))
        self.server_addr = {4: "198.51.100.1", 6: "2001:db8:1::1"}
        self.client_addr = {4: "198.51.100.2", 6: "2001:db8:1::2"}


class Gateway(Net):
    """client -- gateway -- server: the gateway routes, and may intercept."""

    def __init__(self, prefix):
        super().__init__(prefix)
        self.client, self.gateway, self.server = self.add("c", "g", "s")
        self.link(self.client, "eth0", self.gateway, "lan0",
                  ("192.168.5.2/24", "fd05::2/64"), ("192.168.5.1/24", "fd05::1/64"))
        self.link(self.gateway, "wan0", self.server, "eth0",
                  ("203.0.113.1/24", "2001:db8:5::1/64"), ("203.0.113.2/24", "2001:db8:5::2/64"))
        self.client.ip("route add default via 192.168.5.1", "route add ::/0 via fd05::1")
        self.server.ip("route add default via 203.0.113.1",
                       "route add ::/0 via 2001:db8:5::1")
        self.gateway.forward()
        self.server_addr = {4: "203.0.113.2", 6: "2001:db8:5::2"}


class Wan(Net):
    """The tutorial's picture:

        client --+
        vps    --+-- wan (a switch) -- nat ---+-- bridge
                                              +-- lan (a service host)

    The nat router masquerades both families; nothing reaches bridge or lan from
    outside unless they have called first.
    """

    VPS = {4: "203.0.113.10", 6: "2001:db8::10"}
    CLIENT = {4: "203.0.113.20", 6: "2001:db8::20"}
    NAT = {4: "203.0.113.30", 6: "2001:db8::30"}
    BRIDGE = {4: "192.168.77.2", 6: "fd77::2"}
    LAN = {4: "192.168.77.3", 6: "fd77::3"}

    def __init__(self, prefix):
        super().__init__(prefix)
        self.wan, self.vps, self.client, self.nat, self.bridge, self.lan = self.add(
            "wan", "vps", "cli", "nat", "br", "lan")
        for dev in ("wan", "lan"):
            (self.wan if dev == "wan" else self.nat).ip(
                f"link add sw{dev} type bridge", f"link set dev sw{dev} up")
        for ns, port, addr in ((self.vps, "vps", self.VPS), (self.client, "cli", self.CLIENT),
                               (self.nat, "nat", self.NAT)):
            self.link(ns, "eth0", self.wan, port, (addr[4] + "/24", addr[6] + "/64"))
            self.wan.ip(f"link set dev {port} master swwan")
        self.nat.ip("address add 192.168.77.1/24 dev swlan",
                    "address add fd77::1/64 dev swlan nodad")
        for ns, port, addr in ((self.bridge, "br", self.BRIDGE), (self.lan, "lan", self.LAN)):
            self.link(ns, "eth0", self.nat, port, (addr[4] + "/24", addr[6] + "/64"))
            self.nat.ip(f"link set dev {port} master swlan")
            ns.ip("route add default via 192.168.77.1", "route add ::/0 via fd77::1")
        self.nat.masquerade()

    # What can go wrong between the house and the world.

    def wan_slow(self, rate="4mbit", queue="2000k"):
        """A thin line with a queue of seconds, both ways."""
        for ns, dev in ((self.nat, "eth0"), (self.wan, "nat")):
            run(["ip", "netns", "exec", ns.name, "tc", "qdisc", "add", "dev", dev, "root", "tbf",
                 "rate", rate, "burst", "16k", "limit", queue])

    def wan_down(self):
        self.wan.ip("link set dev nat down")

    def wan_up(self):
        self.wan.ip("link set dev nat up")

    def wan_silent(self):
        """Packets vanish without a word, both ways."""
        self.nat.nft("""
            table inet cut {
                chain pass { type filter hook forward priority -10; drop; }
            }""")

    def wan_heard(self):
        self.nat.nft("delete table inet cut")

    def move_bridge(self, to="192.168.77.12", to6="fd77::12"):
        """The bridge's host gets other addresses: sockets on the old ones are orphans."""
        self.bridge.ip("address flush dev eth0 scope global",
                       f"address add {to}/24 dev eth0", f"address add {to6}/64 dev eth0 nodad",
                       "route replace default via 192.168.77.1",
                       "route replace ::/0 via fd77::1")
