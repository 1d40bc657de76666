#!/usr/bin/env python3
"""swaks, swaks with STARTTLS and Postfix's smtp-source hand in; the relay forwards to the sink."""
from lib.millrace import Relay, Sink, binary
from lib.servers import make_certificate, smtp_source
from lib.workshop import check, run_command, run_test

SESSIONS, MESSAGES = 20, 2000


def swaks(relay, *options):
    """One mail from swaks; what it printed."""
    return run_command(["swaks", "--server", relay.host, "--port", str(relay.port),
                        "--from", "a@app.test", "--helo", "app.test", *options]).stdout


def test(workshop):
    binary()
    sink = Sink(workshop).start()
    relay = Relay(workshop, route=[sink.next_hop], level="encrypt",
                  certificate=make_certificate(workshop, "relay", "relay.test")).start()

    said = swaks(relay, "--to", "one@peer.test")
    check("queued as" in said, "swaks in the clear: accepted")
    said = swaks(relay, "--to", "two@peer.test", "--tls")
    check("TLS started with cipher" in said and "queued as" in said,
          "swaks with STARTTLS: accepted")
    after_tls = said.split("TLS started", 1)[1]
    check("STARTTLS" not in after_tls, "STARTTLS is not offered again inside TLS")
    said = swaks(relay, "--to", "three@peer.test,four@peer.test", "--tls", "--pipeline")
    check("queued as" in said, "swaks with STARTTLS, PIPELINING and two recipients: accepted")
    sent = 3

    smtp_source("-s", SESSIONS, "-m", MESSAGES, "-l", 4096, "-N", "-f", "a@app.test",
                "-t", "b@peer.test", f"inet:{relay.address}")
    sent += MESSAGES
    smtp_source("-s", SESSIONS, "-m", MESSAGES, "-l", 10000, "-d", "-f", "a@app.test",
                "-t", "b@peer.test", f"inet:{relay.address}")
    sent += MESSAGES
    check(True, f"smtp-source: {2 * MESSAGES} messages accepted over {SESSIONS} sessions")

    sink.wait_for(sent)
    stats = relay.wait_until_empty()
    counted = sink.stop()
    check(stats["messages_received"] == sent, f"the relay received {sent} messages", stats)
    check(stats["received"] == sent + 1 and stats["delivered"] == sent + 1,
          f"the relay delivered to {sent + 1} recipients", stats)
    check(counted["messages"] == sent and counted["recipients"] == sent + 1,
          f"the sink counts {sent} messages and {sent + 1} recipients", counted)
    check(counted["handshakes"] == counted["connections"] > 0,
          f"every connection to the sink was over TLS ({counted['connections']})", counted)
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
