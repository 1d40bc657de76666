#!/usr/bin/env python3
"""MX routing against a local nsd: order, fall back to the next host, equal preference, no MX,
null MX, no such domain, address literals, and DNS that fails or is silent."""
import socket

from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient
from lib.servers import Nsd
from lib.workshop import check, run_test, wait_until

ZONES = {
    "example.": """\
mx2      IN A 127.0.0.2
mx3      IN A 127.0.0.3
mx4      IN A 127.0.0.4
mx5      IN A 127.0.0.5
mx8      IN A 127.0.0.8
dead     IN A 127.0.0.9
order    IN MX 20 mx3
order    IN MX 10 mx2
next     IN MX 30 mx3
next     IN MX 10 dead
next     IN MX 20 mx2
equal    IN MX 10 mx4
equal    IN MX 10 mx5
address  IN A 127.0.0.6
address6 IN AAAA ::1
alias    IN CNAME order
mxalias  IN CNAME mx3
tocname  IN MX 10 mxalias
loop1    IN CNAME loop2
loop2    IN CNAME loop1
null     IN MX 0 .
notfound IN MX 10 nowhere
sender   IN MX 10 mx8
here     IN A 127.0.0.1
byaddress IN MX 10 here
byaddress IN MX 20 mx3
byname   IN MX 10 mx2
byname   IN MX 10 relay.test.
better   IN MX 10 mx3
better   IN MX 20 RELAY.test.
""",
    "relay.test.": "@ IN A 127.0.0.2\n",
    "servfail.example.": None,
}
HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.8", "::1")
SENDER = "app@sender.example"


class Net:
    """The relay, and a sink on each of HOSTS at the port that stands in for 25."""

    def __init__(self, workshop):
        self.workshop = workshop
        free_on = [h for h in HOSTS if ":" not in h] + ["127.0.0.9", "127.0.0.1"]
        self.port = workshop.free_port(free_on)
        hosts = [h for h in HOSTS if ":" not in h or _has_ipv6()]
        self.sinks = {host: self._sink(host) for host in hosts}
        self.nsd = Nsd(workshop, ZONES).start()
        self.relay = self.start_relay("relay", self.nsd.port)
        self._number = 0

    def _sink(self, host):
        name = "sink-" + host.replace(":", "_")
        return Sink(self.workshop, name, host=f"[{host}]" if ":" in host else host,
                    port=self.port, dump=host == "127.0.0.8").start()

    def start_relay(self, name, resolver_port, allow="true", port=None):
        return Relay(self.workshop, name, level="may", port=port, destination="messages-per-connection = 1",
                     top=f'resolver = "127.0.0.1:{resolver_port}"\nsmtp-port = {self.port}\n'
                         f"allow-loopback = {allow}").start()

    def send(self, recipient, number=1, sender=SENDER, relay=None):
        """Hand in `number` messages; their Message-IDs."""
        ids = []
        relay = relay or self.relay
        with RawClient(relay.host, relay.port) as client:
            for _ in range(number):
                self._number += 1
                ids.append(f"{self._number}@app.test")
                mail = f"Subject: x\r\nMessage-ID: <{ids[-1]}>\r\n\r\nx\r\n".encode()
                client.deliver(sender, [recipient], mail)
        return ids

    def where(self, ids):
        """host -> how many of these messages arrived there, once all have."""
        def found():
            places = {host: sum(f"<{i}>" in sink.ledger() or i in sink.ledger() for i in ids)
                      for host, sink in self.sinks.items()}
            return places if sum(places.values()) >= len(ids) else None
        places = wait_until(found, f"{len(ids)} messages have arrived", alive=[self.relay.daemon])
        return {host: number for host, number in places.items() if number}

    def bounce_of(self, recipient):
        """Send to `recipient`; the bounce that its sender gets, as text."""
        sink = self.sinks["127.0.0.8"]
        self.send(recipient)

        def bounce():
            texts = [mail.decode(errors="replace") for mail in sink.dumped()]
            return next((t for t in texts if f"rfc822;{recipient}" in t.replace("; ", ";")), None)
        return wait_until(bounce, f"the sender has a bounce for {recipient}",
                          alive=[self.relay.daemon])


