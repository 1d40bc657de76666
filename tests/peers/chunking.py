#!/usr/bin/env python3
"""Relay -> Postfix and Exim in chunks, on one connection: refusals in the middle of a flight put
nothing out of step, large bodies go in several chunks, and DSN, SMTPUTF8 and BINARYMIME are passed
on, or the sender is told."""
from lib import mails
from lib.millrace import RELAY_NAME, Relay, binary
from lib.rawsmtp import RawClient
from lib.servers import Exim, Postfix
from lib.workshop import check, run_test

SENDER = "a@peer.test"      # what comes back arrives in the same inbox
ONE = 'destination "peer.test" { max-connections = 1 idle = 1h }'
HEADER = "From: a@peer.test\r\nDate: x\r\nMessage-ID: <{0}@peer.test>\r\nSubject: {0}\r\n\r\n"


def mail_of(name, body="."):
    return (HEADER.format(name) + body + "\r\n").encode()


def hand_in(client, mail, recipients, mail_parameters=""):
    client.command(f"MAIL FROM:<{SENDER}>{mail_parameters}", 250)
    for recipient in recipients:
        client.command(f"RCPT TO:{recipient}", 250)
    client.send(b"BDAT %d LAST\r\n" % len(mail) + mail)
    client.expect(250, "BDAT")


def refusals(relay, peer):
    """A good recipient, a bad one beside it, bad ones only, and a good one behind them."""
    with RawClient(relay.host, relay.port) as client:
        for round_ in range(3):
            hand_in(client, mail_of(f"both{round_}"), ["<yes@peer.test>", "<no@peer.test>"])
            hand_in(client, mail_of(f"bad{round_}", "x" * 30000), ["<no@peer.test>"])
            hand_in(client, mail_of(f"good{round_}"), ["<yes@peer.test>"])
    # both and good arrive, and of each bad one a notification
    arrived = [m for m in peer.wait_for(4 * 3) if b"multipart/report" not in m]
    subjects = [line for mail in arrived for line in mail.split(b"\n") if line.startswith(b"Subject")]
    for round_ in range(3):
        for name in ("both", "good"):
            check(subjects.count(f"Subject: {name}{round_}".encode()) == 1, f"{name}{round_} arrived")
    relay.wait_until_empty()
    log = relay.events()
    bounced = [e for e in log if e["event"] == "bounced"]
    check(len(bounced) == 6 and all(e["to"] == "<no@peer.test>" and e["reply"].startswith("55")
                                    for e in bounced), "each bad one was refused by the peer itself")
    check(not any(e["event"] in ("deferred", "in-doubt", "host-misbehaves") for e in log),
          "and nothing else happened")
    check(relay.stats()["connections"]["opened"] == 1, "all of it on one connection")


def large(relay, peer):
    lines = "".join(f"{i:06} {'.' * (i % 70)}\r\n" for i in range(80000))
    sent = mail_of("large", lines)
    before = peer.inbox.count()
    with RawClient(relay.host, relay.port) as client:
        hand_in(client, sent, ["<yes@peer.test>"])
    arrived = [m for m in peer.wait_for(before + 1) if b"\nSubject: large\n" in m]
    why = mails.same_but_for_trace(peer.without_additions(arrived[0]), sent.replace(b"\r\n", b"\n"),
                                   RELAY_NAME)
    check(not why, f"a mail of {len(sent)} bytes arrives as it was sent", why)


def options(relay, peer):
    before = peer.inbox.count()
    with RawClient(relay.host, relay.port) as client:
        hand_in(client, mail_of("dsn"), ["<yes@peer.test> NOTIFY=SUCCESS "
                                         "ORCPT=rfc822;first+2Bone@peer.test"], " ENVID=QQ314159")
        hand_in(client, mail_of("binary", "a\0b\nc\rd"), ["<yes@peer.test>"], " BODY=BINARYMIME")
    arrived = peer.wait_for(before + 3)
    told = [m for m in arrived if b"original-envelope-id: qq314159" in m.lower()]
    check(len(told) == 1 and b"Original-Recipient: rfc822;first" in told[0].replace(b"; ", b";"),
          "the peer itself told of its success", told)
    check(RELAY_NAME.encode() not in told[0].split(b"Reporting-MTA:")[1].split(b"\n")[0],
          "not the relay")
    check(any(b"5.6.3" in m for m in arrived), "what is binary came back: the peer does not take it")


def test(workshop):
    binary()
    for peer in (Postfix(workshop, Postfix.refusing), Exim(workshop, Exim.refusing)):
        peer.start()
        relay = Relay(workshop, f"relay-{peer.name}", route=[f"[{peer.host}]:{peer.port}"],
                      level="encrypt", top=ONE).start()
        refusals(relay, peer)
        large(relay, peer)
        options(relay, peer)
        check(relay.stop() == 0, "the relay ends with 0")
        peer.stop()


run_test(test)
