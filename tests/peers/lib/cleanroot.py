"""A clean Debian root of its own, in private mount, pid and network namespaces: whatever is
mounted, started or listened on in there ends with the process that holds them.

Two kinds:
- a fresh directory over this machine's /usr and /etc: nothing to fetch, a second to make; dpkg
  begins with an empty database;
- what debootstrap makes (variant minbase, with the packages that are asked for): kept below
  ROOTS, since it takes minutes; each test gets a layer of its own over it.
"""
import shutil
import subprocess
import sys
from pathlib import Path

from .servers import ROOTS
from .workshop import PATIENCE, Failed, Skip, check, need_root, run_command, say, wait_until

MIRROR = "http://deb.debian.org/debian"
SUITE = "bookworm"
LOOPBACK_UP = """
import fcntl, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1 | 64))    # SIOCSIFFLAGS: up and running
"""


def debootstrapped(packages):
    """The kept root with these packages; made when it is not there."""
    root = ROOTS / "debian-root"
    wanted = " ".join([SUITE, *sorted(packages)])
    done = root / ".complete"
    if done.exists() and done.read_text() == wanted:
        return root
    if not shutil.which("debootstrap"):
        raise Skip("debootstrap is not installed")
    say("  debootstrap: this takes minutes, once")
    fresh = ROOTS / ".debian-root.new"
    shutil.rmtree(fresh, ignore_errors=True)
    ROOTS.mkdir(parents=True, exist_ok=True)
    made = run_command(["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", SUITE,
                        fresh, MIRROR], within=900, check_code=False)
    if made.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise Skip(f"debootstrap failed (no mirror?): {made.stdout.strip().splitlines()[-1:]}")
    shutil.rmtree(root, ignore_errors=True)
    fresh.rename(root)
    done.write_text(wanted)
    return root


def _overlay(lower, at, layers):
    """Mount `at`: what is written there goes to a layer below `layers`."""
    name = at.strip("/").replace("/", "-") or "root"
    upper, work = layers / f"{name}.upper", layers / f"{name}.work"
    upper.mkdir(parents=True)
    work.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    return f"mount -t overlay overlay -o '{options}'"


class CleanRoot:
    def __init__(self, workshop, kept=None):
        """`kept`: a root of debootstrap; None: a fresh directory."""
        need_root()
        self.workshop = workshop
        self.root = workshop.make_dir("root")
        self.has_all = kept is not None      # dpkg knows what is installed
        layers = workshop.make_dir("layers")
        if kept:
            steps = [_overlay(kept, "/", layers) + f" '{self.root}'"]
        else:
            self._lay_out()
            steps = [_overlay(f"/{name}", name, layers) + f" '{self.root}/{name}'"
                     for name in ("usr", "etc")]
        steps += [f"mount -t proc proc '{self.root}/proc'",
                  f"mount --rbind /dev '{self.root}/dev'", "echo ready"]
        self._holder = workshop.start("namespaces", [
            "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
            "sh", "-c", " && ".join(steps) + " && while :; do sleep 60; done"])
        wait_until(lambda: "ready" in self._holder.stdout(), "the root is mounted",
                   alive=[self._holder])
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self.enter = ["nsenter", "--target", children.split()[0], "--mount", "--net", "--pid"]
        self.outside([sys.executable, "-c", LOOPBACK_UP])

    def _lay_out(self):
        """What Debian has beside /usr and /etc, and an empty database of dpkg's."""
        for name in ("dev", "etc", "home", "proc", "root", "run", "sys", "usr", "var/lib",
                     "var/log", "var/lib/dpkg/info", "var/lib/dpkg/updates",
                     "var/lib/dpkg/triggers"):
            self.root.joinpath(name).mkdir(parents=True)
        self.root.joinpath("tmp").mkdir(mode=0o1777)
        self.root.joinpath("var/lib/dpkg/status").touch()
        for name in ("bin", "sbin", "lib", "lib64"):
            self.root.joinpath(name).symlink_to(f"usr/{name}")

    def put(self, file):
        """A file into the root; its path in there."""
        self.outside(["cp", file, self.root])
        return f"/{Path(file).name}"

    def outside(self, argv, **options):
        """Run in the namespaces, but with the machine's own files."""
        return run_command([*self.enter, *argv], **options)

    def argv(self, argv, nobody=False):
        """The words that run this in the root, as root or as nobody."""
        who = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] * nobody
        path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        return [*self.enter, "chroot", self.root, "env", "-i", path, *who, *argv]

    def run(self, *argv, nobody=False, text="", check_code=True):
        """Run in the root to its end; the CompletedProcess."""
        done = subprocess.run([str(a) for a in self.argv(argv, nobody)], input=text.encode(),
                              capture_output=True, timeout=PATIENCE)
        done.said = (done.stdout + done.stderr).decode(errors="replace").strip()
        if check_code and done.returncode != 0:
            raise Failed(f"`{' '.join(map(str, argv))}` ended with {done.returncode}:\n{done.said}")
        return done

    def has(self, path):
        return self.run("test", "-e", path, check_code=False).returncode == 0

    def start(self, name, argv, **options):
        return self.workshop.start(name, self.argv(argv), **options)

    def install(self, package):
        """dpkg -i. Over an empty database it cannot find what the package depends on."""
        force = [] if self.has_all else ["--force-depends"]
        done = self.run("dpkg", *force, "-i", self.put(package))
        check("Setting up" in done.said, "dpkg installs it", done.said)


