#!/usr/bin/env python3
"""The sendmail command against a relay of ours and against one that speaks by a script: what is
handed in arrives, who handed it in is known, and every refusal has its exit code."""
import os
import pwd
import shutil

from lib import mails
from lib.local import Limited, OddRelay, Sendmail, is_socket
from lib.millrace import RELAY_NAME, Relay, Sink, binary
from lib.workshop import check, run_command, run_test, wait_until

USAGE, DATA, NO_USER, NO_HOST, UNAVAILABLE, TRY_LATER, NOT_ALLOWED = 64, 65, 67, 68, 69, 75, 77
HEADER = b"Subject: x\r\nFrom: f@app.test\r\nDate: d\r\nMessage-ID: <1@app.test>\r\n\r\n"


class Local:
    """A relay, its sink, and the sendmail command for it."""

    def __init__(self, workshop):
        self.sink = Sink(workshop, dump=True).start()
        self.submit = f'submit = "{workshop.path("submit.sock")}"\n' # users may not see the spool
        self.relay = Relay(workshop, route=[self.sink.next_hop], top=self.submit).start()
        self.sendmail = Sendmail(workshop, self.relay.config)
        self.sent = 0

    def arrives(self, what, *arguments, text, options=None):
        """Hand it in; the mail at the sink, with LF."""
        done = self.sendmail.run(*arguments, text=text, **(options or {}))
        check(done.returncode == 0 and not done.said, f"{what}: taken in silence", done.said)
        self.sent += 1
        self.sink.wait_for(self.sent)
        return self.sink.dumped()[-1].replace(b"\r\n", b"\n")

    def events(self, word, number):
        """The log lines of that word, once there are so many."""
        wait_until(lambda: len(self.relay.events(word)) >= number, f"{number} {word} in the log",
                   alive=[self.relay.daemon])
        return self.relay.events(word)


# --- what arrives -----------------------------------------------------------------------


def exactly(local):
    """Messages with every header arrive as they are."""
    sent = [HEADER + b"hi\r\n", HEADER + b".\r\n..\r\n.x\r\n\r\n", HEADER,
            HEADER + b"\xc3\xa9\xff\r\n", HEADER + b"x" * 3000 + b"\r\n" * 300,
            HEADER + os.urandom(3 << 20).hex().encode() + b"\r\n"]
    for number, mail in enumerate(sent):
        for text in (mail, mail.replace(b"\r\n", b"\n")):
            arrived = local.arrives(f"message {number}", "-i", "a@peer.test", text=text)
            why = mails.same_but_for_trace(arrived, mail.replace(b"\r\n", b"\n"), RELAY_NAME)
            check(not why, f"message {number}: byte for byte", why)


def completed(local):
    """What is missing is added; blind copies are taken out; a dot alone ends it."""
    arrived = local.arrives("-t", "-t", "-f", "ann", "-F", "Ann Lee", text=(
        "To: B <b@peer.test>, grp: c@peer.test;\nBcc: d@peer.test\nSubject: =?UTF-8?Q?=C3=A9?=\n\n"
        "one\n.\ntwo\n"))
    head, body = arrived.split(b"\n\n", 1)
    check(body == b"one\n", "the dot alone ends it", arrived)
    check(f"From: Ann Lee <ann@{RELAY_NAME}>\n".encode() in head and b"\nDate: " in head and
          b"\nMessage-ID: <" in head, "From, Date and Message-ID are added", head)
    check(b"bcc" not in head.lower() and b"Subject: =?UTF-8?Q?=C3=A9?=" in head,
          "Bcc is taken out, the rest is left alone", head)
    to = {e["to"] for e in local.events("delivered", local.sent + 2)[-3:]}
    check(to == {"<b@peer.test>", "<c@peer.test>", "<d@peer.test>"},
          "to the recipients of the header, groups and blind copies, too", to)


def identified(local, workshop):
    """Who hands in is known, whatever the message says."""
    arrived = local.arrives("as root", "a@peer.test", text="x\n")
    me = pwd.getpwuid(os.geteuid())
    wanted = f"from localhost (local user {me.pw_name}, uid {me.pw_uid})"
    check(wanted.encode() in arrived, wanted, arrived)
    event = local.events("received", local.sent)[-1]
    check(event["client"] == f"local:{me.pw_uid}:{me.pw_name}", f"client={event['client']}")
    if os.geteuid() != 0:
        return
    program = shutil.copy(binary(), workshop.path("sendmail"))
    for uid, name in ((pwd.getpwnam("nobody").pw_uid, "nobody"), (4711, None)):
        done = run_command([program, "-C", local.relay.config, "a@peer.test"], user=uid)
        check(done.returncode == 0, f"uid {uid} hands in")
        local.sent += 1
        event = local.events("received", local.sent)[-1]
        login = name or f"uid{uid}"
        check(event["client"] == f"local:{uid}" + (f":{name}" if name else "") and
              event["from"] == f"<{login}@{RELAY_NAME}>", f"client={event['client']}", event)


