#!/usr/bin/env python3
"""Servers that break the rules are named in the log and left alone for longer and longer, although
they answer; one that defers every mail sees each mail once; one that is slow to say goodbye holds
nobody up."""
import glob
import socket

from lib.millrace import Load, Relay, binary, routes
from lib.oddserver import OddServer
from lib.rawsmtp import RawClient
from lib.workshop import PATIENCE, Skip, check, run_test, wait_until

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
FASTER = 50              # so many times the clock runs
MESSAGES = 50
CONNECTIONS = 20         # of a site: so many may be on their way when the first of them fails
FIRST, LEAST = 1.0, 0.9  # s: the first back-off, and what jitter leaves of any
PROBES = 3
MAIL = b"Subject: x\r\nMessage-ID: <1@app.test>\r\n\r\nx\r\n"

RULES = {                # domain -> (server, how the log names what it did and where)
    "flood.test": (dict(replies={"RCPT": b"421 4.7.0 Too much from you\r\n"}),
                   ("RCPT", "the server said 421 before any mail was through")),
    "late.test": (dict(replies={".": b"421 4.7.0 Too much from you\r\n"}),
                  ("end of data", "the server said 421 before any mail was through")),
    "data.test": (dict(replies={"DATA": b"250 2.0.0 Go ahead\r\n"}),
                  ("DATA", "the server answered DATA with 250")),
    "mail.test": (dict(replies={"MAIL": b"354 Go ahead\r\n"}),
                  ("MAIL", "the server answered MAIL with 354")),
    "early.test": (dict(greeting=b"220 odd.test ESMTP\r\n250 odd.test\r\n"),
                   ("EHLO", "the server replied to nothing")),
    "http.test": (dict(greeting=b"HTTP/1.1 400 Bad Request\r\n"),
                  ("greeting", "the server's reply is not SMTP")),
}


class SlowToLeave(OddServer):
    """Answers QUIT when another connection has begun, and counts who did not wait for that."""

    def __init__(self, workshop, last):
        super().__init__(workshop)
        self.last = last             # the connection behind which none comes
        self.in_vain = 0

    def _before_goodbye(self, client):
        number = self.connections
        client.settimeout(0.01)
        while self.connections == number < self.last:
            try:
                if client.recv(1) == b"":
                    self.in_vain += 1
                    return
            except socket.timeout:
                pass
        client.settimeout(PATIENCE)


def events_of(relay, server, word="host-misbehaves"):
    return [e for e in relay.events(word) if e["relay"] == server.next_hop]


def later(events):
    """Those that came later than a back-off after the very first one."""
    return [e for e in events
            if (e["time"] - events[0]["time"]).total_seconds() >= FIRST * LEAST]


def look_at_fault(relay, domain, server, at, what):
    events = wait_until(lambda: (e := events_of(relay, server)) and len(later(e)) >= PROBES and e,
                        f"{domain}: {PROBES} probes", alive=[relay.daemon])
    check(all((e["at"], e["what"]) == (at, what) for e in events), f"{domain}: {what}, at {at}",
          events[:3])
    probes = later(events)
    at_once = len(events) - len(probes)
    check(at_once <= CONNECTIONS, f"{domain}: {at_once} connections found that out at once")
    pauses = [(b["time"] - a["time"]).total_seconds() for a, b in zip(probes, probes[1:])]
    check(all(pause >= FIRST * LEAST * 2 ** (n + 1) for n, pause in enumerate(pauses)),
          f"{domain}: then one per back-off, each twice as long: {pauses} s")


def send_some(workshop, relay, domain):
    load = Load(workshop, relay.address, MESSAGES, name=f"load-{domain}", size=1024,
                options=["--to-domain", domain, "--from", ""])
    code, said = load.wait()
    check(code == 0, f"{MESSAGES} messages for {domain}", said)


