#!/usr/bin/env python3
"""`millrace queue list | show | retry | drop`: exact, by every filter, for eyes and for scripts;
what cannot be done is said in one line, with a sysexits code."""
import re

from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

USAGE, DATA, UNAVAILABLE = 64, 65, 69
SENDERS = ("ann@app.test", "bob@app.test", "eve@shop.test")
DOMAINS = ("two.test", "one.test", "deep.two.test")
EACH = 4                 # messages for each sender and domain
TOTAL = EACH * len(SENDERS) * len(DOMAINS)


def hand_in(relay):
    """EACH messages for each sender and domain; their ids, in order."""
    ids = []
    with RawClient(relay.host, relay.port) as client:
        for number in range(EACH):
            for sender in SENDERS:
                for domain in DOMAINS:
                    mail = f"Subject: x\r\nMessage-ID: <{len(ids)}@app.test>\r\n\r\nx\r\n".encode()
                    said = client.deliver(sender, [f"user{number}@{domain}"], mail)
                    ids.append(re.fullmatch(r"250 2\.0\.0 Ok: queued as (\w+)", said)[1])
    return ids


def refused(relay, what, code, words, *arguments):
    """`millrace queue ARGUMENTS` must end with `code` and one line that has all `words`."""
    done = relay.command("queue", *arguments, check_code=False)
    said = done.stderr.strip()
    check(done.returncode == code and len(said.splitlines()) == 1 and not done.stdout.strip()
          and all(word in said for word in words), f"{what} ({code}): {said}", done)


