"""sing-box: its own form of what configs.py writes, as far as both have it."""


def _tls_in(stream):
    security = stream.get("security")
    if security == "tls":
        s = stream["tlsSettings"]
        c = s["certificates"][0]
        return {"enabled": True, "certificate_path": c["certificateFile"],
                "key_path": c["keyFile"]}
    if security == "reality":
        s = stream["realitySettings"]
        host, _, port = s["dest"].rpartition(":")
        return {"enabled": True, "server_name": s["serverNames"][0], "reality": {
            "enabled": True, "handshake": {"server": host, "server_port": int(port)},
            "private_key": s["privateKey"], "short_id": s["shortIds"]}}
    return None


def _tls_out(stream):
    security = stream.get("security")
    if security == "tls":
        s = stream["tlsSettings"]
        return {"enabled": True, "server_name": s["serverName"],
                "certificate_path": s["certificates"][0]["certificateFile"]}
    if security == "reality":
        s = stream["realitySettings"]
        return {"enabled": True, "server_name": s["serverName"],
                "utls": {"enabled": True, "fingerprint": s["fingerprint"]},
                "reality": {"enabled": True, "public_key": s["publicKey"],
                            "short_id": s["shortId"]}}
    return None


def _inbound(i):
    out = {"type": i["protocol"], "tag": i["tag"], "listen": i["listen"],
           "listen_port": i["port"]}
    if i["protocol"] == "vless":
        out["users"] = [{"name": c.get("email", c["id"]), "uuid": c["id"],
                         "flow": c.get("flow", "")} for c in i["settings"]["clients"]]
        out["tls"] = _tls_in(i["streamSettings"])
    return out


def _outbound(o):
    if o["protocol"] == "freedom":
        return {"type": "direct", "tag": o["tag"]}
    server, = o["settings"]["vnext"]
    user, = server["users"]
    return {"type": "vless", "tag": o["tag"], "server": server["address"],
            "server_port": server["port"], "uuid": user["id"], "flow": user.get("flow", ""),
            "tls": _tls_out(o["streamSettings"])}


def translate(conf):
    """The same for sing-box: SOCKS and VLESS in, VLESS and freedom out, rules by inbound.
    Without a rule the first outbound is taken, or, where that is a blackhole, none."""
    outs = conf["outbounds"]
    rules = [{"inbound": r["inboundTag"], "action": "route", "outbound": r["outboundTag"]}
             for r in conf.get("routing", {}).get("rules", ())]
    if outs[0]["protocol"] == "blackhole":
        rules.append({"action": "reject"})
    return {"log": {"level": conf["log"]["loglevel"].replace("warning", "warn")},
            "inbounds": [_inbound(i) for i in conf["inbounds"]],
            "outbounds": [_outbound(o) for o in outs if o["protocol"] != "blackhole"],
            "route": {"rules": rules}}
