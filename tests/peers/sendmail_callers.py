#!/usr/bin/env python3
"""Programs that call sendmail: mailx from BSD and s-nail, PHP's mail(), and cron's way of it."""
import email
import subprocess

from lib.local import Sendmail
from lib.millrace import RELAY_NAME, Relay, Sink, binary
from lib.servers import program_of
from lib.workshop import PATIENCE, check, run_test, wait_until

PHP = """mail("b@peer.test", "Gr\\u{fc}\\u{df}e", "one\\r\\n.\\r\\nthree \\u{e9}\\n",
    "From: web@app.test\\r\\nBcc: c@peer.test", "-fbounces@app.test") || exit(1);"""
CRON = """From: root (Cron Daemon)
To: root
Subject: Cron <root@app> echo
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
X-Cron-Env: <SHELL=/bin/sh>

10 %\r20 %\r100 %
.
\u00e9
"""


def call(peer, program, *arguments, text="", env=None):
    """A program out of its unpacked package; its exit code and what it said."""
    path, own = program_of(peer, program)
    done = subprocess.run([path, *map(str, arguments)], input=text.encode(), capture_output=True,
                          timeout=PATIENCE, env=own | (env or {}))
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


class Calls:
    def __init__(self, workshop):
        self.sink = Sink(workshop, dump=True).start()
        self.relay = Relay(workshop, route=[self.sink.next_hop], top='origin = "app.test"').start()
        self.sendmail = Sendmail(workshop, self.relay.config)
        self.workshop = workshop
        self.sent = 0

    def arrived(self, what, result):
        """The one mail of this call, parsed; its sender and its recipients."""
        code, said = result
        check(code == 0 and not said.strip(), f"{what}: taken", f"{code}: {said}")
        self.sent += 1
        received = wait_until(lambda: self.relay.events("received")[self.sent - 1:],
                              f"{what}: in the log", alive=[self.relay.daemon])[0]
        to = wait_until(lambda: self.recipients(received), f"{what}: all recipients have it",
                        alive=[self.relay.daemon])
        mail = email.message_from_bytes(self.sink.dumped()[-1])
        check(RELAY_NAME in mail["Received"], f"{what}: from {received['from']} to {to}")
        return mail, received["from"], to

    def recipients(self, received):
        """Whom it was delivered to, once that is all of them."""
        to = [e["to"] for e in self.relay.events("delivered")
              if e["id"].split(".")[0] == received["id"]]
        return len(to) == int(received["recipients"]) and sorted(to)


def bsd_mailx(calls):
    rc = calls.workshop.write("mailrc", f'set sendmail="{calls.sendmail.path}"\n')
    mail, _, to = calls.arrived("bsd-mailx", call(
        "bsd-mailx", "bsd-mailx", "-s", "a subject", "-b", "c@peer.test", "-r", "ann", "b@peer.test",
        "bob", text="hello\n..\n", env={"MAILRC": rc}))
    check(mail["Subject"] == "a subject" and "Bcc" not in mail, "its subject, and no Bcc", mail)
    body = mail.get_payload(decode=True)
    check(body == b"hello\r\n..\r\n", "its text", body)
    check(to == ["<b@peer.test>", "<bob@app.test>", "<c@peer.test>"], "its recipients", to)


def s_nail(calls):
    mail, sender, to = calls.arrived("s-nail", call(
        "s-nail", "s-nail", "-:/", "-S", f"mta={calls.sendmail.path}", "-S", "from=ann@app.test",
        "-r", "ann@app.test", "-s", "gr\u00fc\u00dfe", "-b", "c@peer.test", "b@peer.test",
        text="hello \u00e9\n.\nlast\n", env={"LC_ALL": "C.UTF-8"}))
    check("=?" in mail["Subject"] and "Bcc" not in mail, "its subject, and no Bcc", mail)
    body = mail.get_payload(decode=True)
    check(b"\n.\r\nlast\r\n" in body or b"\n.\nlast\n" in body, "a dot alone ends nothing", body)
    check(sender == "<ann@app.test>" and to == ["<b@peer.test>", "<c@peer.test>"], "its recipients")


def php(calls):
    mail, sender, to = calls.arrived("PHP's mail()", call(
        "php", "php8.2", "-n", "-d", f"sendmail_path={calls.sendmail.path} -t -i", "-r", PHP))
    check(sender == "<bounces@app.test>" and to == ["<b@peer.test>", "<c@peer.test>"],
          "its sender and recipients", (sender, to))
    check(mail["From"] == "web@app.test" and "Bcc" not in mail and mail["Message-ID"],
          "its header, completed", mail)
    body = mail.get_payload(decode=True)
    check(body == b"one\r\n.\r\nthree \xc3\xa9\r\n\r\n", "its text", body)  # and a line of PHP's
    code, said = call("php", "php8.2", "-n", "-d", f"sendmail_path={calls.sendmail.path} -t -i",
                      "-r", 'exit(mail("no address", "s", "t") ? 0 : 3);')
    check(code == 3 and "words that are no address" in said, "mail() says no when we do", said)


def cron(calls):
    done = calls.sendmail.run("-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root", text=CRON)
    mail, sender, to = calls.arrived("cron", (done.returncode, done.said))
    check(to == ["<root@app.test>"] and sender.endswith("@app.test>"), "to root", (sender, to))
    check(mail["From"] == "root (Cron Daemon)" and mail["Date"], "its header, completed", mail)
    check(mail.get_payload(decode=True) == b"10 %\r\n20 %\r\n100 %\r\n.\r\n\xc3\xa9\r\n",
          "its progress as lines", mail.get_payload(decode=True))


def test(workshop):
    binary()
    calls = Calls(workshop)
    cron(calls)
    bsd_mailx(calls)
    s_nail(calls)
    php(calls)
    check(calls.relay.stop() == 0, "the relay ends with 0")


run_test(test)
