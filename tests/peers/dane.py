#!/usr/bin/env python3
"""DANE (RFC 7672) against signed zones of a local nsd, with `millrace sink` as the mail hosts:
what TLSA records let through and what they keep back, denials, what is bogus, and aliases; and all
that again by way of unbound, whose word is taken for it."""
from lib.millrace import Relay, Sink, binary
from lib.policyhost import Clock
from lib.rawsmtp import RawClient
from lib.servers import Nsd, Unbound, make_ca, make_certificate, sign_certificate
from lib.workshop import check, run_test, wait_until
from lib.zones import Signed, tlsa_of_certificate, tlsa_of_key

OWN, ANCHORED, BY_NAME = "127.0.0.2", "127.0.0.3", "127.0.0.4"
WRONG = "00" * 32


def safe_zone(port, own, authority):
    """Mail hosts and what their TLSA records say; a domain for each of them."""
    at = f"_{port}._tcp"
    return f"""\
good     MX 10 mx1
mx1      A {OWN}
{at}.mx1 TLSA 3 1 1 {own}
stale    MX 10 mx2
mx2      A {OWN}
{at}.mx2 TLSA 3 1 1 {WRONG}
anchored MX 10 mx3
mx3      A {ANCHORED}
{at}.mx3 TLSA 2 0 1 {authority}
byname   MX 10 mx4
mx4      A {BY_NAME}
{at}.mx4 TLSA 2 0 1 {authority}
misnamed MX 10 mx5
mx5      A {ANCHORED}
{at}.mx5 TLSA 2 0 1 {authority}
unusable MX 10 mx6
mx6      A {OWN}
{at}.mx6 TLSA 1 1 1 {WRONG}
none     MX 10 mx7
only     MX 10 mx7
mx7      A {OWN}
dead     MX 10 mx8
mx8      A {OWN}
_tcp.mx8 NS ns
second   MX 10 mx8
second   MX 20 mx1
false    MX 10 mx9
mx9      A {OWN}
_tcp.mx9 NS ns
_tcp.mx9 DS 12345 13 2 {WRONG}
alias    MX 10 mxalias
mxalias  CNAME mx1
itself   A {OWN}
{at}.itself TLSA 3 1 1 {own}
"""


