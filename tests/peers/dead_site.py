#!/usr/bin/env python3
"""Sites that cannot be reached: a thousand messages wait for each, and one probe per back-off is
all that happens; then the site comes to life, and everything is delivered, each message once.

Three sites: a closed port, whose mail the operator hurries (`queue retry`); a closed port whose
mail the next probe finds; and a server that answers every STARTTLS with 454."""
from lib.millrace import Load, Relay, Sink, binary, routes
from lib.workshop import check, run_test, wait_until

MESSAGES = 1000
CONNECTIONS = 20         # that may be on their way to a site when the first of them fails
FIRST, LEAST = 1.0, 0.9  # s: the first back-off, and what jitter leaves of any
PROBES = 2               # how many failures after the first ones are waited for


class Site:
    """One destination whose server is dead at first."""

    def __init__(self, workshop, name, faults=()):
        self.name = name
        self.domain = f"{name}.test"
        self.workshop = workshop
        self.port = workshop.free_port()
        self.accepted = None
        self.dead = None
        if faults:
            self.dead = Sink(workshop, f"{name}-dead", port=self.port, faults=faults).start()

    def hand_in(self, relay):
        load = Load(self.workshop, relay.address, MESSAGES, name=f"load-{self.name}", size=1024,
                    options=["--to-domain", self.domain])
        code, said = load.wait()
        check(code == 0, f"{self.name}: {MESSAGES} messages are taken", said)
        self.accepted = load.accepted()

    def failures(self, relay):
        """The log lines that tell of a connection that came to nothing, in order."""
        return [e for e in relay.events() if e["event"] in ("connect-failed", "tls-failed")
                and e["relay"].endswith(f":{self.port}")]

    def deferrals(self, relay):
        return [e for e in relay.events("deferred") if e["to"].endswith(f"@{self.domain}>")]

    def come_alive(self):
        if self.dead:
            self.dead.stop()
        self.sink = Sink(self.workshop, self.name, port=self.port).start()

    def wait_until_delivered(self, relay):
        wait_until(lambda: self.sink.count() >= MESSAGES, f"{self.name}: all have arrived",
                   alive=[relay.daemon, self.sink.daemon])


def look_at_probes(relay, site, word, status):
    """The first failures come at once; from then on there is one per back-off, each longer."""
    failures = wait_until(lambda: (f := site.failures(relay)) and len(probes(f)) >= PROBES and f,
                          f"{site.name}: {PROBES} probes have failed", alive=[relay.daemon])
    later = probes(failures)
    at_once = len(failures) - len(later)
    check(all(e["event"] == word for e in failures), f"{site.name}: {word}", failures[:3])
    check(1 <= at_once <= CONNECTIONS, f"{site.name}: {at_once} connections found it dead at once")
    pauses = [(b["time"] - a["time"]).total_seconds() for a, b in zip(later, later[1:])]
    check(all(pause >= FIRST * LEAST * 2 ** (n + 1) for n, pause in enumerate(pauses)),
          f"{site.name}: then one probe per back-off, each twice as long: {pauses} s")
    deferrals = site.deferrals(relay)
    check(1 <= len(deferrals) <= len(later) + 1 and all(e["dsn"] == status for e in deferrals),
          f"{site.name}: {len(deferrals)} of {MESSAGES} messages were deferred, with {status}",
          deferrals[:3])


def probes(failures):
    """The failures that came later than a back-off after the very first one."""
    return [e for e in failures
            if (e["time"] - failures[0]["time"]).total_seconds() >= FIRST * LEAST]


def look_at_queue(relay, site, words):
    """Not while a probe is out: one of them is then not waiting."""
    def waiting():
        listed = relay.queue("--domain", site.domain)
        return all(e["state"] == "waiting" and e["due"] for e in listed) and listed
    listed = wait_until(waiting, f"{site.name}: all wait, with a due time", alive=[relay.daemon])
    check(len(listed) == MESSAGES, f"{site.name}: `queue list` shows all {MESSAGES} waiting")
    check(all(words in e["last_reply"] for e in listed),
          f"{site.name}: and why: {listed[0]['last_reply']}", listed[:3])


def retry_while_dead(relay, site):
    """The operator's retry makes one probe, not one per message."""
    before, last = len(site.failures(relay)), len(site.deferrals(relay))
    said = relay.command("queue", "retry", "--domain", site.domain, "--reason", "a test").stdout
    check(f"{MESSAGES} envelopes" in said, f"{site.name}: {said.strip()}")
    wait_until(lambda: len(site.deferrals(relay)) > last, f"{site.name}: the probe has failed",
               alive=[relay.daemon])
    made = len(site.failures(relay)) - before
    check(made <= 2, f"{site.name}: that made {made} connections to the dead site")


def test(workshop):
    binary()
    hurried, patient = Site(workshop, "hurried"), Site(workshop, "patient")
    no_tls = Site(workshop, "no-tls", faults=["starttls:454:1"])
    sites = (hurried, patient, no_tls)
    total = len(sites) * MESSAGES
    hops = routes({site.domain: f"[127.0.0.1]:{site.port}" for site in sites})
    relay = Relay(workshop, top=hops).start()
    for site in sites:
        site.hand_in(relay)
    look_at_probes(relay, hurried, "connect-failed", "4.4.1")
    look_at_probes(relay, patient, "connect-failed", "4.4.1")
    look_at_probes(relay, no_tls, "tls-failed", "4.7.4")
    look_at_queue(relay, hurried, "Connection refused")
    look_at_queue(relay, no_tls, "A fault of the sink's")
    retry_while_dead(relay, hurried)
    stats = relay.stats()
    check(stats["queued"] == total and stats["balanced"], "the books balance", stats)

    for site in sites:
        site.come_alive()
    relay.command("queue", "retry", "--domain", hurried.domain, "--reason", "it is back")
    for site in sites:
        site.wait_until_delivered(relay)
    stats = relay.wait_until_empty()
    for site in sites:
        counted = site.sink.stop()
        check(site.sink.ledger() == site.accepted, f"{site.name}: each message arrived, once")
        check(counted["handshakes"] == counted["connections"] > 0, f"{site.name}: over TLS")
    deferrals = len(relay.events("deferred"))
    check(stats["delivered"] == total and stats["deferrals"] == deferrals,
          f"{deferrals} deferrals for {total} messages", stats)
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
