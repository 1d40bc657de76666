#!/usr/bin/env python3
"""A peer that offers STARTTLS and never gets through a handshake: OpenSMTPD as Debian 12 ships it.

Level `may` must deliver in the clear, on a new connection; level `encrypt` must defer."""
from lib.millrace import Relay, binary
from lib.rawsmtp import RawClient
from lib.servers import OpenSmtpd
from lib.workshop import check, run_test, wait_until

MAIL = (b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@app.test>\r\n"
        b"Subject: x\r\n\r\nx\r\n")


def hand_in(relay, number):
    with RawClient(relay.host, relay.port) as client:
        for i in range(number):
            client.deliver("a@app.test", [f"m{i}@peer.test"], MAIL)


def test(workshop):
    binary()
    peer = OpenSmtpd(workshop, tls_works=False).start()
    host = f"[{peer.host}]:{peer.port}"

    relay = Relay(workshop, "may", route=[host], level="may").start()
    hand_in(relay, 10)
    peer.wait_for(10)
    stats = relay.wait_until_empty()
    check(stats["handshakes"]["failed"] >= 1, "level may: a handshake failed")
    check(stats["delivered"] == 10, "level may: all were then delivered in the clear")
    relay.stop()

    relay = Relay(workshop, "encrypt", route=[host], level="encrypt", back_off="200ms").start()
    hand_in(relay, 3)

    def tried():
        envelopes = relay.queue()
        return len(envelopes) == 3 and all(e["attempts"] >= 1 for e in envelopes) and envelopes
    envelopes = wait_until(tried, "each of 3 envelopes has been tried", alive=[relay.daemon])
    check(all("4.7.5" in str(e["last_reply"]) for e in envelopes),
          "level encrypt: each is deferred with 4.7.5", envelopes)
    check(peer.inbox.count() == 10, "level encrypt: nothing went in the clear")
    relay.stop()


run_test(test)
