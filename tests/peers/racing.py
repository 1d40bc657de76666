#!/usr/bin/env python3
"""A host with several addresses, one of which swallows every connection (its queue is full): mail
goes to the others without waiting for that one, and a family that leads nowhere costs nothing."""
import ctypes
import fcntl
import os
import socket
import struct

from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient
from lib.servers import Nsd
from lib.workshop import Skip, check, run_test, say

CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8914, 1
MESSAGES = 20
ZONE = """\
four     IN A 127.0.0.2
four     IN A 127.0.0.3
six      IN AAAA ::1
six      IN A 127.0.0.3
nowhere  IN AAAA 2001:db8::1
nowhere  IN A 127.0.0.3
refused  IN A 127.0.0.4
refused  IN A 127.0.0.3
"""


class Swallower:
    """A listening socket that accepts nobody, with its queue full: who connects now waits."""

    def __init__(self, family, host, port):
        self._listener = socket.socket(family)
        if family == socket.AF_INET6:
            self._listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self._listener.bind((host, port))
        self._listener.listen(0)
        self._waiting = []
        while self._is_open(family, host, port):
            pass

    def _is_open(self, family, host, port):
        client = socket.socket(family)
        client.settimeout(0.3)
        self._waiting.append(client)
        try:
            client.connect((host, port))
        except socket.timeout:
            return False
        return True


def be_alone_on_the_net():
    """A network of our own with nothing in it but loopback: no way to anywhere by IPv6."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise Skip(f"no private network to be had here: {os.strerror(ctypes.get_errno())}")
    with socket.socket() as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def deliver(relay, sink, domain, what):
    """Each message over a connection of its own; the connect-failed events."""
    before = sink.count()
    with RawClient(relay.host, relay.port) as client:
        for number in range(MESSAGES):
            mail = f"Subject: x\r\nMessage-ID: <{number}.{domain}@app.test>\r\n\r\nx\r\n"
            client.deliver("", [f"a@{domain}"], mail.encode())
    sink.wait_for(before + MESSAGES)
    relay.wait_until_empty()
    failed = [e for e in relay.events("connect-failed") if e["relay"].startswith(domain)]
    check(not relay.events("deferred"), f"{what}: all {MESSAGES} delivered at the first attempt")
    check(not any("timed out" in e["why"] for e in failed), f"{what}: nobody was waited for",
          failed)
    return failed


def test(workshop):
    binary()
    be_alone_on_the_net()
    port = workshop.free_port(["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"])
    swallowers = [Swallower(socket.AF_INET, "127.0.0.2", port)]
    if has_ipv6():
        swallowers.append(Swallower(socket.AF_INET6, "::1", port))
    sink = Sink(workshop, host="127.0.0.3", port=port).start()
    nsd = Nsd(workshop, {"example.": ZONE}).start()
    relay = Relay(workshop, level="may", destination="messages-per-connection = 1",
                  top=f'resolver = "127.0.0.1:{nsd.port}"\nsmtp-port = {port}\n'
                      "allow-loopback = true").start()
    failed = deliver(relay, sink, "four.example", "one of two addresses swallows all")
    check(not failed, "the attempt that lost the race is no failure", failed)
    failed = deliver(relay, sink, "refused.example", "one of two addresses refuses")
    check(all("refused" in e["why"] for e in failed) and len(failed) <= MESSAGES,
          f"which is told when it was tried ({len(failed)} times)", failed)
    if has_ipv6():
        failed = deliver(relay, sink, "six.example", "IPv6 swallows all, IPv4 works")
        check(not failed, "the attempt that lost the race is no failure", failed)
    else:
        say("  no IPv6 here: left out")
    failed = deliver(relay, sink, "nowhere.example", "there is no way to IPv6")
    check(1 <= len(failed) <= 2, "each of two workers found that out once", failed)
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
