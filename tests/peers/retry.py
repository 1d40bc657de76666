#!/usr/bin/env python3
"""Servers that fail for a while: whatever they do, every message is delivered in the end, exactly
once, and the books balance. Each fault has a sink of its own; one relay serves them all at once."""
from collections import Counter
from typing import NamedTuple

from lib.millrace import Load, Relay, Sink, binary, routes
from lib.workshop import Failed, check, run_test, say, wait_until

MESSAGES = 300
FEW = "messages-per-connection = 5"        # so that what happens to a connection happens often


class Scenario(NamedTuple):
    name: str
    faults: tuple
    limits: str = ""
    level: str = "encrypt"
    outcomes: tuple = ()    # of STARTTLS: what the relay's log may call them
    options: tuple = ()     # of the sink

    @property
    def domain(self):
        return f"{self.name}.test"


DATA = ("--no-extension", "CHUNKING")       # the sink takes no BDAT

SCENARIOS = [
    Scenario("mail451", ("mail:451:0.2",)),
    Scenario("rcpt450", ("rcpt:450:0.2",)),
    Scenario("rcpt421", ("rcpt:421:0.1",)),
    Scenario("data451", ("data:451:0.2",), options=DATA),
    Scenario("bdat451", ("bdat:451:0.2",)),
    Scenario("bdat-drop", ("bdat:drop:0.1",)),
    Scenario("eod451", ("eod:451:0.2",)),
    Scenario("eod421", ("eod:421:0.1",)),
    Scenario("everywhere", ("mail:450:0.1", "rcpt:451:0.1", "bdat:421:0.1", "eod:452:0.1")),
    Scenario("everywhere-data", ("mail:450:0.1", "rcpt:451:0.1", "data:421:0.1", "eod:452:0.1"),
             options=DATA),
    # Where the body goes along with MAIL, a server that goes away at MAIL may have taken it.
    Scenario("mail-drop", ("mail:drop:0.1",)),
    Scenario("mail-drop-data", ("mail:drop:0.1",), options=DATA),
    Scenario("mail-garbage", ("mail:garbage:0.1",)),
    Scenario("mail-garbage-data", ("mail:garbage:0.1",), options=DATA),
    Scenario("eod-drop", ("eod:drop:0.1",)),
    Scenario("eod-drop-data", ("eod:drop:0.1",), options=DATA),
    Scenario("connect-drop", ("connect:drop:0.3",), FEW),
    Scenario("greeting421", ("greeting:421:0.3",), FEW),
    Scenario("greeting554", ("greeting:554:0.3",), FEW),
    Scenario("ehlo-drop", ("ehlo:drop:0.2",), FEW),
    Scenario("ehlo421", ("ehlo:421:0.2",), FEW),
    Scenario("helo", ("ehlo:502:1",), level="may"),
    Scenario("starttls454", ("starttls:454:0.5",), outcomes=("temporary",)),
    Scenario("starttls501", ("starttls:501:0.3",), FEW, outcomes=("refused",)),
    Scenario("starttls-residue", ("starttls:residue:0.3",), FEW, outcomes=("residue",)),
    Scenario("handshake-drop", ("handshake:drop:0.3",), FEW,
             outcomes=("handshake-failed", "ticket-refused")),
    # Where the garbage comes right behind the 220 it is residue.
    Scenario("handshake-garbage", ("handshake:garbage:0.3",), FEW,
             outcomes=("handshake-failed", "residue", "ticket-refused")),
    Scenario("no-ticket", ("handshake:no-ticket:0.5",), FEW),
    Scenario("quit-drop", ("quit:drop:0.5",), FEW),
    # Under `may` what fails in TLS is sent in the clear, on a new connection where need be.
    Scenario("may-refused", ("starttls:501:1",), level="may", outcomes=("refused",)),
    Scenario("may-broken", ("handshake:drop:1",), level="may", outcomes=("handshake-failed",)),
    Scenario("may-residue", ("starttls:residue:1",), level="may", outcomes=("residue",)),
]
IN_CLEAR = {"helo", "may-refused", "may-broken", "may-residue"}
IN_DOUBT = {"eod-drop", "eod-drop-data", "bdat-drop", "mail-drop", "mail-garbage"}


