#!/usr/bin/env python3
"""Clients that people use hand in over plain SMTP, STARTTLS and implicit TLS, with every mechanism of
AUTH that both sides speak: swaks, Python, nodemailer, msmtp, curl and Postfix (relayhost)."""
import json
import smtplib
import ssl
import subprocess

from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient
from lib.servers import PostfixClient, make_certificate, node_peer, program_of
from lib.workshop import PATIENCE, Skip, check, run_command, run_test, say, wait_until

USER, PASSWORD = "app one", "s3cret, with blanks"
PLAIN, STARTTLS, IMPLICIT = WAYS = ("plain", "starttls", "implicit")
MAIL = "Subject: {0}\r\nFrom: a@app.test\r\nTo: b@peer.test\r\nMessage-ID: <{0}@app.test>\r\n\r\nx\r\n"

LISTEN = """
users = "{users}"
listen "127.0.0.1:{plain}" {{ auth = "required" auth-in-clear = true }}
listen "127.0.0.1:{starttls}" {{ auth = "required" certificate = "{0}" key = "{1}" }}
listen "127.0.0.1:{implicit}" {{ auth = "required" tls = "implicit" certificate = "{0}" key = "{1}" }}
"""


def swaks(ports, way, mechanism, name, workshop):
    tls = {PLAIN: [], STARTTLS: ["--tls"], IMPLICIT: ["--tls-on-connect"]}[way]
    run_command(["swaks", "--server", f"127.0.0.1:{ports[way]}", "--from", "a@app.test", "--to",
                 "b@peer.test", "--header", f"Message-Id: <{name}@app.test>", "--auth", mechanism,
                 "--auth-user", USER, "--auth-password", PASSWORD, *tls])


def python(ports, way, mechanism, name, workshop):
    context = ssl._create_unverified_context()
    if way == IMPLICIT:
        client = smtplib.SMTP_SSL("127.0.0.1", ports[way], context=context, timeout=PATIENCE)
    else:
        client = smtplib.SMTP("127.0.0.1", ports[way], timeout=PATIENCE)
    with client:
        if way == STARTTLS:
            client.starttls(context=context)
        client.ehlo()
        client.user, client.password = USER, PASSWORD
        method = getattr(client, "auth_" + mechanism.lower().replace("-", "_"))
        client.auth(mechanism, method)
        client.sendmail("a@app.test", ["b@peer.test"], MAIL.format(name))


def nodemailer(ports, way, mechanism, name, workshop):
    mail = {"envelope": {"from": "a@app.test", "to": ["b@peer.test"]}, "raw": MAIL.format(name)}
    transport = {"host": "127.0.0.1", "port": ports[way], "secure": way == IMPLICIT,
                 "requireTLS": way == STARTTLS, "ignoreTLS": way == PLAIN, "authMethod": mechanism,
                 "auth": {"user": USER, "pass": PASSWORD}}
    argv, env = node_peer("send.js", json.dumps({"transport": transport, "mail": mail}))
    run_command(argv, env=env)


def msmtp(ports, way, mechanism, name, workshop):
    path, env = program_of("msmtp", "msmtp")
    config = workshop.write(f"msmtp.{name}", f"""account default
host 127.0.0.1
port {ports[way]}
from a@app.test
auth {mechanism.lower()}
user "{USER}"
password "{PASSWORD}"
tls {"off" if way == PLAIN else "on"}
tls_starttls {"on" if way == STARTTLS else "off"}
tls_certcheck off
""")
    config.chmod(0o600)
    done = subprocess.run([path, "-C", config, "b@peer.test"], input=MAIL.format(name).encode(),
                          capture_output=True, timeout=PATIENCE, env=env)
    check(done.returncode == 0, f"msmtp ends with 0 ({way}, {mechanism})", done)


