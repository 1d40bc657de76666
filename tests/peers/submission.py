#!/usr/bin/env python3
"""What a client may ask of the relay when it hands in, and what comes of it at the other end:
chunks and binary mail byte for byte, addresses in UTF-8 (routed by their A-labels), fields that
were missing, and mail that is to wait, over kill -9 too."""
import json
import re
import time

from lib.millrace import Relay, Sink, binary, routes
from lib.rawsmtp import RawClient, stuff_dots
from lib.workshop import check, run_test, wait_until

DOMAIN, A_LABELS = "bücher.test", "xn--bcher-kva.test"
COMPLETE = b"From: a@app.test\r\nDate: x\r\nMessage-ID: <%b@app.test>\r\n\r\n"
HOUR = 3600


class Side:
    """A relay with two listeners, one of which puts no fields in, and a sink behind it."""

    def __init__(self, workshop):
        self.sink = Sink(workshop, dump=True).start()
        self.plain = workshop.free_port()
        self.relay = Relay(workshop, top="\n".join([
            f'listen "127.0.0.1:{self.plain}" {{ add-headers = false }}',
            routes({A_LABELS: self.sink.next_hop, "peer.test": self.sink.next_hop})])).start()
        self.seen = set()

    def client(self, port=None):
        return RawClient(self.relay.host, port or self.relay.port)

    def event(self, word, envelope):
        """The log's line of this envelope with this word; the log is written when there is time."""
        return wait_until(lambda: next((e for e in self.relay.events(word) if e["id"] == envelope),
                                       None), f"{word} {envelope} is in the log")

    def arrived(self):
        """The one message that is new at the sink."""
        paths = wait_until(lambda: set(self.sink.dump_dir.glob("*.eml")) - self.seen,
                           "it arrives", alive=[self.relay.daemon, self.sink.daemon])
        self.relay.wait_until_empty()
        self.seen |= paths
        check(len(paths) == 1, "one message arrived", paths)
        return paths.pop().read_bytes()


def by_data(client, text, mail="", to="b@peer.test"):
    client.command(f"MAIL FROM:<a@app.test>{mail}", 250)
    client.command(f"RCPT TO:<{to}>", 250)
    client.command("DATA", 354)
    client.send(stuff_dots(text) + b".\r\n")
    return client.expect(250, "the end of data").split()[-1]


def by_chunks(client, text, sizes, mail=""):
    client.command(f"MAIL FROM:<a@app.test>{mail}", 250)
    client.command("RCPT TO:<b@peer.test>", 250)
    for size in sizes:
        client.send(b"BDAT %d\r\n" % size + text[:size])
        client.expect(250, "a chunk")
        text = text[size:]
    client.send(b"BDAT %d LAST\r\n" % len(text) + text)
    client.expect(250, "the last chunk")


def chunks(side):
    small = COMPLETE % b"small" + b".\r\n..\r\nQUIT\r\n.dots\r\n"
    large = COMPLETE % b"large" + b"".join(b"%078d\r\n" % n for n in range(40000))
    binary_mail = COMPLETE % b"binary" + bytes(range(256)) * 5000 + b"\r\n.\r\n\r"
    with side.client() as client:
        for what, text, sizes, mail in (
                ("a small message", small, [], ""),
                ("in chunks of any size", small, [1, 0, 50], ""),
                ("a large one", large, [1 << 20, 65536, 1], ""),
                ("a binary one", binary_mail, [100, 1 << 20], " BODY=BINARYMIME")):
            by_chunks(client, text, sizes, mail)
            check(side.arrived().endswith(b"+0000\r\n" + text), f"BDAT, {what}: byte for byte")


def utf8(side):
    text = ("From: ä@app.test\r\nDate: x\r\nMessage-ID: <u@app.test>\r\n"
            "Subject: ü\r\n\r\n.\r\n").encode()
    with side.client() as client:
        envelope = by_data(client, text, " SMTPUTF8 BODY=8BITMIME", f"ä@{DOMAIN}")
    arrived = side.arrived()
    check(arrived.endswith(text) and f"for <ä@{DOMAIN}>".encode() in arrived and
          b"with UTF8SMTP id" in arrived, "UTF-8: it arrives as it was, and says how it came")
    delivered = side.event("delivered", envelope)
    check(json.loads(f'"{delivered["to"]}"') == f"<ä@{DOMAIN}>",
          "the log names the recipient as it was given")
    check(delivered["relay"] == side.sink.next_hop, f"by the route of {A_LABELS}", delivered)


def missing_fields(side):
    with side.client() as client, side.client(side.plain) as plain:
        by_data(client, b"Subject: x\r\n\r\nbody\r\n")
        header, body = side.arrived().split(b"\r\n\r\n")
        fields = [line.split(b":")[0] for line in header.split(b"\r\n") if line[:1] != b"\t"]
        check(fields == [b"Received", b"Subject", b"From", b"Date", b"Message-ID"] and
              body == b"body\r\n", "what is missing is put at the end of the header", fields)
        check(b"From: <a@app.test>" in header and
              re.search(rb"Message-ID: <[0-9A-Z]{13}@relay\.test>", header), "with these words")
        by_data(client, COMPLETE % b"complete")
        check(side.arrived().endswith(b"+0000\r\n" + COMPLETE % b"complete"),
              "a header that has all stays as it is")
        by_data(plain, b"Subject: x\r\n\r\nbody\r\n")
        check(side.arrived().endswith(b"+0000\r\nSubject: x\r\n\r\nbody\r\n"),
              "with add-headers = false nothing is put in")


def held(side):
    """Mail that is to wait does, and goes when somebody hurries it."""
    with side.client() as client:
        envelope = by_data(client, COMPLETE % b"later", f" HOLDFOR={HOUR}")
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 20 * 86400))
        far = by_data(client, COMPLETE % b"far", f" HOLDUNTIL={until}")
    check(side.event("received", far)["release"].startswith(until[:-1]), "the log says until when")
    for word in ("", " after kill -9"):
        states = {e["id"]: e["state"] for e in side.relay.queue()}
        check(states == {envelope: "waiting", far: "waiting"}, f"both wait{word}", states)
        if not word:
            side.relay.kill()
            side.relay.start()
            wait_until(lambda: side.relay.events("restored"), "the spool has been read")
    for each in (envelope, far):
        side.relay.command("queue", "retry", each)
    side.sink.wait_for(len(side.seen) + 2)
    check(side.relay.wait_until_empty()["delivered"] == 2, "and go when they are hurried")


def test(workshop):
    binary()
    side = Side(workshop)
    chunks(side)
    utf8(side)
    missing_fields(side)
    held(side)
    check(side.relay.stop() == 0, "the relay ends with 0")


run_test(test)
