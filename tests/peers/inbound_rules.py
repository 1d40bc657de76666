#!/usr/bin/env python3
"""The relay as a server, over real sockets: STARTTLS by the rules (RFC 3207), who may relay, each
limit with its reply, and a message however it is cut into packets."""
from lib.millrace import LOOPBACK, Relay, Sink, binary
from lib.rawsmtp import RawClient, Refused
from lib.servers import make_certificate
from lib.workshop import Failed, check, run_test, wait_until

LIMITS = """\
limits {
    connections = 30
    connections-per-client = 20
    recipients = 10
    message-size = 2M
    errors = 5
}
"""
SMALL = b"Subject: x\r\n\r\nx\r\n"


def refused(what, wanted, action):
    """`action` must be refused with a reply that begins so."""
    try:
        action()
    except Refused as reply:
        check(reply.text.startswith(wanted), f"{what}: {reply.text}")
    else:
        raise Failed(f"{what}: was not refused")


class Side:
    """A relay that offers STARTTLS, and clients of it."""

    def __init__(self, workshop, sink):
        pair = make_certificate(workshop, "relay", "relay.test")
        self.relay = Relay(workshop, route=[sink.next_hop], certificate=pair, top=LIMITS).start()

    def client(self, starttls=False, source=""):
        return RawClient(self.relay.host, self.relay.port, starttls, source=source)

    def works(self, what):
        """A client that does nothing wrong is served; its mail goes out over TLS."""
        with self.client(starttls=True) as client:
            client.deliver("a@app.test", ["b@peer.test"], SMALL)
        check(True, f"{what}: others are served")


def starttls_rules(side):
    with side.client() as client:
        check("STARTTLS" in client.keywords, "STARTTLS is offered")
        refused("STARTTLS with a parameter", "501 ", lambda: client.command("STARTTLS now", 220))
        client.command("MAIL FROM:<a@app.test>", 250)
        client.command("RCPT TO:<b@peer.test>", 250)
        client.start_tls(ehlo=False)
        refused("after the handshake EHLO is forgotten", "503 ",
                lambda: client.command("MAIL FROM:<>", 250))
        client.command("EHLO client.test", 250)
        refused("and the transaction", "503 ", lambda: client.command("DATA", 354))
        check("STARTTLS" not in client.command("EHLO client.test", 250),
              "STARTTLS is not offered twice")
        refused("a second STARTTLS", "503 ", lambda: client.command("STARTTLS", 220))
        client.deliver("a@app.test", ["b@peer.test"], SMALL)
    for what, words in (("a command", b"MAIL FROM:<evil@x.test>\r\n"), ("a piece of one", b"MAI")):
        with side.client() as client:
            client.send(b"STARTTLS\r\n" + words)
            check(client.closed(), f"{what} behind STARTTLS: the connection is closed")
    with side.client() as client:
        client.command("STARTTLS", 220)
        client.send(b"This is no ClientHello, and never will be.\r\n" * 10)
        check(client.receive()[:1] in (b"", b"\x15"),
              "garbage for a handshake: an alert, or the end")
        side.works("a failed handshake")
    log = wait_until(lambda: side.relay.events("starttls-residue"), "the residue is in the log")
    check(len(log) == 2 and side.relay.events("tls-failed"), "both are in the log")


def relaying(side):
    side.relay.configure(relay_from='"127.0.0.1/32"')
    side.relay.reload()

    def refuses():
        with side.client(source="127.0.0.2") as client:
            client.command("MAIL FROM:<a@app.test>", 250)
            try:
                client.command("RCPT TO:<b@peer.test>", 250)
            except Refused as reply:
                return reply.text
    said = wait_until(refuses, "a stranger is refused", alive=[side.relay.daemon])
    check(said.startswith("550 5.7.1"), f"a client from elsewhere: {said}")
    side.works("a stranger")
    side.relay.configure(relay_from=LOOPBACK)
    side.relay.reload()
    wait_until(lambda: not refuses(), "everybody may relay again", alive=[side.relay.daemon])


