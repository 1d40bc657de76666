#!/usr/bin/env python3
"""Replies that rules are for: greylisting, a full mailbox, rate limits, blocklists, and what the
operator makes of others. Each server refuses in its way, and takes the mail later."""
import json

from lib.millrace import Relay, Sink, binary, routes
from lib.oddserver import OddServer
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

MAIL = b"Subject: x\r\n\r\ny\r\n"
RULES = """
reply "mean-it" { match = '^450 4\\.1\\.1 ' destination = "final.test" at = rcpt action = "bounce" }
reply "not-really" { match = '^550 5\\.9\\.9 ' action = "retry" }
reply "elsewhere" { match = 'not here' at = "rcpt" action = "next-host" }
reply "slow-down" { match = '^451 .*slow down' action = "back-off" for = 1h }
"""


def taken(server):
    """What it took; where it had refused before, DATA was on its way and ended with nothing."""
    return [mail for _, _, mail in server.mails if mail]


class Net:
    def __init__(self, workshop):
        replies = {
            "grey.test": {"RCPT": b"450 4.2.0 Greylisted, try again in 1 seconds\r\n"},
            "final.test": {"RCPT": b"450 4.1.1 No such user\r\n"},
            "odd.test": {"RCPT": b"550 5.9.9 Odd\r\n"},
            "busy.test": {".": b"451 4.7.1 Please slow down\r\n"},
            "listed.test": {"MAIL": b"550 5.7.1 Client host [127.0.0.1] blocked using x\r\n"},
            "first.test": {"RCPT": b"550 5.1.1 not here\r\n"},
            "second.test": {},
        }
        self.servers = {domain: OddServer(workshop, ["PIPELINING"], said).start()
                        for domain, said in replies.items()}
        self.home = Sink(workshop, "home", dump=True).start()
        hops = {domain: server.next_hop for domain, server in self.servers.items()}
        hops["app.test"] = self.home.next_hop
        both = f'"{hops.pop("first.test")}", "{hops.pop("second.test")}"'
        top = routes(hops) + f'\nroute "both.test" {{ hosts = {{ {both} }} }}\n' + RULES
        self.relay = Relay(workshop, level="none", top=top,
                           retry="first = 100ms longest = 100ms").start()

    def send(self, domain):
        with RawClient(self.relay.host, self.relay.port) as client:
            client.deliver("ann@app.test", [f"bob@{domain}"], MAIL)

    def event(self, word, domain):
        """The first event of that word for the domain's recipient, once it is there."""
        def found():
            events = self.relay.events(word)
            return next((e for e in events if e.get("to") == f"<bob@{domain}>"), None)
        return wait_until(found, f"{word} is told of {domain}", alive=[self.relay.daemon])

    def arrives(self, domain):
        server = self.servers[domain]
        server.replies = {}
        wait_until(lambda: taken(server), f"{domain} has the mail", alive=[self.relay.daemon])
        check(len(taken(server)) == 1, f"{domain}: it arrives, once")


def deferred(net, domain, rule):
    net.send(domain)
    event = net.event("deferred", domain)
    check(event.get("rule") == rule, f"{domain}: deferred by rule {rule}", event)
    return event


def later(net):
    """Deferred by a rule, and taken in the end."""
    for domain, rule in [("grey.test", "greylist-seconds"), ("odd.test", "not-really")]:
        deferred(net, domain, rule)
        net.arrives(domain)
    check(net.event("deferred", "odd.test")["dsn"] == "4.9.9", "odd.test: a status that fits")


def rests(net):
    """Nothing new goes to the site meanwhile, unless the operator wants it."""
    deferred(net, "busy.test", "slow-down")
    check(len(net.relay.events("site-rests")) == 1, "busy.test: the site rests")
    net.send("busy.test")
    wait_until(lambda: len(net.relay.queue("--domain", "busy.test")) == 2, "a second one waits too")
    said = net.relay.command("explain", "busy.test").stdout
    check("rule slow-down" in said, "explain says by which rule", said)
    server = net.servers["busy.test"]
    server.replies = {}
    net.relay.command("queue", "retry", "--domain", "busy.test", "--reason", "they have recovered")
    wait_until(lambda: len(taken(server)) == 2, "both arrive when the operator hurries them",
               alive=[net.relay.daemon])


def bounces(net):
    net.send("final.test")
    event = net.event("bounced", "final.test")
    check(event["rule"] == "mean-it" and event["dsn"] == "5.1.1", "final.test: bounced by its rule")
    net.home.wait_for(1)
    check(b"Status: 5.1.1" in net.home.dumped()[0], "and its sender is told")


def goes_elsewhere(net):
    net.send("both.test")
    event = net.event("delivered", "both.test")
    check(taken(net.servers["second.test"]) and "RCPT" in net.servers["first.test"].commands,
          "both.test: refused by one host, taken by the next", event)


def is_suspended(net):
    """The built-in rule for blocklists: nothing is lost, nothing more is tried, and a person can lift
    it when the list has been talked to."""
    deferred(net, "listed.test", "blocklist")
    wait_until(lambda: net.relay.events("suspended"), "listed.test is suspended")
    shown = json.loads(net.relay.command("dest", "show", "listed.test", "--json").stdout)
    check("blocklist" in json.dumps(shown), "dest show says why", shown)
    tried = len(net.servers["listed.test"].commands)
    net.send("listed.test")
    wait_until(lambda: len(net.relay.queue("--domain", "listed.test")) == 2, "both wait")
    check(len(net.servers["listed.test"].commands) == tried, "no further try is made")
    server = net.servers["listed.test"]
    server.replies = {}
    net.relay.command("dest", "resume", "listed.test")
    net.relay.command("queue", "retry", "--domain", "listed.test", "--reason", "we are delisted")
    wait_until(lambda: len(taken(server)) == 2, "both arrive once it is lifted",
               alive=[net.relay.daemon])


def test(workshop):
    binary()
    net = Net(workshop)
    later(net)
    rests(net)
    bounces(net)
    goes_elsewhere(net)
    is_suspended(net)
    net.relay.wait_until_empty()
    check(net.relay.stop() == 0, "the relay ends with 0")


run_test(test)
