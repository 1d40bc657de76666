#!/usr/bin/env python3
"""Relay -> Node's smtp-server over STARTTLS: DSN parameters and SMTPUTF8 are passed on as they came,
and each mail arrives byte for byte."""
from lib.mails import same_but_for_trace
from lib.millrace import RELAY_NAME, Relay, binary
from lib.rawsmtp import RawClient
from lib.servers import NodeServer
from lib.workshop import check, run_test

PLAIN = b"Subject: one\r\nFrom: a@app.test\r\nDate: x\r\nMessage-ID: <1@app.test>\r\n\r\n.dot\r\nx\r\n"
UTF8 = "Subject: grüße\r\nFrom: ä@app.test\r\nDate: x\r\nMessage-ID: <2@app.test>\r\n\r\nü\r\n".encode()


def hand_in(client, mail, sender, recipient):
    client.command(f"MAIL FROM:{sender}", 250)
    client.command(f"RCPT TO:{recipient}", 250)
    client.command("DATA", 354)
    client.send(mail.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    client.expect(250, "end of data")


def arguments(address):
    """The parameters of a MAIL or RCPT as smtp-server read them, by upper-case name."""
    return {key.upper(): value for key, value in (address["args"] or {}).items()}


def test(workshop):
    binary()
    node = NodeServer(workshop).start()
    relay = Relay(workshop, route=[f"[{node.host}]:{node.port}"], level="encrypt").start()
    with RawClient(relay.host, relay.port) as client:
        hand_in(client, PLAIN, "<a@app.test> RET=HDRS ENVID=QQ+2B314",
                "<b@peer.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Bone@peer.test")
        hand_in(client, UTF8, "<ä@app.test> BODY=8BITMIME SMTPUTF8", "<ö@bücher.test>")
    arrived = node.wait_for(2)
    relay.wait_until_empty()
    by_sender = {envelope["mailFrom"]["address"]: (envelope, mail) for envelope, mail in arrived}
    envelope, mail = by_sender["a@app.test"]
    check(envelope["secure"], "over STARTTLS")
    mail_from, rcpt_to = arguments(envelope["mailFrom"]), arguments(envelope["rcptTo"][0])
    check(mail_from.get("RET") == "HDRS" and mail_from.get("ENVID") == "QQ+314",
          "RET and ENVID arrive (it undoes the xtext)", envelope)
    check(rcpt_to.get("NOTIFY") == "SUCCESS,DELAY" and
          rcpt_to.get("ORCPT") == "rfc822;first+one@peer.test", "NOTIFY and ORCPT arrive", envelope)
    check(not same_but_for_trace(mail.replace(b"\r\n", b"\n"), PLAIN.replace(b"\r\n", b"\n"),
                                 RELAY_NAME), "the mail is what was sent", mail)
    envelope, mail = by_sender["ä@app.test"]
    check("SMTPUTF8" in arguments(envelope["mailFrom"]), "SMTPUTF8 arrives", envelope)
    check(envelope["rcptTo"][0]["address"].startswith("ö@"), "and the local part as it was", envelope)
    check(not same_but_for_trace(mail.replace(b"\r\n", b"\n"), UTF8.replace(b"\r\n", b"\n"),
                                 RELAY_NAME), "the mail is what was sent", mail)
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
