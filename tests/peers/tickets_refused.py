#!/usr/bin/env python3
"""A server that cannot stand tickets (RFC 8446 4.2.11 has it pass over what it does not know): it
ends the handshake with an alert, or hangs up. Once more with a full handshake, at once, before
anything is held against it, and nothing in clear under any level."""
from lib.millrace import Load, Relay, binary
from lib.servers import make_certificate
from lib.tlsserver import PRE_SHARED_KEY, TlsServer
from lib.workshop import check, run_test

MESSAGES = 5


def deliver(workshop, name, level, rude):
    server = TlsServer(workshop, make_certificate(workshop, name), rude=rude,
                       take=lambda kinds: PRE_SHARED_KEY not in kinds).start()
    relay = Relay(workshop, name, route=[server.next_hop], level=level, connections=1,
                  destination="messages-per-connection = 1").start()
    load = Load(workshop, relay.address, MESSAGES, name=f"{name}-load", connections=1, size=512)
    code, said = load.wait()
    check(code == 0, f"{name}: {MESSAGES} messages are handed in", said)
    stats = relay.wait_until_empty()
    check(stats["delivered"] == MESSAGES and stats["deferrals"] == 0,
          f"{name}: all are delivered at their first attempt", stats)
    delivered = relay.events("delivered")
    check(all(event["tls"].startswith("encrypt:table:TLSv1.3:full") for event in delivered),
          f"{name}: in TLS, and none of them resumed", delivered)
    failed = relay.events("tls-failed")
    check(failed and all(event["outcome"] == "ticket-refused" for event in failed),
          f"{name}: it is told for what it is", failed)
    check(len(failed) == server.refused == MESSAGES - 1,
          f"{name}: each that had a ticket to show was refused once: {server.refused}", failed)
    check(server.connections == MESSAGES + server.refused,
          f"{name}: and came once more, on a connection of its own")
    check(relay.stop() == 0, f"{name}: the relay ends with 0")


def test(workshop):
    binary()
    deliver(workshop, "may-alert", "may", rude=False)
    deliver(workshop, "may-hang-up", "may", rude=True)
    deliver(workshop, "encrypt-alert", "encrypt", rude=False)
    deliver(workshop, "encrypt-hang-up", "encrypt", rude=True)


run_test(test)
