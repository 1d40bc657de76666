#!/usr/bin/env python3
"""Clients that do not wait: a message right behind one that is refused, and clients that leave
while their message is made durable."""
import random
import re
import socket
import threading

from lib.delivery import SEED, compare_with_sink
from lib.millrace import Relay, Sink
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

LARGE = 10 << 20  # has a file of its own in the spool
LEAVERS = 50


def mail(name, size):
    """A good mail of about so many bytes."""
    rng = random.Random(f"{SEED}/{name}")
    lines = [f"Subject: {name}", f"Message-ID: <{name}@hasty.test>", "From: a@app.test",
             "Date: Sat, 21 Nov 2026 13:00:05 +0000", ""]
    while size > 0:
        lines.append("%064x" % rng.getrandbits(256))
        size -= 66
    return ("\r\n".join(lines) + "\r\n").encode()


def transaction(number, body):
    commands = f"MAIL FROM:<a{number}@app.test>\r\nRCPT TO:<b@peer.test>\r\nDATA\r\n"
    return commands.encode() + body + b".\r\n"


def behind_a_refusal(relay):
    """Each good mail follows a refused one in the same stream; returns the good ones."""
    sizes = [(100, 100), (LARGE, 100), (100, LARGE), (LARGE, LARGE), (LARGE, LARGE // 2)]
    sent, stream = [], b""
    for number, (refused, good) in enumerate(sizes):
        sent.append((f"behind {refused}", mail(f"good{number}", good)))
        stream += transaction(number, mail(f"refused{number}", refused) + b"bare\nLF\r\n")
        stream += transaction(number, sent[-1][1])
    with RawClient(relay.host, relay.port) as client:
        threading.Thread(target=client.send, args=(stream,), daemon=True).start()
        ids = []
        for refused, good in sizes:
            for code in (250, 250, 354, 550, 250, 250, 354):
                client.expect(code, f"{refused} then {good}")
            ids.append(re.search(r"queued as (\w+)", client.expect(250, "end of data"))[1])
    check(len(set(ids)) == len(sizes), "each has an id of its own", str(ids))
    return sent


def leave_at_once(relay):
    """Each has handed in its message and is gone; returns what was sent."""
    sent = []
    for number in range(LEAVERS):
        sent.append((f"leaver{number}", mail(f"leaver{number}", 2000)))
        client = RawClient(relay.host, relay.port)
        client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.send(transaction(number, sent[-1][1]))
        for code in (250, 250, 354):
            client.expect(code, "leaving")
        client._socket.close()  # a reset
    return sent


def arrived_of(left, sink):
    """Whoever leaves may leave too early; but what was taken must be whole."""
    arrived = " ".join(sink.ledger())
    return [(name, text) for name, text in left if f"{name}@hasty.test" in arrived]


def test(workshop):
    sink = Sink(workshop, dump=True).start()
    relay = Relay(workshop, route=[sink.next_hop]).start()
    sent = behind_a_refusal(relay)
    left = leave_at_once(relay)
    wait_until(lambda: relay.stats()["inbound"]["open"] == 0, "all have left",
               alive=[relay.daemon])
    relay.wait_until_empty()
    compare_with_sink(sink, sent + arrived_of(left, sink))
    sink.stop()
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
