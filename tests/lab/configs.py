"""Configuration files, made of parts. Everything is written in the forms that all
generations understand: "type": "field", clients, vnext and servers, the old names.

A *carrier* is what lies between two programs: how the far one listens and how the
near one dials.
"""
import copy
import ipaddress

UUID_A = "2b6c4f1e-7d35-4c1a-9a51-0f6e3c8d9b01"
UUID_B = "2b6c4f1e-7d35-4c1a-9a51-0f6e3c8d9b02"
KEY16 = "bGFiLW9ubHkta2V5LTE2IQ=="
KEY16_A = "bGFiLXVzZXIta2V5LWEtIQ=="
KEY16_B = "bGFiLXVzZXIta2V5LWItIQ=="
KEY32 = "bGFiLW9ubHkta2V5LW9mLTMyLWJ5dGVzLWxvbmchISE="
KEY32_A = "bGFiLXVzZXIta2V5LWEtb2YtMzItYnl0ZXMtbG9uZyE="
KEY32_B = "bGFiLXVzZXIta2V5LWItb2YtMzItYnl0ZXMtbG9uZyE="
TEXT = "a pass phrase of the lab"
REALITY_PRIVATE = "AAIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH2A"
REALITY_PUBLIC = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9_AsrhtHHw"
REALITY_SHORT = "0123456789abcdef"
# Where on the server's host the target of REALITY listens.
REALITY_TARGET = 9443


def config(inbounds=(), outbounds=(), rules=(), reverse=None, level="info", **more):
    c = {"log": {"loglevel": level}, "inbounds": list(inbounds), "outbounds": list(outbounds)}
    if reverse:
        c["reverse"] = reverse
    if rules:
        c["routing"] = {"rules": list(rules)}
    c.update(more)
    return c


def rule(outbound, **match):
    return {"type": "field", **match, "outboundTag": outbound}


def inbound(tag, protocol, listen, port, settings, **more):
    return {"tag": tag, "protocol": protocol, "listen": listen, "port": port,
            "settings": settings, **more}


def outbound(tag, protocol, settings=None, **more):
    return {"tag": tag, "protocol": protocol, "settings": settings or {}, **more}


def freedom(tag="direct", **settings):
    """To anywhere, private addresses included: newer Xray asks to be told."""
    return outbound(tag, "freedom", {"finalRules": [{"action": "allow"}], **settings})


def blackhole(tag="block"):
    return outbound(tag, "blackhole")


def socks_in(tag, listen, port, accounts=None, **settings):
    if accounts:
        settings.update(auth="password",
                        accounts=[{"user": u, "pass": p} for u, p in accounts])
    return inbound(tag, "socks", listen, port, {"udp": True, "ip": listen, **settings})


def http_in(tag, listen, port, accounts=None):
    s = {"accounts": [{"user": u, "pass": p} for u, p in accounts]} if accounts else {}
    return inbound(tag, "http", listen, port, s)


def doko_in(tag, listen, port, address, target, network="tcp"):
    return inbound(tag, "dokodemo-door", listen, port,
                   {"address": address, "port": target, "network": network})


def listens(conf):
    """What a running program with this configuration listens on."""
    out = set()
    for i in conf.get("inbounds", ()):
        s = i.get("settings", {})
        nets = s.get("network", "tcp")
        nets = nets.split(",") if isinstance(nets, str) else list(nets)
        if i["protocol"] not in ("dokodemo-door", "tunnel", "shadowsocks"):
            nets = ["tcp"]
        if i["protocol"] == "tun":
            continue
        if str(i.get("listen", "")).startswith(("/", "@")):
            out.add(("unix", i["listen"].split(",")[0]))
            continue
        for net in nets:
            first, _, last = str(i["port"]).partition("-")
            for p in range(int(first), int(last or first) + 1):
                out.add((net, p))
    return out


def tls_server(pki):
    return {"network": "tcp", "security": "tls", "tlsSettings": {
        "certificates": [{"certificateFile": pki.cert, "keyFile": pki.key}]}}


def tls_client(pki, name="vps.test"):
    return {"network": "tcp", "security": "tls", "tlsSettings": {
        "serverName": name, "disableSystemRoot": True,
        "certificates": [{"usage": "verify", "certificateFile": pki.ca}]}}


def reality_server(name="vps.test"):
    return {"network": "tcp", "security": "reality", "realitySettings": {
        "dest": f"127.0.0.1:{REALITY_TARGET}", "serverNames": [name],
        "privateKey": REALITY_PRIVATE, "shortIds": [REALITY_SHORT]}}


def reality_client(name="vps.test"):
    return {"network": "tcp", "security": "reality", "realitySettings": {
        "fingerprint": "chrome", "serverName": name, "publicKey": REALITY_PUBLIC,
        "shortId": REALITY_SHORT}}


class Carrier:
    """One way to get from one program to another.

    @needs:     what both programs must be able to do
    @near_only: what only the dialling program must be able to do
    @udp:       whether datagrams pass
    """

    def __init__(self, name, needs, udp=True, near_only=(), tls=False):
        self.name, self.needs, self.udp, self.near_only = name, needs, udp, near_only
        self.tls = tls

    def near(self, tag, addr, port, pki=None):
        raise NotImplementedError

    def far(self, tag, listen, port, pki=None):
        raise NotImplementedError

    def cannot(self, near, far):
        """Why this pair of programs cannot use it; None if it can."""
        for p, words in ((near, tuple(self.needs) + tuple(self.near_only)), (far, self.needs)):
            for w in words:
                if w not in p.can:
                    return f"{p.title} has no {w}"
        return None


