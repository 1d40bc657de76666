#!/usr/bin/env python3
"""`millrace dest`, `explain`, `queue cat` and `top`: a paused destination gets no mail, over a crash
too, until it is resumed or its time has come; what is said of it is true."""
import json

from lib.millrace import Relay, Sink
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

DATA, USAGE = 65, 64
MAIL = (b"From: <ann@app.test>\r\nDate: Sat, 21 Nov 2026 13:00:00 +0000\r\n"
        b"Subject: kept as it is\r\nMessage-ID: <%d@app.test>\r\n\r\n.dot\r\nx\0\xe9\r\n")


def hand_in(relay, number, domain):
    with RawClient(relay.host, relay.port) as client:
        said = client.deliver("ann@app.test", [f"u@{domain}"], MAIL % number)
        return said.split()[-1]


def dest(relay, *words, check_code=True):
    return relay.command("dest", *words, check_code=check_code)


def one(relay, name):
    return json.loads(dest(relay, "show", name, "--json").stdout.splitlines()[0])


def pauses(relay, sink):
    said = dest(relay, "pause", "slow.test", "--reason", "they asked us to wait").stdout
    check("slow.test" in said and "paused" in said and "they asked" in said, "pause says it", said)
    held_id = hand_in(relay, 1, "slow.test")
    hand_in(relay, 2, "fast.test")
    sink.wait_for(1)
    check(set(sink.ledger()) == {"2@app.test"}, "mail to others goes on", sink.ledger())
    listed = relay.queue("--domain", "slow.test")
    check(len(listed) == 1 and listed[0]["state"] == "waiting" and listed[0]["attempts"] == 0
          and "paused: they asked" in listed[0]["last_reply"], "what is paused waits", listed)
    return held_id


def tells(relay, held_id):
    text = relay.command("explain", held_id).stdout
    check("slow.test is paused until `millrace dest resume slow.test`: they asked us to wait" in text
          and "It has not been tried yet" in text and "retry \"*\"" in text, "explain ID", text)
    text = relay.command("explain", "slow.test").stdout
    check("they asked us to wait" in text and "tls \"*\"" in text, "explain DOMAIN", text)
    text = dest(relay, "list").stdout
    check("slow.test" in text and "paused" in text and "1 destination" in text, "dest list", text)
    cat = relay.command("queue", "cat", held_id, text=False).stdout
    check(cat.startswith(b"Received: from") and cat.endswith(MAIL % 1),
          "queue cat: byte for byte, behind the trace header", cat)
    text = relay.command("top", "--count", "2", "--every", "100ms").stdout
    check(text.count("the books balance") == 2 and text.count("slow.test") == 2, "top", text)


def survives(relay, sink, held_id):
    relay.kill()
    relay.start()
    wait_until(lambda: len(relay.queue("--state", "waiting")) == 1, "it is read back",
               alive=[relay.daemon])
    check(one(relay, "slow.test")["paused"] and relay.queue()[0]["id"] == held_id,
          "the pause outlives a crash")
    relay.command("queue", "retry", held_id)
    hand_in(relay, 3, "fast.test")
    sink.wait_for(2)
    check("1@app.test" not in sink.ledger(), "retry does not get past a pause")


def resumes(relay, sink):
    said = dest(relay, "resume", "slow.test").stdout
    check("slow.test" in said and "paused" not in said, "resume says it", said)
    sink.wait_for(3)
    relay.wait_until_empty()
    check(dest(relay, "resume", "slow.test", check_code=False).returncode == DATA,
          "there is nothing to resume any more")
    dest(relay, "pause", "slow.test", "--for", "1s", "--reason", "a moment")
    check(one(relay, "slow.test")["paused_until"], "a pause with an end says when")
    hand_in(relay, 4, "slow.test")
    sink.wait_for(4)
    check("resumed" in [e["event"] for e in relay.events()], "and ends by itself")
    relay.wait_until_empty()


def mistakes(relay):
    for words, code, said in (
            (["pause", "slow.test"], USAGE, "--reason"),
            (["pause", "no domain", "--reason", "x"], USAGE, "no destination"),
            (["pause", "a.test", "--for", "long", "--reason", "x"], USAGE, "--for"),
            (["show"], USAGE, "name of a destination"),
            (["puase", "a.test"], USAGE, "pause"),
            (["list", "a.test"], USAGE, "no name")):
        done = dest(relay, *words, check_code=False)
        check(done.returncode == code and said in done.stderr and not done.stdout,
              f"dest {' '.join(words)}: {done.stderr.strip()}", done)


def test(workshop):
    sink = Sink(workshop).start()
    relay = Relay(workshop, route=[sink.next_hop]).start()
    held_id = pauses(relay, sink)
    tells(relay, held_id)
    survives(relay, sink, held_id)
    resumes(relay, sink)
    mistakes(relay)
    check(relay.stop() == 0, "the relay ends with 0")
    check(sink.stop()["messages"] == 4, "each message arrived once")


run_test(test)
