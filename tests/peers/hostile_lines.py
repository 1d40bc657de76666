#!/usr/bin/env python3
"""Hostile lines and dialogues by the hundred (lib/hostile.py): each gets its replies and no other,
the relay stands, and nothing is relayed. Then those that need a socket of their own: what is
injected around STARTTLS, and connections that end in the middle."""
import subprocess

from lib.hostile import (ERRORS_MAX, HEADER_MAX, MESSAGE_MAX, RECIPIENTS_MAX, START, cases)
from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient, Refused, Wire
from lib.servers import make_certificate
from lib.workshop import PATIENCE, Failed, check, run_test, wait_until

STRANGER = "127.0.0.2"      # where clients come from that may not relay
LIMITS = f"""\
limits {{
    auth-failures = 1000000
    auth-delay = 0s
    errors = {ERRORS_MAX}
    header = {HEADER_MAX}
    message-size = {MESSAGE_MAX}
    recipients = {RECIPIENTS_MAX}
}}
"""


LISTEN = """\
users = "{users}"
listen "127.0.0.1:{port}" {{ auth = "offered" auth-in-clear = true }}
"""


class Target(Relay):
    """A relay with one more listener, which offers AUTH."""

    def __init__(self, workshop, **options):
        self.auth_port = workshop.free_port()
        users = workshop.path("users")
        super().__init__(workshop, relay_from='"127.0.0.1/32"', **options,
                         top=LIMITS + LISTEN.format(users=users, port=self.auth_port))
        subprocess.run([binary(), "passwd", "-c", self.config, "user"], input=b"secret\n",
                       check=True, capture_output=True, timeout=PATIENCE)


def stands(relay):
    """A fresh connection is served."""
    with Wire(relay.host, relay.port) as client:
        client.expect(220, "greeting")
        client.command("NOOP", 250)


def play(relay, case):
    """What went wrong, or None."""
    words, codes = START[case.start]
    port = relay.auth_port if case.auth else relay.port
    with Wire(relay.host, port, source=STRANGER if case.stranger else "") as client:
        client.expect(220, "greeting")
        client.send(words)
        for code in codes:
            client.expect(code, "the beginning")
        client.send(case.send if case.ends else case.send + b"QUIT\r\n")
        for wanted in case.replies if case.ends else (*case.replies, "221 2.0.0"):
            _, said = client.reply()
            if not said.startswith(wanted):
                return f"said {said!r}, not {wanted}"
        more = client.receive()
        return f"and then said {more!r}" if more else None


def all_cases(relay):
    wrong = []
    table = cases()
    for case in table:
        try:
            fault = play(relay, case)
        except (Failed, Refused, OSError) as reason:
            fault = str(reason)
        if fault:
            wrong.append(f"{case.name}: {fault}")
        stands(relay)
    check(len(table) >= 500, f"{len(table)} hostile lines and dialogues")
    check(not wrong, "each got its replies, and no other", "\n".join(wrong))


# --- around TLS -------------------------------------------------------------------------

INJECTED = (b"EHLO evil.test\r\n", b"MAIL FROM:<evil@x.test>\r\n", b"N", b"\r\n", b"\0", b"RSET\n",
            b"STARTTLS\r\n", b"BDAT 100 LAST\r\n", b"QUIT\r\n",
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", b"x" * 4000)


def injected_behind_starttls(relay):
    for words in INJECTED:
        for start in ("", "hello", "rcpt"):
            with Wire(relay.host, relay.port) as client:
                client.expect(220, "greeting")
                client.send(START[start][0])
                for code in START[start][1]:
                    client.expect(code, "the beginning")
                client.send(b"STARTTLS\r\n" + words)
                if not client.closed():
                    raise Failed(f"{words!r} behind STARTTLS: the connection went on")
            stands(relay)
    check(True, f"{3 * len(INJECTED)} ways to inject behind STARTTLS: the connection is closed")


def injected_before_starttls(relay):
    """What was said in clear is forgotten (RFC 3207 4.2)."""
    for words, codes in ((b"MAIL FROM:<evil@x.test>\r\n", (250,)),
                         (b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<v@peer.test>\r\n", (250, 250)),
                         (b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<v@peer.test>\r\nBDAT 1\r\nx",
                          (250, 250, 250))):
        for line, wanted in (("DATA", 503), ("RCPT TO:<a@peer.test>", 503), ("BDAT 0 LAST", 503),
                             ("MAIL FROM:<a@b.test>", 503)):
            with RawClient(relay.host, relay.port) as client:
                client.send(words)
                for code in codes:
                    client.expect(code, "in clear")
                client.start_tls(ehlo=False)
                client.command(line, wanted)
            stands(relay)
    check(True, "what was said before STARTTLS is forgotten behind it")


def no_handshake(relay):
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"EHLO c.test\r\n", b"\x16\x03\x01\xff\xff",
                  b"\x15\x03\x03\x00\x02\x02\x28", b"\0" * 600, b"\x80\x2e\x01\x00\x02" + b"x" * 50,
                  b"\x16\x03\x01\x00\x04\x01\xff\xff\xff"):
        with Wire(relay.host, relay.port) as client:
            client.expect(220, "greeting")
            client.command("STARTTLS", 220)
            client.send(words)
            client.end()
            said = client.receive()
            if said and said[:1] != b"\x15":
                raise Failed(f"{words!r} for a handshake: {said!r}")
        stands(relay)
    with RawClient(relay.host, relay.port, starttls=True) as client:
        client.command("STARTTLS", 503)
    check(True, "what is no handshake ends in an alert, or silence")


# --- ends in the middle -----------------------------------------------------------------

def cut_short(relay):
    """The client goes in the middle of something; what it said until then comes to nothing."""
    for start, words in (("", b"EHL"), ("hello", b"MAIL FROM:<a@b.test>\r"), ("rcpt", b"DAT"),
                         ("data", b""), ("data", b"Subject: x\r\n\r\nx\r\n."),
                         ("data", b"Subject: x\r\n\r\nx\r\n.\r"), ("rcpt", b"BDAT 10 LAST\r\n"),
                         ("rcpt", b"BDAT 10 LAST\r\n123456789"), ("rcpt", b"BDAT 3\r\n123"),
                         ("rcpt", b"BDAT 18446744073709551615 LAST\r\n" + b"x" * 70000),
                         ("hello", b"BDAT 18446744073709551615\r\n" + b"x" * 70000)):
        client = Wire(relay.host, relay.port)
        client.expect(220, "greeting")
        client.send(START[start][0] + words)
        client.cut()
        stands(relay)
    wait_until(lambda: relay.stats()["inbound"]["open"] == 0, "all have left")
    check(True, "clients that go in the middle leave nothing behind")


def test(workshop):
    binary()
    sink = Sink(workshop).start()
    relay = Target(workshop, route=[sink.next_hop],
                   certificate=make_certificate(workshop, "relay", "relay.test")).start()
    all_cases(relay)
    injected_behind_starttls(relay)
    injected_before_starttls(relay)
    no_handshake(relay)
    cut_short(relay)
    stats = relay.stats()
    check(stats["messages_received"] == 0 and stats["queued"] == 0 and sink.count() == 0,
          "nothing was relayed", stats)
    with RawClient(relay.host, relay.port) as client:
        client.deliver("a@app.test", ["b@peer.test"], b"Subject: x\r\n\r\nx\r\n")
    relay.wait_until_empty()
    check(sink.count() == 1, "and mail is still taken")
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
