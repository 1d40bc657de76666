"""The relays that are measured: Millrace and its peers, each with the same next hops.

Each peer is set up as its own manual advises who wants throughput: no look-ups, no rewriting, no
checks; as many connections to the next hop as Millrace has. Their settings are in bench/peers/.
A next hop is "[ADDRESS]:PORT", for one domain or ("*") for all.
"""
import os
import re
import urllib.request
from pathlib import Path

from measure import cpu
from lib.exposition import families_of
from lib.millrace import Relay
from lib.servers import (USERS, PEER_NAME, _namespaced, _private_etc, postfix_main_cf, root_of,
                         write_postfix)
from lib.workshop import greets, wait_until

CONNECTIONS = 20          # to the sink, for all
DOMAIN = "load.test"
EACH = 500                # messages over one connection, where they are kept
_PEERS = Path(__file__).resolve().parents[1] / "peers"


def _settings_file(file, /, **values):
    """A file of bench/peers/, with each @NAME@ in it filled in."""
    return re.sub(r"@([A-Z]+)@", lambda found: str(values[found.group(1).lower()]),
                  (_PEERS / file).read_text())


def _postfix_settings(text):
    """main.cf as a dictionary."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


class Case:
    """How mail goes out: what all relays have in common in one comparison."""

    def __init__(self, sink_port, *, starttls=False, one_per_connection=False, destinations=1,
                 paused=False):
        """`paused`: what is accepted stays in the queue."""
        self.sink_port = sink_port
        self.starttls = starttls
        self.one_per_connection = one_per_connection
        self.destinations = destinations
        self.paused = paused

    def hops(self):
        """(domain, next hop) of each destination; addresses of their own where there are many."""
        if self.destinations == 1:
            return [("*", f"[127.0.0.1]:{self.sink_port}")]
        return [(f"d{i}.{DOMAIN}", f"[127.1.{i // 250}.{i % 250 + 1}]:{self.sink_port}")
                for i in range(self.destinations)]


class MillraceRelay:
    name = "millrace"

    def __init__(self, workshop, case, workers=2, program=None):
        level = "encrypt" if case.starttls else "none"
        (first, hop), *rest = case.hops()
        routes = [f'route "{domain}" {{ hosts = {{ "{to}" }} }}' for domain, to in rest]
        if first != "*":
            routes.append(f'route "{first}" {{ hosts = {{ "{hop}" }} }}')
        destination = ""
        if case.one_per_connection:
            destination = "messages-per-connection = 1"
        self.admin = f"127.0.0.1:{workshop.free_port()}"
        self.relay = Relay(workshop, route=[hop] if first == "*" else None, level=level,
                           top=f'durability = "commit"\nadmin "{self.admin}" {{ }}\n' + "\n".join(routes),
                           destination=destination, connections=CONNECTIONS, workers=workers,
                           program=program)
        self.port = self.relay.port
        self.queue = self.relay.spool
        self.paused = case.paused

    def start(self):
        with cpu.counted():
            self.relay.start()
        if self.paused:
            self.relay.command("dest", "pause", DOMAIN, "--reason", "a measurement")

    def resume(self):
        """What was paused goes on."""
        self.relay.command("dest", "resume", DOMAIN)

    def settled(self):
        """Whether nothing remains to be done for what was accepted."""
        return True

    def commits(self):
        """How many there were since it was started."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=60) as answer:
            family = families_of(answer.read().decode())["millrace_spool_commit_seconds"]
        return next(value for name, _, value in family.samples if name.endswith("_count"))

    @property
    def daemon(self):
        return self.relay.daemon

    def stop(self):
        self.relay.stop()


def _without_names(etc):
    """Nobody waits for a name server: OpenSMTPD asks for the name of every host that it meets, and no
    setting turns that off. It is refused at once, for all alike."""
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n"
                                       "services: files\nprotocols: files\n")


class _Peer:
    name = None

    def __init__(self, workshop, case):
        self.workshop, self.case = workshop, case
        self.port = workshop.free_port()
        self.state = workshop.make_dir(f"{self.name}.{self.port}.state")
        self.etc = _private_etc(workshop, f"{self.name}.{self.port}")
        _without_names(self.etc)
        self.root = root_of(self.name)
        self.queue = self.state
        self.daemon = None

    def settled(self):
        return True

    def start(self):
        binds, command = self.prepare()
        with cpu.counted():
            self.daemon = self.workshop.start(f"{self.name}.{self.port}",
                                              _namespaced(self.root, self.etc, binds, command))
        wait_until(lambda: greets("127.0.0.1", self.port), f"{self.name} greets", within=60,
                   alive=[self.daemon])

    def stop(self):
        self.daemon.kill()


