#!/usr/bin/env python3
"""Nobody reads the relay's log: mail goes on, what did not fit is counted, and a reader that comes
late sees whole lines, and how many are missing."""
import fcntl
import os
import re

from lib.millrace import Load, Relay, Sink, binary
from lib.workshop import check, greets, run_test, say, wait_until

MESSAGES = 20000


class Pipe:
    """A pipe with both ends here, so that it is never at its end."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        self._file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self._file, fcntl.F_SETPIPE_SZ, 4096)
        self.read = b""

    def drain(self):
        try:
            while got := os.read(self._file, 65536):
                self.read += got
        except BlockingIOError:
            pass


def start_unread(relay, pipe):
    relay.daemon = relay.workshop.start("relay", ["sh", "-c", 'exec "$0" "$@" 2>' + str(pipe.path),
                                                  binary(), "run", "-c", relay.config])
    wait_until(lambda: greets(relay.host, relay.port), "the relay greets", alive=[relay.daemon])


def test(workshop):
    sink = Sink(workshop).start()
    relay = Relay(workshop, route=[sink.next_hop])
    pipe = Pipe(workshop.path("log"))
    start_unread(relay, pipe)
    load = Load(workshop, relay.address, MESSAGES, size=1024)
    code, _ = load.wait()
    check(code == 0, f"{MESSAGES} messages are taken while nobody reads the log")
    sink.wait_for(MESSAGES)
    relay.wait_until_empty()
    check(True, "and delivered")

    def told():
        pipe.drain()
        return re.search(rb" log-lost count=(\d+)\n", pipe.read)
    lost = int(wait_until(told, "the missing lines are told", alive=[relay.daemon]).group(1))
    relay.daemon.send_signal(15)

    def over():
        pipe.drain()
        return not relay.daemon.running
    wait_until(over, "the relay ends")
    pipe.drain()
    lines = pipe.read.decode().splitlines()
    say(f"  {len(lines)} lines read, {lost} lost")
    odd = [line for line in lines if not re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z [a-z-]+( |$)", line)]
    check(not odd, "each line that was read is whole", odd[:5])
    check(relay.daemon.exit_code == 0, "SIGTERM: ends with 0")
    # accepted, delivered: a line each, and a few more
    check(len(lines) + lost > 2 * MESSAGES, "what was read and what was lost are all there was")


run_test(test)
