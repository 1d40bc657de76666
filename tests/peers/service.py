#!/usr/bin/env python3
"""The relay as a service: what its manager hears, a watchdog that a stuck thread keeps from
hearing, listeners that come and go at SIGHUP, and sockets that are handed over."""
import ctypes
import os
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

from lib.millrace import Load, Relay, Sink, binary
from lib.rawsmtp import RawClient
from lib.workshop import Skip, check, greets, run_test, say, wait_until

HANDOVER = Path(__file__).parent / "lib/handover.py"
MESSAGES = 2000


class Manager:
    """A service manager's notification socket."""

    def __init__(self, path):
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.heard = []     # all messages, a dictionary each
        self._known = 0     # how many of them were waited for

    def listen(self):
        try:
            while True:
                lines = self._socket.recv(4096).decode().splitlines()
                self.heard.append(dict(line.split("=", 1) for line in lines))
        except BlockingIOError:
            pass

    def forget(self):
        """What has come so far is not waited for."""
        self.listen()
        self._known = len(self.heard)

    def wait_for(self, relay, key, times=1):
        """Wait until `times` more messages with that key have come; the last of them."""
        def came():
            self.listen()
            places = [i for i in range(self._known, len(self.heard)) if key in self.heard[i]]
            return places[times - 1] + 1 if len(places) >= times else None
        self._known = wait_until(came, f"the manager hears {key}=", alive=[relay.daemon])
        return self.heard[self._known - 1]


def start(relay, manager, watchdog_us=None, sockets=()):
    """The relay, as a service manager starts it."""
    environment = {"NOTIFY_SOCKET": str(manager.path)}
    if watchdog_us:
        environment["WATCHDOG_USEC"] = str(watchdog_us)
    command = [binary(), "run", "-c", relay.config]
    if sockets:
        names = [f"{name}={held.fileno()}" for name, held in sockets]
        command = [sys.executable, HANDOVER, *names, "--", *command]
    relay.starts = getattr(relay, "starts", 0) + 1
    relay.daemon = relay.workshop.start(f"{relay.name}.{relay.starts}", command, env=environment,
                                        pass_fds=[held.fileno() for _, held in sockets])
    wait_until(lambda: relay.events("started"), "its log says that it started",
               alive=[relay.daemon])


def notifications(relay, manager):
    start(relay, manager)
    ready = manager.wait_for(relay, "READY")
    check(greets(relay.host, relay.port), "READY=1 comes when it greets")
    check("0 recipients queued" in ready["STATUS"], "with a status", ready)

    relay.reload()
    reloading = manager.wait_for(relay, "RELOADING")
    check(int(reloading["MONOTONIC_USEC"]) > 0, "SIGHUP: RELOADING=1 with its time")
    manager.wait_for(relay, "READY")
    check(True, "and READY=1 again")

    good = relay.config.read_text()
    relay.config.write_text(good + "no-such-key = 1\n")
    relay.reload()
    manager.wait_for(relay, "READY")
    wait_until(lambda: relay.events("reload-failed"), "the error is logged", alive=[relay.daemon])
    check(True, "READY=1 also behind a configuration that is wrong")
    relay.config.write_text(good)

    check(relay.stop() == 0, "SIGTERM: it ends with 0")
    manager.listen()
    stopping = [message for message in manager.heard if message.get("STOPPING") == "1"]
    check(len(stopping) == 1 and int(stopping[0]["EXTEND_TIMEOUT_USEC"]) > 0,
          "STOPPING=1 comes once, with the time it may take", manager.heard)
    check(not any("WATCHDOG" in message for message in manager.heard),
          "no pings where no watchdog was asked for")


# ---- the watchdog ----

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


class StoppedThread:
    """One thread of a process, held still: a context manager."""

    def __init__(self, pid, name):
        self._libc = ctypes.CDLL(None, use_errno=True)
        threads = Path(f"/proc/{pid}/task").iterdir()
        self._thread = next(int(thread.name) for thread in threads
                            if (thread / "comm").read_text().strip() == name)

    def _trace(self, request):
        if self._libc.ptrace(request, self._thread, None, None) != 0:
            raise Skip(f"no thread can be stopped here: {os.strerror(ctypes.get_errno())}")

    def __enter__(self):
        self._trace(PTRACE_SEIZE)
        self._trace(PTRACE_INTERRUPT)
        os.waitpid(self._thread, WALL)
        return self

    def __exit__(self, *_):
        self._trace(PTRACE_DETACH)