def sections(scenario, sink):
    return (f'{routes({scenario.domain: sink.next_hop})}\n'
            f'tls "{scenario.domain}" {{ level = "{scenario.level}" }}\n'
            f'destination "{scenario.domain}" {{ {scenario.limits} }}\n')


def start_all(workshop):
    sinks = {}
    for scenario in SCENARIOS:
        sinks[scenario] = Sink(workshop, scenario.name, faults=scenario.faults,
                               options=scenario.options).start()
    relay = Relay(workshop, retry="first = 100ms factor = 2 longest = 1s give-up = 1h",
                  back_off="100ms", top="\n".join(sections(*item) for item in sinks.items()))
    return relay.start(), sinks


def hand_in(relay, scenario):
    """The Message-IDs accepted."""
    load = Load(relay.workshop, relay.address, MESSAGES, name=f"load-{scenario.name}", size=1024,
                options=["--to-domain", scenario.domain])
    code, said = load.wait()
    if code != 0:
        raise Failed(f"{scenario.name}: not all was taken: {said}")
    return load.accepted()


def look(scenario, sink, accepted, events):
    """What is so for every scenario, and for this one."""
    counted = sink.stop()
    ours = [e for e in events if e.get("to", "").endswith(f"@{scenario.domain}>")]
    again = [e for e in ours if e["event"] in ("deferred", "in-doubt")]
    words = {e["event"] for e in again}
    tls = {"none" if e["tls"].startswith("none:") else e["tls"].split(":")[2] for e in ours if e["event"] == "delivered"}
    struck = counted["faults"]
    check(len(struck) == len(scenario.faults) and all(struck.values()),
          f"{scenario.name}: struck {struck}")
    check(sink.ledger() == accepted,
          f"{scenario.name}: each arrived, once ({len(again)} attempts {'/'.join(words)})")
    check(tls == ({"none"} if scenario.name in IN_CLEAR else {"TLSv1.3"}),
          f"{scenario.name}: delivered with tls={'/'.join(tls)}")
    check(("in-doubt" in words) == (scenario.name in IN_DOUBT),
          f"{scenario.name}: {'in' if 'in-doubt' in words else 'never in'} doubt")
    if scenario.outcomes:
        failed = [e for e in events if e["event"] == "tls-failed" and f":{sink.port}" in e["relay"]]
        look_at_tls(scenario, failed, again)


def look_at_tls(scenario, failed, again):
    seen = {e["outcome"] for e in failed}
    check(seen and seen <= set(scenario.outcomes),
          f"{scenario.name}: {len(failed)} times tls-failed, outcome={'/'.join(seen)}")
    check(len(again) <= len(failed) and all(e["dsn"] in ("4.7.4", "4.7.5") for e in again),
          f"{scenario.name}: a failed connection defers one message at most, with 4.7.4 or 4.7.5")


def test(workshop):
    binary()
    relay, sinks = start_all(workshop)
    accepted = {scenario: hand_in(relay, scenario) for scenario in SCENARIOS}
    total = len(SCENARIOS) * MESSAGES
    for scenario, sink in sinks.items():
        wait_until(lambda: sink.count() >= MESSAGES, f"{scenario.name}: all have arrived",
                   alive=[relay.daemon, sink.daemon])
    stats = relay.wait_until_empty()
    wait_until(lambda: relay.log().count(" delivered ") >= total, "all is in the log")
    check(relay.stop() == 0, "the relay ends with 0")
    events = relay.events()
    for scenario, sink in sinks.items():
        look(scenario, sink, accepted[scenario], events)
    check(stats["received"] == stats["delivered"] == total,
          f"the relay counts {total} received, {total} delivered", stats)
    words = Counter(e["event"] for e in events)
    check((stats["deferrals"], stats["in_doubt"]) == (words["deferred"], words["in-doubt"]),
          f"{stats['deferrals']} deferrals and {stats['in_doubt']} in doubt, as in the log", stats)
    say(f"  {stats['connections']}, {stats['handshakes']}")


run_test(test)
