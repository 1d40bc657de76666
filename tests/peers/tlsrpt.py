#!/usr/bin/env python3
"""TLS reports (RFC 8460) with nsd for the records, nginx for policies, `millrace sink` as the mail
hosts and for whom reports by mail are, an HTTPS server for the others, a collector's socket, and a
clock that is moved: what is counted, and that it arrives where the records say."""
import gzip
import json
import os
import socket
import ssl
import threading
import time
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer

from lib.millrace import Relay, Sink, binary
from lib.policyhost import HOST, Clock, PolicyHost, policy, self_signed
from lib.rawsmtp import RawClient
from lib.servers import Nsd, make_ca, sign_certificate
from lib.workshop import check, run_command, run_test, wait_until
from lib.zones import Signed, tlsa_of_key

HOUR, DAY = 3600, 86400
GOOD, PLAIN, BROKEN, BUSY, REFUSES, SELF, OLD, READER = (f"127.0.0.{n}" for n in range(2, 10))
TAKER = "127.0.0.11"    # of reports by HTTPS
WRONG = "00" * 32

BY_MAIL = "v=TLSRPTv1; rua=mailto:reports@reader.t.test"
# domain -> (its MX, the mode of its MTA-STS policy, the policy's pattern)
DOMAINS = {
    "may.t.test": ("good", None, None),
    "plain.t.test": ("plain", None, None),
    "broken.t.test": ("broken", None, None),
    "busy.t.test": ("busy", None, None),
    "refuses.t.test": ("refuses", None, None),
    "enforced.t.test": ("good", "enforce", "good.t.test"),
    "misnamed.t.test": ("misnamed", "enforce", "misnamed-mx.t.test"),
    "tested.t.test": ("misnamed", "testing", "misnamed-mx.t.test"),
    "untrusted.t.test": ("self", "enforce", "self-mx.t.test"),
    "expired.t.test": ("old", "enforce", "old-mx.t.test"),
    "elsewhere.t.test": ("good", "enforce", "mx.elsewhere.test"),
    "unproven.t.test": ("good", "enforce", "good.t.test"),
    "unreadable.t.test": ("good", "perhaps", "good.t.test"),
    "missing.t.test": ("good", "enforce", "good.t.test"),
    "silent.t.test": ("good", None, None),
    "twice.t.test": ("good", None, None),
}
SIGNED = {"dane.s.test": "mx", "stale.s.test": "stale", "bogus.s.test": "dead",
          "required.s.test": "none"}


def expired_certificate(workshop, ca, clock, host):
    """Signed two months ago, for one."""
    cert, key = sign_certificate(workshop, ca, "old", host)
    run_command(["openssl", "x509", "-req", "-in", workshop.path("old.csr"), "-CA", ca[0], "-CAkey",
                 ca[1], "-days", "30", "-extfile", workshop.path("old.ext"), "-out", cert],
                env={**os.environ, "LD_PRELOAD": clock.env["LD_PRELOAD"], "FAKETIME": "-60d"})
    return cert, key


