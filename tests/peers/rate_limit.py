#!/usr/bin/env python3
"""Messages go at the rate that is configured and no faster, and what waits says so; a reload with a
higher rate lets them go."""
from lib.millrace import Relay, binary
from lib.oddserver import OddServer
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

RATE, MESSAGES = 10, 40
MAIL = b"Subject: x\r\nMessage-ID: <1@app.test>\r\n\r\nx\r\n"


def send(relay, domain, number):
    with RawClient(relay.host, relay.port) as client:
        for _ in range(number):
            client.deliver("", [f"a@{domain}"], MAIL)


def configuration(fast, slow, slow_rate):
    return (f'route "fast.test" {{ hosts = {{ "{fast.next_hop}" }} }}\n'
            f'route "slow.test" {{ hosts = {{ "{slow.next_hop}" }} }}\n'
            f'destination "fast.test" {{ rate = "{RATE}/s" }}\n'
            f'destination "slow.test" {{ rate = "{slow_rate}" }}')


def steadily(relay, server):
    """The books of a bucket: at no time more has gone than has come in, and what it held."""
    send(relay, "fast.test", MESSAGES)
    wait_until(lambda: len(server.mails) == MESSAGES, f"{MESSAGES} messages at {RATE}/s",
               alive=[relay.daemon])
    began = min(e["time"] for e in relay.events("received"))
    told = wait_until(lambda: (d := relay.events("delivered")) and len(d) == MESSAGES and d,
                      "all are told", alive=[relay.daemon])
    times = sorted(e["time"] for e in told)
    late = [(time - began).total_seconds() - (n + 1 - RATE) / RATE
            for n, time in enumerate(times)]
    check(min(late) >= -0.002, f"none of {MESSAGES} went before its time", late)


def waits_and_says_why(relay, server):
    send(relay, "slow.test", 3)
    waiting = wait_until(
        lambda: (q := relay.queue("--domain", "slow.test")) and len(q) == 2 and
        all(e["last_reply"] == "rate limit 1/h" for e in q) and q,
        "one of three has gone, two wait for the rate", alive=[relay.daemon])
    check(all(e["state"] == "ready" for e in waiting), "they are ready", waiting)
    said = relay.command("explain", "slow.test").stdout
    check("rate limit 1/h" in said, f"explain: {said.strip()}")
    check(len(server.mails) == 1, "the server has one")


def test(workshop):
    binary()
    fast, slow = OddServer(workshop).start(), OddServer(workshop).start()
    relay = Relay(workshop, level="may", top=configuration(fast, slow, "1/h")).start()
    steadily(relay, fast)
    waits_and_says_why(relay, slow)
    relay.configure(top=configuration(fast, slow, "0"))
    relay.reload()
    wait_until(lambda: len(slow.mails) == 3, "with no rate the others go", alive=[relay.daemon])
    stats = relay.wait_until_empty()
    check(stats["delivered"] == MESSAGES + 3, "all are delivered", stats)
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
