#!/usr/bin/env python3
"""Delivering through providers: AUTH as a client by every mechanism, to a real Postfix with Cyrus
SASL, an Exim and Millrace itself; implicit TLS and what it falls back to; tokens and passwords that change
under a running relay; what is told when they are not taken; and that no secret goes to whom it is
not meant for, or into a log. RFC 4954, 5802, 7628, 8314."""
import base64
import subprocess

from lib.millrace import Relay, Sink, binary
from lib.oddserver import OddServer
from lib.providers import MECHANISMS, KnowingExim, KnowingPostfix, TokenServer
from lib.rawsmtp import RawClient
from lib.servers import make_ca, make_certificate, sign_certificate
from lib.workshop import PATIENCE, check, run_test, wait_until

USER, PASSWORD, WRONG = "app", "correct horse", "battery staple"
TOKENS = ("token-number-one", "token-number-two", "token-number-three")
SECRETS = (PASSWORD, WRONG, *TOKENS)
SMALL = b"Subject: x\r\n\r\nx\r\n"


def said_plain():
    return base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())


def as_said():
    """What nobody may read, in whatever form it is said."""
    return (*SECRETS, said_plain().decode()[:8],
            *(base64.b64encode(secret.encode()).decode()[:8] for secret in SECRETS))


def login(name, file, more="", kind="password-file"):
    return f'login "{name}" {{ user = "{USER}" {kind} = "{file}" {more} }}\n'


def route(name, hosts, more=""):
    hosts = ", ".join(f'"{host}"' for host in hosts)
    return f'route "{name}" {{ hosts = {{ {hosts} }} {more} }}\n'


class Side:
    """The relay that logs in, and what all providers have in common."""

    def __init__(self, workshop):
        self.workshop = workshop
        self.ca = make_ca(workshop)
        self.pair = sign_certificate(workshop, self.ca, "provider", "localhost")
        self.relay = None

    def secret(self, name, text):
        """A new file in the place of the old one, as who renews tokens should do it."""
        fresh = self.workshop.write(f"{name}.new", text + "\n", mode=0o600)
        return fresh.rename(self.workshop.path(name))

    def start(self, name, top, **options):
        self.relay = Relay(self.workshop, name, level="verify", tls=f'ca-file = "{self.ca[0]}"', top=top,
                           destination='address-families = ipv4 messages-per-connection = 1',
                           **options).start()
        return self.relay

    def send(self, *domains):
        with RawClient(self.relay.host, self.relay.port) as client:
            for domain in domains:
                client.deliver("a@app.test", [f"b@{domain}"], SMALL)

    def end(self):
        """No secret is in the log, in whatever form it is said."""
        log = self.relay.log() + self.relay.command("check-config", "--dump").stdout
        check(not any(secret in log for secret in as_said()), "no secret is in the log, nor in --dump")
        self.relay.stop()


def by_mechanism(side, name, port, mechanisms, how="by-port"):
    """A route and a login for each, and "all.test" with all of them."""
    file = side.secret(f"{name}.secret", PASSWORD)
    top = login("all", file)
    top += route("all.test", [f"localhost:{port}"], f'tls = "{how}" login = "all"')
    for mechanism in mechanisms:
        word = mechanism.lower()
        top += login(word, file, f'mechanisms = {{ "{mechanism}" }}')
        top += route(f"{word}.test", [f"localhost:{port}"], f'tls = "{how}" login = "{word}"')
    side.start(name, top)
    side.send("all.test", *(f"{mechanism.lower()}.test" for mechanism in mechanisms))
    stats = side.relay.wait_until_empty()
    check(stats["delivered"] == len(mechanisms) + 1, f"{name}: each mechanism is taken", stats)
    check(not side.relay.events("login-failed"), f"{name}: and none refused")
    ways = {event["tls"].rsplit(":", 2)[0] for event in side.relay.events("delivered")}
    check(ways == {"verify:table"}, f"{name}: by hosts that were verified", ways)


def through_postfix(side):
    postfix = KnowingPostfix(side.workshop, side.pair, USER, PASSWORD).start()
    by_mechanism(side, "postfix", postfix.port, MECHANISMS)
    log = side.workshop.path("postfix.log").read_text()
    used = {mechanism: log.count(f"sasl_method={mechanism}, sasl_username={USER}")
            for mechanism in MECHANISMS}
    check(used == {m: 1 for m in MECHANISMS} | {"SCRAM-SHA-256": 2},
          "each mechanism was used, and the strongest where all may be", used)
    postfix.stop()
    side.end()


def through_exim(side):
    exim = KnowingExim(side.workshop, side.pair, USER, PASSWORD).start()
    by_mechanism(side, "exim", exim.port, ("CRAM-MD5", "PLAIN"), "implicit")
    log = (side.workshop.path("exim.log") / "main").read_text()
    check(log.count(f"A=cram:{USER}") == 2 and log.count(f"A=plain:{USER}") == 1,
          "Exim names who each mail came from", log)
    exim.stop()
    side.end()


