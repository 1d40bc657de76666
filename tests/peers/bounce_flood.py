#!/usr/bin/env python3
"""A program whose every message is refused: its sender gets as many notifications as it may have,
and summaries that tell of all the others. None is lost in the count."""
import re

from lib.millrace import Load, Relay, Sink, binary, routes
from lib.workshop import Failed, check, run_test, wait_until

MESSAGES = 200


def withheld(mail):
    """How many a summary tells of; 0 for a notification."""
    found = re.search(rb"(\d+) further notifications were not sent", mail)
    return int(found.group(1)) if found else 0


def test(workshop):
    binary()
    home = Sink(workshop, "home", dump=True).start()
    refuses = Sink(workshop, "refuses", faults=["mail:550:1"]).start()
    top = routes({"load.test": home.next_hop, "refuses.test": refuses.next_hop})
    relay = Relay(workshop, level="may", top=top + '\nbounce { per-sender = "2/s" }').start()
    load = Load(workshop, relay.address, MESSAGES, size=500,
                options=["--to-domain", "refuses.test"])
    code, said = load.wait()
    if code != 0:
        raise Failed(f"not all was taken: {said}")
    wait_until(lambda: relay.stats()["bounced"] == MESSAGES, "all are refused")
    suppressed = relay.stats()["throttled_bounces"]
    check(0 < suppressed < MESSAGES, f"{suppressed} of {MESSAGES} notifications are withheld")
    wait_until(lambda: sum(map(withheld, home.dumped())) == suppressed,
               "summaries tell of each of them")
    mails = home.dumped()
    told = [mail for mail in mails if withheld(mail) == 0]
    check(len(told) == MESSAGES - suppressed, f"{len(told)} notifications of their own")
    stats = relay.wait_until_empty()
    check(stats["balanced"], "the books balance", stats)
    check(len(relay.events("bounce-suppressed")) == suppressed, "each is in the log")
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