def restricted(local):
    """`submit-users`."""
    local.relay.configure(top=local.submit + 'submit-users = { "no-such-user" }')
    local.relay.reload()
    wait_until(lambda: local.relay.events("reloaded"), "it has reloaded")
    local.sendmail.ends_with(NOT_ALLOWED, "a user who is not in submit-users", "a@peer.test",
                             text="x\n", says="550 5.7.1")


# --- other modes ------------------------------------------------------------------------


def smtp(local):
    """-bs: with LF and with CRLF, and a client that just goes."""
    for end in ("\n", "\r\n"):
        lines = ["EHLO me.test", "MAIL FROM:<s@app.test>", "RCPT TO:<a@peer.test>", "DATA",
                 "Subject: bs", "", "..", "x", ".", "QUIT", ""]
        done = local.sendmail.run("-bs", text=end.join(lines))
        codes = [line[:3] for line in done.stdout.split(b"\r\n") if line[3:4] == b" "]
        check(done.returncode == 0 and
              codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"],
              f"-bs with {end!r}", done.said)
        local.sent += 1
        local.sink.wait_for(local.sent)
        arrived = local.sink.dumped()[-1]
        check(b"\nSubject: bs\r\n" in arrived and arrived.endswith(b"\r\n\r\n.\r\nx\r\n"),
              "it arrives", arrived)
    done = local.sendmail.run("-bs", text="EHLO me.test\r\n")
    check(done.returncode == 0 and b"\r\n250 " in done.stdout, "-bs and its input ends", done.said)


def queue(workshop):
    """mailq, -q, newaliases."""
    port = workshop.free_port()
    relay = Relay(workshop, "late", route=[f"[127.0.0.1]:{port}"], back_off="1h",
                  retry="first = 1h longest = 2h give-up = 5d").start()
    sendmail = Sendmail(workshop, relay.config, "bin.late")
    done = sendmail.run(word="mailq")
    check(done.returncode == 0 and "the queue is empty" in done.said, "mailq: empty", done.said)
    sendmail.ends_with(0, "a message for later", "late@peer.test", text="x\n")
    wait_until(lambda: relay.queue("--state", "waiting"), "it waits", alive=[relay.daemon])
    for arguments, word in (([], "mailq"), (["-bp"], "sendmail")):
        done = sendmail.run(*arguments, word=word)
        check(done.returncode == 0 and "<late@peer.test>" in done.said, f"{word} {arguments}",
              done.said)
    sink = Sink(workshop, "late.sink", port=port).start()
    sendmail.ends_with(0, "-q", "-q")
    sink.wait_for(1)
    delivered = wait_until(lambda: relay.events("delivered"), "it is in the log")[0]
    check("-" not in delivered["delays"], "-q: what waited is delivered, before its time", delivered)
    done = sendmail.run(word="newaliases")
    check(done.returncode == 0 and not done.said, "newaliases says nothing")
    sink.stop()
    return relay, sendmail


# --- refusals ---------------------------------------------------------------------------


def wrong(local):
    sendmail = local.sendmail
    sendmail.ends_with(USAGE, "no recipients", text="x\n", says="no recipients")
    sendmail.ends_with(USAGE, "an unknown option", "-z", "a", says="-z")
    sendmail.ends_with(USAGE, "a daemon", "-bd", "-q30m", says="millrace run")
    sendmail.ends_with(USAGE, "no address", "a b", text="x\n", says="words that are no address")
    sendmail.ends_with(DATA, "-t without recipients", "-t", text="Subject: x\n\n", says="no To, Cc")
    sendmail.ends_with(DATA, "-t with a bad one", "-t", text="To: <a@b.test\n\n", says="without its >")
    sendmail.ends_with(DATA, "an address that the relay does not take", "a..b@c.test", text="x\n",
                       says="553 5.1.3")
    sendmail.ends_with(DATA, "too large", "-C", local.relay.config, "a@peer.test",
                       text=b"x" * (51 << 20), says="larger")
    broken = local.relay.workshop.write("broken.conf", "spol = x\n")
    done = sendmail.run("-C", broken, "a@peer.test", text="x\n")
    check(done.returncode == TRY_LATER and "broken.conf:1: unknown key" in done.said,
          f"a broken configuration: {TRY_LATER}", done.said)


REFUSALS = [
    ({"greeting": b"421 4.3.2 Busy\r\n"}, TRY_LATER, "421 4.3.2"),
    ({"greeting": b"554 5.3.2 No\r\n"}, UNAVAILABLE, "554"),
    ({"greeting": b"hello?\r\n"}, TRY_LATER, "does not speak SMTP"),
    ({"greeting": b""}, TRY_LATER, "broke off"),
    ({"replies": {"MAIL": b"452 4.3.1 Full\r\n"}}, TRY_LATER, "452"),
    ({"replies": {"MAIL": b"553 5.1.7 Bad sender\r\n"}}, DATA, "553"),
    ({"replies": {"RCPT": b"550 5.1.1 No such user\r\n"}}, NO_USER, "550 5.1.1"),
    ({"replies": {"RCPT": b"550 5.1.2 No such host\r\n"}}, NO_HOST, "550 5.1.2"),
    ({"replies": {"RCPT": b"450 4.2.1 Later\r\n"}}, TRY_LATER, "450"),
    ({"replies": {"RCPT": b"452 4.5.3 Too many\r\n"}}, TRY_LATER, "452"),
    ({"replies": {"RCPT": b"550-5.7.1 Not\r\n550 5.7.1 you\r\n"}}, NOT_ALLOWED, "550 5.7.1 Not"),
    ({"replies": {"DATA": b"451 4.3.0 Broken\r\n"}}, TRY_LATER, "451"),
    ({"replies": {".": b"552 5.3.4 Too large\r\n"}}, DATA, "552"),
    ({"replies": {".": b"550 5.6.0 Not like that\r\n"}}, DATA, "550"),
    ({"replies": {".": b"554 No\r\n"}}, UNAVAILABLE, "554"),
    ({"replies": {".": b"451 4.3.0 Later\r\n"}}, TRY_LATER, "451"),
]


