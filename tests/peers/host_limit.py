#!/usr/bin/env python3
"""Two domains on one host, each a site of its own with a limit of its own: together they have no
more connections to it than max-connections-per-host allows, and neither starves the other."""
from lib.millrace import Load, Relay, binary
from lib.oddserver import OddServer
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

LIMIT, EACH, MESSAGES = 6, 5, 400
MAIL = b"Subject: x\r\nMessage-ID: <1@app.test>\r\n\r\nx\r\n"
DOMAINS = ("one.test", "two.test")


def configuration(server):
    return "\n".join(f'route "{domain}" {{ hosts = {{ "{server.next_hop}" }} }}\n'
                     f'destination "{domain}" {{ max-connections = {EACH} '
                     f'messages-per-connection = 10 max-connections-per-host = {LIMIT} }}'
                     for domain in DOMAINS)


def both_at_once(workshop, relay, server):
    loads = [Load(workshop, relay.address, MESSAGES, name=domain, size=1024,
                  options=["--to-domain", domain, "--from", ""]) for domain in DOMAINS]
    for load in loads:
        code, said = load.wait()
        check(code == 0, f"{MESSAGES} messages are taken", said)
    total = len(DOMAINS) * MESSAGES
    wait_until(lambda: len(server.mails) == total, "all have arrived", alive=[relay.daemon])
    check(server.most_present == LIMIT,
          f"at most {server.most_present} of {len(DOMAINS) * EACH} connections at a time")


def one_after_the_other(relay, server):
    """The connections of the one idle; the other needs their places, and gets them."""
    relay.wait_until_empty()
    before = server.connections
    for domain in DOMAINS:
        with RawClient(relay.host, relay.port) as client:
            for _ in range(LIMIT):
                client.deliver("", [f"a@{domain}"], MAIL)
        relay.wait_until_empty()
    check(server.most_present == LIMIT, f"still at most {LIMIT}, over "
          f"{server.connections - before} more connections")


def test(workshop):
    binary()
    server = OddServer(workshop).start()
    relay = Relay(workshop, level="may", top=configuration(server)).start()
    both_at_once(workshop, relay, server)
    one_after_the_other(relay, server)
    check(not relay.events("deferred") and not relay.events("connect-failed"),
          "nobody was deferred for it")
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
