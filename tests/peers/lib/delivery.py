"""Transparency: what is handed to the relay arrives byte for byte, but for trace headers."""
import os
from collections import Counter

from . import mails
from .millrace import RELAY_NAME, Relay, Sink, binary
from .rawsmtp import RawClient, Refused
from .workshop import check, say, wait_until

SEED = int(os.environ.get("MILLRACE_SEED", "20261121"))


def all_mails():
    """(sendable, unsendable): lists of (name, mail) from the corpus and from SEED."""
    sendable, unsendable = mails.random_mails(SEED), []
    if mails.corpus_dir():
        for name, mail, good in mails.corpus():
            (sendable if good else unsendable).append((name, mail))
    else:
        say("  no corpus (../shared/corpus or $MILLRACE_CORPUS): its messages are left out")
    say(f"  {len(sendable)} mails, seed {SEED}")
    return sendable, unsendable


def hand_in(relay, numbered):
    """Give the relay each (recipient, mail), on one connection."""
    with RawClient(relay.host, relay.port) as client:
        for recipient, mail in numbered:
            client.deliver("a@app.test", [recipient], mail)


def check_encrypted(relay, number):
    """All `number` deliveries went over TLS, and no handshake failed."""
    wait_until(lambda: len(relay.events("delivered")) >= number, "each delivery is in the log",
               alive=[relay.daemon])
    ways = Counter(event["tls"].rsplit(":", 1)[0] for event in relay.events("delivered"))
    check(sum(ways.values()) == number and all(way.startswith("encrypt:table:TLSv1.") for way in ways),
          f"each was delivered over STARTTLS ({dict(ways)})")
    check(relay.stats()["handshakes"]["failed"] == 0, "and no handshake failed")


def deliver_all(workshop, peer, altered):
    """Everything goes through a relay to `peer` over STARTTLS and is compared there.

    `altered`: name -> why this peer itself would change (or not take) that mail; these, and mails
    with lines too long for the peer, are left to the test against the sink.
    """
    binary()
    sendable, _ = all_mails()
    fitting = [(name, mail) for name, mail in sendable if name not in altered and not (
        peer.longest_line and mails.longest_line(mail) > peer.longest_line)]
    left_out = len(sendable) - len(fitting)
    peer.start()
    relay = Relay(workshop, route=[f"[{peer.host}]:{peer.port}"], level="encrypt",
                  listen="add-headers = false").start()
    sent = {f"m{i:05}": (name, mail.replace(b"\r\n", b"\n"))
            for i, (name, mail) in enumerate(fitting)}
    hand_in(relay, [(f"m{i:05}@peer.test", mail) for i, (_, mail) in enumerate(fitting)])
    stats = relay.wait_until_empty()
    check(stats["delivered"] == len(sent), f"the relay counts {len(sent)} delivered", stats)
    arrived = peer.wait_for(len(sent))
    check(len(arrived) == len(sent), f"{peer.name} has exactly {len(sent)} mails")
    check_encrypted(relay, len(sent))
    wrong = []
    for mail in arrived:
        name, original = sent.pop(mails.recipient_of(mail), (None, b""))
        why = mails.same_but_for_trace(peer.without_additions(mail), original, RELAY_NAME)
        if name is None:
            wrong.append(f"nobody sent this, or it came before: {mail[:300]!r}")
        elif why:
            wrong.append(f"{name}: {why}")
    check(not wrong, "each is byte for byte what was sent, but for the trace headers",
          "\n".join(wrong))
    check(not sent, "each arrived once")
    say(f"  {left_out} mails that {peer.name} would change or refuse are left to deliver_sink")
    check(relay.stop() == 0, "the relay ends with 0")
    if peer.chunked() is not None:
        wait_until(lambda: peer.chunked() >= len(arrived), f"{peer.name} tells of chunks")
        check(True, f"all came in chunks, {peer.name} says")