def refused(workshop, sendmail, path):
    """By a relay that says what it is told to."""
    for options, code, says in REFUSALS:
        server = OddRelay(workshop, path, **options)
        if options.get("greeting") == b"":
            server._talk = lambda *_: None       # it closes at once
        server.start()
        sendmail.ends_with(code, f"refused with {says}", "a@b.test", "c@d.test", text="x\n",
                           says=says)
        check(not server.mails, "nobody got it")
        server.stop()


def away(workshop, relay, sendmail):
    """No relay, in whatever way: 75, at once, and the caller has its mail still."""
    path = relay.spool / "submit.sock"
    check(is_socket(path), "the socket is there")
    relay.kill()
    sendmail.ends_with(TRY_LATER, "the relay was killed", "a@b.test", text="x\n", says="nobody listens")
    done = sendmail.run("-bs", text="EHLO x\r\n")
    check(done.returncode == TRY_LATER and done.stdout.startswith(b"421 4.3.2 "), "-bs: 421 and 75")
    relay.start()
    sendmail.ends_with(0, "it is back, in its own place", "a@b.test", text="x\n")
    check(relay.stop() == 0 and not path.exists(), "a relay that ends takes its socket along")
    sendmail.ends_with(TRY_LATER, "the relay has ended", "a@b.test", text="x\n", says="no such socket")


# --- what is asked of the relay ------------------------------------------------------------


def parameters(workshop, sendmail, path):
    """DSN, SIZE, 8BITMIME and SMTPUTF8: what EHLO offers, and only that."""
    words = ["-N", "success,delay", "-R", "hdrs", "-V", "a+b c", "-f", "s@app.test"]
    rows = [
        ((), words, "x\n", b"<s@app.test>", b"<a@b.test>"),
        (("DSN",), words, "x\n", b"<s@app.test> RET=HDRS ENVID=a+2Bb+20c",
         b"<a@b.test> NOTIFY=SUCCESS,DELAY"),
        (("DSN", "8BITMIME"), ["-f", "<>"], "\u00e9\n", b"<> BODY=8BITMIME", b"<a@b.test>"),
        (("DSN",), ["-N", "never", "-f", "s"], "\u00e9\n", b"<s@relay.test>",
         b"<a@b.test> NOTIFY=NEVER"),
        (("SMTPUTF8", "8BITMIME"), ["-f", "s\u00e9@app.test"], "x\n",
         b"<s\xc3\xa9@app.test> BODY=8BITMIME SMTPUTF8", b"<a@b.test>"),
    ]
    for keywords, arguments, text, sender, recipient in rows:
        server = OddRelay(workshop, path, keywords=keywords).start()
        sendmail.ends_with(0, f"EHLO offers {', '.join(keywords) or 'nothing'}", *arguments,
                           "a@b.test", text=text)
        check(server.mails[0][:2] == (sender, [recipient]), (sender + recipient).decode(),
              server.mails)
        server.stop()
    server = OddRelay(workshop, path).start()
    sendmail.ends_with(DATA, "a UTF-8 address and no SMTPUTF8", "\u00e9@b.test", text="x\n",
                       says="SMTPUTF8")
    server.stop()


def many(workshop, sendmail, path):
    """More recipients than a transaction takes go in several."""
    server = Limited(workshop, path, 10).start()
    sendmail.ends_with(0, "25 recipients", *[f"u{i}@b.test" for i in range(25)], text="x\n")
    check([len(to) for _, to, _ in server.mails] == [10, 10, 5] and
          len({to for mail in server.mails for to in mail[1]}) == 25,
          "in three transactions", [len(to) for _, to, _ in server.mails])
    server.stop()


def test(workshop):
    binary()
    local = Local(workshop)
    exactly(local)
    completed(local)
    identified(local, workshop)
    smtp(local)
    wrong(local)
    restricted(local)
    check(local.relay.wait_until_empty()["balanced"], "the books balance")
    relay, sendmail = queue(workshop)
    path = relay.spool / "submit.sock"
    away(workshop, relay, sendmail)
    refused(workshop, sendmail, path)
    parameters(workshop, sendmail, path)
    many(workshop, sendmail, path)
    check(local.relay.stop() == 0, "the relay ends with 0")


run_test(test)
