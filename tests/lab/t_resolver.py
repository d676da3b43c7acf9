"""Who tells programs the mesh's names: Debian's own systemd-resolved on a bus of its own, or
resolv.conf, in private copies of /run and /etc.
"""
import os
import shutil
import subprocess
import tempfile

from . import Skip
from .harness import test
from .meshlab import NAMES, Mesh
from .peers import GARENNE, ROOT, _cache, tool
from .proc import until
from .scene import expect

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="method_call"/>
    <allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
# Whatever begins here ends with the program that the shell becomes.
HOST = """
set -e
mount -t tmpfs none /run
mkdir -p /run/dbus /run/systemd/resolve
cp /etc/passwd /etc/group /run
grep -q ^systemd-resolve: /run/passwd || echo 'systemd-resolve:x:981:981::/:/bin/false' >>/run/passwd
grep -q ^systemd-resolve: /run/group || echo 'systemd-resolve:x:981:' >>/run/group
mount --bind /run/passwd /etc/passwd
mount --bind /run/group /etc/group
chown systemd-resolve:systemd-resolve /run/systemd/resolve
setpriv --pdeathsig KILL -- dbus-daemon --config-file="$1" --nofork --nopidfile --nosyslog &
while ! [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
setpriv --pdeathsig KILL -- "$2" &
while ! [ -S /run/systemd/resolve/io.systemd.Resolve ]; do sleep 0.05; done
shift 2
exec "$@"
"""


def resolved():
    """(systemd-resolved, the folder of resolvectl), of this system or unpacked beside the peers."""
    for base in ("", os.path.join(ROOT, "build", "peers", "systemd-resolved"),
                 os.path.join(_cache(), "systemd-resolved")):
        for lib in ("/lib/systemd", "/usr/lib/systemd"):
            path = base + lib + "/systemd-resolved"
            if os.access(path, os.X_OK) and os.access(base + "/usr/bin/resolvectl", os.X_OK):
                return path, base + "/usr/bin"
    raise Skip("there is no systemd-resolved")


def ask(ns, *argv):
    """(status, answers) as the programs of a host see them: by the stub that they ask."""
    with ns.inside():
        p = subprocess.run(["dig", "@127.0.0.53", "+tries=1", "+time=8", "+noall", "+comments",
                            "+answer", *argv],
                           capture_output=True, text=True, timeout=30)
    status = p.stdout.split("status: ")[1].split(",")[0] if "status: " in p.stdout else "SILENT"
    return status, [line.split()[-1] for line in p.stdout.split("\n")
                    if line and not line.startswith(";")]


@test("resolver/resolved", limit=150, needs=(GARENNE,))
def by_resolved(t):
    """The mesh's names, and those of its addresses, go to the TUN; other names do not."""
    daemon, folder = resolved()
    if not tool("dbus-daemon"):
        raise Skip("there is no dbus-daemon")
    m = Mesh(t, hubs=1, sites=2, start=False)
    m.start("hub", "berlin")
    ns = m.ns("paris")
    path = t.write("paris.json", m.files["paris"])
    p = t.spawn(ns, ["unshare", "-m", "--propagation", "private", "sh", "-c", HOST, "sh",
                     t.write("bus.conf", BUS), daemon, *GARENNE.run_argv(path)], "paris",
                {"PATH": folder + ":" + os.environ["PATH"]})
    p.wait_log("garenne .* started")
    for q, want in ((("nas.berlin.lab.mesh",), m.at["bpc"][4]),
                    (("paris.lab.mesh", "AAAA"), m.at["paris"][6]),
                    (("-x", m.at["bpc"][4]), "nas.berlin.lab.mesh.")):
        until(lambda q=q, w=want: ask(ns, *q) == ("NOERROR", [w]), 30, f"{q}: {want}", 0.2)
    with t.cell("nobody"):
        got = ask(ns, "nobody.lab.mesh")
        expect(got == ("NXDOMAIN", []), f"{got}")
    with t.cell("other names"):
        got = ask(ns, "www.example.com")
        expect(got[0] in ("SERVFAIL", "REFUSED", "SILENT"), f"{got}")
        expect("www.example.com" not in p.log(), "the TUN was asked")
    said = subprocess.run(["nsenter", "-t", str(p.pid), "-m", "-n", os.path.join(
        folder, "resolvectl"), "status", "lab"], capture_output=True, text=True, timeout=20).stdout
    expect(NAMES in said and "~lab.mesh" in said, f"resolvectl says {said!r}")


@test("resolver/resolv.conf", needs=(GARENNE,))
def by_file(t):
    """Only if asked, and never for good: not after a stop, nor after a kill and the next start."""
    m = Mesh(t, hubs=1, sites=1, start=False,
             edit=lambda text: text.replace('"paris": {', '"paris": { "resolvConf": true,'))
    etc = tempfile.mkdtemp()
    t.defer(shutil.rmtree, etc)
    old = "# the provider's\nnameserver 192.0.2.53\n"
    conf = os.path.join(etc, "resolv.conf")
    for name, text in (("resolv.conf", old), ("hosts", "")):
        with open(os.path.join(etc, name), "w") as f:
            f.write(text)
    path = t.write("paris.json", m.files["paris"])

    def start(name):
        p = t.spawn(m.ns("paris"), [
            "unshare", "-m", "--propagation", "private", "sh", "-c",
            'mount --bind "$1" /etc && mount -t tmpfs none /run && shift && exec "$@"', "sh", etc,
            *GARENNE.run_argv(path)], name)
        p.wait_log("garenne .* started")
        return p

    def text():
        with open(conf) as f:
            return f.read()
    p = start("first")
    lines = text().split("\n")
    expect(lines[1:] == [f"nameserver {NAMES}"] + old.split("\n"), f"{lines}")
    p.kill()
    expect(text() != old, "a kill puts nothing back")
    p = start("second")
    expect(text().count(NAMES) == 1, f"{text()}")
    p.stop()
    expect(text() == old and sorted(os.listdir(etc)) == ["hosts", "resolv.conf"],
           f"{text()} {os.listdir(etc)}")