def deliver_all_to_sink(workshop):
    """Everything goes to `millrace sink`, which keeps CRLF as it came: compared exactly."""
    sendable, unsendable = all_mails()
    sendable += mails.large_mails(SEED)
    sink = Sink(workshop, dump=True).start()
    relay = Relay(workshop, route=[sink.next_hop], level="encrypt",
                  listen="add-headers = false").start()
    hand_in(relay, [("b@peer.test", mail) for _, mail in sendable])
    refuse_bad_line_ends(relay, unsendable)
    relay.wait_until_empty()
    check_encrypted(relay, len(sendable))
    compare_with_sink(sink, sendable)
    counted = sink.stop()
    check(counted["messages"] == len(sendable),
          f"the sink's own count agrees ({counted['messages']})")


def compare_with_sink(sink, sent):
    """Exactly the mails `sent`, a list of (name, mail), are in the sink's dump."""
    sink.wait_for(len(sent))
    dumped = sink.dumped()
    check(len(dumped) == len(sent), f"the sink has exactly {len(sent)} mails")
    check(not any(b"\r" in mail.replace(b"\r\n", b"") for mail in dumped), "no bare CR went out")
    check(not any(b"\n" in mail.replace(b"\r\n", b"") for mail in dumped), "no bare LF went out")
    wrong = _unmatched([mail.replace(b"\r\n", b"\n") for mail in dumped],
                       [(name, mail.replace(b"\r\n", b"\n")) for name, mail in sent])
    check(not wrong, "each is byte for byte what was sent, but for the trace header",
          "\n".join(wrong))


def _unmatched(arrived, sent):
    """Pairs each mail sent with one that arrived; what could not be paired, and why."""
    wrong, left = [], list(arrived)
    for name, original in sorted(sent, key=lambda s: -len(s[1])):
        reasons = []
        for index, mail in enumerate(left):
            why = mails.same_but_for_trace(mail, original, RELAY_NAME)
            if not why:
                del left[index]
                break
            reasons.append((abs(len(mail) - len(original)), why))
        else:
            wrong.append(f"{name}: {min(reasons)[1] if reasons else 'nothing left'}")
    return wrong


# What must never end a message, nor pass: see tls-rules.md and CVE-2023-51764.
BAD_LINE_ENDS = {
    "bare LF": b"Subject: a\r\n\r\none\ntwo\r\n",
    "bare CR": b"Subject: a\r\n\r\none\rtwo\r\n",
    "bare LF in the header": b"Subject: a\nX: b\r\n\r\none\r\n",
    "CR CR LF": b"Subject: a\r\n\r\none\r\r\ntwo\r\n",
    "LF dot LF": b"Subject: a\r\n\r\none\n.\nMAIL FROM:<x@y.test>\r\n",
    "LF dot CRLF": b"Subject: a\r\n\r\none\n.\r\nMAIL FROM:<x@y.test>\r\n",
    "CRLF dot LF": b"Subject: a\r\n\r\none\r\n.\nMAIL FROM:<x@y.test>\r\n",
    "CR dot CR": b"Subject: a\r\n\r\none\r.\rMAIL FROM:<x@y.test>\r\n",
    "CR dot CRLF": b"Subject: a\r\n\r\none\r.\r\nMAIL FROM:<x@y.test>\r\n",
    "CRLF dot CR": b"Subject: a\r\n\r\none\r\n.\rMAIL FROM:<x@y.test>\r\n",
    "CRLF NUL dot CRLF, bare LF": b"Subject: a\r\n\r\none\r\n\0.\r\n\n\r\n",
    "LF at the very beginning": b"\nSubject: a\r\n\r\none\r\n",
}


def refuse_bad_line_ends(relay, unsendable):
    """A message with a bare CR or LF gets 550 5.5.2, once, and the session goes on in step."""
    cases = list(BAD_LINE_ENDS.items()) + [(name, mail) for name, mail in unsendable]
    before = relay.stats()["messages_received"]
    wrong = []
    with RawClient(relay.host, relay.port) as client:
        for name, data in cases:
            try:
                client.deliver_raw("a@app.test", ["b@peer.test"], data)
                wrong.append(f"{name}: accepted")
            except Refused as refused:
                if not refused.text.startswith("550 5.5.2"):
                    wrong.append(f"{name}: {refused.text}")
            client.command("NOOP", 250)
    check(not wrong, f"{len(cases)} messages with a bare CR or LF are refused with 550 5.5.2",
          "\n".join(wrong))
    check(relay.stats()["messages_received"] == before, "none of them was taken")