class Millrace:
    """A submission server: STARTTLS on one port, TLS first on the other, nobody without AUTH."""

    def __init__(self, side):
        workshop = side.workshop
        self.sink = Sink(workshop, "end").start()
        self.ports = workshop.free_port(), workshop.free_port()
        certificate = f'certificate = "{side.pair[0]}" key = "{side.pair[1]}" auth = "required"'
        users = workshop.path("users")
        top = f'users = "{users}"\nlimits {{ auth-delay = 1ms auth-failures = 100 }}\n' + "".join(
            f'listen "127.0.0.1:{port}" {{ {certificate} tls = "{tls}" }}\n'
            for port, tls in zip(self.ports, ("required", "implicit")))
        self.relay = Relay(workshop, "provider", route=[self.sink.next_hop], top=top)
        subprocess.run([binary(), "passwd", "-c", self.relay.config, "--cram-md5", USER], check=True,
                       input=PASSWORD.encode(), capture_output=True, timeout=PATIENCE)
        self.relay.start()


def through_millrace(side, provider):
    mechanisms = ("SCRAM-SHA-256", "CRAM-MD5", "LOGIN", "PLAIN")
    for name, port, how in zip(("submission", "submissions"), provider.ports, ("starttls", "implicit")):
        before = provider.sink.count()
        by_mechanism(side, name, port, mechanisms, how)
        provider.sink.wait_for(before + len(mechanisms) + 1)
        side.end()
    received = provider.relay.events("received")
    check(all(event["user"] == USER for event in received), "it knew who each was from")
    check(not provider.relay.events("auth-failed"), "and nobody was refused")


def implicit(side, provider):
    """TLS first, by the port's name or by its word; what falls back, and where to."""
    starttls, tls_first = provider.ports
    closed = side.workshop.free_port()
    file = side.secret("implicit.secret", PASSWORD)
    top = login("all", file)
    top += route("first.test", [f"localhost:{tls_first}"], 'tls = "implicit" login = "all"')
    top += route("second.test", [f"localhost:{closed}", f"localhost:{tls_first}"],
                 'tls = "implicit" login = "all"')
    top += route("back.test", [f"localhost:{closed}"], 'tls = "implicit" fallback = "starttls" '
                 f'fallback-port = {starttls} login = "all"')
    top += route("wrong.test", [f"localhost:{starttls}"], 'tls = "implicit" fallback = "starttls" '
                 f'fallback-port = {starttls} login = "all"')
    top += route("never.test", [f"localhost:{starttls}"], 'tls = "implicit" login = "all"')
    side.start("implicit", top, back_off="1h")
    side.send("first.test", "second.test", "back.test", "wrong.test", "never.test")
    relay = side.relay
    wait_until(lambda: len(relay.events("delivered")) == 4 and relay.events("deferred"),
               "four are delivered, and one is deferred", alive=[relay.daemon])
    hosts = {event["to"].rstrip(">").split("@")[1]: event["relay"].rsplit(":", 1)[1]
             for event in relay.events("delivered")}
    check(hosts == {"first.test": str(tls_first), "second.test": str(tls_first),
                    "back.test": str(starttls), "wrong.test": str(starttls)},
          "each where it should be", hosts)
    deferred = relay.events("deferred")[0]
    probed = relay.command("probe", "first.test", "--json", check_code=False)
    check(probed.returncode == 0, "a probe goes there the same way", probed.stdout + probed.stderr)
    check("never.test" in deferred["to"] and deferred["dsn"] == "4.7.5",
          "what speaks first where TLS is first gets nothing", deferred)
    side.end()


def passwords(side, provider):
    """A wrong one: told, deferred, and the site backs off; a right one is taken without a reload."""
    file = side.secret("changing.secret", WRONG)
    top = login("corp", file) + route("corp.test", [f"localhost:{provider.ports[0]}"], 'login = "corp"')
    relay = side.start("passwords", top, back_off="1h")
    side.send("corp.test")
    wait_until(lambda: relay.events("deferred"), "it is deferred", alive=[relay.daemon])
    failed = relay.events("login-failed")
    check(len(failed) == 1 and failed[0]["login"] == "corp" and failed[0]["user"] == USER and
          failed[0]["code"] == "535" and "PLAIN" in failed[0]["mechanisms"], "login-failed tells", failed)
    deferred = relay.events("deferred")[0]
    check(deferred["dsn"] == "4.7.8", "with a status that says so", deferred)
    tried = len(failed[0]["mechanisms"].split())
    side.send(*["corp.test"] * 5)
    wait_until(lambda: relay.stats()["queued"] == 6, "six wait")
    check(len(relay.events("login-failed")) == 1, "and the site is left alone")
    check(len(provider.relay.events("auth-failed")) == tried, "each mechanism was tried once")
    file.chmod(0o644)
    done = relay.command("check-config", check_code=False)
    check(done.returncode == 78 and "chmod 600" in done.stderr, "check-config: others may read it",
          done.stderr)
    side.secret("changing.secret", PASSWORD)
    relay.command("queue", "retry", "--all", "--reason", "mended")
    stats = relay.wait_until_empty()
    check(stats["delivered"] == 6, "all are delivered, and nothing was reloaded", stats)
    side.end()