class Net:
    def __init__(self, workshop):
        hosts = (OWN, ANCHORED, BY_NAME)
        self.workshop = workshop
        self.port = workshop.free_port(("127.0.0.1",) + hosts)
        ca = make_ca(workshop)
        # An end-entity's certificate need not bear any name that is asked for (RFC 7672 3.1.1).
        certificates = {
            OWN: make_certificate(workshop, "own", "unnamed.test"),
            ANCHORED: sign_certificate(workshop, ca, "anchored", "mx3.safe.test"),
            BY_NAME: sign_certificate(workshop, ca, "byname", "byname.safe.test"),
        }
        for host in (ANCHORED, BY_NAME): # RFC 7671 5.2.2: the anchor comes along
            with open(certificates[host][0], "a", encoding="ascii") as chain:
                chain.write(ca[0].read_text())
        self.sinks = [self._sink(host, *certificates[host]) for host in hosts]
        own, authority = tlsa_of_key(certificates[OWN][0]), tlsa_of_certificate(ca[0])
        at = f"_{self.port}._tcp"
        records = safe_zone(self.port, own, authority)
        self.nsd = Nsd(workshop, {
            "safe.test.": Signed(records),
            "safe3.test.": Signed(records, nsec3=True),
            "old.test.": Signed(f"good MX 10 mx1\nmx1 A {OWN}\n{at}.mx1 TLSA 3 1 1 {own}\n",
                                expired=True),
            "plain.test.": f"good MX 10 mx1\nmx1 A {OWN}\n{at}.mx1 TLSA 3 1 1 {WRONG}\n"
                           "over MX 10 mx2.safe.test.\n",
            "_tcp.mx8.safe.test.": None,
            "_tcp.mx9.safe.test.": f"_{self.port} TLSA 3 1 1 {own}\n",
        }).start()
        self.relay = self.start_relay("relay", self.nsd.port)

    def _sink(self, host, cert, key):
        return Sink(self.workshop, f"sink-{host}", host=host, port=self.port, tls=False,
                    options=["--tls-cert", cert, "--tls-key", key]).start()

    def start_relay(self, name, resolver_port, dnssec=None, env=None):
        return Relay(self.workshop, name, level="dane", env=env,
                     top=self.top(resolver_port, dnssec) +
                         'tls "only.safe.test" { level = "dane-only" }\n'
                         'tls "only.safe3.test" { level = "dane-only" }\n').start()

    def top(self, resolver_port, dnssec=None):
        dnssec = dnssec or f'trust-anchor = "{self.nsd.anchor}"'
        return (f'resolver = "127.0.0.1:{resolver_port}"\nsmtp-port = {self.port}\n'
                f'allow-loopback = true\n{dnssec}\n')

    def delivered(self):
        return sum(sink.count() for sink in self.sinks)

    def send(self, domain, relay):
        with RawClient(relay.host, relay.port) as client:
            client.deliver("app@app.test", [f"a@{domain}"],
                           f"Subject: x\r\nMessage-ID: <{domain}>\r\n\r\nx\r\n".encode())

    def goes(self, domain, tls, why, relay=None):
        """It is delivered, and the log says so in these words."""
        relay = relay or self.relay
        self.send(domain, relay)
        event = wait_until(lambda: event_of(relay, "delivered", domain),
                           f"mail to {domain} is delivered", alive=[relay.daemon])
        check(event["tls"].startswith(tls), f"{domain}: {why} ({event['tls']})", event)

    def waits(self, domain, status, words, why, relay=None):
        """It is deferred with this status, for a reason that has these words; nothing arrives."""
        relay = relay or self.relay
        before = self.delivered()
        self.send(domain, relay)
        event = wait_until(lambda: event_of(relay, "deferred", domain),
                           f"mail to {domain} is deferred", alive=[relay.daemon])
        check(event["dsn"] == status and words in event["why"],
              f"{domain}: {why} ({event['dsn']} {event['why']})", event)
        check(self.delivered() == before, f"{domain}: nothing was delivered")
        relay.command("queue", "drop", "--domain", domain, "--reason", "told")


def event_of(relay, word, domain):
    return next((e for e in relay.events(word) if f"@{domain}>" in e["to"]), None)


def by_records(net, zone):
    net.goes(f"good.{zone}", "verify:dane:TLSv1.3:", "DANE-EE that fits")
    net.goes(f"alias.{zone}", "verify:dane:", "an MX that is an alias of a host with TLSA")
    net.goes(f"itself.{zone}", "verify:dane:", "no MX, which is proved: the domain's own TLSA")
    net.waits(f"stale.{zone}", "4.7.5", "TLSA", "DANE-EE that does not fit (RFC 7672 2.2)")
    net.goes(f"unusable.{zone}", "encrypt:dane:", "none that can be used: TLS all the same")
    net.goes(f"none.{zone}", "encrypt:table:", "a proved denial: as `may`")
    net.waits(f"only.{zone}", "4.7.5", "it has no TLSA records", "dane-only, and a denial")


def by_anchor(net):
    """RFC 7672 3.1.2, 3.2.2"""
    net.goes("anchored.safe.test", "verify:dane:", "DANE-TA, and the host's name")
    net.goes("byname.safe.test", "verify:dane:", "DANE-TA, and the next hop's name")
    net.waits("misnamed.safe.test", "4.7.5", "name", "DANE-TA, and no name that may be there")


def by_failure(net):
    """RFC 7672 2.1.2, 2.2.1: what cannot be looked up is never taken for a denial."""
    net.waits("dead.safe.test", "4.7.5", "mx8.safe.test TLSA: SERVFAIL", "TLSA: SERVFAIL")
    net.waits("false.safe.test", "4.7.5", "mx9.safe.test TLSA: bogus", "TLSA: bogus")
    net.goes("second.safe.test", "verify:dane:", "the next MX, whose TLSA is there")
    net.waits("good.old.test", "4.4.3", "bogus", "signatures that are out of date")


