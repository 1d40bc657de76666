#!/usr/bin/env python3
"""REQUIRETLS and "TLS-Required: No" (RFC 8689), from a client through the relay to hosts that offer
this and that, and back to the sender."""
from lib.millrace import Relay, Sink
from lib.rawsmtp import RawClient
from lib.servers import Nsd, make_ca, make_certificate, sign_certificate
from lib.workshop import check, run_test, wait_until
from lib.zones import Signed, tlsa_of_key

SINK_NAME = "sink.millrace.test"  # in DNS, and in the certificate of each sink
ZONES = {"millrace.test.": "sink IN A 127.0.0.1\n", "example.": "mx IN MX 10 sink.millrace.test.\n"}
SAFE = """\
pkix  IN MX 10 sink.millrace.test.
dane  IN MX 10 mx1
mx1   IN A 127.0.0.1
_{port}._tcp.mx1 IN TLSA 3 1 1 {key}
stale IN MX 10 mx2
mx2   IN A 127.0.0.1
_{port}._tcp.mx2 IN TLSA 3 1 1 {wrong}
"""

# name, what its sink does
SINKS = {
    "offers": {"options": ["--requiretls"]},
    "lacks": {}, "lacks2": {}, "lacks3": {}, "lacks4": {},
    "clear": {"tls": False},
    "busy": {"faults": ["starttls:454:1"]},
    "sender": {"options": ["--requiretls"], "dump": True},
    "simple": {"dump": True},
}
OK, LACKS, CLEAR, LATER = "delivered", "bounced 5.7.30", "bounced 5.7.10", "deferred 4.7.4"
# domain, the sinks that its route names, the CA that is trusted, level, what becomes of a message
# that came with REQUIRETLS
REQUIRED = [
    ("offers.test", ["offers"], "ca", "may", OK),
    ("none.test", ["offers"], "ca", "none", OK),
    ("lacks.test", ["lacks"], "ca", "may", LACKS),
    ("clear.test", ["clear"], "ca", "may", CLEAR),
    ("untrusted.test", ["offers"], "stranger", "may", CLEAR),
    ("verify.test", ["lacks"], "ca", "verify", LACKS),
    ("busy.test", ["busy"], "ca", "may", LATER),
    # one host after the other, and only when none will do
    ("second.test", ["clear", "offers"], "ca", "may", OK),
    ("third.test", ["clear", "lacks", "offers"], "ca", "may", OK),
    ("fifth.test", ["lacks", "lacks2", "lacks3", "lacks4", "offers"], "ca", "may", OK),
    ("neither.test", ["clear", "lacks", "clear"], "ca", "may", LACKS),
    ("perhaps.test", ["busy", "lacks"], "ca", "may", "deferred 4.7.30"),
    ("perhaps-later.test", ["lacks", "busy"], "ca", "may", "deferred 4.7.30"),
    ("dead.test", ["clear", "dead"], "ca", "may", "deferred 4.4.1"),
    # by MX: DNSSEC proves that it is the domain's host, or nothing does
    ("pkix.safe.test", [], "ca", "may", OK),
    ("dane.safe.test", [], "stranger", "may", OK),
    ("stale.safe.test", [], "ca", "may", CLEAR),
    ("mx.example", [], "ca", "may", CLEAR),
]
# The same of a message whose header says "TLS-Required: No", and how it went.
OPTIONAL = [
    ("s-untrusted.test", ["lacks"], "stranger", "secure", "encrypt:header"),
    ("s-clear.test", ["clear"], "ca", "secure", "none:header"),
    ("s-verify.test", ["clear"], "ca", "verify", "none:header"),
]
BODY = b"A secret that is nobody's business.\r\n"


