#!/usr/bin/env python3
"""Real TLS servers of every kind, and what each level makes of them: OpenSSL's s_server with odd
options and certificates, and Postfix, which asks for a client's certificate and speaks TLS 1.2 with
old ciphers only.

One relay; each server is tried under several levels, by a domain of its own for each."""
import hashlib
import subprocess
from typing import NamedTuple

from lib.millrace import Relay, routes
from lib.openssl_server import OpensslServer
from lib.rawsmtp import RawClient
from lib.servers import Postfix, make_ca, sign_certificate
from lib.workshop import check, run_test, wait_until

MAIL = (b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@app.test>\r\n"
        b"Subject: x\r\n\r\nx\r\n")
NAME = "mx.peer.test"


class Row(NamedTuple):
    server: str
    level: str
    reached: str            # of `delivered`: the beginning of tls=; of `tls-failed`: the outcome
    why: str = ""           # in the text of a failure
    more: str = ""          # of the section


OPENSSL_ROWS = [
    Row("tls13", "encrypt", "encrypt:table:TLSv1.3"),
    Row("tls13", "verify", "verify:table:TLSv1.3"),
    Row("tls13", "fingerprint", "verify:table:TLSv1.3", more="RIGHT"),
    Row("tls13", "fingerprint", "untrusted", "fingerprint", more="WRONG"),
    Row("tls13", "verify", "untrusted", f"but for {NAME}", more='match = { "mx.other.test" }'),
    Row("tls13", "verify", "untrusted", "not trusted: its issuer is not among", more="STRANGER"),
    Row("tls12", "encrypt", "encrypt:table:TLSv1.2"),
    Row("tls12", "verify", "verify:table:TLSv1.2"),
    Row("tls12", "verify", "alert", "peer alert: protocol version (70)", 'min-version = "1.3"'),
    Row("old ciphers", "verify", "verify:table:TLSv1.2"),       # RFC 5246 9: all it must have
    Row("old ciphers", "verify", "alert", "peer alert: handshake failure (40)",
        'ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384" max-version = "1.2"'),
    Row("tls11", "may", "none:table"),                          # RFC 8996: as without TLS
    Row("tls11", "encrypt", "alert", "peer alert: protocol version (70)"),
    Row("wrong name", "encrypt", "encrypt:table:TLSv1.3"),
    Row("wrong name", "verify", "untrusted", f"not for {NAME}, but for other.test"),
    Row("wrong name", "fingerprint", "verify:table:TLSv1.3", more="RIGHT"),
    Row("expired", "may", "encrypt:table:TLSv1.3"),
    Row("expired", "verify", "untrusted", "expired 20"),        # RFC 8461 4.2
    Row("weak", "encrypt", "encrypt:table:TLSv1.2"),
    Row("weak", "verify", "untrusted", "key too weak"),
    Row("client wanted 1.2", "encrypt", "alert", "peer alert: handshake failure (40)"),
    Row("client wanted 1.2", "may", "none:table"),
    Row("client wanted 1.3", "encrypt", "alert", "peer alert: certificate required (116)"),
    Row("client wanted 1.3", "may", "none:table"),
]

POSTFIX_ROWS = [
    Row("asks", "may", "encrypt:table:TLSv1.2"),
    Row("asks", "encrypt", "encrypt:table:TLSv1.2"),
    Row("asks", "verify", "verify:table:TLSv1.2"),
    Row("asks", "secure", "verify:table:TLSv1.2", more='match = { ".peer.test" }'),
    Row("asks", "secure", "untrusted", f"but for {NAME}"),      # the next hop's name is not in it
    Row("asks", "fingerprint", "verify:table:TLSv1.2", more="RIGHT"),
    Row("asks", "fingerprint", "untrusted", "fingerprint", more="WRONG"),
    Row("requires", "encrypt", "refused", "No client certificate presented"),   # 421 inside TLS
]


# ---- the servers ----

def chain(workshop, ca, name, host=NAME, **options):
    return sign_certificate(workshop, ca, name, host, **options)


def openssl_servers(workshop, ca):
    good, rsa = chain(workshop, ca, "good"), chain(workshop, ca, "rsa", bits=2048)
    other = chain(workshop, ca, "other", "other.test")
    expired = chain(workshop, ca, "expired", days=-1)
    weak = chain(workshop, ca, "weak", bits=1024)
    old = ("-tls1_2", "-cipher", "AES128-SHA:ECDHE-RSA-AES128-SHA")
    lax = ("-cipher", "ALL:@SECLEVEL=0")
    kinds = {
        "tls13": (good, ("-tls1_3",)), "tls12": (good, ("-tls1_2",)), "old ciphers": (rsa, old),
        "tls11": (rsa, ("-tls1_1", *lax)), "wrong name": (other, ()), "expired": (expired, ()),
        "weak": (weak, ("-tls1_2", *lax)),
        "client wanted 1.2": (good, ("-tls1_2", "-Verify", "1")),
        "client wanted 1.3": (good, ("-tls1_3", "-Verify", "1")),
    }
    return {name: (OpensslServer(workshop, name.replace(" ", "-"), cert, options).start(), cert[0])
            for name, (cert, options) in kinds.items()}


