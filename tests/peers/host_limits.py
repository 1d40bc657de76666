#!/usr/bin/env python3
"""Hosts that take only so much at a time (LIMITS), or not everything: what is left goes on at once,
in further transactions and over further connections, and what one host cannot take goes to the
next."""
from lib.millrace import Relay, Sink, binary, routes
from lib.oddserver import OddServer
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

NEVER = "first = 1h factor = 1 longest = 1h give-up = 5d"     # nothing here may wait for a retry
TEXT = b"From: a@app.test\r\nDate: x\r\nMessage-ID: <%s@app.test>\r\n\r\n%s\r\n"


def hand_in(relay, name, recipients, parameters="", text=b"x"):
    with RawClient(relay.host, relay.port) as client:
        client.command(f"MAIL FROM:<a@app.test>{parameters}", 250)
        for recipient in recipients:
            client.command(f"RCPT TO:<{recipient}>", 250)
        client.command("DATA", 354)
        client.send(TEXT % (name, text) + b".\r\n")
        client.expect(250, "end of data")


def many_recipients(relay, sink):
    hand_in(relay, b"many", [f"r{i}@few.test" for i in range(20)])
    stats = relay.wait_until_empty()
    check(stats["delivered"] == 20, "all of twenty recipients are served, and none waits", stats)
    counted = sink.stop()
    check(counted["recipients"] == 20 and counted["duplicates"] == 0, "each once", counted)
    check(counted["messages"] == 7, "three at a time: in seven transactions", counted)
    check(counted["connections"] == 4, "two at a time: over four connections", counted)


def many_domains(relay, sink):
    for i in range(4):
        for domain in ("one.test", "two.test"):
            hand_in(relay, b"%d-%s" % (i, domain.encode()), [f"r@{domain}"])
    stats = relay.wait_until_empty()
    check(stats["delivered"] == 28, "all arrive where a connection may know one domain only", stats)
    check(sink.stop()["recipients"] == 8, "each once")


def next_host(relay, plain, speaks):
    hand_in(relay, b"utf8", ["ö@able.test"], " SMTPUTF8 BODY=8BITMIME", "ü".encode())
    relay.wait_until_empty()
    check(speaks.count() == 1 and plain.count() == 0,
          "what the first host does not speak the second one takes")
    hand_in(relay, b"utf8-2", ["ö@unable.test"], " SMTPUTF8 BODY=8BITMIME", "ü".encode())
    relay.wait_until_empty()
    bounced = [e for e in relay.events("bounced") if "unable.test" in e["to"]]
    check(len(bounced) == 1 and bounced[0]["dsn"] == "5.6.7", "and bounces where there is no other",
          bounced)


class HasEnough(OddServer):
    """One recipient a mail; and of the third MAIL it has had enough."""

    def __init__(self, workshop):
        super().__init__(workshop, ["LIMITS RCPTMAX=1"])

    def _usual(self, verb):
        enough = verb == "MAIL" and self.commands.count("MAIL") == 3
        return b"452 4.3.2 Enough\r\n" if enough else super()._usual(verb)


def taken_in_part(relay, server):
    hand_in(relay, b"before", ["r0@enough.test"])
    relay.wait_until_empty()
    hand_in(relay, b"part", ["r1@enough.test", "r2@enough.test"])
    deferred = wait_until(lambda: [e for e in relay.events("deferred") if "enough.test" in e["to"]],
                          "what is left is deferred", alive=[relay.daemon])
    relay.command("queue", "retry", "--all", "--reason", "now")
    relay.wait_until_empty()
    check([e["to"] for e in deferred] == ["<r2@enough.test>"], "by the MAIL that was its own",
          deferred)
    recipients = sorted(r for _, all_of_one, _ in server.mails for r in all_of_one)
    check(recipients == [b"<r%d@enough.test>" % i for i in range(3)],
          "who had it by an earlier transaction of the same connection does not get it again",
          recipients)
    check(server.connections == 2, "one for these, and one for what was left", server.connections)


def test(workshop):
    binary()
    enough = HasEnough(workshop).start()
    few = Sink(workshop, "few", options=["--limits", "RCPTMAX=3 MAILMAX=2"]).start()
    domain = Sink(workshop, "domain", options=["--limits", "RCPTDOMAINMAX=1"]).start()
    plain = Sink(workshop, "plain", options=["--no-extension", "SMTPUTF8"]).start()
    speaks = Sink(workshop, "speaks").start()
    top = routes({"few.test": few.next_hop, "one.test": domain.next_hop,
                  "two.test": domain.next_hop, "enough.test": enough.next_hop,
                  "unable.test": plain.next_hop,
                  "app.test": speaks.next_hop})
    top += f'\nroute "able.test" {{ hosts = {{ "{plain.next_hop}", "{speaks.next_hop}" }} }}'
    top += '\ntls "enough.test" { level = "none" }'
    relay = Relay(workshop, retry=NEVER, top=top).start()
    many_recipients(relay, few)
    many_domains(relay, domain)
    taken_in_part(relay, enough)
    next_host(relay, plain, speaks)
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
