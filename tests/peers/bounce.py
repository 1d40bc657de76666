#!/usr/bin/env python3
"""What cannot be delivered comes back: one notification (RFC 3464) to the sender for each message
and destination, through the relay like any other mail; never one for a notification. What waits
for long is told of once, and what is in doubt by policy."""
import email
import email.policy
import email.utils

from lib.millrace import RELAY_NAME, Relay, Sink, binary, routes
from lib.oddserver import OddServer
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

SENDER = "ann@app.test"
HEADER = ("Subject: the one about {0}\r\nMessage-ID: <{0}@app.test>\r\nFrom: Ann <ann@app.test>\r\n"
          "--dashes: like a boundary\r\nX-Folded: one\r\n\ttwo\r\nX-Long: " + "x" * 900 + "\r\n")
BODY = "\r\nthe body, which does not come back\r\n.\r\n"
STRANGE = (b"554-5.7.1 no \x01\x02 thanks,\r\n"
           b"554-5.7.1 caf\xc3\xa9 \xff --=_boundary\r\n554 5.7.1 " + b"long " * 60 + b"end\r\n")


class Net:
    """A relay, a sink for the sender's mail, and servers that refuse, each for a domain."""

    def __init__(self, workshop):
        self.home = Sink(workshop, "home", dump=True).start()
        self.postmaster = Sink(workshop, "postmaster", dump=True).start()
        self.good = Sink(workshop, "good").start()
        servers = {
            "app.test": self.home, "good.test": self.good, "copy.test": self.postmaster,
            "eod.test": Sink(workshop, "eod", faults=["eod:554:1"]).start(),
            "rcpt.test": Sink(workshop, "rcpt", faults=["rcpt:550:1"]).start(),
            "late.test": Sink(workshop, "late", faults=["mail:451:1"]).start(),
            "slow.test": Sink(workshop, "slow", faults=["mail:451:1"]).start(),
            "doubt.test": Sink(workshop, "doubt", faults=["eod:drop:1"]).start(),
            "hold.test": Sink(workshop, "hold", faults=["eod:drop:1"]).start(),
            "strange.test": OddServer(workshop, ["PIPELINING"], {"RCPT": STRANGE}).start(),
            "dead.test": OddServer(workshop),       # never started
        }
        top = routes({domain: server.next_hop for domain, server in servers.items()})
        for domain in ("late.test", "dead.test"):
            top += f'\nretry "{domain}" {{ first = 100ms longest = 100ms give-up = 1s }}'
        top += """
            retry "slow.test" { first = 50ms longest = 50ms warn-after = 100ms give-up = 1h }
            destination "doubt.test" { in-doubt = "fail" }
            destination "hold.test" { in-doubt = "hold" }
            bounce { postmaster-copy = "postmaster@copy.test" }
            """
        self.relay = Relay(workshop, level="may", back_off="100ms", top=top).start()
        self.expected = 0
        self.seen = set()

    def send(self, name, recipients, sender=SENDER, body=BODY):
        mail = (HEADER.format(name) + body).encode()
        with RawClient(self.relay.host, self.relay.port) as client:
            client.deliver(sender, recipients, mail)

    def bounce(self):
        """The next notification that comes home, parsed."""
        self.expected += 1
        self.home.wait_for(self.expected)
        new = [p for p in self.home.dump_dir.iterdir() if p.is_file() and p not in self.seen]
        self.seen |= set(new)
        check(len(new) == 1, "one notification comes home")
        return new[0].read_bytes()


def defects(mail):
    return [defect for part in mail.walk() for defect in part.defects]


def is_plain(raw):
    """ASCII in lines of at most 998 bytes, without control characters but tabs."""
    lines = raw.split(b"\r\n")
    return raw.isascii() and max(map(len, lines)) <= 998 and not any(
        byte < 32 and byte != 9 for line in lines for byte in line)


def is_addressed(mail):
    return (email.utils.parseaddr(mail["To"])[1] == SENDER and "MAILER-DAEMON@" in mail["From"] and
            mail["Auto-Submitted"] == "auto-replied" and mail["MIME-Version"] == "1.0" and
            mail["Message-ID"] and email.utils.parsedate_to_datetime(mail["Date"]))


