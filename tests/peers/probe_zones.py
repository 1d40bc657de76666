#!/usr/bin/env python3
"""millrace probe against local zones: nsd (signed), nginx with MTA-STS policies, a local authority,
and `millrace sink` as the mail hosts. What is foretold for each domain, a relay with the same
configuration then does with a message."""
import json

from lib.millrace import Relay, Sink, binary
from lib.policyhost import HOST, PolicyHost, policy
from lib.rawsmtp import RawClient
from lib.servers import Nsd, make_ca, make_certificate, sign_certificate
from lib.workshop import check, run_command, run_test, wait_until
from lib.zones import Signed, tlsa_of_key

OWN, GOOD, MISNAMED, PLAIN, LATER = (f"127.0.0.{number}" for number in range(2, 7))
DELIVERABLE, DEFERRED, NO_HOST = 0, 75, 68

# domain, exit code, the way or the status, and what stands in the verdict; RFC 7672 2.2, RFC 8461
# 4.1 and 4.2, RFC 3207 4
EXPECTED = [
    ("good.dane.test", DELIVERABLE, "verify:dane:TLSv1.3", ""),
    ("stale.dane.test", DEFERRED, "4.7.5", "TLSA"),
    ("none.dane.test", DEFERRED, "4.7.5", "it has no TLSA records"),
    ("good.sts.test", DELIVERABLE, "verify:sts:TLSv1.3", ""),
    ("misnamed.sts.test", DEFERRED, "4.7.5", "is not for mx-bad.sts.test"),
    ("mismatch.sts.test", DEFERRED, "4.7.5", "MTA-STS"),
    ("testing.sts.test", DELIVERABLE, "verify:table:TLSv1.3", ""),
    ("broken.sts.test", DELIVERABLE, "encrypt:table:TLSv1.3", ""),
    ("plain.may.test", DELIVERABLE, "none:table", ""),
    ("plain.encrypt.test", DEFERRED, "4.7.4", "does not offer STARTTLS"),
    ("later.may.test", DEFERRED, "4.7.4", "A fault of the sink's"),
    ("null.may.test", NO_HOST, "5.1.10", "accepts no mail"),
    ("missing.may.test", NO_HOST, "5.1.2", "NXDOMAIN"),
]


class Net:
    def __init__(self, workshop):
        self.workshop = workshop
        self.port = workshop.free_port(("127.0.0.1", OWN, GOOD, MISNAMED, PLAIN, LATER))
        self.ca = make_ca(workshop)
        own = make_certificate(workshop, "own", "unnamed.test")
        self.sinks = [
            self.sink(OWN, own),
            self.sink(GOOD, sign_certificate(workshop, self.ca, "good", "mx-good.sts.test")),
            self.sink(MISNAMED, sign_certificate(workshop, self.ca, "bad", "else.test")),
            self.sink(PLAIN, None), self.sink(LATER, own, ["--fault", "starttls:454:1"])]
        self.policies = PolicyHost(workshop, self.ca)
        for name, mode, pattern in (("good", "enforce", "mx-good.sts.test"),
                                    ("misnamed", "enforce", "*.sts.test"),
                                    ("mismatch", "enforce", "mx.elsewhere.test"),
                                    ("testing", "testing", "mx.elsewhere.test")):
            self.policies.add(f"{name}.sts.test", policy(mode, pattern))
        self.policies.add("broken.sts.test", "version: STSv1\r\n")
        self.policies.start()
        self.nsd = Nsd(workshop, self.zones(tlsa_of_key(own[0]))).start()
        self.relay = Relay(workshop, level="dane", tls=f'ca-file = "{self.ca[0]}"', top=self.top())

    def sink(self, host, certificate, options=()):
        shown = ["--tls-cert", certificate[0], "--tls-key", certificate[1]] if certificate else []
        return Sink(self.workshop, f"sink-{host}", host=host, port=self.port, tls=False,
                    options=[*shown, *options]).start()

    def zones(self, own):
        at = f"_{self.port}._tcp"
        sts = f"mx-good A {GOOD}\nmx-bad A {MISNAMED}\n"
        for name, host in (("good", "mx-good"), ("misnamed", "mx-bad"), ("mismatch", "mx-good"),
                           ("testing", "mx-good"), ("broken", "mx-good")):
            sts += (f"{name} MX 10 {host}\nmta-sts.{name} A {HOST}\n"
                    f'_mta-sts.{name} TXT "v=STSv1; id=one;"\n')
        return {
            "dane.test.": Signed(f"good MX 10 mx1\nmx1 A {OWN}\n{at}.mx1 TLSA 3 1 1 {own}\n"
                                 f"stale MX 10 mx2\nmx2 A {OWN}\n{at}.mx2 TLSA 3 1 1 {'00' * 32}\n"
                                 f"none MX 10 mx3\nmx3 A {OWN}\n"),
            "sts.test.": sts,
            "may.test.": f"plain MX 10 mx\nmx A {PLAIN}\nlater MX 10 mx-later\nmx-later A {LATER}\n"
                         "null MX 0 .\n",
            "encrypt.test.": f"plain MX 10 mx\nmx A {PLAIN}\n",
        }

    def top(self):
        return (f'resolver = "127.0.0.1:{self.nsd.port}"\nsmtp-port = {self.port}\n'
                f'allow-loopback = true\ntrust-anchor = "{self.nsd.anchor}"\n'
                f'mta-sts-port = {self.policies.port}\nmta-sts-ca-file = "{self.ca[0]}"\n'
                'tls ".encrypt.test" { level = "encrypt" }\n'
                'tls "none.dane.test" { level = "dane-only" }\n')

    def probe(self, domain):
        done = run_command([binary(), "probe", domain, "-c", self.relay.config, "--json"],
                           check_code=False)
        return done.returncode, json.loads(done.stdout), done.stderr


def foretold(net):
    for domain, code, way, words in EXPECTED:
        got, found, said = net.probe(domain)
        verdict = found.get("verdict", {})
        check(got == code and found.get("way", verdict.get("status")) == way and
              words in verdict.get("text", ""),
              f"{domain}: {found['result']}, {way}, exit code {got}", (found, said))


def comes_true(net):
    """What each domain's message meets."""
    net.relay.start()
    with RawClient(net.relay.host, net.relay.port) as client:
        for domain, *_ in EXPECTED:
            client.deliver("app@app.test", [f"a@{domain}"],
                           f"Subject: x\r\nMessage-ID: <{domain}>\r\n\r\nx\r\n".encode())

    def event_of(domain):
        return next((e for e in net.relay.events() if f"@{domain}>" in e.get("to", "") and
                     e["event"] in ("delivered", "deferred", "bounced")), None)
    for domain, code, way, _ in EXPECTED:
        event = wait_until(lambda: event_of(domain), f"{domain}: a verdict",
                           alive=[net.relay.daemon])
        got = {"delivered": DELIVERABLE, "deferred": DEFERRED, "bounced": NO_HOST}[event["event"]]
        told = event["tls"].removesuffix(":full").removesuffix(":resumed") if got == DELIVERABLE \
            else event["dsn"]
        check((got, told) == (code, way), f"{domain}: a message meets the same", event)
    net.relay.stop()


def for_people(net):
    shown = run_command([binary(), "probe", "good.sts.test", "-c", net.relay.config]).stdout
    check("verify, by sts" in shown and "A message would go to mx-good.sts.test" in shown,
          "people are told the same", shown)


def test(workshop):
    net = Net(workshop)
    foretold(net)
    for_people(net)
    comes_true(net)


run_test(test)
