"""The program under test: the relay, the sink and the load generator, as processes."""
import json
import os
import re
import signal
from collections import Counter
from datetime import datetime
from pathlib import Path

from .workshop import PROJECT, Failed, Skip, greets, run_command, wait_until

RELAY_NAME = "relay.test"
LOOPBACK = '"127.0.0.0/8", "::1/128"'


def binary():
    """The program: $MILLRACE, or the development build."""
    path = Path(os.environ.get("MILLRACE") or PROJECT / "build/dev/millrace")
    if not os.access(path, os.X_OK):
        raise Skip(f"no millrace at {path}: build it (./dev build) or set MILLRACE")
    return path


def read_ledger(path):
    """How often each Message-ID is in a ledger file. An unfinished last line does not count."""
    if not path.exists():
        return Counter()
    lines = path.read_bytes().split(b"\n")[:-1]
    return Counter(line.decode(errors="replace").strip() for line in lines)


def routes(next_hops):
    """Configuration lines: a route for each domain, to the next hop given for it."""
    return "\n".join(f'route "{domain}" {{ hosts = {{ "{hop}" }} }}'
                     for domain, hop in next_hops.items())


class LedgerProgress:
    """How many lines a growing ledger has; reads only what is new."""

    def __init__(self, path):
        self.path = path
        self.lines = 0
        self._offset = 0

    def count(self):
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                new = file.read()
            self.lines += new.count(b"\n")
            self._offset += len(new)
        return self.lines


_FIELD = re.compile(r'([a-z0-9-]+)=("(?:[^"\\]|\\.)*"|\S*)')


def read_event(line):
    """A line of the relay's log as a dictionary: its keys, and `time` and `event`. None for a
    line that is none (or is not whole yet)."""
    parts = line.split(" ", 2)
    if len(parts) < 2 or not parts[0].endswith("Z"):
        return None
    fields = {key: value.strip('"') for key, value in _FIELD.findall(parts[2] if parts[2:] else "")}
    return {"time": datetime.fromisoformat(parts[0].replace("Z", "+00:00")), "event": parts[1],
            **fields}


class Relay:
    """`millrace run` with a configuration file of its own in the workshop.

    route: the hosts that all mail goes to, as "[127.0.0.1]:2526"; None: MX lookups
    level, tls: of the `tls "*"` section, and more lines for it
    top, destination: more lines for the file and for the section `destination "*"`
    connections: to a site, at most
    back_off: the first back-off of a site that cannot be reached
    relay_from: who may relay, in the configuration's words
    certificate: (certificate, key) to offer STARTTLS with; None: not offered
    listen: more of the section `listen`
    env: more of its environment
    program: another millrace than binary()
    """

    def __init__(self, workshop, name="relay", *, route=None, level="encrypt", top="",
                 destination="", retry="", back_off="1s", relay_from=LOOPBACK, certificate=None,
                 listen="", tls="", connections=20, spool=None, port=None,
                 env=None, workers=2, program=None):
        self.workshop = workshop
        self.name = name
        self.host = "127.0.0.1"
        self.port = port or workshop.free_port()
        self.spool = spool or workshop.path(f"{name}.spool")
        self.config = workshop.path(f"{name}.conf")
        self.env = env
        self.program = program
        self.daemon = None
        self._starts = 0
        self.settings = {"route": route, "level": level, "top": top, "destination": destination,
                         "retry": retry, "back_off": back_off, "relay_from": relay_from,
                         "certificate": certificate, "listen": listen, "tls": tls,
                         "connections": connections, "workers": workers,
                         "hostname": RELAY_NAME}
        self.configure()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def configure(self, **changes):
        """Change settings and write the file; a running relay sees it at the next reload."""
        self.settings |= changes
        self.config.write_text(self._text(**self.settings))

    def _text(self, route, level, top, destination, retry, back_off, relay_from, certificate,
              listen, tls, connections, workers, hostname):
        control = self.workshop.path(f"{self.name}.sock")
        starttls = ""
        if certificate:
            starttls = f'tls = "offered" certificate = "{certificate[0]}" key = "{certificate[1]}"'
        lines = [
            f'hostname = "{hostname}"', f'spool = "{self.spool}"', f'control = "{control}"',
            f"workers = {workers}", top, f'listen "{self.address}" {{ {starttls} {listen} }}',
            f'relay-from = {{ {relay_from} }}',
            f'tls "*" {{ level = "{level}" {tls} }}',
            'retry "*" { ' + (retry or "first = 1s factor = 2 longest = 5s give-up = 5d") + " }",
            f'destination "*" {{ max-connections = {connections} idle = 30s back-off = {back_off} '
            + destination + " }",
        ]
        if route:
            hosts = ", ".join(f'"{host}"' for host in route)
            lines.append(f'route "*" {{ hosts = {{ {hosts} }} }}')
        return "\n".join(lines) + "\n"

    def start(self):
        """Start it and wait until it greets. May be called again after stop or kill."""
        self._starts += 1
        self.daemon = self.workshop.start(f"{self.name}.{self._starts}",
                                          [self.program or binary(), "run", "-c", self.config],
                                          env=self.env)
        wait_until(lambda: greets(self.host, self.port), f"the relay greets on {self.address}",
                   alive=[self.daemon])
        return self

    def stop(self):
        """SIGTERM: it drains; its exit code."""
        return self.daemon.stop(signal.SIGTERM)

    def kill(self):
        """kill -9."""
        self.daemon.kill()

    def reload(self):
        self.daemon.send_signal(signal.SIGHUP)

    def log(self):
        """All it has said since its last start."""
        return self.daemon.stderr()

    def events(self, word=None):
        """The log lines since its last start, as dictionaries; only those of that word."""
        events = filter(None, map(read_event, self.log().splitlines()))
        return [event for event in events if word in (None, event["event"])]

    def command(self, *arguments, **options):
        """Run `millrace ARGUMENTS` against this relay; the CompletedProcess."""
        return run_command([binary(), *arguments, "-c", self.config], **options)

    def stats(self):
        return json.loads(self.command("stats", "--json").stdout)

    def queue(self, *filters):
        """`queue list --json`: a list of envelopes."""
        listed = self.command("queue", "list", "--json", *filters).stdout
        return [json.loads(line) for line in listed.splitlines() if line.strip()]

    def wait_until_empty(self):
        """Wait until nothing is queued; the statistics then. The books must balance."""
        def empty():
            stats = self.stats()
            return stats if stats["queued"] == 0 else None
        stats = wait_until(empty, "the relay's queue is empty", alive=[self.daemon])
        if not stats["balanced"]:
            raise Failed(f"the relay's books do not balance: {json.dumps(stats)}")
        return stats