class Net:
    def __init__(self, workshop):
        self.authorities = {name: make_ca(workshop, name) for name in ("ca", "stranger")}
        self.certificate = sign_certificate(workshop, self.authorities["ca"], "sinks", SINK_NAME)
        self.sinks = {name: self._sink(workshop, name, **does) for name, does in SINKS.items()}
        self.ports = {name: sink.port for name, sink in self.sinks.items()}
        self.ports["dead"] = workshop.free_port()
        safe = SAFE.format(port=self.ports["offers"], key=tlsa_of_key(self.certificate[0]),
                           wrong="00" * 32)
        self.nsd = Nsd(workshop, ZONES | {"safe.test.": Signed(safe)}).start()
        self.relay = Relay(workshop, top=self._top(), level="may",
                           certificate=make_certificate(workshop)).start()
        self._number = 0

    def _sink(self, workshop, name, tls=True, options=(), **does):
        certificate, key = self.certificate
        with_tls = ["--tls-cert", certificate, "--tls-key", key] if tls else []
        return Sink(workshop, name, tls=False, options=[*with_tls, *options], **does).start()

    def _top(self):
        lines = [f'resolver = "127.0.0.1:{self.nsd.port}"', "allow-loopback = true",
                 f'smtp-port = {self.ports["offers"]}', f'trust-anchor = "{self.nsd.anchor}"']
        senders = [(f"{name}.sender.test", [name], "ca", "may", None)
                   for name in ("sender", "simple")]
        for domain, hosts, trusted, level, _ in REQUIRED + OPTIONAL + senders:
            ca = self.authorities[trusted][0]
            lines.append(f'tls "{domain}" {{ level = "{level}" ca-file = "{ca}" }}')
            names = ", ".join(f'"{SINK_NAME}:{self.ports[host]}"' for host in hosts)
            if names:
                lines.append(f'route "{domain}" {{ hosts = {{ {names} }} }}')
        return "\n".join(lines)

    def send(self, recipient, sender, required, field=b""):
        """Hand it in over TLS; its id."""
        self._number += 1
        mail = field + b"Subject: x\r\nMessage-ID: <%d@app.test>\r\n\r\n" % self._number + BODY
        with RawClient(self.relay.host, self.relay.port, starttls=True) as client:
            check("REQUIRETLS" in client.keywords, "REQUIRETLS is offered inside TLS")
            parameters = " RET=FULL" + (" REQUIRETLS" if required else "")
            client.command(f"MAIL FROM:<{sender}>{parameters}", 250)
            client.command(f"RCPT TO:<{recipient}>", 250)
            client.command("DATA", 354)
            client.send(mail + b".\r\n")
            return client.expect(250, "end of data").split()[-1]

    def verdict_of(self, name):
        """The event that tells what became of it first."""
        def found():
            return [event for word in ("delivered", "bounced", "deferred")
                    for event in self.relay.events(word) if event["id"] == name]
        return wait_until(found, f"a verdict on {name}", alive=[self.relay.daemon])[0]

    def bounce_to(self, sink, path):
        def found():
            texts = [mail.decode() for mail in self.sinks[sink].dumped()]
            return next((text for text in texts if f"To: <{path}>" in text), None)
        return wait_until(found, f"{path} has a notification", alive=[self.relay.daemon])


def test_required(net):
    for domain, _, _, _, expected in REQUIRED:
        event = net.verdict_of(net.send(f"a@{domain}", f"{domain}@sender.sender.test", True))
        was = event["event"] + ("" if event["event"] == OK else " " + event["dsn"])
        check(was == expected, f"{domain}: {was}", event)
        if was == OK:
            by = "dane" if domain == "dane.safe.test" else "requiretls"
            check(event["tls"].startswith(f"verify:{by}:"), f"{domain}: authenticated", event)


def test_notifications(net):
    text = net.bounce_to("sender", "lacks.test@sender.sender.test")
    check("REQUIRETLS" in text and "Status: 5.7.30" in text, "its sender is told why")
    check("Message-ID:" in text and BODY.decode().strip() not in text,
          "of what came with REQUIRETLS only the header comes back, whatever RET says")
    event = net.verdict_of(net.send("a@lacks.test", "a@simple.sender.test", True))
    check(event["event"] == "bounced", "bounced")
    text = net.bounce_to("simple", "a@simple.sender.test")
    check("Status: 5.7.30" in text, "a notification is not lost where REQUIRETLS is not offered")


def test_optional(net):
    for domain, _, _, _, expected in OPTIONAL:
        usual = net.verdict_of(net.send(f"a@{domain}", "a@sender.sender.test", False))
        check(usual["event"] == "deferred", f"{domain}: usual mail is deferred")
        event = net.verdict_of(net.send(f"a@{domain}", "a@sender.sender.test", False,
                                        b"TLS-Required: No\r\n"))
        check(event["event"] == "delivered" and event["tls"].startswith(expected),
              f"{domain}: with TLS-Required it goes, {event.get('tls')}", event)


def test_what_is_shown(net):
    found = {(e["destination"], e["security"]) for e in net.relay.queue()}
    check({("busy.test", "required"), ("s-clear.test", "usual")} <= found, "the queue tells them apart")
    shown = net.relay.command("dest", "show", "busy.test").stdout
    check("security" in shown and "required" in shown, "so does dest show")
    explained = net.relay.command("explain", "busy.test").stdout
    check('security "required"' in explained, "and explain")


def test(workshop):
    net = Net(workshop)
    test_required(net)
    test_notifications(net)
    test_optional(net)
    test_what_is_shown(net)
    counts = {name: sink.stop() for name, sink in net.sinks.items()}
    delivered = sum(1 for row in REQUIRED if row[4] == OK)
    check(counts["offers"]["requiretls"] == counts["offers"]["messages"] == delivered,
          "what goes on with REQUIRETLS has it in MAIL", counts["offers"])
    check(counts["sender"]["requiretls"] == counts["sender"]["messages"] > 0,
          "and so have the notifications", counts["sender"])
    check(counts["lacks"]["requiretls"] == 0, "nobody else is told")


run_test(test)
