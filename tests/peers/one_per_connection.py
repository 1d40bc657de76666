#!/usr/bin/env python3
"""One message a connection over STARTTLS to a TLS 1.3 sink: all arrive, and of a hundred handshakes
99 at least resume."""
import os

from lib.millrace import Load, Relay, Sink
from lib.workshop import check, run_test

MESSAGES = int(os.environ.get("MILLRACE_TEST_MESSAGES", "20000"))


def test(workshop):
    sink = Sink(workshop, versions="1.3").start()
    relay = Relay(workshop, route=[sink.next_hop], level="encrypt",
                  destination="messages-per-connection = 1").start()
    load = Load(workshop, relay.address, MESSAGES)
    code, said = load.wait()
    check(code == 0, f"load handed in {MESSAGES} messages", said)
    sink.wait_for(MESSAGES)
    stats = relay.wait_until_empty()
    counted = sink.stop()
    check(stats["delivered"] == MESSAGES, f"the relay delivered {MESSAGES}", stats)
    check(counted["messages"] == MESSAGES, f"the sink has {MESSAGES}", counted)
    check(sink.ledger() == load.accepted(), "each once, the very ones that were accepted")
    check(counted["handshakes"] >= MESSAGES, f"each on its own TLS connection "
          f"({counted['connections']} connections, {counted['handshakes']} handshakes)", counted)
    check(counted["resumed"] >= 0.99 * counted["handshakes"],
          f"{counted['resumed']} of {counted['handshakes']} handshakes resumed: 99 of 100 at least")


run_test(test)
