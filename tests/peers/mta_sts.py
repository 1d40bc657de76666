#!/usr/bin/env python3
"""MTA-STS (RFC 8461) with a real nginx as the policy host, nsd for the records, a local authority,
`millrace sink` as the mail hosts, and a clock that is moved: what policies let through and keep
back, what is no policy, and how long one holds."""
from lib.millrace import Relay, Sink, binary
from lib.policyhost import HOST, Clock, PolicyHost, by_common_name, policy, self_signed
from lib.rawsmtp import RawClient
from lib.servers import Nsd, make_ca, sign_certificate
from lib.workshop import check, run_test, wait_until

GOOD, MISNAMED = "127.0.0.2", "127.0.0.3"    # mail hosts; the one's certificate bears its name
MINUTE, DAY = 60, 86400

ENFORCED = ("good", "cased", "misnamed", "mismatch", "second", "strict", "strict-cert", "shared",
            "moves", "keeps", "last", "given-up")
RELAXED = ("relaxed", "relaxed-cert")        # no record
BROKEN = ("redirect", "html", "large", "missing", "garbage", "cn", "self")
MX = {"second": "MX 10 mx-bad\nsecond MX 20 mx-good", "misnamed": "MX 10 mx-bad",
      "testing": "MX 10 mx-bad", "testing-mx": "MX 10 mx-good", "none": "MX 10 mx-bad",
      "strict-cert": "MX 10 mx-bad", "relaxed-cert": "MX 10 mx-bad", "cased": "MX 10 Mx-GOOD",
      **{name: "MX 10 mx-bad" for name in BROKEN}}


def zone(ids):
    """Every domain has an MX, an address for its policy host, and its record."""
    text = f"mx-good A {GOOD}\nmx-bad A {MISNAMED}\n"
    for name in (*ENFORCED, *BROKEN, *RELAXED, "testing", "testing-mx", "none", "twice"):
        text += f"{name} {MX.get(name, 'MX 10 mx-good')}\nmta-sts.{name} A {HOST}\n"
        if name not in RELAXED:
            text += f'_mta-sts.{name} TXT "v=STSv1; id={ids.get(name, "one")};"\n'
    return text + '_mta-sts.twice TXT "v=STSv1; id=two;"\n'


