"""The workshop: one test's temporary directory, the processes it started, and how it ends.

Promises:
- everything a test starts ends with it, by pid, even when the test itself is killed;
- nothing on the machine outside the temporary directory is changed;
- nothing waits for a clock: `wait_until` polls a state that can be observed, under one bound;
- a test ends with 0 (passed), 1 (failed, with the tails of all logs) or 77 (skipped, with one
  line that says what is missing and why).
"""
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SKIPPED = 77
PATIENCE = float(os.environ.get("MILLRACE_TEST_PATIENCE", "180"))   # seconds, for any one wait
PROJECT = Path(__file__).resolve().parents[3]

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """Something this machine lacks; the message is the one line that says what and why."""


class Failed(Exception):
    """What was promised did not hold."""


def say(text):
    print(text, flush=True)


def check(holds, what, detail=""):
    """Print that `what` holds, or fail with it (and with `detail`, which may be long)."""
    if not holds:
        raise Failed(f"NOT so: {what}" + (f"\n{detail}" if detail else ""))
    say(f"  ok: {what}")


def wait_until(condition, what, within=PATIENCE, alive=()):
    """Poll `condition` until it returns something true, and return that.

    Fails when `within` seconds have passed, or as soon as one of the daemons in `alive` has ended.
    """
    deadline = time.monotonic() + within
    pause = 0.002
    while True:
        result = condition()
        if result:
            return result
        for daemon in alive:
            if not daemon.running:
                raise Failed(f"{daemon.name} ended with {daemon.exit_code} while waiting until "
                             f"{what}")
        if time.monotonic() > deadline:
            raise Failed(f"after {within:.0f} s still not so: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def answers(host, port):
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


def greets(host, port):
    """Whether an SMTP server there says 220."""
    try:
        with socket.create_connection((host, port), timeout=5) as s:
            return s.recv(512).startswith(b"220")
    except OSError:
        return False


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Daemon:
    """A process that runs beside the test. Its stdout and stderr go to files in the workshop."""

    def __init__(self, name, argv, directory, env=None, user=None, pass_fds=()):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.out = directory / f"{name}.out"
        self.err = directory / f"{name}.err"
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self._process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=directory,
                env=dict(os.environ, **(env or {})), user=user, start_new_session=True,
                pass_fds=pass_fds,
                preexec_fn=_die_with_parent)
        self.pid = self._process.pid

    @property
    def running(self):
        return self._process.poll() is None

    @property
    def exit_code(self):
        return self._process.poll()

    def send_signal(self, number):
        self._process.send_signal(number)

    def wait(self, within=PATIENCE):
        """Its exit code, once it has ended."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} (pid {self.pid}) has not ended after {within:.0f} s"
                         ) from None

    def stop(self, number=signal.SIGTERM, within=PATIENCE):
        """Send a signal and wait for the end; the exit code."""
        if self.running:
            self.send_signal(number)
        return self.wait(within)

    def kill(self):
        """kill -9 it and its process group (its own: it began a session), and wait for its end."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def stdout(self):
        return self.out.read_text(errors="replace")

    def stderr(self):
        return self.err.read_text(errors="replace")


class Workshop:
    """One test's directory and processes; use as a context manager."""

    def __init__(self, name):
        base = os.environ.get("MILLRACE_TEST_DIR") or "/var/tmp"    # a disk; /tmp may be memory
        self.dir = Path(tempfile.mkdtemp(prefix=f"millrace-{name}-", dir=base))
        self.dir.chmod(0o755)           # the peers' own users must get through
        self._daemons = []
        self._ports = set()
        self._logs = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for daemon in reversed(self._daemons):
            daemon.kill()
        if os.environ.get("MILLRACE_KEEP"):
            say(f"kept: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *parts):
        return self.dir.joinpath(*parts)

    def make_dir(self, *parts, mode=0o755, owner=None):
        """A directory in the workshop; `owner` is a uid (its gid is the same)."""
        directory = self.path(*parts)
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(mode)
        if owner is not None:
            os.chown(directory, owner, owner)
        return directory

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def free_port(self, hosts=("127.0.0.1",)):
        """A TCP and UDP port that is free on all `hosts`, below the kernel's ephemeral range (so
        that no outgoing connection takes it in the meantime)."""
        for _ in range(1000):
            port = random.SystemRandom().randrange(20000, 32000)
            if port not in self._ports and all(_port_is_free(h, port) for h in hosts):
                self._ports.add(port)
                return port
        raise Failed("no free port found between 20000 and 32000")

    def start(self, name, argv, **options):
        """Start a daemon; it ends when the workshop closes, if not before."""
        daemon = Daemon(name, argv, self.dir, **options)
        self._daemons.append(daemon)
        return daemon

    def watch_log(self, path):
        """Show the tail of this file too when the test fails."""
        self._logs.append(Path(path))

    def show_logs(self, lines=40):
        paths = {p: None for d in self._daemons for p in (d.out, d.err)}
        for path in [*paths, *self._logs]:
            text = path.read_text(errors="replace") if path.exists() else ""
            if text.strip():
                say(f"--- {path.name} (last {lines} lines)")
                say("\n".join(line[:400] for line in text.splitlines()[-lines:]))


def _port_is_free(host, port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind((host, port))
            except OSError:
                return False
    return True


def run_command(argv, within=PATIENCE, check_code=True, text=True, **options):
    """Run a command to its end; the CompletedProcess, with stdout and stderr as text (or bytes)."""
    argv = [str(a) for a in argv]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=within, text=text,
                              errors="replace" if text else None,
                              preexec_fn=_die_with_parent, **options)
    except FileNotFoundError:
        raise Skip(f"{argv[0]} is not installed (run tests/peers/install)") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"`{' '.join(argv)}` has not ended after {within:.0f} s") from None
    if check_code and done.returncode != 0:
        raise Failed(f"`{' '.join(argv)}` ended with {done.returncode}:\n"
                     f"{done.stdout}{done.stderr}")
    return done


def need_root():
    """Root, and a kernel that lets us make a private mount namespace; else skip."""
    if os.geteuid() != 0:
        raise Skip("not root: the mail servers need users of their own and a private mount "
                   "namespace")
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if tried.returncode != 0:
        raise Skip(f"no private mount namespace to be had here: {tried.stderr.strip()}")


def run_test(test, name=None):
    """Run test(workshop) and end the process as ctest expects."""
    name = name or Path(sys.argv[0]).stem
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))    # so that a time-out cleans up, too
    with Workshop(name) as workshop:
        began = time.monotonic()
        try:
            test(workshop)
        except Skip as reason:
            say(f"SKIPPED {name}: {reason}")
            sys.exit(SKIPPED)
        except Failed as reason:
            say(f"FAILED {name}: {reason}")
            workshop.show_logs()
            sys.exit(1)
        except Exception:
            workshop.show_logs()
            raise
        say(f"PASSED {name} in {time.monotonic() - began:.1f} s")
    sys.exit(0)