def each_is_tried_once(workshop, relay, server, domain):
    send_some(workshop, relay, domain)

    def deferrals():
        return [e for e in relay.events("deferred") if e["to"].endswith(f"@{domain}>")]
    wait_until(lambda: len(deferrals()) >= MESSAGES, f"{domain}: all deferred",
               alive=[relay.daemon])
    check(len(deferrals()) == MESSAGES == server.commands.count("MAIL"),
          f"{domain}: a server that defers every MAIL sees each mail once",
          server.commands.count("MAIL"))


def nobody_waits_for_a_goodbye(relay, server, domain):
    with RawClient(relay.host, relay.port) as client:
        for _ in range(server.last):
            client.deliver("", [f"a@{domain}"], MAIL)
    wait_until(lambda: len(server.mails) == server.last, f"{domain}: all have arrived",
               alive=[relay.daemon])
    check(server.connections == server.last and server.in_vain == 0,
          f"{domain}: each of {server.last} connections begins before the one before has left",
          (server.connections, server.in_vain))


def greeted_with_554(relay, server, domain):
    with RawClient(relay.host, relay.port) as client:
        client.deliver("", [f"a@{domain}"], MAIL)
    event = wait_until(lambda: next((e for e in relay.events("deferred")
                                     if e["to"] == f"<a@{domain}>"), None),
                       f"{domain}: deferred", alive=[relay.daemon])
    check((event["dsn"], event["reply"]) == ("4.7.1", "554 5.7.1 Go away"),
          f"{domain}: a deferral has class 4, and the reply is the server's own", event)


def nobody_takes_the_call(workshop):
    """A host that never takes a connection up is given up by itself, long before the kernel does."""
    if FAKETIME is None:
        raise Skip("no libfaketime: ./dev test installs it")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        port = silent.getsockname()[1]
        calls = []
        for _ in range(4): # then there is no room in the kernel's list
            calls.append(socket.socket())
            calls[-1].setblocking(False)
            calls[-1].connect_ex(("127.0.0.1", port))
        relay = Relay(workshop, "waiting", level="may", retry="first = 1h longest = 1h",
                      top=routes({"silent.test": f"127.0.0.1:{port}"}),
                      env={"LD_PRELOAD": FAKETIME, "FAKETIME": f"+0 x{FASTER}"}).start()
        with RawClient(relay.host, relay.port) as client:
            client.deliver("", ["a@silent.test"], MAIL)
        event = wait_until(lambda: next(iter(relay.events("deferred")), None),
                           "who waits for a connection gives it up", alive=[relay.daemon])
        check(event["dsn"] == "4.4.1" and "timed out connecting" in event["why"],
              "a host that takes no connection is deferred for that", event)
        check(relay.stop() == 0, "the relay ends with 0")
        for call in calls:
            call.close()


def test(workshop):
    binary()
    servers = {domain: OddServer(workshop, **how).start() for domain, (how, _) in RULES.items()}
    servers["later.test"] = OddServer(workshop, replies={"MAIL": b"450 4.7.1 Later\r\n"}).start()
    servers["slow.test"] = SlowToLeave(workshop, 10).start()
    servers["554.test"] = OddServer(workshop, greeting=b"554 5.7.1 Go away\r\n").start()
    hops = routes({domain: server.next_hop for domain, server in servers.items()})
    slow = ('destination "slow.test" { max-connections = 1 messages-per-connection = 1 '
            f'back-off = {FIRST:.0f}s }}')
    relay = Relay(workshop, level="may", top=hops + "\n" + slow,
                  retry="first = 1h longest = 1h")
    relay.start()
    for domain in RULES:
        send_some(workshop, relay, domain)
    each_is_tried_once(workshop, relay, servers["later.test"], "later.test")
    nobody_waits_for_a_goodbye(relay, servers["slow.test"], "slow.test")
    greeted_with_554(relay, servers["554.test"], "554.test")
    for domain, (_, (at, what)) in RULES.items():
        look_at_fault(relay, domain, servers[domain], at, what)
    stats = relay.stats()
    check(stats["balanced"] and stats["bounced"] == 0, "nothing bounced; the books balance", stats)
    check(relay.stop() == 0, "the relay ends with 0")
    nobody_takes_the_call(workshop)


run_test(test)
