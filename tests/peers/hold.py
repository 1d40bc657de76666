#!/usr/bin/env python3
"""`millrace queue hold | release | fail`: what is held is not tried, over kill -9 too, until it is
released; what fails is returned to its sender with the operator's words; the books balance."""
from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

MESSAGES = 6
REASON = "a look at it first"


def hand_in(relay):
    """MESSAGES; their ids."""
    with RawClient(relay.host, relay.port) as client:
        said = [client.deliver("ann@app.test", [f"u{number}@held.test"],
                               f"Message-ID: <{number}@app.test>\r\n\r\nx\r\n".encode())
                for number in range(MESSAGES)]
    return [line.split()[-1] for line in said]


def states(relay, *filters):
    return [envelope["state"] for envelope in relay.queue(*filters)]


def holds(relay, ids):
    said = relay.command("queue", "hold", "--domain", "held.test", "--reason", REASON).stdout
    check(said.startswith(f"{MESSAGES} envelopes held"), f"hold: {said.strip()}")
    check(states(relay) == ["held"] * MESSAGES, "all are held")
    shown = relay.command("queue", "show", ids[0]).stdout
    check("held" in shown and REASON in shown, "show says why", shown)
    check(REASON in relay.command("queue", "list").stdout, "so does list")
    check(f"millrace queue release {ids[0]}" in relay.command("explain", ids[0]).stdout,
          "explain says how it goes on")
    check(relay.stats()["queue"]["held"] == MESSAGES, "stats counts them")
    said = relay.command("queue", "retry", "--all", "--reason", "a test").stdout
    check(said.startswith("0 envelopes") and states(relay) == ["held"] * MESSAGES,
          "retry does not release")


def survives(relay):
    relay.kill()
    relay.start()
    wait_until(lambda: relay.events("restored"), "the spool has been read", alive=[relay.daemon])
    check(states(relay) == ["held"] * MESSAGES, "kill -9: all are held still")
    check({envelope["hold_reason"] for envelope in relay.queue()} == {REASON}, "for that reason")
    check(relay.stats()["balanced"], "the books balance")


def releases(relay, sink, ids):
    said = relay.command("queue", "release", ids[0]).stdout
    check(said.startswith("1 envelope released"), f"release ID: {said.strip()}")
    sink.wait_for(1)
    check(set(sink.ledger()) == {"0@app.test"}, "that one is delivered, and no other",
          sink.ledger())
    wait_until(lambda: len(relay.queue()) == MESSAGES - 1, "it is gone from the queue",
               alive=[relay.daemon])
    said = relay.command("queue", "release", ids[0], check_code=False)
    check(said.returncode == 65, "there is nothing more to release", said)


def fails(relay, sink, ids):
    said = relay.command("queue", "fail", ids[1], "--reason", "the list was stolen").stdout
    check(said.startswith("1 envelope"), f"fail ID: {said.strip()}")
    check(ids[1] not in [envelope["id"] for envelope in relay.queue()], "it is gone")
    sink.wait_for(2)
    bounce = [mail for mail in sink.dumped() if b"multipart/report" in mail]
    check(len(bounce) == 1 and b"the list was stolen" in bounce[0]
          and b"Status: 5.7.0" in bounce[0] and b"u1@held.test" in bounce[0],
          "its sender is told why", bounce)


def drops(relay):
    left = MESSAGES - 2
    said = relay.command("queue", "drop", "--state", "held", "--reason", "a test").stdout
    check(said.startswith(f"{left} envelopes dropped"), f"drop what is held: {said.strip()}")
    stats = relay.wait_until_empty()
    check(stats["delivered"] == 2 and stats["bounced"] == 1 and stats["dropped"] == left,
          "the books: delivered, bounced, dropped", stats)


def test(workshop):
    binary()
    port = workshop.free_port()
    relay = Relay(workshop, route=[f"[127.0.0.1]:{port}"], back_off="1h",
                  retry="first = 1h longest = 2h give-up = 5d").start()
    ids = hand_in(relay)
    wait_until(lambda: states(relay) == ["waiting"] * MESSAGES, "all wait", alive=[relay.daemon])
    holds(relay, ids)
    survives(relay)
    sink = Sink(workshop, port=port, dump=True).start()
    releases(relay, sink, ids)
    fails(relay, sink, ids)
    drops(relay)
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