def health(relay):
    address = next(event["on"] for event in relay.events("listening") if event["for"] == "admin")
    try:
        with urllib.request.urlopen(f"http://{address}/health", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def stuck(relay, manager, thread):
    before = len(relay.events("unhealthy"))
    with StoppedThread(relay.daemon.pid, thread):
        wait_until(lambda: len(relay.events("unhealthy")) > before, "it is told",
                   alive=[relay.daemon])
        why = relay.events("unhealthy")[-1]["why"]
        check(thread in why, f"{thread} hangs: {why}")
        status, body = health(relay)
        check(status == 503 and thread in body, f"/health says so: {body.strip()}")
        manager.forget()
        seen = len(manager.heard)
        manager.wait_for(relay, "STATUS", times=4)      # each a chance to ping
        check(not any("WATCHDOG" in message for message in manager.heard[seen:]),
              "the watchdog hears nothing")
    manager.forget()
    manager.wait_for(relay, "WATCHDOG")
    check(health(relay)[0] == 200, "and hears again when the thread goes on; /health: 200")


def watchdog(relay, manager):
    start(relay, manager, watchdog_us=2000000)
    manager.wait_for(relay, "WATCHDOG", times=3)
    check(True, "the watchdog hears from it, again and again")
    for thread in ("worker 0", "worker 1", "committer", "loader"):
        stuck(relay, manager, thread)
    check(relay.stop() == 0, "SIGTERM: it ends with 0")


# ---- other listen sections at SIGHUP ----

def reload_with(relay, top):
    before = len(relay.events("reloaded"))
    relay.configure(top=relay.top + top)
    relay.reload()
    wait_until(lambda: len(relay.events("reloaded")) > before, "it reloads", alive=[relay.daemon])


def refuses(host, port):
    try:
        socket.create_connection((host, port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def reloading(relay, manager, sink):
    new = relay.workshop.free_port()
    start(relay, manager)
    manager.wait_for(relay, "READY")
    standing = RawClient(relay.host, relay.port)
    reload_with(relay, f'\nlisten "127.0.0.1:{new}" {{ }}')
    wait_until(lambda: greets("127.0.0.1", new), "it greets there", alive=[relay.daemon])
    check(greets(relay.host, relay.port), "SIGHUP: a new listen section is opened beside the old")
    code, _ = Load(relay.workshop, f"127.0.0.1:{new}", MESSAGES, name="reloading").wait()
    check(code == 0, f"{MESSAGES} messages come in through it")
    sink.wait_for(MESSAGES)

    taken = listening(socket.AF_INET, ("127.0.0.1", relay.workshop.free_port()))
    port = taken.getsockname()[1]
    relay.configure(top=relay.top + f'\nlisten "127.0.0.1:{port}" {{ }}')
    relay.reload()
    wait_until(lambda: f"cannot listen on 127.0.0.1:{port}" in relay.log(), "it is told",
               alive=[relay.daemon])
    check(greets("127.0.0.1", new), "where one cannot be opened all stay as they are")
    taken.close()

    reload_with(relay, "")
    wait_until(lambda: refuses("127.0.0.1", new), "it is refused there", alive=[relay.daemon])
    check(greets(relay.host, relay.port), "a section that is gone is closed, and only that")
    check([event["on"] for event in relay.events("listening-ended")] == [f"127.0.0.1:{new}"],
          "and told")
    standing.deliver("a@app.test", ["b@peer.test"], b"Subject: x\r\n\r\nx\r\n")
    standing.close()
    relay.wait_until_empty()
    check(relay.stop() == 0, "SIGTERM: it ends with 0")


# ---- sockets that are handed over ----

def listening(kind, address):
    held = socket.socket(kind, socket.SOCK_STREAM)
    held.bind(address)
    held.listen(64)
    return held


def activation(relay, manager, sink):
    workshop = relay.workshop
    ours = listening(socket.AF_INET, (relay.host, relay.port))
    other = listening(socket.AF_INET, ("127.0.0.1", workshop.free_port()))
    local = listening(socket.AF_UNIX, str(workshop.path("other.sock")))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    early = socket.create_connection((relay.host, relay.port))
    admin = listening(socket.AF_INET, relay.admin)
    sockets = [("other", other), ("smtp", ours), ("local", local), ("udp", datagrams),
               ("admin", admin)]

    start(relay, manager, sockets=sockets)
    manager.wait_for(relay, "READY")
    early.settimeout(60)
    check(early.recv(100).startswith(b"220"), "who connected before the start is greeted")
    early.close()
    on = {event["for"]: event.get("fd") for event in relay.events("listening")}
    check(on == {"mail": "4", "admin": "7"}, "the sockets with its addresses are used", on)
    check(health(relay)[0] == 200, "the admin listener's, too")
    unused = {event["fd"]: event for event in relay.events("socket-unused")}
    check(set(unused) == {"3", "5", "6"}, "the others are told", unused)
    check(unused["3"]["name"] == "other" and unused["3"]["address"].startswith("127.0.0.1:")
          and unused["5"]["address"] == str(workshop.path("other.sock"))
          and "stream" in unused["6"]["why"], "with name, address and reason", unused)

    code, _ = Load(workshop, relay.address, MESSAGES).wait()
    check(code == 0, f"{MESSAGES} messages come in through it")
    relay.wait_until_empty()
    check(relay.stop() == 0, "SIGTERM: it ends with 0")

    waiting = socket.create_connection((relay.host, relay.port))
    check(True, "between two starts clients are not refused")
    start(relay, manager, sockets=sockets)
    waiting.settimeout(60)
    check(waiting.recv(100).startswith(b"220"), "and greeted by the next one")
    waiting.close()
    with RawClient(relay.host, relay.port) as client:
        client.deliver("a@app.test", ["b@peer.test"], b"Subject: x\r\n\r\nx\r\n")
    relay.wait_until_empty()
    check(relay.stop() == 0, "SIGTERM: it ends with 0")
    for held in (ours, other, local, datagrams, admin):
        held.close()


def test(workshop):
    sink = Sink(workshop).start()
    for what in (notifications, watchdog, reloading, activation):
        say(what.__name__)
        manager = Manager(workshop.path(f"{what.__name__}.notify"))
        admin = ("127.0.0.1", workshop.free_port())
        top = f'admin "{admin[0]}:{admin[1]}" {{ }}'
        relay = Relay(workshop, what.__name__, route=[sink.next_hop], top=top)
        relay.admin, relay.top = admin, top
        what(relay, manager, *([sink] if what in (reloading, activation) else []))


run_test(test)