def curl(ports, way, mechanism, name, workshop):
    scheme = "smtps" if way == IMPLICIT else "smtp"
    file = workshop.write(f"curl.{name}", MAIL.format(name))
    run_command(["curl", "-sS", "--url", f"{scheme}://127.0.0.1:{ports[way]}", "--mail-from",
                 "a@app.test", "--mail-rcpt", "b@peer.test", "--upload-file", file, "--user",
                 f"{USER}:{PASSWORD}", "--login-options", f"AUTH={mechanism}", "-k",
                 *(["--ssl-reqd"] if way == STARTTLS else [])])


def postfix(ports, way, mechanism, name, workshop):
    how = {PLAIN: "none", STARTTLS: "encrypt", IMPLICIT: "implicit"}[way]
    peer = PostfixClient(workshop, ports[way], how, USER, PASSWORD, mechanism).start()
    with RawClient(peer.host, peer.port) as client:
        client.deliver("a@app.test", ["b@peer.test"], MAIL.format(name).encode())
    yield
    peer.stop()


# Which mechanisms each of them speaks, of those that we do.
CLIENTS = (
    (swaks, ("PLAIN", "LOGIN", "CRAM-MD5"), WAYS),
    (python, ("PLAIN", "LOGIN", "CRAM-MD5"), WAYS),
    (nodemailer, ("PLAIN", "LOGIN", "CRAM-MD5"), WAYS),
    (msmtp, ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"), WAYS),
    (curl, ("PLAIN", "LOGIN", "CRAM-MD5"), WAYS),
    (postfix, ("PLAIN",), (PLAIN, IMPLICIT)),
    (postfix, ("CRAM-MD5",), (STARTTLS,)),
)


def hands_in(client, ports, way, mechanism, relay, sink, workshop):
    name = f"{client.__name__}-{way}-{mechanism.lower()}"
    begun = client(ports, way, mechanism, name, workshop)
    if begun is not None:
        next(begun)
    wait_until(lambda: f"{name}@app.test" in sink.ledger(), f"{name} is at the sink",
               alive=[relay.daemon, sink.daemon])
    if begun is not None:
        next(begun, None)
    event = relay.events("received")[-1]
    check(event["user"] == USER and (event["tls"] == "none") == (way == PLAIN),
          f"{client.__name__}, {way}, {mechanism}: taken from the user, tls={event['tls']}", event)


def wrong_passwords_are_refused(ports, relay):
    client = smtplib.SMTP("127.0.0.1", ports[PLAIN], timeout=PATIENCE)
    client.ehlo()
    code, _ = client.docmd("AUTH", "PLAIN AGFwcCBvbmUAd3Jvbmc=")      # "app one", "wrong"
    check(code == 535, "a wrong password gets 535")
    code, _ = client.docmd("MAIL", "FROM:<a@app.test>")
    check(code == 530, "and no mail without AUTH")
    client.close()
    check(PASSWORD not in relay.log() and "wrong" not in relay.log().replace("wrong-", ""),
          "no password is in the log")


def test(workshop):
    binary()
    ports = {way: workshop.free_port() for way in WAYS}
    certificate = make_certificate(workshop, "relay", "relay.test")
    sink = Sink(workshop).start()
    relay = Relay(workshop, route=[sink.next_hop], relay_from="",
                  top=LISTEN.format(*certificate, users=workshop.path("users"), **ports))
    done = subprocess.run([binary(), "passwd", "-c", relay.config, "--cram-md5", USER],
                          input=PASSWORD.encode() + b"\n", capture_output=True, timeout=PATIENCE)
    check(done.returncode == 0, "passwd makes the entry", done)
    relay.start()
    wrong_passwords_are_refused(ports, relay)
    for client, mechanisms, ways in CLIENTS:
        try:
            for way in ways:
                for mechanism in mechanisms:
                    hands_in(client, ports, way, mechanism, relay, sink, workshop)
        except Skip as why:
            say(f"  left out: {client.__name__}: {why}")
    check(relay.wait_until_empty()["balanced"], "the books balance")
    check(relay.stop() == 0, "the relay ends with 0")


run_test(test)
