#!/usr/bin/env python3
"""A backlog that the relay finds at its start: listed exactly from the first moment on, by domain,
state and sender; dropped by filter, no more and no less; and all the rest is delivered once."""
import os

from lib.millrace import Relay, Sink, binary
from lib.workshop import Skip, check, run_command, run_test, wait_until

MESSAGES, DOMAINS, SENDERS = 20000, 50, 2
EACH = MESSAGES // DOMAINS


def fill(spool):
    filler = binary().parent / "spool_fill"
    if not os.access(filler, os.X_OK):
        raise Skip(f"no spool_fill at {filler}: build it")
    run_command([filler, "--spool", spool, "--messages", MESSAGES, "--domains", DOMAINS,
                 "--senders", SENDERS, "--ready", DOMAINS // 2])


def number_of(envelope):
    """Of the message, by its recipient: uN@dK.fill.test."""
    return int(envelope["recipients"][0].split("@")[0][1:])


def lists(relay):
    """What is still being read is listed as well."""
    listed = relay.queue()
    check([number_of(e) for e in listed] == list(range(MESSAGES)),
          f"list right after the start: all {MESSAGES}, oldest first")
    wait_until(lambda: relay.events("restored"), "the spool has been read", alive=[relay.daemon])
    wait_until(lambda: {e["state"] for e in relay.queue()} == {"waiting"},
               "all wait behind the site's back-off", alive=[relay.daemon])
    for domain, wanted in (("d7.fill.test", [n for n in range(MESSAGES) if n % DOMAINS == 7]),
                           (".fill.test", list(range(MESSAGES))), ("fill.test", []),
                           ("d7.fill", [])):
        found = [number_of(e) for e in relay.queue("--domain", domain)]
        check(found == wanted, f"list --domain {domain}: {len(wanted)}, oldest first")
    found = relay.queue("--domain", "d7.fill.test", "--sender", "s1@fill.test", "--limit", "10")
    check([number_of(e) for e in found] == [7 + DOMAINS * i for i in range(10)],
          "list --domain --sender --limit: the oldest", found)
    check(relay.queue("--state", "loading") == relay.queue("--state", "out") == [],
          "none is loading or out")


def drops(relay):
    said = relay.command("queue", "drop", "--sender", "s0@fill.test", "--reason", "a test").stdout
    half = MESSAGES // SENDERS
    check(said.startswith(f"{half} envelopes dropped"), f"drop --sender: {said.strip()}")
    check([number_of(e) for e in relay.queue()] == list(range(1, MESSAGES, SENDERS)),
          "those and no others are gone")
    said = relay.command("queue", "drop", "--domain", "d7.fill.test", "--reason", "a test").stdout
    check(said.startswith(f"{EACH} envelopes dropped"), f"drop --domain: {said.strip()}")
    stats = relay.stats()
    check(stats["dropped"] == half + EACH and stats["queued"] == half - EACH and stats["balanced"],
          "the books balance", stats)
    return {f"{n}@fill.test" for n in range(1, MESSAGES, SENDERS) if n % DOMAINS != 7}


def test(workshop):
    binary()
    port = workshop.free_port()
    relay = Relay(workshop, route=[f"[127.0.0.1]:{port}"], level="none", back_off="1h")
    fill(relay.spool)
    relay.start()
    lists(relay)
    left = drops(relay)
    sink = Sink(workshop, port=port, tls=False).start()
    relay.command("queue", "retry", "--all", "--reason", "a test")
    stats = relay.wait_until_empty()
    ledger = sink.ledger()
    check(set(ledger) == left and set(ledger.values()) == {1},
          f"the {len(left)} that stayed are delivered, each once", len(ledger))
    check(stats["delivered"] == sink.stop()["messages"] == len(left), "and counted", stats)
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
