"""What is on the wire of a host: recorded by dumpcap, read by tshark.

Both come with Debian's tshark. Recorded is one port on one device of a namespace of the
test's own; the file lies in the test's folder.
"""
import os
import subprocess

from . import LabError, Skip, peers
from .proc import until

_MARK = b"the lab's last packet"


class Capture:
    """Records a TCP port from now until stop()."""

    def __init__(self, t, ns, port, dev="eth0", name="wire"):
        tools = [peers.tool(n) for n in ("dumpcap", "tshark")]
        if None in tools:
            raise Skip("tshark is not installed (scripts/install-deps.sh)")
        self.port, self.tshark = port, tools[1]
        self.path = os.path.join(t.dir, name + ".pcapng")
        self.p = t.spawn(ns, [tools[0], "-q", "-i", dev, "-B", "64", "-w", self.path, "-f",
                              f"tcp port {port} or udp port 9"], name)
        self.p.wait_log("File: ")

    def stop(self, sock, addr):
        """Ends it when all that was sent so far is in the file: @sock is a UDP socket whose
        packets to @addr pass the device."""
        def marked():
            sock.sendto(_MARK, (addr, 9))
            with open(self.path, "rb") as f:
                return _MARK in f.read()
        try:
            until(marked, 20, "the capture is up to date", 0.1)
        finally:
            self.p.stop()

    def _read(self, *args):
        argv = [self.tshark, "-n", "-r", self.path, "-o", "tcp.reassemble_out_of_order:TRUE",
                "-o", "tcp.check_checksum:FALSE", "-o", "ip.check_checksum:FALSE",
                "-d", f"tcp.port=={self.port},tls", *args]
        p = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        if p.returncode:
            raise LabError(f"tshark {p.returncode}: {p.stderr.strip()[:200]}")
        return p.stdout

    def payloads(self, streams):
        """The bytes that the TCP of these connections carried: [(up, down)]."""
        out, args = {}, []
        for k in streams:
            args += ["-z", f"follow,tcp,raw,{k}"]
        for line in self._read("-q", *args).split("\n"):
            if line.startswith("Filter: tcp.stream eq "):
                ways = out[int(line.split()[-1])] = (bytearray(), bytearray())
            elif line and set(line.strip()) <= set("0123456789abcdef"):
                ways[line[0] == "\t"].extend(bytes.fromhex(line.strip()))
        return [tuple(bytes(w) for w in out[k]) for k in streams]

    def records(self):
        """The lengths of the TLS records that tshark sees in each connection: {number of the
        stream: (up, down)}."""
        out = {}
        for line in self._read("-Y", "tls.record", "-T", "fields", "-e", "tcp.stream", "-e",
                               "tcp.dstport", "-e", "tls.record.length").strip().split("\n"):
            if not line:
                continue
            stream, port, lengths = line.split("\t")
            ways = out.setdefault(int(stream), ([], []))
            ways[int(port) != self.port].extend(int(n) for n in lengths.split(",") if n)
        return out
