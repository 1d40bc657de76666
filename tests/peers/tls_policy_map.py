#!/usr/bin/env python3
"""A table of TLS policies outside of the configuration, as Postfix asks it: postfix-mta-sts-resolver,
and a server by a script for all else that can be answered. What gets no answer is deferred, and
nothing of it goes out."""
import socket

from lib.millrace import Relay, binary, routes
from lib.policyserver import PolicyServer, StsResolver
from lib.rawsmtp import RawClient
from lib.servers import make_certificate
from lib.starttls import StartTlsServer
from lib.workshop import check, run_test, wait_until

MAIL = b"Subject: x\r\nMessage-ID: <1@app.test>\r\n\r\nx\r\n"


def hang(client):
    """Takes the question, and says nothing."""
    client.recv(1)


def hang_up(client):
    client.shutdown(socket.SHUT_RDWR)


ANSWERS = {   # domain -> (what the server says, tls-required of what is delivered, or why it is not)
    "unknown.test": (None, "may", None),
    "encrypt.test": (b"OK encrypt", "encrypt", None),
    "named.test": (b"OK verify match=peer.test servername=peer.test", "verify", None),
    "clear.test": (b"OK none", "none", None),
    "other.test": (b"OK secure match=.other.test:mx.other.test servername=hostname", None,
                   "the certificate is not for"),
    "later.test": (b"TEMP try again", None, "it said: TEMP try again"),
    "never.test": (b"PERM broken", None, "it said: PERM broken"),
    "strange.test": (b"OK secure protocols=TLSv1.3", None, "an attribute that is not known here"),
    "level.test": (b"OK perhaps", None, "no level that is known here"),
    "gone.test": (hang_up, None, "the server closed the connection"),
}


def send(relay, domain):
    with RawClient(relay.host, relay.port) as client:
        client.deliver("a@app.test", [f"m@{domain}"], MAIL)


def told(relay, word, domain):
    return wait_until(lambda: [e for e in relay.events(word) if e["to"] == f"<m@{domain}>"],
                      f"{domain}: {word}", alive=[relay.daemon])[0]


def open_relay(workshop, name, policies, servers, certificate):
    hops = {domain: server.next_hop for domain, server in servers.items()}
    return Relay(workshop, name, level="may", tls=f'ca-file = "{certificate[0]}"', back_off="100s",
                 retry="first = 1h factor = 1 longest = 1h give-up = 5d",
                 top=f'tls-policy-map = "{policies.map}"\n{routes(hops)}').start()


def look_at_answers(workshop, certificate, name, policies, expected):
    servers = {domain: StartTlsServer(workshop, certificate, ["fine"]).start()
               for domain in expected}
    relay = open_relay(workshop, name, policies, servers, certificate)
    for domain, (_, level, why) in expected.items():
        send(relay, domain)
        server = servers[domain]
        if level is None:
            event = told(relay, "deferred", domain)
            check(event["dsn"] == "4.7.5" and why in event["why"],
                  f"{name}: {domain}: deferred, {event['why']}", event)
            check(not server.clear and not server.inside, f"{name}: {domain}: nothing went out")
            continue
        event = told(relay, "delivered", domain)
        source = "table" if domain == "unknown.test" else "server"
        check(event["tls-required"] == level and event["tls"].split(":")[1] == source,
              f"{name}: {domain}: delivered, {event['tls']}", event)
        check(bool(server.clear) == (level == "none"), f"{name}: {domain}: in clear only so")
    shown = relay.command("explain", "encrypt.test").stdout
    check("encrypt (server)" in shown, f"{name}: explain says who says so", shown)
    changed = [e for e in relay.events("policy-changed") if e["destination"] == "encrypt.test"]
    check(changed and changed[0]["policy"] == "encrypt:server", f"{name}: so does the log", changed)
    relay.stop()


def test_scripted(workshop, certificate):
    said = {domain: row[0] for domain, row in ANSWERS.items() if row[0] is not None}
    inet = PolicyServer(workshop, said).start()
    look_at_answers(workshop, certificate, "inet", inet, ANSWERS)
    check(set(inet.asked) == set(ANSWERS), "each domain is asked for by its name", inet.asked)
    local = PolicyServer(workshop, said, path=workshop.path("policy.sock")).start()
    few = {domain: ANSWERS[domain] for domain in ("unknown.test", "encrypt.test", "later.test")}
    look_at_answers(workshop, certificate, "unix", local, few)
    tcp = PolicyServer(workshop, {"encrypt.test": b"200 encrypt", "named.test":
                                  b"200 verify%20match=peer.test%20servername=peer.test",
                                  "later.test": b"400 try%20again"}, tcp=True).start()
    look_at_answers(workshop, certificate, "tcp", tcp, {
        **{domain: ANSWERS[domain] for domain in ("unknown.test", "encrypt.test", "named.test")},
        "later.test": (None, None, "400 try%20again")})


