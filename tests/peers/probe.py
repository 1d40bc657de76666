#!/usr/bin/env python3
"""millrace probe: the verdict that it foretells is the one that a message gets.

Each host is probed under each level first; then a relay with the same configuration gets a
message for it, and what becomes of that must be what was foretold."""
import json

from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient
from lib.workshop import check, run_command, run_test, wait_until

MAIL = (b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@app.test>\r\n"
        b"Subject: x\r\n\r\nx\r\n")
DELIVERABLE, DEFERRED, NO_HOST, USAGE = 0, 75, 68, 64

# name, what the sink does, then for each level: exit code, and the way or the status
HOSTS = [
    ("tls", {}, {"none": (DELIVERABLE, "none:table"),
                 "may": (DELIVERABLE, "encrypt:table:TLSv1.3"),
                 "encrypt": (DELIVERABLE, "encrypt:table:TLSv1.3"),
                 "verify": (DEFERRED, "4.7.5")}),
    ("tls-1.2", {"versions": "1.2"}, {"may": (DELIVERABLE, "encrypt:table:TLSv1.2")}),
    ("plain", {"tls": False}, {"may": (DELIVERABLE, "none:table"),
                               "encrypt": (DEFERRED, "4.7.4")}),
    ("454", {"faults": ["starttls:454:1"]}, {"may": (DEFERRED, "4.7.4"),
                                             "encrypt": (DEFERRED, "4.7.4"),
                                             "none": (DELIVERABLE, "none:table")}),
    ("502", {"faults": ["starttls:502:1"]}, {"may": (DELIVERABLE, "none:table"),
                                             "encrypt": (DEFERRED, "4.7.4")}),
    ("residue", {"faults": ["starttls:residue:1"]}, {"may": (DELIVERABLE, "none:table"),
                                                     "encrypt": (DEFERRED, "4.7.5")}),
    ("garbage", {"faults": ["handshake:garbage:1"]}, {"may": (DELIVERABLE, "none:table"),
                                                      "encrypt": (DEFERRED, "4.7.5")}),
]


def probe(*arguments):
    """The exit code and what was found."""
    done = run_command([binary(), "probe", *arguments, "--json"], check_code=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def foretold(target, level):
    code, found = probe(target, "--level", level)
    return code, found["way"] if code == DELIVERABLE else found["verdict"]["status"], found


def befalls(workshop, name, sink, level):
    """What becomes of a message: as the probe tells it."""
    relay = Relay(workshop, f"{name}-{level}", route=[sink.next_hop], level=level).start()
    with RawClient(relay.host, relay.port) as client:
        client.deliver("a@app.test", ["b@peer.test"], MAIL)

    def ended():
        return relay.events("delivered") + relay.events("deferred")
    first = wait_until(ended, f"{name}, {level}: a verdict", alive=[relay.daemon])[0]
    relay.stop()
    if first["event"] == "deferred":
        return DEFERRED, first["dsn"]
    return DELIVERABLE, first["tls"].removesuffix(":full")


def test_host(workshop, name, does, levels):
    sink = Sink(workshop, f"sink-{name}", **does).start()
    for level, expected in levels.items():
        code, way, found = foretold(sink.next_hop, level)
        check((code, way) == expected, f"{name} under {level}: {way}, exit code {code}", found)
        check(befalls(workshop, name, sink, level) == expected,
              f"{name} under {level}: a message meets the same")
    sink.stop()


def test_what_is_shown(workshop):
    sink = Sink(workshop, "shown").start()
    _, found = probe(sink.next_hop)
    host = found["hosts"][0]
    check(host["offered"] != [] and "STARTTLS" in host["offered_in_clear"],
          "what the host offers, in clear and in TLS")
    check(host["tls"]["resumed"], "a second connection resumes the first one's session")
    check("localhost" in host["tls"]["chain"][0]["names"] and not host["tls"]["trusted"] and
          "self-signed" in host["tls"]["why"], "whose certificate it is, and why it is not trusted")
    sink.stop()
    unable = Sink(workshop, "unable", faults=["handshake:no-ticket:1"]).start()
    _, found = probe(unable.next_hop)
    check(not found["hosts"][0]["tls"]["resumed"], "a server without tickets does not")
    unable.stop()


def test_certificates(workshop):
    sink = Sink(workshop, "certified").start()
    config = workshop.path("probe.conf")
    authority = workshop.path("certified.tls") / "cert.pem"
    for name, expected in (("localhost", DELIVERABLE), ("other.test", DEFERRED)):
        config.write_text(f'spool = "{workshop.path("none")}"\n'
                          f'tls "*" {{ level = verify ca-file = "{authority}" match = {{ "{name}.test" }} }}\n'
                          .replace("localhost.test", "sink.millrace.test"))
        code, found = probe(sink.next_hop, "-c", config)
        check(code == expected, f"a certificate for {name}: exit code {code}", found)
    sink.stop()


def test_targets(workshop):
    code, why = probe("no such thing")
    check(code == USAGE and "neither a domain" in why, "what is no target is said to be none")
    code, found = probe(f"[127.0.0.1]:{workshop.free_port()}")
    check(code == DEFERRED and found["verdict"]["status"] == "4.4.1", "nobody listens there")


def test(workshop):
    for name, does, levels in HOSTS:
        test_host(workshop, name, does, levels)
    test_what_is_shown(workshop)
    test_certificates(workshop)
    test_targets(workshop)


run_test(test)