def by_nobody(net):
    """RFC 7672 2.2.1: without a secure way to the host its TLSA records have no meaning."""
    net.goes("good.plain.test", "encrypt:table:", "a zone that is not signed: as `may`")
    net.goes("over.plain.test", "encrypt:table:", "from there to a host that has TLSA: as `may`")


def by_another(net):
    """RFC 7672 2.1: a resolver on this machine validates, and its AD bit is trusted."""
    unbound = Unbound(net.workshop, net.nsd).start()
    relay = net.start_relay("trusting", unbound.port, "dnssec = trust-ad")
    net.goes("good.safe.test", "verify:dane:", "by the AD bit: DANE-EE that fits", relay)
    net.goes("alias.safe.test", "verify:dane:", "by the AD bit: an alias", relay)
    net.goes("itself.safe.test", "verify:dane:", "by the AD bit: no MX, which is proved", relay)
    net.goes("none.safe.test", "encrypt:table:", "by the AD bit: a denial", relay)
    net.goes("none.safe3.test", "encrypt:table:", "by the AD bit: a denial by NSEC3", relay)
    net.goes("good.plain.test", "encrypt:table:", "no AD bit: as `may`", relay)
    net.waits("stale.safe.test", "4.7.5", "TLSA", "by the AD bit: DANE-EE that does not fit", relay)
    net.waits("false.safe.test", "4.7.5", "TLSA: SERVFAIL", "what the resolver finds bogus", relay)
    relay.stop()
    relay = net.start_relay("not-trusting", net.nsd.port, "dnssec = trust-ad")
    net.goes("good.safe.test", "encrypt:table:", "who does not validate has no AD bit", relay)
    relay.stop()


def by_reload(net):
    """Who asks for DANE while the relay runs gets it at once."""
    relay = Relay(net.workshop, "changed", level="may",
                  top=net.top(net.nsd.port, "dnssec = off")).start()
    net.goes("stale.safe.test", "encrypt:table:", "without DANE nobody asks for TLSA", relay)
    relay.configure(level="dane", top=net.top(net.nsd.port))
    relay.reload()
    wait_until(lambda: relay.events("reloaded"), "the relay has reloaded", alive=[relay.daemon])
    net.waits("stale.safe.test", "4.7.5", "TLSA", "DANE from a reload on", relay)
    check(not relay.events("reload-needs-restart"), "which needs no restart", relay.log())
    relay.stop()


def by_the_past(net):
    """RFC 7672 2.1.1: that there are no TLSA records is known for as long as DNS said; who keeps the
    answers back then cannot have mail go on as before."""
    clock = Clock(net.workshop)
    relay = net.start_relay("remembering", net.nsd.port, env=clock.env)
    domain = "none.safe.test"
    net.goes(domain, "encrypt:table:", "a denial, which is remembered", relay)
    relay.command("dest", "pause", domain, "--reason", "so that it is not forgotten")
    before = net.delivered()
    net.send(domain, relay)
    net.nsd.stop()
    clock.move(2 * 3600)
    relay.command("dest", "resume", domain)
    event = wait_until(lambda: event_of(relay, "deferred", domain), "who is not answered waits",
                       alive=[relay.daemon])
    check(event["dsn"] == "4.4.3", f"{domain}: what is out of date is not gone by", event)
    check(net.delivered() == before, f"{domain}: nothing was delivered")
    relay.stop()


def test(workshop):
    binary()
    net = Net(workshop)
    by_records(net, "safe.test")
    by_records(net, "safe3.test")
    by_anchor(net)
    by_failure(net)
    by_nobody(net)
    net.relay.stop()
    by_another(net)
    by_reload(net)
    by_the_past(net)


run_test(test)