def look_at_frame(raw, name):
    """What holds for every notification; (its text, the blocks of its delivery status)."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    check(is_plain(raw) and not defects(mail), f"{name}: plain ASCII, sound MIME", defects(mail))
    check(mail.get_content_type() == "multipart/report" and
          mail.get_param("report-type") == "delivery-status", f"{name}: a report", raw.decode())
    check(is_addressed(mail), f"{name}: its header", raw.decode())
    parts = list(mail.iter_parts())
    check([part.get_content_type() for part in parts] ==
          ["text/plain", "message/delivery-status", "text/rfc822-headers"], f"{name}: three parts")
    original = parts[2].get_payload(decode=True).replace(b"\r\n", b"\n").decode()
    check(original.startswith("Received: ") and f"Message-ID: <{name}@app.test>\n" in original and
          "X-Folded: one\n two\n" in original.replace("\t", " ") and "the body" not in original,
          f"{name}: the header of the message comes back", original)
    blocks = parts[1].get_payload()
    check(blocks[0]["Reporting-MTA"].split(";")[1].strip() == RELAY_NAME and
          email.utils.parsedate_to_datetime(blocks[0]["Arrival-Date"]), f"{name}: who reports")
    return parts[0].get_content(), blocks[1:]


def look(net, name, recipients, status, words, code=True, action="failed"):
    """The notification about `name`: a block for each of `recipients`, with this status."""
    text, blocks = look_at_frame(net.bounce(), name)
    final = [block["Final-Recipient"].replace(" ", "") for block in blocks]
    check(final == [f"rfc822;{recipient}" for recipient in recipients],
          f"{name}: a block for each of {len(recipients)} recipients", final)
    for block in blocks:
        diagnosis = " ".join(block["Diagnostic-Code"].split())
        check(block["Action"] == action and ("Will-Retry-Until" in block) == (action == "delayed") and block["Status"] == status and
              diagnosis.startswith("smtp;" if code else "x-millrace;") and
              all(word in diagnosis for word in words) and
              email.utils.parsedate_to_datetime(block["Last-Attempt-Date"]),
              f"{name}: Action: {action}, Status: {status}, Diagnostic-Code: {diagnosis[:80]}", block.as_string())
    in_one_line = " ".join(text.split())
    check(all(word in in_one_line for word in [*recipients, *words]),
          f"{name}: and the same in words for eyes", text)


def refusals(net):
    net.send("eod", ["bob@eod.test"])
    look(net, "eod", ["bob@eod.test"], "5.0.0", ["554", "A fault of the sink's"])
    three = [f"user{i}@rcpt.test" for i in range(3)]
    net.send("rcpt", [*three, "carl@good.test"])
    look(net, "rcpt", three, "5.0.0", ["550", "A fault of the sink's"])
    net.good.wait_for(1)
    check(net.good.ledger() == {"rcpt@app.test": 1}, "rcpt: the good recipient has it")
    net.send("strange", ["bob@strange.test"])
    look(net, "strange", ["bob@strange.test"], "5.7.1", ["554", "thanks", "long long"])


def expiries(net):
    """Given up after a second of deferrals: what the last one said is told."""
    net.send("late", ["bob@late.test"])
    look(net, "late", ["bob@late.test"], "4.0.0", ["451", "A fault of the sink's"])
    net.send("dead", ["bob@dead.test"])
    look(net, "dead", ["bob@dead.test"], "4.4.1", ["Connection refused"], code=False)


def large(net):
    """A body that is not kept in memory: its header comes back all the same."""
    net.send("large", ["bob@eod.test"], body="\r\nthe body\r\n" + ("y" * 998 + "\r\n") * 2000)
    look(net, "large", ["bob@eod.test"], "5.0.0", ["554"])


def delays(net):
    """Told once, however often it is tried after that; then the operator drops it."""
    net.send("slow", ["bob@slow.test"])
    look(net, "slow", ["bob@slow.test"], "4.0.0", ["451", "A fault of the sink's"],
         action="delayed")
    seen = len(net.relay.events("deferred"))
    wait_until(lambda: len(net.relay.events("deferred")) > seen + 3, "it is tried again and again")
    delayed = [e for e in net.relay.events("bounce-sent") if "delayed" in e]
    check(len(delayed) == 1, "its sender was told once", delayed)
    [waiting] = net.relay.queue()
    net.relay.command("queue", "drop", waiting["id"])
    wait_until(lambda: not net.relay.queue(), "it is dropped")


def in_doubt(net):
    net.send("doubt", ["bob@doubt.test"])
    look(net, "doubt", ["bob@doubt.test"], "5.4.2", ["it may have arrived"], code=False)
    net.send("hold", ["bob@hold.test"])
    [held] = wait_until(lambda: net.relay.queue("--state", "held"), "one is held by policy")
    shown = net.relay.command("queue", "show", held["id"]).stdout
    check("the final dot was sent and no reply came" in shown, "hold: and it is said why", shown)
    net.relay.command("queue", "drop", held["id"])
    wait_until(lambda: not net.relay.queue(), "hold: until a person decides")


def copies(net):
    """The postmaster has a copy of each failure, and of nothing else."""
    failed = [e for e in net.relay.events("bounce-sent") if "failed" in e]
    net.postmaster.wait_for(len(failed))
    mails = [email.message_from_bytes(raw, policy=email.policy.default)
             for raw in net.postmaster.dumped()]
    check(len(mails) == len(failed) and
          all(mail["Subject"].startswith("Copy: Your message could not") for mail in mails) and
          not any(defects(mail) for mail in mails), f"{len(mails)} copies for the postmaster")


def never_for_a_bounce(net):
    """The null sender gets none; and a notification that is refused itself ends there."""
    before = net.relay.stats()
    net.send("null", ["bob@eod.test"], sender="")
    net.send("far", ["bob@eod.test"], sender="eve@rcpt.test")
    stats = net.relay.wait_until_empty()
    check(stats["bounced"] == before["bounced"] + 3,
          "two messages and one notification are refused", stats)
    check(stats["messages_received"] == before["messages_received"] + 4,
          "and that was the only one made, with its copy", stats)
    wait_until(lambda: len(net.relay.events("double-bounce")) == 1, "its end is told in the log")
    check(net.home.count() == net.expected, "none of it came home")


def books(net):
    stats = net.relay.stats()
    wait_until(lambda: len(net.relay.events("bounce-sent")) == net.expected + 1,
               "each is in the log")
    sent = [e for e in net.relay.events("delivered") if e["to"] == f"<{SENDER}>"]
    check(len(sent) == net.expected and all(e["from"] == "<>" for e in sent),
          "each notification went out with the null sender, once")
    check(stats["expired"] == 2 and stats["balanced"],
          f"the books balance ({stats['expired']} expired)", stats)


def test(workshop):
    binary()
    net = Net(workshop)
    refusals(net)
    large(net)
    expiries(net)
    delays(net)
    in_doubt(net)
    never_for_a_bounce(net)
    books(net)
    copies(net)
    check(net.relay.stop() == 0, "the relay ends with 0")


run_test(test)
