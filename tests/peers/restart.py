#!/usr/bin/env python3
"""A restart, in good order or by kill -9, keeps every message and its due time, makes no attempt
before that is due, and delivers from disk byte for byte what was handed in."""
from lib import mails
from lib.delivery import SEED, all_mails, compare_with_sink, hand_in
from lib.millrace import Relay, Sink, binary
from lib.workshop import check, run_test, wait_until

KEPT = ("envelope", "sender", "recipients", "destination", "attempts", "due", "arrived", "size",
        "last_reply", "last_host")


def facts(relay):
    """What must survive of each envelope, by its name."""
    return {e["envelope"]: {key: e[key] for key in KEPT} for e in relay.queue()}


def deferred_once(relay, number):
    """Wait until each envelope has been tried once, and waits."""
    def tried():
        queue = relay.queue()
        return len(queue) == number and all(e["attempts"] == 1 and e["due"] for e in queue)
    wait_until(tried, f"each of {number} messages has been deferred", alive=[relay.daemon])


def restarted(relay, how, before):
    """Start it again; all is as it was."""
    relay.start()
    restored = wait_until(lambda: relay.events("restored"), "the spool has been read",
                          alive=[relay.daemon])
    check(restored[0]["envelopes"] == str(len(before)),
          f"{how}: {len(before)} envelopes are restored")
    check(facts(relay) == before, f"{how}: each has the due time, attempts and reply that it had")
    stats = relay.stats()
    check(stats["deferrals"] == 0, f"{how}: nothing is tried before it is due", stats)
    check(stats["restored"] == stats["queued"] == len(before) and stats["balanced"],
          f"{how}: the books balance", stats)


def test(workshop):
    binary()
    sendable = all_mails()[0] + mails.large_mails(SEED)
    later = Sink(workshop, "later", faults=["rcpt:451:1"]).start()
    relay = Relay(workshop, route=[later.next_hop], listen="add-headers = false",
                  retry="first = 1h longest = 2h give-up = 5d").start()
    hand_in(relay, [("b@peer.test", mail) for _, mail in sendable])
    deferred_once(relay, len(sendable))
    before = facts(relay)
    check(relay.stop() == 0, "SIGTERM: ends with 0")
    restarted(relay, "SIGTERM", before)
    relay.kill()
    restarted(relay, "kill -9", before)
    attempts = later.stop()["faults"]["rcpt:451"]
    check(attempts == len(sendable), f"no message was tried again: {attempts} attempts in all")

    sink = Sink(workshop, port=later.port, dump=True).start()
    relay.command("queue", "retry", "--all", "--reason", "a test")
    relay.wait_until_empty()
    compare_with_sink(sink, sendable)
    sink.stop()
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
