#!/usr/bin/env python3
"""Each way in which STARTTLS can end (RFC 3207), under `none`, `may`, `encrypt` and `verify`: what
the log says and the metrics count, that nothing goes in clear above `may`, and what the flight
recorder keeps.

The relay's clock runs a hundred times as fast for what takes until a deadline."""
import json
import os
import urllib.request
from collections import Counter

from lib.exposition import families_of
from lib.millrace import Relay, binary, routes
from lib.rawsmtp import RawClient
from lib.servers import make_certificate
from lib.starttls import StartTlsServer
from lib.workshop import Skip, check, run_test, wait_until

MAIL = b"Subject: x\r\nMessage-ID: <1@app.test>\r\n\r\nx\r\n"
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"

# way -> (the outcome's word, what `may` does, the status above `may`)
WAYS = {
    "not-offered": ("not-offered", "plain", "4.7.4"),
    "501": ("refused", "plain", "4.7.4"),
    "refused": ("refused", "plain", "4.7.4"),
    "wrong": ("refused", "plain", "4.7.4"),
    "residue": ("residue", "plain anew", "4.7.5"),
    "fragment": ("residue", "plain anew", "4.7.5"),
    "garbage": ("handshake-failed", "plain anew", "4.7.5"),
    "closed": ("handshake-failed", "plain anew", "4.7.5"),
    "endless": ("handshake-failed", "plain anew", "4.7.5"),
    "alert": ("alert", "plain anew", "4.7.5"),
    "late-alert": ("alert|handshake-failed", "plain anew", "4.7.5"),   # a reset may overtake it
}
SLOW = {
    "stalled": ("stalled", "plain anew", "4.7.5"),
    "dripping": ("stalled", "plain anew", "4.7.5"),
}
EACH = 3                                     # messages for a domain


