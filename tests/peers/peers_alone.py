#!/usr/bin/env python3
"""The peers by themselves, without the relay: Postfix, OpenSMTPD and Exim each take mail over
STARTTLS and keep it byte for byte; nsd answers. What fails here is no fault of the relay."""
import re
import socket

from lib import mails
from lib.rawsmtp import RawClient
from lib.servers import PEER_NAME, Exim, Nsd, OpenSmtpd, Postfix, smtp_source
from lib.workshop import check, run_command, run_test


def takes_mail(peer):
    peer.start()
    run_command(["swaks", "--server", peer.host, "--port", str(peer.port), "--tls", "--helo",
                 "app.test", "--from", "a@app.test", "--to", "m00000@peer.test"])
    mail = mails.random_mails(1, number=1)[0][1]
    with RawClient(peer.host, peer.port, starttls=True) as client:
        client.deliver("a@app.test", ["m00001@peer.test"], mail)
    arrived = {mails.recipient_of(m): m for m in peer.wait_for(2)}
    check("m00000" in arrived, f"{peer.name} took mail from swaks over STARTTLS")
    why = mails.same_but_for_trace(peer.without_additions(arrived["m00001"]),
                                   mail.replace(b"\r\n", b"\n"), PEER_NAME)
    check(not why, f"{peer.name} kept a mail byte for byte", why)


def test(workshop):
    postfix = Postfix(workshop)
    for peer in (postfix, OpenSmtpd(workshop), Exim(workshop)):
        takes_mail(peer)
    smtp_source("-s", 5, "-m", 100, "-f", "a@app.test", "-t", "b@peer.test",
                f"inet:127.0.0.1:{postfix.port}")
    postfix.wait_for(102)
    check(True, "smtp-source handed in 100 messages")
    zones = {"example.": "order IN MX 10 mx2\nmx2 IN A 127.0.0.2", "servfail.example.": None}
    nsd = Nsd(workshop, zones).start()
    code, said = ask(nsd, "order.example")
    check(code == NO_ERROR and "mx2" in said, "nsd answers", said)
    check(ask(nsd, "nowhere.example")[0] == NXDOMAIN, "nsd says NXDOMAIN")
    check(ask(nsd, "servfail.example")[0] == SERVFAIL,
          "nsd says SERVFAIL for a zone without a file")


NO_ERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def ask(nsd, name):
    """One MX query by hand; the answer's code, and what of it can be printed."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0" + question + b"\0\0\x0f\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(query, ("127.0.0.1", nsd.port))
        answer = s.recv(4096)
    return answer[3] & 15, re.sub(rb"[^ -~]", b".", answer).decode()


run_test(test)