def postfix_kinds(workshop, ca):
    """Each as its settings; they are run one after the other."""
    cert, key = chain(workshop, ca, "postfix-rsa", bits=2048)
    asks = {"smtpd_tls_ask_ccert": "yes", "smtpd_tls_cert_file": cert, "smtpd_tls_key_file": key,
            "smtpd_tls_protocols": "TLSv1.2", "smtpd_tls_mandatory_protocols": "TLSv1.2",
            "tls_medium_cipherlist": "AES128-SHA:ECDHE-RSA-AES128-SHA"}
    requires = asks | {"smtpd_tls_security_level": "encrypt", "smtpd_tls_req_ccert": "yes"}
    return cert, {"asks": asks, "requires": requires}


# ---- what becomes of a message to each ----

def fingerprint(cert):
    der = subprocess.run(["openssl", "x509", "-in", cert, "-outform", "DER"], check=True,
                         capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()


def section(row, domain, cert, ca, stranger):
    more = row.more
    if more in ("RIGHT", "WRONG"):
        digest = fingerprint(cert) if more == "RIGHT" else "0" * 64
        more = f'fingerprints = {{ "sha256:{digest}" }}'
    if more == "STRANGER":
        more, ca = "", stranger
    if row.level == "verify" and "match" not in more:
        more += f' match = {{ "{NAME}" }}'
    trust = f'ca-file = "{ca[0]}"' if row.level in ("verify", "secure") else ""
    return f'tls "{domain}" {{ level = "{row.level}" {trust} {more} }}'


def configuration(rows, servers, ca, stranger):
    """A domain for each row."""
    hops, sections = {}, []
    for number, row in enumerate(rows):
        server, cert = servers[row.server]
        hops[f"d{number}.test"] = f"[{server.host}]:{server.port}"
        sections.append(section(row, f"d{number}.test", cert, ca, stranger))
    return routes(hops) + "\n" + "\n".join(sections)


def first_word(relay, domain):
    """The first that the log has to say of the message for a domain: its event."""
    def said():
        return [event for event in relay.events() if domain in event.get("to", "")
                and event["event"] in ("delivered", "deferred")]
    return wait_until(said, f"a verdict for {domain}", alive=[relay.daemon])[0]


def check_row(relay, row, number):
    name = f"{row.server} under {row.level}: {row.reached} {row.why}"
    event = first_word(relay, f"d{number}.test")
    if ":" in row.reached:
        check(event["event"] == "delivered" and event["tls"].startswith(row.reached), name, event)
        return
    refused = row.reached == "refused"
    why = event["reply" if refused else "why"] if event["event"] == "deferred" else ""
    check(event["dsn"] == ("4.7.1" if refused else "4.7.5") and row.why in why, name, event)
    if refused:
        return                       # by a reply, so there is nothing to say of TLS
    told = [failure for failure in relay.events("tls-failed")
            if failure["outcome"] == row.reached and row.why in failure["why"]]
    check(told != [], f"{name}: and it has an event", relay.events("tls-failed"))


def check_rows(workshop, name, rows, servers, ca, stranger):
    relay = Relay(workshop, name, top=configuration(rows, servers, ca, stranger),
                  back_off="60s", destination="messages-per-connection = 1").start()
    with RawClient(relay.host, relay.port) as client:
        for number in range(len(rows)):
            client.deliver("a@app.test", [f"b@d{number}.test"], MAIL)
    for number, row in enumerate(rows):
        check_row(relay, row, number)
    relay.stop()


def test(workshop):
    ca, stranger = make_ca(workshop), make_ca(workshop, "stranger")
    check_rows(workshop, "to-openssl", OPENSSL_ROWS, openssl_servers(workshop, ca), ca, stranger)
    cert, kinds = postfix_kinds(workshop, ca)
    for kind, settings in kinds.items():
        server = Postfix(workshop, settings).start()
        rows = [row for row in POSTFIX_ROWS if row.server == kind]
        check_rows(workshop, f"to-postfix-{kind}", rows, {kind: (server, cert)}, ca, stranger)
        server.stop()


run_test(test)