class PostfixRelay(_Peer):
    name = "postfix"

    def files(self):
        """Which of the files make up its main.cf."""
        case = self.case
        return ["main.cf",
                "one-host.cf" if case.destinations == 1 else "many-hosts.cf",
                "starttls.cf" if case.starttls else "clear.cf",
                "one-per-connection.cf" if case.one_per_connection else "kept.cf",
                *(["deferred.cf"] if case.paused else [])]

    def settings(self):
        hop = f"[127.0.0.1]:{self.case.sink_port}"
        values = {"connections": CONNECTIONS, "hop": hop,
                  "cached": hop if self.case.destinations == 1 else "static:all"}
        return _postfix_settings("\n".join(_settings_file(f"postfix/{name}", **values)
                                           for name in self.files()))

    def settled(self):
        """The queue manager has put all that came among the deferred."""
        return not any(os.listdir(self.queue / name) for name in ("incoming", "active"))

    def prepare(self):
        log = self.workshop.path(f"postfix.{self.port}.log")
        self.workshop.watch_log(log)
        self.queue = self.state / "queue"
        if self.case.destinations > 1:
            (self.etc / "transport").write_text(
                "".join(f"{domain} smtp:{hop}\n" for domain, hop in self.case.hops()))
        return [], write_postfix(self.etc, self.state,
                                 postfix_main_cf(self.state, log) | self.settings(), self.port,
                                 smtpds=100, smtps=50)


class OpenSmtpdRelay(_Peer):
    name = "opensmtpd"

    def prepare(self):
        case = self.case
        scheme = "smtp+tls" if case.starttls else "smtp+notls"
        values = {"connections": CONNECTIONS, "port": self.port, "name": PEER_NAME,
                  "sink": case.sink_port, "scheme": scheme,
                  "each": 1 if case.one_per_connection else EACH,
                  "tls": "tls no-verify" if case.starttls else ""}
        hosts = "one-host.conf" if case.destinations == 1 else "many-hosts.conf"
        (self.etc / "smtpd.conf").write_text("\n".join(
            _settings_file(f"opensmtpd/{name}", **values) for name in ("smtpd.conf", hosts)))
        (self.etc / "hops").write_text("".join(
            f"{domain} {scheme}://{hop.replace('[', '').replace(']', '')}\n"
            for domain, hop in case.hops()))
        tag = f"opensmtpd.{self.port}"
        spool, run, lib = (self.workshop.make_dir(f"{tag}.{name}") for name in ("spool", "run", "lib"))
        self.workshop.make_dir(f"{tag}.lib", "opensmtpd", "empty")      # it chroots there
        self.workshop.make_dir(f"{tag}.spool", "smtpd", mode=0o711)
        self.queue = spool
        return ([(spool, "/var/spool"), (run, "/run"), (lib, "/var/lib")],
                ["/usr/sbin/smtpd", "-d", *(["-P", "mta"] if case.paused else [])])


class EximRelay(_Peer):
    name = "exim"

    def routes(self):
        if self.case.destinations == 1:
            return f"* 127.0.0.1::{self.case.sink_port} byname"
        return "* ${lookup{$domain}lsearch{/etc/exim4/hops}} byname"

    def prepare(self):
        case = self.case
        os.chown(self.state, USERS["Debian-exim"], USERS["Debian-exim"])
        logs = self.workshop.make_dir(f"exim.{self.port}.log", owner=USERS["Debian-exim"])
        conf = self.etc / "exim4"
        conf.mkdir()
        (conf / "exim4.conf").write_text(_settings_file(
            "exim/exim4.conf", name=PEER_NAME, port=self.port, state=self.state, logs=logs,
            connections=CONNECTIONS, routes=self.routes(),
            tls=_settings_file("exim/starttls" if case.starttls else "exim/clear"),
            queue=_settings_file("exim/queue-only") if case.paused else "",
            each=1 if case.one_per_connection else EACH))
        (conf / "hops").write_text("".join(
            f"{domain}: {hop.replace('[', '').replace(']:', '::')}\n" for domain, hop in case.hops()))
        return [], ["/usr/sbin/exim4", "-bdf", *([] if case.paused else ["-q10s"])]