def test_unreachable(workshop, certificate):
    """Nobody is there: deferred. Then somebody is, and it goes out."""
    policies = PolicyServer(workshop, {"late.test": b"OK encrypt"})
    server = StartTlsServer(workshop, certificate, ["fine"]).start()
    relay = open_relay(workshop, "late", policies, {"late.test": server}, certificate)
    send(relay, "late.test")
    event = told(relay, "deferred", "late.test")
    check(event["dsn"] == "4.7.5" and "Connection refused" in event["why"],
          f"nobody answers: deferred, {event['why']}", event)
    policies.start()
    relay.command("queue", "retry", "--all", "--reason", "it is back")
    event = told(relay, "delivered", "late.test")
    check(event["tls"].startswith("encrypt:server:"), "once somebody does, it goes out", event)
    relay.stop()


def test_silent(workshop, certificate):
    """Whoever waits for an answer that does not come keeps nobody else waiting, and no end."""
    policies = PolicyServer(workshop, {"silent.test": hang, "encrypt.test": b"OK encrypt"}).start()
    servers = {d: StartTlsServer(workshop, certificate, ["fine"]).start()
               for d in ("silent.test", "encrypt.test")}
    relay = open_relay(workshop, "silent", policies, servers, certificate)
    send(relay, "silent.test")
    wait_until(lambda: "silent.test" in policies.asked, "the silent one is asked")
    send(relay, "encrypt.test")
    told(relay, "delivered", "encrypt.test")
    check(not servers["silent.test"].connections, "without an answer nobody is connected to")
    check(relay.stop() == 0, "and the relay ends at once")


def test_full(workshop, certificate):
    """Nor does one who takes nobody any more: its backlog is full, and its socket blocks."""
    policies = PolicyServer(workshop, {}, path=workshop.path("full.sock"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(policies.path))
    listener.listen(0)
    clients = []
    try:
        while True:
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].setblocking(False)
            clients[-1].connect(str(policies.path))
    except BlockingIOError:
        check(clients, "the backlog is full")
    domains = [f"d{i}.test" for i in range(24)]
    server = StartTlsServer(workshop, certificate, ["fine"]).start()
    relay = open_relay(workshop, "crowded", policies, {d: server for d in domains}, certificate)
    for domain in domains:
        send(relay, domain)
    check(relay.daemon.stop(within=20) == 0, "the relay ends, and does not wait for it")
    check(not server.connections, "and nothing has gone out")


def test_resolver(workshop, certificate):
    """postfix-mta-sts-resolver of Debian: what it makes of policies in its cache."""
    def policy(mode, *hosts):
        return {"version": "STSv1", "mode": mode, "max_age": 604800, "mx": list(hosts)}
    resolver = StsResolver(workshop, {
        "enforced.test": policy("enforce", "peer.test"),
        "wild.test": policy("enforce", "*.example.test", "mx2.wild.test"),
        "none.test": policy("none"),
        "testing.test": policy("testing", "peer.test"),
    }).start()
    servers = {d: StartTlsServer(workshop, certificate, ["fine"]).start()
               for d in ("enforced.test", "wild.test", "none.test", "testing.test")}
    relay = open_relay(workshop, "resolver", resolver, servers, certificate)
    for domain in servers:
        send(relay, domain)
    event = told(relay, "delivered", "enforced.test")
    check(event["tls"].startswith("verify:server:") and event["tls-required"] == "secure",
          "a policy in force, and a certificate that fits it", event)
    event = told(relay, "deferred", "wild.test")
    check(event["dsn"] == "4.7.5" and "is not for" in event["why"]
          and not servers["wild.test"].inside, "a certificate that does not fit", event)
    for domain in ("none.test", "testing.test"):
        event = told(relay, "delivered", domain)
        check(event["tls"].startswith("encrypt:table:"), f"{domain}: the section holds", event)
    relay.stop()


def test(workshop):
    binary()
    certificate = make_certificate(workshop)
    test_scripted(workshop, certificate)
    test_unreachable(workshop, certificate)
    test_silent(workshop, certificate)
    test_full(workshop, certificate)
    test_resolver(workshop, certificate)


run_test(test)
