#!/usr/bin/env python3
"""The Debian package of this build, in a clean root: installed, it takes a mail from the installed
sendmail and delivers it; removed and purged, nothing is left but mail that waits.

    package.py                in a fresh directory over this machine's /usr and /etc
    package.py --debootstrap  in a root that debootstrap makes, with nothing but what the package
                              depends on
"""
import re
import shutil
import sys

from lib.cleanroot import CleanRoot, debootstrapped
from lib.millrace import Sink, binary
from lib.workshop import PROJECT, Skip, check, run_command, run_test, say, wait_until

CONFIG = "/etc/millrace/millrace.conf"
UNIT = "/lib/systemd/system/millrace.service"
# As systemd starts it by the unit.
AS_SERVICE = ["setpriv", "--reuid", "millrace", "--regid", "millrace", "--clear-groups",
              "--inh-caps", "-all,+net_bind_service", "--ambient-caps", "-all,+net_bind_service",
              "--bounding-set", "-all,+net_bind_service", "--no-new-privs"]


def make_package(workshop):
    """cpack, in the build directory that the program came from."""
    for program in ("cpack", "dpkg-deb", "dpkg-shlibdeps", "file"):
        if not shutil.which(program):
            raise Skip(f"{program} is not installed (packages cmake, dpkg-dev, file)")
    config = binary().parent / "CPackConfig.cmake"
    if not config.exists():
        raise Skip(f"no {config}: {binary()} is not in its build directory")
    out = workshop.make_dir("package")
    run_command(["cpack", "-G", "DEB", "--config", config, "-B", out], cwd=binary().parent,
                umask=0o022)
    return next(out.glob("millrace_*.deb"))


def depends(package):
    said = run_command(["dpkg-deb", "-f", package, "Depends"]).stdout
    return [re.split(r"[ (]", name.strip())[0] for name in said.split(",")]


def contents(package):
    """The package by itself."""
    listed = run_command(["dpkg-deb", "-c", package]).stdout
    for name in (CONFIG, UNIT, "/usr/bin/millrace", "/usr/sbin/sendmail", "/usr/lib/sendmail",
                 "/usr/bin/mailq", "/usr/bin/newaliases", "/usr/lib/sysusers.d/millrace.conf",
                 "/usr/lib/tmpfiles.d/millrace.conf", "/usr/share/doc/millrace/copyright"):
        check(f" .{name}" in listed, f"it has {name}", listed)
    said = run_command(["dpkg-deb", "-I", package]).stdout
    check("Conflicts: mail-transport-agent" in said and "Provides: mail-transport-agent" in said,
          "it is the machine's mail transport agent")


def sandbox():
    """What systemd says of the unit."""
    if not shutil.which("systemd-analyze"):
        say("  (no systemd-analyze here: the sandbox was not looked at)")
        return
    done = run_command(["systemd-analyze", "security", "--offline=true", "--threshold=20",
                        PROJECT / "packaging/millrace.service"], check_code=False)
    said = done.stdout.strip().splitlines()[-1:] or [done.stderr.strip()]
    check(done.returncode == 0, f"the sandbox is tight: {said[0]}", done.stdout + done.stderr)


def installed(root):
    check(root.run("stat", "-c", "%U %a", "/var/lib/millrace").said == "millrace 700",
          "the spool is millrace's alone")
    check(root.run("millrace", "check-config").said == f"{CONFIG}: fine", "check-config: it is fine")
    if root.run("sh", "-c", "command -v systemd-analyze", check_code=False).returncode == 0:
        done = root.run("systemd-analyze", "--man=no", "verify", UNIT, check_code=False)
        about = [line for line in done.said.splitlines() if "millrace" in line]
        check(not about, "systemd-analyze verify says nothing against the unit", "\n".join(about))


def start(root, sink):
    """As the unit does: its user, its one capability."""
    line = f'route "*" {{ hosts = {{ "{sink.next_hop}" }} }}\nhostname = "clean.test"\n'
    root.run("sh", "-c", f"cat >> {CONFIG}", text=line)
    relay = root.start("relay", [*AS_SERVICE, "/usr/bin/millrace", "run", "-c", CONFIG])
    wait_until(lambda: " started " in relay.stderr(), "the relay has started", alive=[relay])
    check(root.has("/run/millrace/submit.sock"), "the relay runs as the unit starts it")
    return relay


def delivers(root, sink):
    mail = "Subject: from a clean root\n\nhello\n"
    for program in ("/usr/sbin/sendmail", "/usr/lib/sendmail"):
        done = root.run(program, "-f", "me@app.test", "you@peer.test", nobody=True, text=mail)
        check(not done.said, f"{program} takes a mail of nobody's")
    root.outside([binary(), "load", "--to", "127.0.0.1:25", "--messages", "5", "--connections", "1"])
    sink.wait_for(7)
    arrived = [m for m in sink.dumped() if b"from a clean root" in m]
    check(len(arrived) == 2 and b"by clean.test (Millrace)" in arrived[0] and
          b"(local user nobody, uid " in arrived[0], "the sink has it, and who sent it", arrived)
    check("the queue is empty" in root.run("mailq").said, "mailq: the queue is empty")
    check(not root.run("newaliases").said, "newaliases")
    done = root.run("mailq", nobody=True, check_code=False)
    check(done.returncode == 77, f"mailq as nobody: {done.said}")


def gone(root, package, relay):
    pid = re.search(r" pid=(\d+)", relay.stderr())[1]      # as the root sees it
    root.run("sh", "-c", f"kill -TERM {pid}")
    check(relay.wait() == 0, "it ends with 0")
    root.run("dpkg", "-r", "millrace")
    check(root.has(CONFIG) and root.has("/var/lib/millrace/data.mdb") and
          not root.has("/usr/sbin/sendmail"), "removed: configuration and spool stay")
    done = root.run("dpkg", "-P", "millrace")
    left = root.run("find", "/etc/millrace", "/var/lib/millrace", check_code=False).stdout
    check(not left, "purged: nothing is left", f"{done.said}\n{left.decode()}")
    root.install(package)
    root.run("install", "-D", "-o", "millrace", "/dev/null", "/var/lib/millrace/bodies/1.seg")
    done = root.run("dpkg", "-P", "millrace")
    check(root.has("/var/lib/millrace/bodies/1.seg") and "mail still waits" in done.said,
          "purged while mail waits: the mail stays, and it says so", done.said)


def test(workshop):
    binary()
    package = make_package(workshop)
    contents(package)
    sandbox()
    kept = debootstrapped(depends(package)) if "--debootstrap" in sys.argv[1:] else None
    say("  in " + ("a root of debootstrap's" if kept else
                   "a fresh directory over this machine's /usr and /etc"))
    root = CleanRoot(workshop, kept)
    root.install(package)
    installed(root)
    sink = Sink(workshop, dump=True, enter=root.enter).start()
    relay = start(root, sink)
    delivers(root, sink)
    gone(root, package, relay)


run_test(test)