class Net:
    def __init__(self, workshop):
        self.workshop = workshop
        self.port = workshop.free_port((GOOD, MISNAMED, "127.0.0.1"))
        self.ca = make_ca(workshop)
        self.clock = Clock(workshop)
        self.sinks = {host: self._sink(host, name) for host, name in (
            (GOOD, "mx-good.example"), (MISNAMED, "somebody.else.example"))}
        self.ids = {}
        self.nsd = Nsd(workshop, {"example.": zone({})}).start()
        self.policies = PolicyHost(workshop, self.ca)
        self._publish_all()
        self.policies.start()
        self.relay = Relay(workshop, level="may", tls=f'ca-file = "{self.ca[0]}"',
                           env=self.clock.env, top=self._top()).start()

    def _top(self):
        return (f'resolver = "127.0.0.1:{self.nsd.port}"\nsmtp-port = {self.port}\n'
                f'allow-loopback = true\nmta-sts-port = {self.policies.port}\n'
                f'mta-sts-ca-file = "{self.ca[0]}"\n'
                'retry "last.example" { first = 1h longest = 1h give-up = 1h warn-after = 0 }\n'
                'retry "given-up.example" { first = 1h longest = 1h give-up = 1h warn-after = 0 }\n')

    def _sink(self, host, name):
        cert, key = sign_certificate(self.workshop, self.ca, f"sink-{host}", name)
        return Sink(self.workshop, f"sink-{host}", host=host, port=self.port, tls=False,
                    options=["--tls-cert", cert, "--tls-key", key]).start()

    def _publish_all(self):
        add = self.policies.add
        for name in ENFORCED:
            add(f"{name}.example", policy("enforce", "mx-good.example", "*.example"))
        for name in ("mismatch", "strict", "moves", "last", "given-up"):
            self.policies.publish(f"{name}.example", policy("enforce", "*.mx-good.example",
                                                            "mx.elsewhere.example"))
        self.policies.publish("second.example", policy("enforce", "mx-good.example"))
        add("testing.example", policy("testing", "*.example"))
        add("testing-mx.example", policy("testing", "mx.elsewhere.example"))
        add("none.example", policy("none"))
        add("twice.example", policy("enforce", "mx.elsewhere.example"))
        enforce = policy("enforce", "mx.elsewhere.example")
        add("redirect.example", enforce, location="return 301 https://mta-sts.good.example/;")
        add("html.example", enforce, location="default_type text/html;")
        add("large.example", enforce + "x: y\r\n" * 12000)
        add("missing.example", enforce, location="return 404;")
        add("garbage.example", "<html>no policy</html>")
        add("cn.example", enforce,
            certificate=by_common_name(self.workshop, self.ca, "cn.example"))
        add("self.example", enforce, certificate=self_signed(self.workshop, "self.example"))

    def change_record(self, name, record_id):
        """Another id in the domain's record, and nobody remembers the old one."""
        self.ids[name] = record_id
        self.nsd.stop()
        self.nsd.zones = {"example.": zone(self.ids)}
        self.nsd.start()
        self.clock.move(2 * MINUTE)

    def send(self, name, number=1):
        with RawClient(self.relay.host, self.relay.port) as client:
            for _ in range(number):
                client.deliver("app@app.test", [f"a@{name}.example"],
                               f"Subject: x\r\nMessage-ID: <{name}>\r\n\r\nx\r\n".encode())

    def events_of(self, word, name):
        return [e for e in self.relay.events(word)
                if f"@{name}.example>" in e.get("to", "") or e.get("domain") == f"{name}.example"]

    def wait_for(self, word, name, number=1):
        return wait_until(lambda: (found := self.events_of(word, name))[number - 1:] and found,
                          f"{number} {word} of {name}", alive=[self.relay.daemon])[-1]

    def goes(self, name, tls, why):
        number = len(self.events_of("delivered", name)) + 1
        self.send(name)
        event = self.wait_for("delivered", name, number)
        check(event["tls"].startswith(tls), f"{name}: {why} ({event['tls']})", event)
        return event

    def comes_to_go(self, name, tls, why):
        """The same, once the new way is found: until then the old one serves."""
        def goes():
            number = len(self.events_of("delivered", name)) + 1
            self.send(name)
            return self.wait_for("delivered", name, number)["tls"].startswith(tls)
        wait_until(goes, f"{name} goes {tls}", alive=[self.relay.daemon])
        check(True, f"{name}: {why} ({tls})")

    def waits(self, name, words, why):
        number = len(self.events_of("deferred", name)) + 1
        before = self.arrived()
        self.send(name)
        event = self.wait_for("deferred", name, number)
        check(event["dsn"] == "4.7.5" and words in event["why"],
              f"{name}: {why} ({event['dsn']} {event['why']})", event)
        check(self.arrived() == before, f"{name}: nothing was delivered")

    def arrived(self):
        return sum(sink.count() for sink in self.sinks.values())

    def drop(self, name):
        self.relay.command("queue", "drop", "--domain", f"{name}.example", "--reason", "told")


NO_PATTERN = "matches no mx of the MTA-STS policy"


def by_mode(net):
    """RFC 8461 4.1, 4.2, 5"""
    net.goes("good", "verify:sts:TLSv1.3:", "enforce, and all is as it should be")
    net.goes("cased", "verify:sts:", "names are compared in any case")
    net.waits("misnamed", "mx-bad.example", "enforce, and the certificate is somebody else's")
    net.waits("mismatch", NO_PATTERN, "enforce, and the MX matches no pattern")
    net.goes("second", "verify:sts:", "the next MX, which does match")
    net.goes("testing", "encrypt:table:", "testing, and the certificate is somebody else's")
    net.goes("testing-mx", "verify:table:", "testing, and the MX matches no pattern")
    net.goes("none", "encrypt:table:", "mode none")
    net.goes("relaxed", "encrypt:table:", "no record, no policy")
    net.goes("twice", "encrypt:table:", "two records, no policy (RFC 8461 3.1)")
    for name in ("misnamed", "mismatch"):
        net.drop(name)


def in_testing(net):
    """RFC 8461 5: it is told."""
    for host, outcome in (("mx-bad.example", "untrusted"), ("mx-good.example", "policy")):
        told = [e for e in net.relay.events("tls-failed") if e["relay"].startswith(host) and
                e["level"] == "may" and e["outcome"] == outcome]
        check(told, f"{host}: {outcome} is told ({told[0]['why'] if told else ''})",
              net.relay.log())


def that_is_none(net):
    """RFC 8461 3.3: mail goes on as without; the log tells what is the matter."""
    failures = {"redirect": ("sts-policy-fetch-error", "301"),
                "missing": ("sts-policy-fetch-error", "404"),
                "html": ("sts-policy-invalid", "text/html"),
                "large": ("sts-policy-invalid", "64 KiB"),
                "garbage": ("sts-policy-invalid", "name: value"),
                "cn": ("sts-webpki-invalid", ""), "self": ("sts-webpki-invalid", "")}
    for name in BROKEN:
        net.goes(name, "encrypt:table:", "delivered as without a policy")
        event = net.wait_for("sts-failed", name)
        check(event["failure"] == failures[name][0] and failures[name][1] in event["why"],
              f"{name}: {event['failure']}, {event['why']}", event)
        check(net.policies.fetches(f"{name}.example") <= 1, f"{name}: and asked for once")