class Sink:
    """`millrace sink`. A ledger is always kept (a line a message); with dump=True also the
    messages themselves."""

    def __init__(self, workshop, name="sink", *, host="127.0.0.1", port=None, tls=True,
                 versions=None, dump=False, messages=None, faults=(), options=(), enter=()):
        """`options`: further ones; `enter`: words before the command, as of nsenter."""
        self.workshop = workshop
        self.name = name
        self.host = host
        self.port = port or workshop.free_port((host,))
        self.ledger_file = workshop.path(f"{name}.ledger")
        self.dump_dir = workshop.make_dir(f"{name}.dump") if dump else None
        self.progress = LedgerProgress(self.ledger_file)
        self.daemon = None
        self._enter = enter
        self._arguments = ["--listen", f"{host}:{self.port}", "--json",
                           "--ledger", self.ledger_file]
        if tls:
            self._arguments += ["--tls-self-signed", workshop.make_dir(f"{name}.tls")]
        if versions:
            self._arguments += ["--tls-versions", versions]
        if dump:
            self._arguments += ["--dump", self.dump_dir]
        if messages is not None:
            self._arguments += ["--messages", str(messages)]
        for fault in faults:
            self._arguments += ["--fault", fault]
        self._arguments += options

    @property
    def next_hop(self):
        return f"[{self.host}]:{self.port}"

    def start(self):
        self.daemon = self.workshop.start(self.name, [*self._enter, binary(), "sink", *self._arguments])
        wait_until(lambda: "listening on " in self.daemon.stderr(), f"{self.name} listens",
                   within=60, alive=[self.daemon])
        return self

    def count(self):
        """How many messages have arrived so far."""
        return self.progress.count()

    def ledger(self):
        return read_ledger(self.ledger_file)

    def wait_for(self, number):
        wait_until(lambda: self.count() >= number, f"{self.name} has {number} messages",
                   alive=[self.daemon])

    def dumped(self):
        """The messages that arrived, as bytes with CRLF."""
        return [path.read_bytes() for path in sorted(self.dump_dir.iterdir()) if path.is_file()]

    def stop(self):
        """SIGINT; what it counted, as a dictionary."""
        self.daemon.stop(signal.SIGINT)
        try:
            return json.loads(self.daemon.stdout())
        except ValueError:
            raise Failed(f"{self.name} printed no JSON but: {self.daemon.stdout()!r}") from None


class Load:
    """`millrace load`, in the background. Keeps a ledger of what was accepted (got its 250)."""

    def __init__(self, workshop, to, messages, name="load", connections=20, size=4096, options=()):
        self.ledger_file = workshop.path(f"{name}.ledger")
        self.daemon = workshop.start(name, [
            binary(), "load", "--to", to, "--messages", str(messages), "--connections",
            str(connections), "--size", str(size), "--ledger", self.ledger_file, "--json",
            *options])

    def accepted(self):
        return read_ledger(self.ledger_file)

    def wait(self):
        """Wait for its end; (exit code, what it printed as a dictionary)."""
        code = self.daemon.wait()
        try:
            return code, json.loads(self.daemon.stdout())
        except ValueError:
            raise Failed(f"load ended with {code} and printed no JSON but: "
                         f"{self.daemon.stdout()!r}\n{self.daemon.stderr()}") from None
