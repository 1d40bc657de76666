#!/usr/bin/env python3
"""Servers that offer little: HELO only, no PIPELINING, no 8BITMIME, small SIZE; all that can be
delivered is, and what cannot be is known from EHLO and bounces at once."""
from lib import mails
from lib.millrace import RELAY_NAME, Load, Relay, binary, routes
from lib.oddserver import OddServer
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

TOO_MANY = 10000         # too large messages: the connection goes on from one to the next
HEADER = (b"From: <ann@app.test>\r\nDate: Sat, 21 Nov 2026 13:00:00 +0000\r\nSubject: x\r\n"
          b"Message-ID: <1@app.test>\r\n\r\n")
PLAIN = HEADER + b".\r\n..one\r\n" + b"x" * 2000 + b"\r\n"
EIGHT_BIT = HEADER + b"\xe9t\xe9\r\n"


def send(relay, mail, domain, recipients=1):
    """From the null sender, so that no bounce is made."""
    with RawClient(relay.host, relay.port) as client:
        client.deliver("", [f"user{i}@{domain}" for i in range(recipients)], mail)


def outcome(relay, domain, number=1):
    """The log lines that end the recipients of that domain."""
    def ended():
        events = [e for word in ("delivered", "bounced") for e in relay.events(word)
                  if e["to"].endswith(f"@{domain}>")]
        return len(events) >= number and events
    return wait_until(ended, f"{domain}: {number} recipients have come to an end",
                      alive=[relay.daemon])


def arrives(relay, server, domain, mail, recipients, what):
    send(relay, mail, domain, recipients)
    events = outcome(relay, domain, recipients)
    check({e["event"] for e in events} == {"delivered"} and len(server.mails) == 1,
          f"{what}: delivered")
    sender, to, arrived = server.mails[0]
    why = mails.same_but_for_trace(arrived.replace(b"\r\n", b"\n"),
                                   mail.replace(b"\r\n", b"\n"), RELAY_NAME)
    check(not why, f"{what}: byte for byte", why)
    check(to == [b"<user%d@%s>" % (i, domain.encode()) for i in range(recipients)],
          f"{what}: to its {recipients} recipients, in one transaction", to)
    return sender


def bounces(relay, server, domain, mail, status, what):
    send(relay, mail, domain)
    events = outcome(relay, domain)
    check(events[0]["event"] == "bounced" and events[0]["dsn"] == status,
          f"{what}: bounced, {status}", events)
    check("MAIL" not in server.commands, f"{what}: without asking the server")


def many_too_large(relay, server, domain):
    """They wait while the server is away; once it is there, the session goes from one hopeless
    envelope to the next without a word on the wire."""
    load = Load(relay.workshop, relay.address, TOO_MANY, size=2048,
                options=["--to-domain", domain, "--from", ""])
    code, said = load.wait()
    check(code == 0, f"{TOO_MANY} messages are taken", said)
    server.start()
    relay.command("queue", "retry", "--all", "--reason", "it is there")
    stats = relay.wait_until_empty()
    check(stats["bounced"] >= TOO_MANY and "MAIL" not in server.commands,
          f"{TOO_MANY} too large ones bounce without a word", stats)


def test(workshop):
    binary()
    servers = {
        "helo.test": OddServer(workshop, keywords=None),
        "bare.test": OddServer(workshop),
        "eight.test": OddServer(workshop, ["8BITMIME", "PIPELINING"]),
        "seven.test": OddServer(workshop, ["PIPELINING", "SIZE"]),
        "small.test": OddServer(workshop, ["PIPELINING", "SIZE 1000"]),
        "none.test": OddServer(workshop, ["PIPELINING", "SIZE 0"]),
    }
    for server in servers.values():
        server.start()
    servers["away.test"] = OddServer(workshop, ["PIPELINING", "SIZE 1000"])
    hops = routes({domain: server.next_hop for domain, server in servers.items()})
    relay = Relay(workshop, level="may", top=hops, destination="messages-per-connection = 0")
    relay.start()
    arrives(relay, servers["helo.test"], "helo.test", PLAIN, 3, "HELO only")
    check(servers["helo.test"].commands[:2] == ["EHLO", "HELO"], "HELO only: first EHLO, then HELO")
    said = arrives(relay, servers["bare.test"], "bare.test", PLAIN, 3, "no PIPELINING")
    check(said == b"<>", f"no SIZE, no 8BITMIME: MAIL has no parameters ({said.decode()})")
    said = arrives(relay, servers["eight.test"], "eight.test", EIGHT_BIT, 1, "8BITMIME")
    check(said == b"<> BODY=8BITMIME", f"8BITMIME: is said to the server ({said.decode()})")
    said = arrives(relay, servers["none.test"], "none.test", PLAIN, 2, "SIZE 0, which is no limit")
    check(said.startswith(b"<> SIZE="), f"SIZE: is said to the server ({said.decode()})")
    bounces(relay, servers["seven.test"], "seven.test", EIGHT_BIT, "5.6.3",
            "8-bit mail, no 8BITMIME")
    bounces(relay, servers["small.test"], "small.test", PLAIN, "5.3.4", "larger than SIZE")
    many_too_large(relay, servers["away.test"], "away.test")
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