def _has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def deliveries(net):
    check(net.where(net.send("a@order.example", 10)) == {"127.0.0.2": 10},
          "the host with the lowest preference gets all")
    check(net.where(net.send("a@next.example", 10)) == {"127.0.0.2": 10},
          "when it is dead, the next one gets all")
    both = net.where(net.send("a@equal.example", 100))
    check(set(both) == {"127.0.0.4", "127.0.0.5"} and min(both.values()) >= 10,
          f"of two equal ones, both are used ({both})")
    check(net.where(net.send("a@address.example")) == {"127.0.0.6": 1}, "no MX: the A record")
    if "::1" in net.sinks:
        check(net.where(net.send("a@address6.example")) == {"::1": 1},
              "no MX, no A: the AAAA record")
    check(net.where(net.send("a@alias.example")) == {"127.0.0.2": 1},
          "a CNAME is followed to its MX")
    check(net.where(net.send("a@tocname.example")) == {"127.0.0.3": 1},
          "an MX that is a CNAME is followed")
    check(net.where(net.send("a@[127.0.0.3]")) == {"127.0.0.3": 1}, "an address literal")


def bounces(net):
    for recipient, status in (("a@null.example", "5.1.10"), ("a@nowhere.example", "5.1.2")):
        bounce = net.bounce_of(recipient)
        check(f"Status: {status}" in bounce and "multipart/report" in bounce,
              f"{recipient}: a bounce with {status}", bounce)
    check(net.relay.stats()["bounced"] == 2, "2 recipients bounced")


def waits(net, relay, recipient, why):
    """A message to `recipient` is tried, and waits."""
    net.send(recipient, relay=relay)

    def tried():
        domain = recipient.split("@")[1]
        return [e for e in relay.queue() if recipient in str(e["recipients"]) or
                e["destination"] == domain if e["attempts"] >= 1]
    envelopes = wait_until(tried, f"{recipient} has been tried", alive=[relay.daemon])
    check(relay.stats()["bounced"] in (0, 2) and "4." in str(envelopes[0]["last_reply"]),
          f"{why}: deferred ({envelopes[0]['last_reply']})", envelopes)


def silent_dns(net):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        relay = net.start_relay("silent", silent.getsockname()[1])
        waits(net, relay, "a@order.example", "DNS that never answers")
        relay.stop()


def loopback_refused(net):
    relay = net.start_relay("careful", net.nsd.port, allow="false")
    net.send("a@order.example", sender="", relay=relay)
    stats = relay.wait_until_empty()
    check(stats["bounced"] == 1 and ("5.4.4" in relay.log() or "5.4.6" in relay.log()),
          "unless allowed, an MX that points at loopback is refused with 5.4.4 or 5.4.6", stats)
    relay.stop()


def loops(net):
    """A relay that listens where mail hosts do, and may send to loopback: but not to itself."""
    relay = net.start_relay("looping", net.nsd.port, port=net.port)
    for domain in ("byaddress", "byname"):
        net.send(f"a@{domain}.example", sender="", relay=relay)
    relay.wait_until_empty()
    bounced = relay.events("bounced")
    check(len(bounced) == 2 and {e["dsn"] for e in bounced} == {"5.4.6"},
          "a domain whose best host is the relay itself bounces: by address and by name", bounced)
    check(net.where(net.send("a@better.example", relay=relay)) == {"127.0.0.3": 1},
          "where a better host stands before the relay, that one gets it")
    relay.stop()


def test(workshop):
    binary()
    net = Net(workshop)
    deliveries(net)
    bounces(net)
    waits(net, net.relay, "a@servfail.example", "SERVFAIL")
    waits(net, net.relay, "a@loop1.example", "a CNAME that goes round")
    silent_dns(net)
    loopback_refused(net)
    loops(net)


run_test(test)