def lists(relay, ids):
    check([e["id"] for e in relay.queue()] == ids, f"list: all {TOTAL}, oldest first")
    for filters, number in (
            (["--domain", "one.test"], TOTAL // 3), (["--domain", ".two.test"], TOTAL // 3),
            (["--sender", "ann@app.test"], TOTAL // 3), (["--sender", "@app.test"], TOTAL * 2 // 3),
            (["--recipient", "user1@two.test"], 3), (["--recipient", "@deep.two.test"], TOTAL // 3),
            (["--sender", "eve@shop.test", "--domain", "one.test"], EACH),
            (["--sender", "<>"], 0), (["--older-than", "1d"], 0), (["--older-than", "0s"], TOTAL),
            (["--state", "waiting"], TOTAL), (["--state", "out"], 0), (["--limit", "5"], 5)):
        listed = relay.queue(*filters)
        check(len(listed) == number, f"list {' '.join(filters)}: {number}", listed[:2])
    listed = relay.queue("--sender", "eve@shop.test", "--domain", "one.test")
    check({(e["sender"], e["destination"]) for e in listed} == {("eve@shop.test", "one.test")} and
          all(e["recipients"][0].endswith("@one.test") for e in listed), "list: those meant")
    text = relay.command("queue", "list").stdout
    check(all(name in text for name in ids) and f"{TOTAL} envelopes" in text and
          "<eve@shop.test>" in text and "Connection refused" in text,
          "list for eyes: all of it", text)


def shows(relay, ids):
    text = relay.command("queue", "show", ids[0]).stdout
    check(all(word in text for word in (ids[0], "<ann@app.test>", "<user0@two.test>", "waiting",
                                        "Connection refused")), "show: all there is", text)
    shown = relay.command("queue", "show", ids[0], "--json").stdout
    listed = relay.command("queue", "list", "--json", "--limit", "1").stdout
    age = re.compile(r'"age_seconds":\d+')
    check(age.search(shown) and age.sub("", shown) == age.sub("", listed),
          "show --json: as list has it")


def mistakes(relay):
    unknown = "0000000000001"
    for what, code, words, arguments in (
            ("show of an unknown id", DATA, [unknown], ["show", unknown]),
            ("drop of an unknown id", DATA, [unknown], ["drop", unknown]),
            ("show of what is no id", USAGE, ["nonsense"], ["show", "nonsense"]),
            ("retry of nothing", USAGE, ["--all"], ["retry"]),
            ("drop of nothing", USAGE, ["--all"], ["drop"]),
            ("drop of all, no reason", USAGE, ["--reason"], ["drop", "--all"]),
            ("drop of many, no reason", USAGE, ["--reason"], ["drop", "--domain", "one.test"]),
            ("bad time", USAGE, ["5parsecs"], ["list", "--older-than", "5parsecs"]),
            ("bad state", USAGE, ["asleep"], ["list", "--state", "asleep"]),
            ("bad verb", USAGE, ["lst", "list"], ["lst"]),
            ("bad option", USAGE, ["--frob"], ["list", "--frob"])):
        refused(relay, what, code, words, *arguments)
    check(len(relay.queue()) == TOTAL, "none of that dropped anything")


def drops(relay, ids):
    """Drops one by id, and two thirds of the rest by filter; the ids that stay."""
    said = relay.command("queue", "drop", ids[1]).stdout
    check(said.startswith("1 envelope dropped"), f"drop ID: {said.strip()}")
    check([e["id"] for e in relay.queue()] == ids[:1] + ids[2:], "it is gone, and nothing else")
    relay.command("queue", "drop", "--domain", "one.test", "--reason", "a test: \"quoted\"")
    relay.command("queue", "drop", "--sender", "bob@app.test", "--limit", "3", "--reason", "a test")
    left = relay.queue()
    kept = [e["id"] for e in left]
    number = TOTAL - TOTAL // 3 - 3
    check(len(kept) == number and not any(e["destination"] == "one.test" for e in left),
          f"drop by filter and limit: {number} stay", left[:2])
    check(sum(e["sender"] == "bob@app.test" for e in left) == EACH * 2 - 3, "of bob's, 3 went")
    stats = relay.stats()
    check(stats["dropped"] == TOTAL - number and stats["queued"] == number and stats["balanced"],
          f"the books balance: {stats['dropped']} dropped", stats)
    wait_until(lambda: len(relay.events("dropped")) == TOTAL - number, "each drop is in the log")
    check({e["id"] for e in relay.events("dropped")} == set(ids) - set(kept),
          "each drop is in the log")
    commands = [e for e in relay.events("operator") if e["envelopes"] != "0"]
    check([e["envelopes"] for e in commands] == ["1", str(TOTAL // 3 - 1), "3"] and
          'a test: \\"quoted\\"' in relay.log(), "and each command, with its reason", commands)
    return kept


def retries(relay, kept, port, workshop):
    sink = Sink(workshop, port=port).start()
    check(relay.queue("--limit", "1")[0]["attempts"] == 1,
          "the first was tried, and waits by itself")
    said = relay.command("queue", "retry", kept[0]).stdout
    check(said.startswith("1 envelope due now"), f"retry ID: {said.strip()}")
    sink.wait_for(1)
    relay.command("queue", "retry", "--all", "--reason", "a test")
    stats = relay.wait_until_empty()
    check(stats["delivered"] == len(kept) == sink.stop()["messages"],
          f"retry --all: the {len(kept)} that stayed are delivered", stats)
    check("the queue is empty" in relay.command("queue", "list").stdout, "list: the queue is empty")


def test(workshop):
    binary()
    port = workshop.free_port()
    relay = Relay(workshop, route=[f"[127.0.0.1]:{port}"], back_off="1h",
                  retry="first = 1h longest = 2h give-up = 5d").start()
    ids = hand_in(relay)
    wait_until(lambda: len(relay.queue("--state", "waiting")) == TOTAL, "all wait",
               alive=[relay.daemon])
    lists(relay, ids)
    shows(relay, ids)
    mistakes(relay)
    kept = drops(relay, ids)
    retries(relay, kept, port, workshop)
    check(relay.stop() == 0, "the relay ends with 0")
    refused(relay, "list without a relay", UNAVAILABLE, [f"{relay.name}.sock"], "list")


run_test(test)
