#!/usr/bin/env python3
"""SIGHUP takes a new configuration and keeps the old one when the new one is broken; SIGTERM
drains and ends with 0; nothing is lost or sent twice."""
from lib.millrace import Load, Relay, Sink, binary
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, say, wait_until

MESSAGES = 5000


class Sender:
    def __init__(self, relay):
        self.relay = relay
        self.sent = 0

    def send(self):
        self.sent += 1
        mail = f"Subject: x\r\nMessage-ID: <{self.sent}@app.test>\r\n\r\nx\r\n".encode()
        with RawClient(self.relay.host, self.relay.port) as client:
            client.deliver("a@app.test", ["b@peer.test"], mail)


def reload(relay, sender, first, second):
    for _ in range(10):
        sender.send()
    first.wait_for(10)
    check(second.count() == 0, "before: mail goes where the first configuration says")

    relay.configure(route=[second.next_hop])
    relay.reload()

    def arrives_at_second():
        sender.send()
        return second.count() > 0
    wait_until(arrives_at_second, "mail goes where the new configuration says",
               alive=[relay.daemon])
    check(True, "SIGHUP: mail goes where the new configuration says, without a restart")


def broken_reload(relay, sender, second):
    good = relay.config.read_text()
    relay.config.write_text(good + "\nno-such-key = 1\n")
    line = len(good.splitlines()) + 2
    relay.reload()
    wait_until(lambda: f"{relay.config}:{line}" in relay.log(), "the error is logged with its line",
               alive=[relay.daemon])
    before = second.count()
    for _ in range(10):
        sender.send()
    second.wait_for(before + 10)
    check(relay.daemon.running, "SIGHUP with a broken file: the error is logged, the old one stays")
    relay.config.write_text(good)


def drain(relay, sender, first, second):
    relay.wait_until_empty()
    base = first.count() + second.count()
    check(base == sender.sent, f"all {sender.sent} messages so far arrived")
    load = Load(relay.workshop, relay.address, MESSAGES)
    wait_until(lambda: second.count() > MESSAGES // 4, "a quarter of the load has arrived",
               alive=[relay.daemon])
    check(relay.stop() == 0, "SIGTERM in the middle of a load: ends with 0")
    check("started" in relay.log(), "and its log is whole")
    relay.start()
    load.wait()
    accepted = load.accepted()
    wait_until(lambda: not accepted - second.ledger(),
               f"each of the {len(accepted)} accepted messages has arrived", alive=[relay.daemon])
    relay.wait_until_empty()
    twice = {name: n for name, n in second.ledger().items() if n > 1}
    say(f"  {len(accepted)} of {MESSAGES} accepted over the restart")
    check(not twice, "each of them once", twice)


def test(workshop):
    binary()
    first, second = Sink(workshop, "first").start(), Sink(workshop, "second").start()
    relay = Relay(workshop, route=[first.next_hop]).start()
    sender = Sender(relay)
    reload(relay, sender, first, second)
    broken_reload(relay, sender, second)
    drain(relay, sender, first, second)


run_test(test)
