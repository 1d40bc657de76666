#!/usr/bin/env python3
"""Envelopes that wait behind a dead site get no attempts of their own. Their senders are told all the
same, once, that they wait; and they expire in their time."""
import email
import email.policy

from lib.millrace import Relay, Sink, binary, routes
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

MAILS = 3
SECTIONS = """
retry "dead.test" { first = 1h longest = 1h warn-after = 100ms }
retry "gone.test" { first = 1h longest = 1h give-up = 200ms }
"""


def notifications(home, action):
    """The notifications that came home and whose first recipient has this action."""
    found = []
    for raw in home.dumped():
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        block = list(mail.iter_parts())[1].get_payload()[1]
        if block["Action"] == action:
            found.append(block)
    return found


def test(workshop):
    binary()
    home = Sink(workshop, "home", dump=True).start()
    closed = f"[127.0.0.1]:{workshop.free_port()}"
    top = routes({"app.test": home.next_hop, "dead.test": closed, "gone.test": closed}) + SECTIONS
    relay = Relay(workshop, level="may", back_off="1h", top=top).start()
    with RawClient(relay.host, relay.port) as client:
        for domain in ("dead.test", "gone.test"):
            for i in range(MAILS):
                client.deliver("ann@app.test", [f"bob{i}@{domain}"], b"Subject: x\r\n\r\ny\r\n")
    wait_until(lambda: len(notifications(home, "failed")) == MAILS, "what is too old comes back",
               alive=[relay.daemon])
    wait_until(lambda: len(notifications(home, "delayed")) == MAILS,
               "each sender is told that its mail waits", alive=[relay.daemon])
    delayed = notifications(home, "delayed")
    check({b["Final-Recipient"] for b in delayed} ==
          {f"rfc822; bob{i}@dead.test" for i in range(MAILS)} and
          all("Connection refused" in b["Diagnostic-Code"] and "Will-Retry-Until" in b
              for b in delayed), "with what is known of the site", [b.as_string() for b in delayed])
    check(len([e for e in relay.events("connect-failed") if closed in e["relay"]]) <= 2,
          "for which nobody knocked again at the dead host")
    waiting = relay.queue("--domain", "dead.test")
    check(len(waiting) == MAILS, "they go on waiting", waiting)
    stats = relay.stats()
    check(stats["queued"] == MAILS and stats["balanced"], "the books balance", stats)
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