class Vless(Carrier):
    def __init__(self, name, tls=False, mux=None, flow=None, tls_max=None, reality=False):
        """@reality: the test must put a target on REALITY_TARGET of the far host."""
        needs = ["vless"] + (["tls"] if tls else []) + (["vision"] if flow else []) \
            + (["reality"] if reality else [])
        near = []
        if mux:
            needs.append("mux")
            if mux.get("concurrency", 0) < 0:
                near.append("xudp")
        super().__init__(name, needs, True, near, tls)
        self.mux, self.flow, self.tls_max, self.reality = mux, flow, tls_max, reality

    def _capped(self, stream):
        if self.tls_max:
            stream["tlsSettings"]["maxVersion"] = self.tls_max
        return stream

    def far(self, tag, listen, port, pki=None, ids=(UUID_A,)):
        i = inbound(tag, "vless", listen, port,
                    {"decryption": "none",
                     "clients": [{"id": u, "email": f"user{n}@lab"} for n, u in enumerate(ids)]})
        if self.flow:
            for c in i["settings"]["clients"]:
                c["flow"] = self.flow
        if self.tls:
            i["streamSettings"] = self._capped(tls_server(pki))
        if self.reality:
            i["streamSettings"] = reality_server()
        return i

    def near(self, tag, addr, port, pki=None, uuid=UUID_A):
        o = outbound(tag, "vless", {"vnext": [{"address": addr, "port": port, "users": [
            {"id": uuid, "encryption": "none"}]}]})
        if self.flow:
            o["settings"]["vnext"][0]["users"][0]["flow"] = self.flow
        if self.tls:
            o["streamSettings"] = self._capped(tls_client(pki))
        if self.reality:
            o["streamSettings"] = reality_client()
        if self.mux:
            o["mux"] = dict(self.mux)
        return o


class Shadowsocks(Carrier):
    def __init__(self, name, method, password, users=None):
        super().__init__(name, ["ss2022" if method.startswith("2022") else "ss-classic"])
        self.method, self.password, self.users = method, password, users

    def far(self, tag, listen, port, pki=None):
        s = {"method": self.method, "password": self.password, "network": "tcp,udp"}
        if self.users:
            s["clients"] = [{"password": k, "email": f"user{n}@lab"}
                            for n, k in enumerate(self.users)]
        return inbound(tag, "shadowsocks", listen, port, s)

    def near(self, tag, addr, port, pki=None):
        pw = f"{self.password}:{self.users[-1]}" if self.users else self.password
        return outbound(tag, "shadowsocks", {"servers": [
            {"address": addr, "port": port, "method": self.method, "password": pw}]})


class Proxy(Carrier):
    """SOCKS5 or HTTP CONNECT between two programs."""

    def __init__(self, name, protocol, user=None, udp=False):
        super().__init__(name, [], udp)
        self.protocol, self.user = protocol, user

    def far(self, tag, listen, port, pki=None):
        make = socks_in if self.protocol == "socks" else http_in
        return make(tag, listen, port, [self.user] if self.user else None)

    def near(self, tag, addr, port, pki=None):
        s = {"address": addr, "port": port}
        if self.user:
            s["users"] = [{"user": self.user[0], "pass": self.user[1]}]
        return outbound(tag, self.protocol, {"servers": [s]})


CARRIERS = {c.name: c for c in (
    Vless("vless"),
    Vless("vless-tls", tls=True),
    Vless("vless-tls12", tls=True, tls_max="1.2"),
    Vless("vless-vision", tls=True, flow="xtls-rprx-vision"),
    Vless("vless-tls-mux", tls=True, mux={"enabled": True, "concurrency": 8}),
    Vless("vless-xudp", mux={"enabled": True, "concurrency": -1, "xudpConcurrency": 16}),
    Shadowsocks("ss2022-aes128", "2022-blake3-aes-128-gcm", KEY16),
    Shadowsocks("ss2022-aes256", "2022-blake3-aes-256-gcm", KEY32),
    Shadowsocks("ss2022-chacha", "2022-blake3-chacha20-poly1305", KEY32),
    Shadowsocks("ss2022-aes128-users", "2022-blake3-aes-128-gcm", KEY16, (KEY16_A, KEY16_B)),
    Shadowsocks("ss2022-aes256-users", "2022-blake3-aes-256-gcm", KEY32, (KEY32_A, KEY32_B)),
    Shadowsocks("ss-aes128", "aes-128-gcm", TEXT),
    Shadowsocks("ss-aes256", "aes-256-gcm", TEXT),
    Shadowsocks("ss-chacha", "chacha20-ietf-poly1305", TEXT),
    Proxy("socks", "socks", udp=True),
    Proxy("socks-auth", "socks", ("lab", "secret"), udp=True),
    Proxy("http", "http"),
    Proxy("http-auth", "http", ("lab", "secret")),
)}


def classic_portals(pairs):
    return {"portals": [{"tag": t, "domain": d} for t, d in pairs]}


def classic_bridges(pairs):
    return {"bridges": [{"tag": t, "domain": d} for t, d in pairs]}


def with_level(conf, level):
    c = copy.deepcopy(conf)
    c["log"]["loglevel"] = level
    return c


def _field(number, data):
    """One length-delimited field of a Protocol Buffers message."""
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def write_geoip(path, lists):
    """A geoip.dat: {code: [prefix, ...]}."""
    out = b""
    for code, prefixes in lists.items():
        entry = _field(1, code.encode())
        for p in prefixes:
            net = ipaddress.ip_network(p)
            entry += _field(2, _field(1, net.network_address.packed)
                            + b"\x10" + _varint(net.prefixlen))
        out += _field(1, entry)
    with open(path, "wb") as f:
        f.write(out)