class Taker:
    """Who takes reports by HTTPS: with 503 the first time, and 200 then."""

    def __init__(self, workshop, ca):
        self.port = workshop.free_port((TAKER,))
        self.posts = []
        taker = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                taker.posts.append((self.path, self.headers["Content-Type"], body))
                self.send_response(503 if len(taker.posts) == 1 else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        cert, key = sign_certificate(workshop, ca, "taker", "taker.t.test")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server = HTTPServer((TAKER, self.port), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"https://taker.t.test:{self.port}/v1/tlsrpt?from=relay"


class Refuser:
    """A mail host that wants a certificate of its client, which with TLS 1.3 it can only say when the
    client thinks that the handshake is over."""

    def __init__(self, host, port, certificate):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.load_cert_chain(*certificate)
        self._context.load_verify_locations(certificate[0])
        self._context.verify_mode = ssl.CERT_REQUIRED
        listener = socket.create_server((host, port))
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener):
        while True:
            client, _ = listener.accept()
            try:
                client.sendall(b"220 refuses.test\r\n")
                client.recv(4096)                          # EHLO
                client.sendall(b"250-refuses.test\r\n250 STARTTLS\r\n")
                client.recv(4096)                          # STARTTLS
                client.sendall(b"220 2.0.0 Go ahead\r\n")
                self._context.wrap_socket(client, server_side=True)
            except OSError:
                pass
            client.close()


class Net:
    def __init__(self, workshop):
        self.workshop = workshop
        self.port = workshop.free_port(("127.0.0.1", GOOD, PLAIN, BROKEN, BUSY, REFUSES,
                                        SELF, OLD, READER))
        self.ca = make_ca(workshop)
        self.clock = Clock(workshop)
        self.clock.move(-int(time.time()) % DAY + DAY // 2)     # noon, tomorrow
        self.taker = Taker(workshop, self.ca)
        signed = sign_certificate(workshop, self.ca, "good", "good.t.test")
        self.key = tlsa_of_key(signed[0])
        with_tls = ["--tls-cert", signed[0], "--tls-key", signed[1]]
        self.good = self._sink("good", GOOD, options=with_tls)
        self._sink("plain", PLAIN)
        self._sink("broken", BROKEN, options=with_tls, faults=["handshake:drop:1"])
        self._sink("busy", BUSY, options=with_tls, faults=["starttls:454:1"])
        old = expired_certificate(workshop, self.ca, self.clock, "old-mx.t.test")
        self._sink("old", OLD, options=["--tls-cert", old[0], "--tls-key", old[1]])
        Sink(workshop, "self", host=SELF, port=self.port).start()
        Refuser(REFUSES, self.port, signed)
        self.reader = self._sink("reader", READER, dump=True)
        self.policies = PolicyHost(workshop, self.ca)
        for domain, (_, mode, pattern) in DOMAINS.items():
            if mode:
                gone = "return 404;" if domain == "missing.t.test" else ""
                own = self_signed(workshop, domain) if domain == "unproven.t.test" else None
                self.policies.add(domain, policy(mode, pattern), location=gone, certificate=own)
        self.policies.start()
        self.nsd = Nsd(workshop, {"t.test.": self._zone(), "s.test.": Signed(self._signed()),
                                  "_tcp.dead-bogus.s.test.": None}).start()
        self.collector = self._collector()
        self.relay = Relay(workshop, level="may", env=self.clock.env, tls=f'ca-file = "{self.ca[0]}"',
                           connections=1, destination="messages-per-connection = 1",
                           top=self._top()).start()

    def _sink(self, name, host, **options):
        return Sink(self.workshop, name, host=host, port=self.port, tls=False, **options).start()

    def _zone(self):
        text = (f"good A {GOOD}\nmisnamed-mx A {GOOD}\nplain-mx A {PLAIN}\nbroken-mx A {BROKEN}\n"
                f"busy-mx A {BUSY}\nrefuses-mx A {REFUSES}\nself-mx A {SELF}\n"
                f"old-mx A {OLD}\nreader MX 10 reader-mx\nreader-mx A {READER}\n"
                f"taker A {TAKER}\n")
        for domain, (mx, mode, _) in DOMAINS.items():
            name = domain.removesuffix(".t.test")
            text += f"{name} MX 10 {mx if mx == 'good' else mx + '-mx'}\n"
            record = BY_MAIL
            if name == "plain":
                record = f"v=TLSRPTv1; rua={self.taker.url},mailto:reports@reader.t.test"
            if name != "silent":
                text += f'_smtp._tls.{name} TXT "{record}"\n'
            if mode:
                text += f"mta-sts.{name} A {HOST}\n_mta-sts.{name} TXT \"v=STSv1; id=1;\"\n"
        text += f'_smtp._tls.twice TXT "{BY_MAIL};"\n'
        text += f'_smtp._tls.reader TXT "{BY_MAIL}"\n'
        return text

    def _signed(self):
        at = f"_{self.port}._tcp"
        text = ""
        for domain, mx in SIGNED.items():
            name = domain.removesuffix(".s.test")
            key = self.key if mx == "mx" else WRONG
            text += (f"{name} MX 10 {mx}-{name}\n{mx}-{name} A {GOOD}\n"
                     f'_smtp._tls.{name} TXT "{BY_MAIL}"\n')
            if mx == "dead":
                text += f"_tcp.{mx}-{name} NS ns\n"
            elif mx != "none":
                text += f"{at}.{mx}-{name} TLSA 3 1 1 {key}\n"
        return text

    def _collector(self):
        reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.collector_path = str(self.workshop.path("collector"))
        reader.bind(self.collector_path)
        reader.setblocking(False)
        return reader

    def datagrams(self):
        found = []
        while True:
            try:
                found.append(json.loads(self.collector.recv(65536)))
            except BlockingIOError:
                return found

    def _top(self):
        return (f'resolver = "127.0.0.1:{self.nsd.port}"\nsmtp-port = {self.port}\n'
                f'trust-anchor = "{self.nsd.anchor}"\nallow-loopback = true\n'
                f'mta-sts-port = {self.policies.port}\nmta-sts-ca-file = "{self.ca[0]}"\n'
                'tls "dane.s.test" { level = "dane" }\ntls "stale.s.test" { level = "dane" }\n'
                'tls "bogus.s.test" { level = "dane" }\n'
                'tls "required.s.test" { level = "dane-only" }\n'
                'tls "refuses.t.test" { level = "encrypt" }\n'
                'tls "reader.t.test" { level = "encrypt" }\n'
                'tlsrpt { send = true organization = "Sender Inc." from = "tlsrpt@sender.test" '
                f'collector = "{self.collector_path}" ca-file = "{self.ca[0]}" }}\n')

    def send(self, domain, number):
        """One session after the other: each is delivered or deferred before the next."""
        words = ("delivered", "deferred")
        for i in range(number):
            with RawClient(self.relay.host, self.relay.port) as client:
                client.deliver("app@app.test", [f"n{i}@{domain}"], b"Subject: x\r\n\r\nx\r\n")
            wait_until(lambda: any(e["event"] in words and f"<n{i}@{domain}>" in e["to"]
                                   for e in self.relay.events() if "to" in e),
                       f"mail {i} to {domain} has been tried", alive=[self.relay.daemon])
        self.relay.command("queue", "hold", "--domain", domain, "--reason", "counted")

    def show(self, *arguments):
        lines = self.relay.command("tlsrpt", "show", "--json", *arguments).stdout.splitlines()
        return {line["domain"]: line for line in map(json.loads, lines) if "domain" in line}


def figures(shown):
    """"TYPE +SUCCESSES -FAILURES RESULT*SESSIONS …" of each policy."""
    lines = []
    for row in shown["policies"]:
        summary = row["summary"]
        lines.append(" ".join(
            [row["policy"]["policy-type"], f"+{summary['total-successful-session-count']}",
             f"-{summary['total-failure-session-count']}"] +
            [f"{d['result-type']}*{d['failed-session-count']}"
             for d in row.get("failure-details", [])]))
    return lines


EXPECTED = {
    "may.t.test": (3, ["no-policy-found +3 -0"]),      # the second and third are resumed
    "plain.t.test": (2, ["no-policy-found +0 -2 starttls-not-supported*2"]),
    "broken.t.test": (1, ["no-policy-found +0 -1 validation-failure*1"]),
    "busy.t.test": (1, ["no-policy-found +0 -1 validation-failure*1"]),
    # the alert comes when the handshake seemed to be over: a success it was not
    "refuses.t.test": (1, ["no-policy-found +0 -1 validation-failure*1"]),
    "enforced.t.test": (2, ["sts +2 -0"]),
    "misnamed.t.test": (1, ["sts +0 -1 certificate-host-mismatch*1"]),
    "tested.t.test": (1, ["sts +0 -1 certificate-host-mismatch*1"]),
    "untrusted.t.test": (1, ["sts +0 -1 certificate-not-trusted*1"]),
    "unproven.t.test": (1, ["no-policy-found +1 -0", "sts +0 -1 sts-webpki-invalid*1"]),
    "unreadable.t.test": (1, ["no-policy-found +1 -0", "sts +0 -1 sts-policy-invalid*1"]),
    "expired.t.test": (1, ["sts +0 -1 certificate-expired*1"]),
    "elsewhere.t.test": (1, ["sts +0 -1 validation-failure*1"]),
    "missing.t.test": (1, ["no-policy-found +1 -0", "sts +0 -1 sts-policy-fetch-error*1"]),
    "dane.s.test": (2, ["tlsa +2 -0"]),
    "stale.s.test": (1, ["tlsa +0 -1 tlsa-invalid*1"]),
    "bogus.s.test": (1, ["tlsa +0 -1 dnssec-invalid*1"]),
    "required.s.test": (1, ["tlsa +0 -1 dane-required*1"]),
    "silent.t.test": (1, None),
    "twice.t.test": (1, None),
}


def counts(net):
    for domain, (number, _) in EXPECTED.items():
        net.send(domain, number)
    shown = net.show()
    for domain, (_, wanted) in EXPECTED.items():
        found = figures(shown[domain]) if domain in shown else None
        check(found == wanted, f"{domain}: {wanted}", json.dumps(shown.get(domain), indent=1))
    details = shown["misnamed.t.test"]["policies"][0]["failure-details"][0]
    check(details["receiving-mx-hostname"] == "misnamed-mx.t.test" and
          details["receiving-ip"] == GOOD and details["sending-mta-ip"].startswith("127."),
          "a failure tells which host, from where and where to", details)
    dane = shown["dane.s.test"]["policies"][0]["policy"]
    check(dane["policy-string"] == [f"3 1 1 {net.key.upper()}"] and
          dane["policy-domain"] == "mx-dane.s.test", "TLSA records as they are, of their base domain",
          dane)
    sts = shown["enforced.t.test"]["policies"][0]["policy"]
    check(sts["mx-host"] == ["good.t.test"] and "mode: enforce" in sts["policy-string"],
          "the policy's lines and patterns", sts)
    only = net.show("--domain", "may.t.test")
    check(list(only) == ["may.t.test"], "tlsrpt show --domain shows that one")
    text = net.relay.command("tlsrpt", "show").stdout
    check("plain.t.test" in text and "starttls-not-supported" in text, "tlsrpt show for people")
    return shown


def collected(net, shown):
    wanted = sum(row["summary"]["total-successful-session-count"] +
                 row["summary"]["total-failure-session-count"]
                 for domain in shown.values() for row in domain["policies"])
    datagrams = []
    wait_until(lambda: datagrams.extend(net.datagrams()) or len(datagrams) >= wanted,
               f"the collector was told of {wanted} sessions", alive=[net.relay.daemon])
    check(len(datagrams) == wanted, "of each session, and once")
    stale = [d for d in datagrams if d["d"] == "stale.s.test"]
    check(len(stale) == 1 and stale[0]["policies"][0]["failure-details"][0]["c"] == 304 and
          stale[0]["policies"][0]["policy-type"] == 1 and stale[0]["pr"] == BY_MAIL,
          "in libtlsrpt's numbers", stale)


def restarted(net, shown):
    check(net.relay.stop() == 0, "the relay ends with 0")
    net.relay.start()
    check(net.show() == shown, "a restart keeps all of it")


def report_of(mail):
    """(the mail's header, the report in it)"""
    message = message_from_bytes(mail, policy=default)
    parts = list(message.iter_parts())
    check(message.get_content_type() == "multipart/report" and
          message["Content-Type"].params["report-type"] == "tlsrpt" and
          parts[1].get_content_type() == "application/tlsrpt+gzip",
          f"a report by mail: {message['Subject']}")
    return message, json.loads(gzip.decompress(parts[1].get_payload(decode=True)))


def reported(net, shown):
    """RFC 8460 4 and 5: what was shown is what arrives, once the day is over."""
    before = net.show()
    net.clock.move(DAY // 2 + 5 * HOUR)
    net.reader.wait_for(len(shown))
    wait_until(lambda: net.taker.posts, "somebody was POSTed to", alive=[net.relay.daemon])
    reports = {}
    for mail in net.reader.dumped():
        message, report = report_of(mail)
        check(message["From"].addresses[0].addr_spec == "tlsrpt@sender.test" and
              message["TLS-Report-Submitter"] == "sender.test" and message["TLS-Required"] == "No" and
              report["report-id"] in message["Subject"].replace(" ", ""), "its header", str(message))
        reports[message["TLS-Report-Domain"]] = report
    for domain, was in before.items():
        check(reports[domain]["policies"] == was["policies"] and
              reports[domain]["date-range"] == {"start-datetime": f"{was['day']}T00:00:00Z",
                                                "end-datetime": f"{was['day']}T23:59:59Z"} and
              reports[domain]["organization-name"] == "Sender Inc.",
              f"{domain} is told what was counted", reports[domain])
    check(net.show() == {}, "reports themselves are not reported, nor is what was")
    return reports["plain.t.test"]


def posted(net, report):
    """The first was answered with 503: once more, and then no more."""
    net.clock.move(4 * HOUR + 60)
    wait_until(lambda: len(net.taker.posts) >= 2, "it is POSTed again", alive=[net.relay.daemon])
    for path, kind, body in net.taker.posts:
        check(path == "/v1/tlsrpt?from=relay" and kind == "application/tlsrpt+gzip" and
              json.loads(gzip.decompress(body)) == report, "the same report by HTTPS")
    wait_until(lambda: any(e["to"].startswith("https") for e in net.relay.events("tls-report-sent")),
               "it was taken", alive=[net.relay.daemon])
    net.clock.move(DAY)
    net.send("may.t.test", 1)    # its day is another
    wait_until(lambda: net.show(), "a new day is counted")
    check(len(net.taker.posts) == 2 and len(net.reader.dumped()) == len(EXPECTED) - 2,
          "nobody gets a report twice")


def test(workshop):
    binary()
    net = Net(workshop)
    shown = counts(net)
    collected(net, shown)
    restarted(net, shown)
    posted(net, reported(net, shown))


run_test(test)