def limits(side):
    with side.client() as client:
        refused("11 recipients", "452 4.5.3", lambda: client.deliver(
            "a@app.test", [f"b{i}@peer.test" for i in range(11)], SMALL))
        refused("SIZE too large", "552 5.3.4",
                lambda: client.command("MAIL FROM:<a@app.test> SIZE=3000000", 250))
        refused("a message too large", "552 5.3.4", lambda: client.deliver(
            "a@app.test", ["b@peer.test"], b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 30000))
        client.deliver("a@app.test", ["b@peer.test"], SMALL)
        refused("101 Received fields", "554 5.4.6", lambda: client.deliver(
            "a@app.test", ["b@peer.test"], b"Received: from x by y\r\n" * 101 + SMALL))
        client.command("NOOP", 250)
    with side.client() as client:
        for _ in range(4):
            refused("nonsense", "500 5.5.2", lambda: client.command("FROBNICATE", 250))
        client.send(b"FROBNICATE\r\n")
        client.expect(500, "FROBNICATE")
        said = client.expect(421, "too many errors")
        check(said.startswith("421 4.7.0") and client.closed(), f"5 errors: {said}")
    with side.client() as client:
        client.send(b"NOOP " + b"x" * 5000 + b"\r\n")
        said = client.expect(500, "a long line")
        check(client.expect(421, "and the end") and client.closed(),
              f"a command line of 5,000 bytes: {said}")


def silence(workshop):
    """A client that says nothing is told so, and sent away, by the time that the limit says."""
    relay = Relay(workshop, "hurry", route=["[127.0.0.1]:9"], top="limits { idle = 500ms }").start()
    with RawClient(relay.host, relay.port) as client:
        said = client.expect(421, "silence")
        check(said.startswith("421 4.4.2") and client.closed(), f"a silent client: {said}")
    relay.stop()


def connection_limits(side):
    """20 for each client, 30 in all; an end makes room."""
    clients = [side.client(source="127.0.0.3") for _ in range(20)]
    refused("the 21st connection of one client", "421 4.7.0",
            lambda: side.client(source="127.0.0.3"))
    clients += [side.client(source="127.0.0.4") for _ in range(10)]
    refused("the 31st connection in all", "421 4.3.2",
            lambda: side.client(source="127.0.0.5"))
    for client in clients:
        client.close()
    wait_until(lambda: side.relay.stats()["inbound"]["open"] == 0, "all have left")
    check(side.relay.stats()["inbound"]["refused"] == 2, "two were refused")
    side.works("after that")


def in_pieces(side, sink):
    """One transaction and the next in every cut: byte by byte, and all of it at once."""
    side.relay.wait_until_empty()
    before = set(sink.dump_dir.iterdir())
    header = b"From: a\r\nDate: x\r\nMessage-ID: <x@y>\r\n"
    words = (b"MAIL FROM:<a@app.test>\r\nRCPT TO:<b@peer.test>\r\nDATA\r\n" + header +
             b"\r\n..\r\n...\r\n.\r\n")
    codes = (250, 250, 354, 250)
    with side.client() as client:
        for byte in words * 2:
            client.send(bytes([byte]))
        for code in codes * 2:
            client.expect(code, "byte by byte")
    with side.client() as client:
        client.send(words * 10 + b"QUIT\r\n")
        for code in (*codes * 10, 221):
            client.expect(code, "all at once")
        check(client.closed(), "QUIT: the connection is closed")
    side.relay.wait_until_empty()
    arrived = [path.read_bytes() for path in set(sink.dump_dir.iterdir()) - before]
    tail = b"+0000\r\n" + header + b"\r\n.\r\n..\r\n"
    check(len(arrived) == 12 and all(mail.endswith(tail) for mail in arrived),
          "a message is the same however it is cut into packets")


def test(workshop):
    binary()
    sink = Sink(workshop, dump=True).start()
    side = Side(workshop, sink)
    starttls_rules(side)
    limits(side)
    connection_limits(side)
    in_pieces(side, sink)
    relaying(side)
    silence(workshop)
    side.relay.wait_until_empty()
    check(side.relay.stop() == 0, "the relay ends with 0")


run_test(test)