def tokens(side):
    server = TokenServer(side.workshop, side.pair, USER, TOKENS[0]).start()
    file = side.secret("token", TOKENS[0])
    top = "".join(
        login(word, file, f"mechanisms = {{ {word} }}", "token-file")
        + route(f"{word}.test", [f"localhost:{server.port}"], f'tls = "implicit" login = "{word}"')
        for word in ("xoauth2", "oauthbearer"))
    relay = side.start("tokens", top, back_off="1h")
    side.send("xoauth2.test", "oauthbearer.test")
    relay.wait_until_empty()
    check(sorted(server.taken) == ["OAUTHBEARER", "XOAUTH2"], "a token is taken", server.taken)
    check(all(sender.endswith(b"AUTH=<>") for sender, _, _ in server.mails), "MAIL says AUTH=<>",
          server.mails)
    server.token = TOKENS[1]
    side.secret("token", TOKENS[1])
    side.send("xoauth2.test", "oauthbearer.test")
    relay.wait_until_empty()
    check(len(server.taken) == 4, "so is a new one, without a reload", server.taken)
    server.token = TOKENS[2]
    side.send("xoauth2.test", "oauthbearer.test")
    failed = wait_until(lambda: (events := relay.events("login-failed")) and len(events) == 2 and events,
                        "the old one is told of", alive=[relay.daemon])
    check(all('status' in event["why"] and "401" in event["why"] for event in failed), "with the reason", failed)
    side.secret("token", TOKENS[2])
    relay.command("queue", "retry", "--all", "--reason", "mended")
    relay.wait_until_empty()
    check(len(server.taken) == 6, "and the third is taken", server.taken)
    side.end()


def whom_it_is_not_for(side):
    """No TLS; TLS with a certificate of somebody else's; and a server whose login may go in clear."""
    workshop = side.workshop
    stranger = make_certificate(workshop, "stranger", "localhost")
    clear = OddServer(workshop, keywords=["AUTH PLAIN LOGIN"]).start()
    other = TokenServer(workshop, stranger, USER, "", mechanisms="PLAIN LOGIN XOAUTH2").start()
    told = OddServer(workshop, keywords=["AUTH PLAIN"],
                     replies={"AUTH": b"535 5.7.8 not you\r\n"}).start()
    echoes = OddServer(workshop, keywords=["AUTH PLAIN"]).start()
    echoes.replies["AUTH"] = b"500 unknown: AUTH PLAIN " + said_plain() + b"\r\n"
    raw = OddServer(workshop, keywords=["AUTH PLAIN"]).start()     # no reply at all: the line comes back
    raw.replies["AUTH"] = b"AUTH PLAIN " + said_plain() + b"\r\n"
    file = side.secret("not.secret", PASSWORD)
    top = login("corp", file) + login("open", file, "in-clear = true")
    top += route("clear.test", [f"localhost:{clear.port}"], 'login = "corp"')
    top += route("other.test", [f"localhost:{other.port}"], 'tls = "implicit" login = "corp"')
    top += route("told.test", [f"localhost:{told.port}"], 'login = "open"')
    top += route("echoes.test", [f"localhost:{echoes.port}"], 'login = "open"')
    top += route("raw.test", [f"localhost:{raw.port}"], 'login = "open"')
    top += "".join(f'tls "{name}.test" {{ level = "none" }}\n' for name in ("told", "echoes", "raw"))
    relay = side.start("strangers", top, back_off="1h")
    side.send("clear.test", "other.test", "told.test", "echoes.test", "raw.test")
    wait_until(lambda: len(relay.events("deferred")) == 5, "all are deferred", alive=[relay.daemon])
    check("AUTH" not in clear.commands and "EHLO" in clear.commands,
          "who offers AUTH without TLS gets none", clear.commands)
    check(other.commands == [], "who is not trusted hears nothing at all", other.commands)
    check("AUTH" in told.commands, "but in clear where that is said", told.commands)
    kept = "".join(relay.command("dest", "show", domain, "--last-failures").stdout
                   for domain in ("told.test", "echoes.test", "raw.test"))
    check("not you" in kept and "AUTH PLAIN ..." in kept, "the flight recorder has the dialogue", kept)
    check(not any(secret in kept for secret in as_said()), "but no secret, not of who repeats it", kept)
    side.end()


def all_of_it(workshop):
    side = Side(workshop)
    provider = Millrace(side)
    through_millrace(side, provider)
    implicit(side, provider)
    passwords(side, provider)
    tokens(side)
    whom_it_is_not_for(side)
    through_exim(side)
    through_postfix(side)


run_test(all_of_it)
