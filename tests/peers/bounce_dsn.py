#!/usr/bin/env python3
"""What a client asks of notifications (RFC 3461, 2852, 6531) is what its sender gets: NOTIFY, RET,
ENVID, ORCPT, deadlines, and UTF-8 where the message brought it. Each notification that comes home
is read by a strict parser."""
import email
import email.policy
import re

from lib.millrace import Relay, Sink, binary, routes
from lib.oddserver import OddServer
from lib.rawsmtp import RawClient
from lib.workshop import check, run_test, wait_until

SENDER = "ann@app.test"
SECRET = "the body of it"
RETRY = "first = 50ms longest = 50ms warn-after = 100ms give-up = 1h"


class Net:
    def __init__(self, workshop):
        self.home = OddServer(workshop, ["PIPELINING", "8BITMIME", "SMTPUTF8"]).start()
        servers = {
            "app.test": self.home,
            "refuses.test": OddServer(workshop, ["8BITMIME", "SMTPUTF8"],
                                      {"RCPT": b"550 5.1.1 No such user\r\n"}).start(),
            "defers.test": OddServer(workshop, ["DELIVERBY"],
                                     {"RCPT": b"450 4.2.0 Not now\r\n"}).start(),
            "takes.test": OddServer(workshop, []).start(),
            "tells.test": OddServer(workshop, ["DSN"]).start(),
        }
        hops = {domain: server.next_hop for domain, server in servers.items()}
        self.relay = Relay(workshop, level="none", retry=RETRY,
                           top=routes(hops) + "\nbounce { full-max = 4K }").start()
        self.seen = 0

    def send(self, recipients, mail="", sender=SENDER, body="", size=0):
        """`mail` and each recipient's second half are parameters; the message's ID."""
        text = f"Subject: a question\r\nX-Mark: here\r\n\r\n{body or SECRET}\r\n"
        text += "y" * 78 + "\r\n" if size else ""
        text += ("z" * 78 + "\r\n") * (size // 80)
        with RawClient(self.relay.host, self.relay.port) as client:
            client.command(f"MAIL FROM:<{sender}>{mail}", 250)
            for path, parameters in recipients:
                client.command(f"RCPT TO:<{path}>{parameters}", 250)
            client.command("DATA", 354)
            client.send(text.encode())
            client.send(b".\r\n")
            return re.search(r"queued as (\S+)", client.expect(250, "end of data")).group(1)

    def notification(self, name):
        """The next one that comes home: (MAIL's parameters, the parsed mail)."""
        wait_until(lambda: len(self.home.mails) > self.seen, f"{name}: a notification comes home",
                   alive=[self.relay.daemon])
        sender, recipients, raw = self.home.mails[self.seen]
        self.seen += 1
        check(sender.startswith(b"<>") and len(recipients) == 1, f"{name}: from the null sender")
        return sender.decode(), read_strictly(name, raw)

    def nothing(self, name, identity):
        """The envelopes of this message are gone or deferred, and nobody was told."""
        def over():
            told = [e for e in self.relay.events() if e.get("id", "").startswith(identity)
                    and e["event"] in ("bounced", "delivered", "deferred")]
            return told
        wait_until(over, f"{name}: it has its verdict", alive=[self.relay.daemon])
        sent = [e for e in self.relay.events("bounce-sent") if e["original"].startswith(identity)]
        check(not sent, f"{name}: nobody is told", sent)


def read_strictly(name, raw):
    mail = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    defects = [d for part in mail.walk() for d in part.defects]
    parts = list(mail.iter_parts())
    kind = mail.get_param("report-type")
    check(not defects and mail.get_content_type() == "multipart/report" and len(parts) == 3 and
          parts[1].get_content_type() == f"message/{kind}" and mail["Auto-Submitted"] and
          mail["Message-ID"] and mail["Date"].datetime, f"{name}: sound, and a report", raw)
    lines = raw.split(b"\r\n")
    check(max(map(len, lines)) <= 998 and not any(b"\n" in l or b"\r" in l for l in lines),
          f"{name}: in lines that any server takes")
    check(raw.isascii() or mail["Content-Transfer-Encoding"] == "8bit", f"{name}: says if 8-bit")
    return mail


def status_of(mail):
    """(the fields of the message, [those of each recipient]) of its second part."""
    part = list(mail.iter_parts())[1]
    payload = part.get_payload()
    if part.get_content_type() == "message/global-delivery-status":  # Python does not know it
        text = payload[0].as_bytes().replace(b"\r\n", b"\n").strip()
        payload = [email.message_from_bytes(block, policy=email.policy.SMTPUTF8)
                   for block in text.split(b"\n\n")]
    return payload[0], [block for block in payload[1:] if block.keys()]


def is_addressed_by(net):
    """Who is told of what, by NOTIFY."""
    net.send([("a@refuses.test", " NOTIFY=FAILURE"), ("b@refuses.test", " NOTIFY=NEVER"),
              ("c@refuses.test", " NOTIFY=SUCCESS,DELAY"), ("d@refuses.test", "")])
    _, mail = net.notification("failures")
    _, blocks = status_of(mail)
    check([b["Final-Recipient"] for b in blocks] ==
          ["rfc822; a@refuses.test", "rfc822; d@refuses.test"] and
          {b["Action"] for b in blocks} == {"failed"}, "failures: of those who may be told of")
    net.nothing("never", net.send([("b@refuses.test", " NOTIFY=NEVER")]))
    net.nothing("null sender", net.send([("b@refuses.test", " NOTIFY=FAILURE")], sender=""))


def relayings(net):
    net.send([("a@takes.test", " NOTIFY=SUCCESS"), ("b@takes.test", "")])
    _, mail = net.notification("relayed")
    _, [block] = status_of(mail)
    check(block["Action"] == "relayed" and block["Status"].startswith("2.") and
          block["Final-Recipient"] == "rfc822; a@takes.test", "relayed: told of whom it was asked")
    net.nothing("a host with DSN", net.send([("a@tells.test", " NOTIFY=SUCCESS")]))


def delays(net):
    net.send([("a@defers.test", " NOTIFY=FAILURE"), ("b@defers.test", " NOTIFY=DELAY")])
    _, mail = net.notification("delayed")
    _, [block] = status_of(mail)
    check(block["Action"] == "delayed" and block["Will-Retry-Until"] and
          block["Final-Recipient"] == "rfc822; b@defers.test", "delayed: told of whom it was asked")


def identities(net):
    net.send([("a@refuses.test", " ORCPT=rfc822;Old+2Bname@refuses.test")],
             mail=" ENVID=QQ+2B314 RET=HDRS")
    _, mail = net.notification("identities")
    whole, [block] = status_of(mail)
    check(whole["Original-Envelope-Id"] == "QQ+314" and
          block["Original-Recipient"] == "rfc822; Old+name@refuses.test", "ENVID and ORCPT, decoded")


def returned_part(net, name, mail, size=0, body=""):
    net.send([("a@refuses.test", "")], mail=mail, size=size, body=body)
    parameters, report = net.notification(name)
    return parameters, list(report.iter_parts())[2]


def returns(net):
    for name, mail, size, kind in [("RET=HDRS", " RET=HDRS", 0, "text/rfc822-headers"),
                                   ("no RET", "", 0, "text/rfc822-headers"),
                                   ("RET=FULL", " RET=FULL", 0, "message/rfc822"),
                                   ("RET=FULL, too large", " RET=FULL", 9000,
                                    "text/rfc822-headers")]:
        _, part = returned_part(net, name, mail, size)
        check(part.get_content_type() == kind and "X-Mark: here" in part.as_string() and
              (SECRET in part.as_string()) == (kind == "message/rfc822"), f"{name}: {kind}")
    parameters, part = returned_part(net, "8-bit", " RET=FULL BODY=8BITMIME", body="caf\u00e9")
    check("BODY=8BITMIME" in parameters and "caf\u00e9".encode() in part.as_bytes(),
          "8-bit: all of it, as 8-bit")


def international(net):
    net.send([("\u7528\u6237@refuses.test", " ORCPT=utf-8;\u7528\u6237@refuses.test")],
             mail=" SMTPUTF8 BODY=8BITMIME", sender="j\u00fcrgen@app.test")
    parameters, mail = net.notification("SMTPUTF8")
    parts = [part.get_content_type() for part in mail.iter_parts()]
    _, [block] = status_of(mail)
    check("SMTPUTF8" in parameters and "BODY=8BITMIME" in parameters, "SMTPUTF8: sent with it")
    check(parts[1:] == ["message/global-delivery-status", "message/global-headers"] and
          block["Final-Recipient"] == "utf-8; \u7528\u6237@refuses.test" and
          block["Original-Recipient"] == "utf-8; \u7528\u6237@refuses.test",
          "SMTPUTF8: addresses as they are", mail.as_bytes())


def deadlines(net):
    """BY=…;R: returned when its time has passed; N: told then."""
    net.send([("a@defers.test", "")], mail=" BY=1;R")
    _, mail = net.notification("by-mode R")
    _, [block] = status_of(mail)
    if block["Action"] == "delayed":       # by warn-after, which came first
        _, mail = net.notification("by-mode R")
        _, [block] = status_of(mail)
    check((block["Action"], block["Status"]) == ("failed", "5.4.7"), "by-mode R: 5.4.7")
    net.send([("a@defers.test", " NOTIFY=FAILURE")], mail=" BY=1;N")
    _, mail = net.notification("by-mode N")
    _, [block] = status_of(mail)
    check(block["Action"] == "delayed", "by-mode N: its sender is told of the delay")


def test(workshop):
    binary()
    net = Net(workshop)
    is_addressed_by(net)
    relayings(net)
    delays(net)
    identities(net)
    returns(net)
    international(net)
    deadlines(net)
    check(len(net.home.mails) == net.seen, "and no more than that came home")
    stats = net.relay.stats()
    check(stats["balanced"], "the books balance", stats)
    check(net.relay.stop() == 0, "the relay ends with 0")


run_test(test)
