#!/usr/bin/env python3
"""TLS sessions are resumed: all but the first to a site, after a restart and after kill -9 too,
and never where anything that was checked is another (tls-rules: Resumption)."""
import urllib.request

from lib.exposition import families_of, value_of
from lib.millrace import Load, Relay, Sink, binary
from lib.servers import make_ca, sign_certificate
from lib.workshop import check, run_test, wait_until

MESSAGES = 200


class Site:
    """A relay that opens a connection for each message, one after the other, and its sink."""

    def __init__(self, workshop, name, versions, certificate=None, **settings):
        self.workshop = workshop
        self.name = name
        self.loads = 0
        shown = ("--tls-cert", certificate[0], "--tls-key", certificate[1]) if certificate else ()
        self.sink = Sink(workshop, f"{name}-sink", versions=versions, tls=not certificate,
                         options=shown).start()
        self.admin = f"127.0.0.1:{workshop.free_port()}"
        self.relay = Relay(workshop, name, route=[self.sink.next_hop],
                           top=f'admin "{self.admin}" {{ }}',
                           destination="messages-per-connection = 1", connections=1,
                           **settings).start()

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=30) as answer:
            return families_of(answer.read().decode())

    def tickets(self, state):
        return value_of(self.metrics(), "millrace_tickets_total", state=state)

    def handshakes(self):
        """(full, resumed), since its last start."""
        counts = {"no": 0, "yes": 0}
        for _, labels, value in self.metrics()["millrace_tls_handshakes_total"].samples:
            if labels["result"] == "ok":
                counts[labels["resumed"]] += int(value)
        return counts["no"], counts["yes"]

    def send(self, number):
        """So many messages; how many handshakes were full and resumed for them."""
        before = self.handshakes()
        self.loads += 1
        load = Load(self.workshop, self.relay.address, number, name=f"{self.name}-{self.loads}",
                    connections=1, size=1024)
        code, said = load.wait()
        check(code == 0, f"{self.name}: {number} messages are handed in", said)
        self.relay.wait_until_empty()
        return tuple(now - then for now, then in zip(self.handshakes(), before))

    def wait_until_written(self):
        def written():
            metrics = self.metrics()
            kept = value_of(metrics, "millrace_tickets", state="kept")
            return kept > 0 and kept == value_of(metrics, "millrace_tickets", state="on-disk")
        wait_until(written, "all tickets are on disk", alive=[self.relay.daemon])

    def stop(self):
        check(self.relay.stop() == 0, f"{self.name}: the relay ends with 0")
        return self.sink.stop()


def all_but_the_first(site, version):
    full, resumed = site.send(MESSAGES)
    check((full, resumed) == (1, MESSAGES - 1),
          f"{version}: of {MESSAGES} handshakes all but the first resume", (full, resumed))
    check(site.tickets("hit") == MESSAGES - 1 and site.tickets("miss") == 1,
          f"{version}: as the tickets' own counters say")
    check(site.tickets("rejected") == site.tickets("purged") == 0, f"{version}: none is refused")


def over_a_restart(site):
    check(site.relay.stop() == 0, "SIGTERM: ends with 0")
    site.relay.start()
    check(site.send(20) == (0, 20), "SIGTERM: all resume from what is on disk, the first one too")
    site.wait_until_written()
    site.relay.kill()
    site.relay.start()
    check(site.send(20) == (0, 20), "kill -9: all resume from what is on disk, the first one too")
    check(site.tickets("rejected") == 0, "kill -9: none is refused")


def only_where_all_is_the_same(site):
    for changes in ({"level": "may"}, {"tls": 'min-version = "1.3"'},
                    {"tls": 'ciphers = "ECDHE+AESGCM"'},
                    {"destination": 'messages-per-connection = 1 source = { "127.0.0.2" }'}):
        before = {name: site.relay.settings[name] for name in changes}
        site.relay.configure(**changes)
        reload(site.relay)
        check(site.send(2) == (1, 1), f"with {changes} the first handshake is full")
        site.relay.configure(**before)
        site.relay.stop()
        site.relay.start()
        check(site.send(2) == (0, 2), "and as it was before, all resume")


def reload(relay):
    """Its configuration, and the files that are named there, anew."""
    before = len(relay.events("reloaded"))
    relay.reload()
    wait_until(lambda: len(relay.events("reloaded")) > before, "the configuration is taken",
               alive=[relay.daemon])


def where_the_same_are_trusted(workshop):
    """RFC 8446 4.6.1: on resumption nobody looks at a certificate, so none may have gone out of
    favour meanwhile."""
    first, second = make_ca(workshop, "ca"), make_ca(workshop, "other")
    trusted = workshop.write("trusted.pem", first[0].read_text())
    site = Site(workshop, "trusted", "1.3", sign_certificate(workshop, first, "mx", "mx.test"),
                level="verify", tls=f'match = {{ "mx.test" }} ca-file = "{trusted}"')
    check(site.send(3) == (1, 2), "verify: all but the first resume")
    trusted.write_text(first[0].read_text() + second[0].read_text())
    reload(site.relay)
    check(site.send(3) == (1, 2), "one more CA is trusted: a full handshake")
    check(site.relay.stop() == 0, "the relay ends with 0")
    site.relay.start()
    check(site.send(3) == (0, 3), "after a restart the same CAs are the same: all resume")
    site.relay.configure(tls=f'match = {{ ".test" }} ca-file = "{trusted}"')
    reload(site.relay)
    check(site.send(2) == (1, 1), "another name is looked for: a full handshake")
    site.stop()


def test(workshop):
    binary()
    site = Site(workshop, "one-three", "1.3")
    all_but_the_first(site, "TLS 1.3")
    over_a_restart(site)
    only_where_all_is_the_same(site)
    check((site.relay.spool / "tls").stat().st_mode & 0o777 == 0o700 and
          (site.relay.spool / "tls/data.mdb").stat().st_mode & 0o777 == 0o600,
          "the tickets lie where nobody else reads them")
    counted = site.stop()
    check(counted["resumed"] == counted["handshakes"] - 1 - 4, "the sink has seen the same",
          counted)

    site = Site(workshop, "one-two", "1.2")
    all_but_the_first(site, "TLS 1.2")
    over_a_restart(site)
    site.stop()

    where_the_same_are_trusted(workshop)


run_test(test)
