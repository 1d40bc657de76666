#!/usr/bin/env python3
"""A full disk: senders get 452 4.3.1, nothing accepted is lost, and mail is taken again as soon
as there is room, without a restart. The spool lies on a small tmpfs."""
import os
import subprocess
import sys

from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient, Refused
from lib.workshop import Failed, check, need_root, run_command, run_test, say, wait_until

DISK = 256 << 20
BODY = (b"x" * 70 + b"\r\n") * 5000          # about 350 KiB


class Sender:
    """Hands in messages and remembers which ones were accepted."""

    def __init__(self, relay):
        self.relay = relay
        self.accepted = set()
        self._number = 0

    def send(self):
        """One message: "" when it was accepted, else the reply. Only 452 4.3.1 will do."""
        self._number += 1
        name = f"<{self._number}@app.test>"
        mail = b"Subject: x\r\nMessage-ID: " + name.encode() + b"\r\n\r\n" + BODY
        with RawClient(self.relay.host, self.relay.port) as client:
            try:
                client.deliver("a@app.test", ["b@peer.test"], mail)
            except Refused as refused:
                if not refused.text.startswith("452 4.3.1"):
                    raise Failed(f"a full disk was answered with: {refused.text}") from None
                return refused.text
        self.accepted.add(name)
        return ""

    def send_until_refused(self, most=3000):
        """Send until the disk is full; how many were accepted before."""
        for number in range(most):
            if self.send():
                return number
        raise Failed(f"{most} messages of {len(BODY)} bytes fit on a disk of {DISK}")

    def wait_until_accepted(self, what):
        wait_until(lambda: not self.send(), what, alive=[self.relay.daemon])


def fill(path, leave):
    """Take all room on the disk but `leave` bytes."""
    with open(path, "wb", buffering=0) as file:
        room = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize - leave
        block = b"\0" * 65536
        try:
            while room > 0:
                room -= file.write(block[:min(room, len(block))])
            while leave == 0:
                file.write(b"\0" * 4096)
        except OSError:
            pass


def test(workshop):
    binary()
    disk = workshop.make_dir("disk")
    run_command(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", disk])
    try:
        on_disk(workshop, disk)
    finally:        # a mount point cannot be removed
        run_command(["umount", "--lazy", disk])


def on_disk(workshop, disk):
    port = workshop.free_port()
    relay = Relay(workshop, route=[f"[127.0.0.1]:{port}"], spool=disk / "spool", back_off="200ms")
    relay.start()
    sender = Sender(relay)
    for _ in range(20):
        sender.send()
    check(len(sender.accepted) == 20, "20 messages are accepted while there is room")

    for leave, words in ((8 << 20, "8 MiB are left"), (0, "not a byte is left")):
        fill(disk / "filler", leave)
        sender.send_until_refused()
        check(all(sender.send() for _ in range(5)), f"{words}: 452 4.3.1 to senders")
        os.unlink(disk / "filler")
        sender.wait_until_accepted("mail is taken again after room was made")
        check(relay.daemon.running, f"{words}, then room is made: accepted again, same process")

    before = len(sender.accepted)
    sender.send_until_refused()
    check(len(sender.accepted) > before,
          f"a backlog of {len(sender.accepted)} messages fills the disk")

    sink = Sink(workshop, port=port).start()
    wait_until(lambda: len(sink.ledger()) >= len(sender.accepted), "the backlog has been delivered",
               alive=[relay.daemon, sink.daemon])
    sender.wait_until_accepted("mail is taken again after the backlog was delivered")
    stats = relay.wait_until_empty()
    arrived = {f"<{name.strip('<>')}>": count for name, count in sink.ledger().items()}
    check(set(arrived) == sender.accepted,
          f"exactly the {len(sender.accepted)} accepted messages arrived", stats)
    say(f"  {sum(arrived.values()) - len(arrived)} duplicates")
    check(relay.stop() == 0, "the relay ends with 0")


def in_own_namespace():
    """Run this script again where its mounts are its own."""
    if os.environ.get("MILLRACE_OWN_MOUNTS"):
        return
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        return    # need_root() says so, and skips
    os.environ["MILLRACE_OWN_MOUNTS"] = "1"
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])


def with_root(workshop):
    need_root()
    test(workshop)


if os.geteuid() == 0:
    in_own_namespace()
run_test(with_root)