class World:
    """A relay of one level, and a server for each way."""

    def __init__(self, workshop, certificate, level, ways, env=None, tls=""):
        self.level = level
        self.servers = {way: StartTlsServer(workshop, certificate, [way]).start() for way in ways}
        self.admin = workshop.free_port()
        hops = {f"{way}.test": server.next_hop for way, server in self.servers.items()}
        self.relay = Relay(workshop, f"{level}-{len(ways)}", level=level, back_off="100s", env=env,
                           retry="first = 1h factor = 1 longest = 1h give-up = 5d",
                           top=f'admin "127.0.0.1:{self.admin}" {{ }}\n{routes(hops)}\n{tls}'
                           ).start()

    def send(self, way, number=EACH):
        with RawClient(self.relay.host, self.relay.port) as client:
            for i in range(number):
                client.deliver("a@app.test", [f"m{i}@{way}.test"], MAIL)

    def poke(self):
        """Timers are looked at when something happens: a fast clock does not shorten a wait."""
        for _ in range(8):
            with RawClient(self.relay.host, self.relay.port):
                pass

    def metrics(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics") as page:
            return families_of(page.read().decode())[name].samples

    def outcomes(self):
        """How often each was counted."""
        counts = Counter()
        for _, labels, value in self.metrics("millrace_tls_policy_total"):
            counts[labels["result"]] += int(value)
        return counts

    def failures(self, way):
        shown = self.relay.command("dest", "show", f"{way}.test", "--last-failures", "--json")
        return json.loads(shown.stdout)["last_failures"]

    def tls_failed(self, way):
        hop = self.servers[way].next_hop
        return [e for e in self.relay.events("tls-failed") if e["relay"] == hop]


def all_in_clear(world, way):
    """Under `none` and `may`."""
    server = world.servers[way]
    wait_until(lambda: world.poke() or len(server.clear) == EACH,
               f"{world.level}: {way}: {EACH} messages in clear", alive=[world.relay.daemon])


def deferred(world, way):
    """Above `may`: one tells, the others wait for the site."""
    def told():
        world.poke()
        return [e for e in world.relay.events("deferred") if f"@{way}.test>" in e["to"]]
    return wait_until(told, f"{world.level}: {way}: deferred", alive=[world.relay.daemon])


def look_at_none(world, ways):
    for way in ways:
        world.send(way)
        all_in_clear(world, way)
        server = world.servers[way]
        check("STARTTLS" not in server.commands, f"none: {way}: STARTTLS is not said")
        check(not world.tls_failed(way), f"none: {way}: nothing failed")


def look_at_may(world, ways):
    for way, (outcome, then, status) in ways.items():
        world.send(way)
        all_in_clear(world, way)
        server, told = world.servers[way], world.tls_failed(way)
        mailed = [verbs for verbs in server.begun if "MAIL" in verbs]
        anew = then == "plain anew"
        check(all(("STARTTLS" in verbs) != anew for verbs in mailed) or way == "not-offered",
              f"may: {way}: in clear on {'a new' if anew else 'the same'} connection", server.begun)
        check({e["outcome"] for e in told} <= set(outcome.split("|"))
              and bool(told) == (way != "not-offered"), f"may: {way}: the log says {outcome}", told)
        if anew:                     # RFC 7435: what fails is not tried again for a while
            asked = sum("STARTTLS" in verbs for verbs in server.begun)
            world.send(way)
            wait_until(lambda: world.poke() or len(server.clear) == 2 * EACH, f"{way}: more mail")
            check(sum("STARTTLS" in verbs for verbs in server.begun) == asked,
                  f"may: {way}: the next messages do not fail again")
        if told:
            look_at_record(world, way, outcome, status)


def look_at_record(world, way, outcome, status):
    records = [r for r in world.failures(way) if r["event"] == "tls-failed"]
    check(1 <= len(records) <= 2, f"{world.level}: {way}: the failed session is kept", records)
    record = records[0]
    said = [(line["by"], line["line"].split()[0]) for line in record["dialogue"]]
    check(record["outcome"] in outcome.split("|") and record["status"] == status and record["why"],
          f"{world.level}: {way}: it is told as {outcome} {status}: {record['why']}", record)
    check(said[:2] == [("server", "220"), ("relay", "EHLO")], f"{way}: the dialogue", said)
    check(way == "not-offered" or ("relay", "STARTTLS") in said, f"{way}: and STARTTLS", said)
    text = world.relay.command("dest", "show", f"{way}.test", "--last-failures").stdout
    check(f"tls-failed: {record['outcome']}" in text and "--> EHLO relay.test" in text
          and all(" " <= c <= "~" or c == "\n" for c in text), f"{way}: people can read it", text)


def look_at_encrypt(world, ways):
    for way, (outcome, _, status) in ways.items():
        world.send(way)
        tried, told = deferred(world, way), world.tls_failed(way)
        check([e["dsn"] for e in tried] == [status],
              f"{world.level}: {way}: one is deferred with {status}, the others wait", tried)
        check(told and {e["outcome"] for e in told} <= set(outcome.split("|")),
              f"{world.level}: {way}: is {outcome}", told)
        server = world.servers[way]
        check(not server.clear and "MAIL" not in [v for verbs in server.begun for v in verbs],
              f"{world.level}: {way}: nothing went in clear", server.begun)
        look_at_record(world, way, outcome, status)


def look_at_counts(world, ways):
    counts = world.outcomes()
    for outcome in {row[0] for row in ways.values()}:
        check(any(counts[word] for word in outcome.split("|")), f"{world.level}: {outcome} is counted", counts)


def test_quick(workshop, certificate):
    world = World(workshop, certificate, "none", WAYS)
    look_at_none(world, WAYS)
    check(not world.outcomes() or set(world.outcomes().values()) == {0}, "none: nothing is counted")
    world.relay.stop()
    for level in ("may", "encrypt"):
        world = World(workshop, certificate, level, WAYS)
        (look_at_may if level == "may" else look_at_encrypt)(world, WAYS)
        look_at_counts(world, WAYS)
        world.relay.stop()


def test(workshop):
    binary()
    certificate = make_certificate(workshop)
    test_quick(workshop, certificate)


run_test(test)
