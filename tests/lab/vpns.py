"""Other programs that join two sites by a hub: OpenVPN, WireGuard in user space, tinc.

Each is started on a meshlab.World of one hub and two sites, with addresses 10.9.0.x inside; all
that goes from site to site passes the hub's program, as it does with ours.
"""
import os
import shutil
import subprocess
import tempfile

from . import peers
from .proc import until

INSIDE = {"hub": "10.9.0.1", "paris": "10.9.0.2", "berlin": "10.9.0.3"}
HUB = "203.0.113.10"
PORT = 1194


def _run(argv, **kw):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **kw).stdout


class Vpn:
    """title: what the tables call it; needs: programs of the system."""

    def __init__(self, t, world):
        self.t, self.world = t, world
        self.dir = tempfile.mkdtemp()
        t.defer(shutil.rmtree, self.dir)
        self.nodes = ["hub", *world.sites]
        world["hub"].sysctl("net.ipv4.ip_forward", 1)
        self.procs = self.start()

    @classmethod
    def missing(cls):
        return [n for n in cls.needs if not peers.tool(n)]

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def spawn(self, node, argv):
        return self.t.spawn(self.world[node], argv, f"{self.title}-{node}")

    def address(self, node):
        """Gives a node its address inside, once its device is there."""
        ns, dev = self.world[node], self.device(node)
        until(lambda: self.there(ns, dev), 20, f"{self.title} makes {dev}", 0.1)
        ns.ip(f"address replace {INSIDE[node]}/24 dev {dev}", f"link set dev {dev} up")

    @staticmethod
    def there(ns, dev):
        with ns.inside():
            return subprocess.run(["ip", "link", "show", dev],
                                  capture_output=True).returncode == 0


class Wireguard(Vpn):
    title, needs = "wireguard-go", ("wireguard-go", "wg")

    def device(self, node):
        return "wg" + node[0] + self.world.net.prefix[-6:]  # its control socket is by this name

    def start(self):
        keys = {n: _run(["wg", "genkey"]).strip() for n in self.nodes}
        pub = {n: _run(["wg", "pubkey"], input=keys[n]).strip() for n in self.nodes}
        procs = []
        for n in self.nodes:
            text = f"[Interface]\nPrivateKey = {keys[n]}\n"
            if n == "hub":
                text += f"ListenPort = {PORT}\n"
                for s in self.world.sites:
                    text += f"[Peer]\nPublicKey = {pub[s]}\nAllowedIPs = {INSIDE[s]}/32\n"
            else:
                text += (f"[Peer]\nPublicKey = {pub['hub']}\nAllowedIPs = 10.9.0.0/24\n"
                         f"Endpoint = {HUB}:{PORT}\nPersistentKeepalive = 5\n")
            procs.append(self.spawn(n, ["wireguard-go", "-f", self.device(n)]))
            self.address(n)
            conf = self.file(n + ".conf", text)
            with self.world[n].inside():
                until(lambda c=conf, n=n: subprocess.run(
                    ["wg", "setconf", self.device(n), c], capture_output=True).returncode == 0,
                    10, "wireguard-go answers wg", 0.1)
            self.world[n].ip(f"link set dev {self.device(n)} mtu 1420 up")
        return procs


class Openvpn(Vpn):
    title, needs = "openvpn", ("openvpn", "openssl")

    def device(self, node):
        return "tunv"

    def start(self):
        prints = {n: self.identity(n) for n in self.nodes}
        common = (f"dev {self.device('')}\ndev-type tun\ntopology subnet\nproto udp\n"
                  "data-ciphers AES-256-GCM\nkeepalive 5 60\nverb 1\npersist-tun\n")
        procs = []
        for n in self.nodes:
            text = common + f"cert {n}.crt\nkey {n}.key\n"
            if n == "hub":
                text += (f"server 10.9.0.0 255.255.255.0\nclient-to-client\nport {PORT}\ndh none\n"
                         "client-config-dir ccd\n<peer-fingerprint>\n" +
                         "\n".join(prints[s] for s in self.world.sites) + "\n</peer-fingerprint>\n")
            else:
                text += (f"client\nremote {HUB} {PORT}\nnobind\n<peer-fingerprint>\n"
                         f"{prints['hub']}\n</peer-fingerprint>\n")
            conf = self.file(n + ".ovpn", text)
            procs.append(self.spawn(n, ["openvpn", "--cd", self.dir, "--config", conf]))
        return procs

    def identity(self, node):
        key, crt = (os.path.join(self.dir, node + "." + x) for x in ("key", "crt"))
        _run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
              "-nodes", "-days", "30", "-subj", "/CN=" + node, "-keyout", key, "-out", crt])
        os.makedirs(os.path.join(self.dir, "ccd"), exist_ok=True)
        if node != "hub":
            self.file("ccd/" + node, f"ifconfig-push {INSIDE[node]} 255.255.255.0\n")
        said = _run(["openssl", "x509", "-in", crt, "-noout", "-fingerprint", "-sha256"])
        return said.strip().split("=", 1)[1]


class Tinc(Vpn):
    title, needs = "tinc", ("tincd", "openssl")

    def device(self, node):
        return "tinc0"

    def start(self):
        hosts, procs = {}, []
        for n in self.nodes:
            os.makedirs(os.path.join(self.dir, n, "hosts"), exist_ok=True)
            key = os.path.join(self.dir, n, "rsa_key.priv")
            _run(["openssl", "genrsa", "-traditional", "-out", key, "2048"])
            os.chmod(key, 0o600)
            pub = _run(["openssl", "rsa", "-in", key, "-RSAPublicKey_out"])
            hosts[n] = (f"Subnet = {INSIDE[n]}/32\nIndirectData = yes\nCipher = aes-256-cbc\n" +
                        (f"Address = {HUB} {PORT}\n" if n == "hub" else "") + pub)
        for n in self.nodes:
            text = f"Name = {n}\nInterface = {self.device(n)}\nMode = router\n"
            text += f"Port = {PORT}\n" if n == "hub" else "ConnectTo = hub\nPort = 0\n"
            self.file(n + "/tinc.conf", text)
            for m, lines in hosts.items():
                self.file(f"{n}/hosts/{m}", lines)
            procs.append(self.spawn(n, ["tincd", "-c", os.path.join(self.dir, n), "-D",
                                        "--pidfile", os.path.join(self.dir, n, "pid")]))
            self.address(n)
        return procs


ALL = (Openvpn, Wireguard, Tinc)
