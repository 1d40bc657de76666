#!/usr/bin/env python3
"""Mail leaves from the addresses that the configuration names, in turn, and under the name that goes
with them; from an address that is not on this machine none can leave, and that is said."""
import socket

from lib.millrace import Relay, binary
from lib.oddserver import OddServer
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

MESSAGES = 20
ABSENT = "203.0.113.77"    # TEST-NET-3: on no machine
SECTIONS = """\
route "two.test"    {{ hosts = {{ "{two}" }} source = {{ "127.0.0.2", "127.0.0.3", "::1" }} hello = two.test }}
route "star.test"   {{ hosts = {{ "{star}" }} }}
destination "star.test" {{ source = {{ "127.0.0.4" }} hello = star.test }}
route "none.test"   {{ hosts = {{ "{none}" }} }}
route "absent.test" {{ hosts = {{ "{absent}" }} {source} }}
route "both.test"   {{ hosts = {{ "{both}" }} source = {{ "127.0.0.2", "::1" }} }}
route "six.test"    {{ hosts = {{ "{six}" }} source = {{ "::1" }} }}
"""


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def send(relay, domain):
    with RawClient(relay.host, relay.port) as client:
        for number in range(MESSAGES):
            mail = f"Subject: x\r\nMessage-ID: <{number}.{domain}@app.test>\r\n\r\nx\r\n"
            client.deliver("", [f"a@{domain}"], mail.encode())


def leaves(relay, server, domain, addresses, name):
    send(relay, domain)
    wait_until(lambda: len(server.mails) == MESSAGES, f"{domain}: all have arrived",
               alive=[relay.daemon])
    share = MESSAGES // len(addresses)
    seen = {address: server.clients.count(address) for address in set(server.clients)}
    check(seen == {address: share for address in addresses}, f"{domain}: left from {seen}")
    check(set(server.names) == {name}, f"{domain}: as {name}", server.names)


def waits(relay, domain, words):
    send(relay, domain)
    event = wait_until(lambda: next((e for e in relay.events("deferred")
                                     if e["to"].endswith(f"@{domain}>")), None),
                       f"{domain}: deferred", alive=[relay.daemon])
    check(words in event["why"], f"{domain}: waits: {event['why']}", event)


def test(workshop):
    binary()
    servers = {name: OddServer(workshop).start()
               for name in ("two", "star", "none", "absent", "six")}
    six = has_ipv6()
    servers["both"] = OddServer(workshop, host="::1" if six else "127.0.0.1").start()
    hops = {name: server.next_hop for name, server in servers.items()}
    source = f'source = {{ "{ABSENT}" }}'
    relay = Relay(workshop, level="may", top=SECTIONS.format(source="", **hops),
                  destination="messages-per-connection = 1")
    check("fine" in relay.command("check-config").stdout, "check-config: fine")
    relay.configure(top=SECTIONS.format(source=source, **hops))
    said = relay.command("check-config", check_code=False)
    words = f"source {ABSENT} cannot be used: Cannot assign requested address"
    check(said.returncode == 78 and words in said.stderr, f"check-config: {said.stderr.strip()}")
    relay.start()
    wait_until(lambda: any(words in e.get("why", "") for e in relay.events("warning")),
               "the relay warns of it, and runs", alive=[relay.daemon])
    leaves(relay, servers["two"], "two.test", ["127.0.0.2", "127.0.0.3"], "two.test")
    leaves(relay, servers["star"], "star.test", ["127.0.0.4"], "star.test")
    leaves(relay, servers["none"], "none.test", ["127.0.0.1"], "relay.test")
    leaves(relay, servers["both"], "both.test", ["::1" if six else "127.0.0.2"], "relay.test")
    waits(relay, "absent.test", f"cannot connect from {ABSENT}: Cannot assign requested address")
    waits(relay, "six.test", "no address of a family that is used here")
    check(not servers["absent"].clients and not servers["six"].clients, "and nobody was bothered")
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