def two_domains_on_one_host(net, strict, relaxed, words):
    """One's policy keeps its mail back; the other has none, and nobody waits for anybody."""
    number = 30
    for name in (strict, relaxed, strict):
        net.send(name, number)
    deferred = net.wait_for("deferred", strict)
    check(deferred["dsn"] == "4.7.5" and words in deferred["why"],
          f"{strict}: is deferred ({deferred['dsn']} {deferred['why']})", deferred)
    net.wait_for("delivered", relaxed, number)
    check(not net.events_of("deferred", relaxed), f"{relaxed}: all is delivered, at its first try")
    check(not net.events_of("delivered", strict), f"{strict}: nothing is delivered")
    number = len(net.events_of("deferred", strict))
    net.goes(relaxed, "encrypt:table:", "nor is the host left alone for the other's sake")
    net.wait_for("deferred", strict, number + 1)
    check(len(net.relay.queue("--domain", f"{strict}.example")) == 60, f"{strict}: all of it waits")
    delivered = net.events_of("delivered", relaxed)
    check(all(e["tls"].startswith("encrypt:table:") for e in delivered),
          f"{relaxed}: as it wants it, and the other one's policy has no part in it")
    net.drop(strict)


def that_change(net):
    """A new id leads to a new policy (RFC 8461 3.3), and mail that waited goes."""
    net.waits("moves", NO_PATTERN, "it waits under the old policy")
    net.policies.publish("moves.example", policy("enforce", "mx-good.example"))
    net.change_record("moves", "two")
    event = net.wait_for("delivered", "moves")
    check(event["tls"].startswith("verify:sts:"), "and goes under the new one", event)
    changes = [(e["policy"], e["mode"]) for e in net.events_of("policy-changed", "moves")]
    check(changes == [("one", "enforce"), ("two", "enforce")], f"both are in the log ({changes})")


def the_last_look(net):
    """RFC 8461 5.1: before mail is failed for good the record is looked at again."""
    for name in ("last", "given-up"):
        net.waits(name, NO_PATTERN, "it waits")
    net.policies.publish("last.example", policy("enforce", "mx-good.example"))
    net.change_record("last", "two")
    net.clock.move(2 * 3600)
    event = net.wait_for("delivered", "last")
    check(event["tls"].startswith("verify:sts:"), "it would have expired, and goes after all", event)
    event = net.wait_for("expired", "given-up")
    check(NO_PATTERN in event["why"], "where nothing is new it expires", event)


def that_outlast(net):
    """What is in force stays so: over a restart, over a dead policy host, with another id."""
    net.goes("keeps", "verify:sts:", "fetched")
    net.policies.stop()
    check(net.relay.stop() == 0, "the relay ends, and starts again")
    net.relay.start()
    net.goes("keeps", "verify:sts:", "from the store: the policy host is gone")
    net.change_record("keeps", "two")
    net.goes("keeps", "verify:sts:", "another id, which cannot be fetched: the old one holds")
    event = net.wait_for("sts-failed", "keeps")
    check(event["failure"] == "sts-policy-fetch-error" and event["in-force"] == "one",
          "and it is told", event)
    net.clock.move(8 * DAY)
    net.comes_to_go("keeps", "encrypt:table:", "it has expired, and there is no other")
    net.policies.start()
    net.clock.move(10 * MINUTE)
    net.comes_to_go("keeps", "verify:sts:", "it is there again")
    net.policies.publish("keeps.example", policy("testing", "mx-good.example"))
    net.clock.move(DAY)
    net.goes("good", "verify:sts:", "another one has been refreshed, too")
    wait_until(lambda: net.events_of("policy-changed", "keeps")[-1]["mode"] == "testing",
               "it is refreshed, though nobody asks", alive=[net.relay.daemon])
    check(True, "keeps: it is refreshed ahead of its end, though nobody asks")


def test(workshop):
    binary()
    net = Net(workshop)
    by_mode(net)
    in_testing(net)
    that_is_none(net)
    two_domains_on_one_host(net, "strict", "relaxed", NO_PATTERN)
    two_domains_on_one_host(net, "strict-cert", "relaxed-cert", "the certificate is not for")
    net.goes("shared", "verify:sts:", "a third on that host, whose policy it fulfils")
    that_change(net)
    the_last_look(net)
    that_outlast(net)
    check(net.relay.stop() == 0, "the relay ends")


run_test(test)
