#!/usr/bin/env python3
"""Who may hand in, from the operator's side: `millrace passwd`, the users file as it changes under a
running relay, guessing, users' limits, XCLIENT (by hand, and from nginx), and what of it all is told
and what never is."""
import base64
import http.server
import json
import os
import pty
import smtplib
import ssl
import subprocess
import threading

from lib.millrace import Relay, Sink, binary
from lib.rawsmtp import RawClient, Refused
from lib.servers import make_certificate, program_of, root_of
from lib.workshop import PATIENCE, Failed, Skip, answers, check, run_test, say, wait_until

SMALL = b"Subject: x\r\n\r\nx\r\n"
PASSWORD, OTHER = "correct horse", "battery staple"
PROXY, STRANGER = "127.0.0.2", "127.0.0.3"    # nginx comes from 127.0.0.1

TOP = """
users = "{users}"
xclient-from = {{ "{proxy}", "127.0.0.1" }}
limits {{ auth-failures = 3 auth-delay = 1ms connections-per-client = 5 }}
user "limited" {{ messages-per-hour = 2 recipients-per-message = 1 senders = {{ "app.test" }} }}
listen "127.0.0.1:{submission}" {{ auth = "offered" certificate = "{0}" key = "{1}" }}
"""


def refused(what, wanted, action):
    try:
        action()
    except Refused as reply:
        check(reply.text.startswith(wanted), f"{what}: {reply.text}")
    else:
        raise Failed(f"{what}: was not refused")


class Side:
    def __init__(self, workshop, sink):
        pair = make_certificate(workshop, "relay", "relay.test")
        self.port = workshop.free_port()
        self.users = workshop.path("users")
        top = TOP.format(*pair, users=self.users, submission=self.port, proxy=PROXY)
        self.relay = Relay(workshop, route=[sink.next_hop], top=top, relay_from='"127.0.0.1"')

    def passwd(self, *arguments, given=b""):
        return subprocess.run([binary(), "passwd", "-c", self.relay.config, *arguments],
                              input=given, capture_output=True, timeout=PATIENCE)

    def client(self, source=STRANGER, port=None, **options):
        return RawClient("127.0.0.1", port or self.port, source=source, **options)

    def login(self, user, password, source=STRANGER):
        """A client inside TLS that has authenticated, by PLAIN."""
        client = self.client(source, starttls=True)
        try:
            client.command(plain(user, password), 235)
        except Refused:
            client.close()
            raise
        return client


def plain(user, password):
    return "AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def deliver(client, sender="a@app.test", recipients=("b@peer.test",)):
    return client.deliver(sender, recipients, SMALL)


# ---- millrace passwd ----

def types_it(side, name, *lines):
    """Set a password on a terminal; (exit code, what was seen there)."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(binary(), ["millrace", "passwd", "-c", str(side.relay.config), name])
    seen = b""
    for prompts, line in enumerate(lines, 1):
        while seen.count(b": ") < prompts:
            seen += os.read(terminal, 1024)
        os.write(terminal, line.encode() + b"\n")
    try:
        while chunk := os.read(terminal, 1024):
            seen += chunk
    except OSError:         # its end
        pass
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode()


def command(side):
    check(side.passwd("ann", given=PASSWORD.encode() + b"\n").returncode == 0, "passwd: set")
    check(side.users.stat().st_mode & 0o777 == 0o600, "the file is its owner's alone")
    check(PASSWORD not in side.users.read_text(), "and holds no password")
    code, seen = types_it(side, "bob", OTHER, OTHER)
    check(code == 0 and OTHER not in seen, "passwd on a terminal: set, and not shown", seen)
    code, seen = types_it(side, "bob", OTHER, PASSWORD)
    check(code == 65 and "different" in seen, "two different ones: 65", seen)
    check(side.passwd("limited", given=PASSWORD.encode()).returncode == 0, "without a newline: set")
    check(side.passwd("--cram-md5", "old", given=b"pen:cil\n").returncode == 0, "--cram-md5: set")
    for name, given in (("a:b", b"x\n"), ("x", b"\n"), ("x", b"\xff\n"), ("x", b"")):
        check(side.passwd(name, given=given).returncode == 65, f"{name!r} with {given!r}: 65")
    check(side.passwd("--delete", "eve").returncode == 67, "--delete of nobody: 67")
    listed = side.passwd("--list", "--json").stdout.decode().splitlines()
    users = {user["name"]: user["cram-md5"] for user in map(json.loads, listed)}
    check(users == {"ann": False, "bob": False, "limited": False, "old": True}, "--list", listed)


def faults(side):
    """check-config says what is wrong with the file."""
    side.users.chmod(0o644)
    done = side.relay.command("check-config", check_code=False)
    check(done.returncode == 78 and "chmod 600" in done.stderr, "others may read it: 78", done.stderr)
    side.users.chmod(0o600)
    text = side.users.read_text()
    side.users.write_text(text + "eve:secret\n")
    done = side.relay.command("check-config", check_code=False)
    check(done.returncode == 78 and f"{side.users}:5: user eve: not {{SCRAM" in done.stderr
          and "secret" not in done.stderr, "a wrong line: 78, its number, and no secret", done.stderr)
    side.users.write_text(text)
    check(side.relay.command("check-config").returncode == 0, "mended: 0")


# ---- a running relay ----

def hands_in(side):
    with side.client() as client:
        check("AUTH" not in client.keywords, "AUTH is not offered in clear")
        refused("nor taken", "538 5.7.11", lambda: client.command(plain("ann", PASSWORD), 235))
        refused("and a stranger sends nothing", "530 5.7.0", lambda: deliver(client))
    with side.login("ann", PASSWORD) as client:
        deliver(client)
    line = wait_until(lambda: side.relay.events("received"), "received")[-1]
    check(line["user"] == "ann" and line["client"].startswith(STRANGER), "the log names her", line)
    with side.login("ann", PASSWORD) as client:
        client.command("RSET", 250)
        check("AUTH" not in client.command("EHLO client.test", 250), "AUTH is not offered again")


def with_smtplib(side):
    """Python's own client: CRAM-MD5 for the one user whose password is kept for it."""
    context = ssl._create_unverified_context()
    for user, password, code in (("old", "pen:cil", 235), ("ann", PASSWORD, 535)):
        with smtplib.SMTP("127.0.0.1", side.port, timeout=PATIENCE,
                          source_address=("127.0.0.4", 0)) as client:
            client.starttls(context=context)
            client.ehlo()
            client.user, client.password = user, password
            try:
                got, _ = client.auth("CRAM-MD5", client.auth_cram_md5)
            except smtplib.SMTPAuthenticationError as error:
                got = error.smtp_code
            check(got == code, f"smtplib, CRAM-MD5 as {user}: {got}")


def may(side, user, password, sources=(f"127.0.1.{n}" for n in range(1, 255))):
    """Whether they may; asked from another place each time, so that failures do not add up."""
    try:
        side.login(user, password, next(sources)).close()
    except Refused as reply:
        if reply.code != 535:
            raise
        return False
    return True


def changes(side):
    side.passwd("eve", given=b"apple\n")
    side.passwd("--delete", "bob")
    check(may(side, "bob", OTHER) and not may(side, "eve", "apple"), "a change waits for SIGHUP")
    side.relay.reload()
    wait_until(lambda: may(side, "eve", "apple"), "after it a new user may")
    wait_until(lambda: not may(side, "bob", OTHER), "and one who was deleted may not")
    good = side.users.read_text()
    side.users.write_text("eve\n")
    side.relay.reload()
    wait_until(lambda: side.relay.events("reload-failed"), "a wrong file is in the log")
    check(may(side, "eve", "apple"), "and the old one stays in effect")
    side.users.write_text(good)


def guessing(side):
    """Three failures, whichever user they are for; then 421, from this client only."""
    for user, password in (("ann", "wrong"), ("nobody", PASSWORD)):
        refused(f"as {user}", "535 5.7.8", lambda u=user, p=password: side.login(u, p, "127.0.0.6"))
    with side.client("127.0.0.6", starttls=True) as client:
        client.send(plain("ann", "secret-word").encode() + b"\r\n")
        client.expect(535, "the third")
        said = client.expect(421, "the third")
        check(client.closed(), f"and then it is over: {said}")
    refused("the right password now", "421 4.7.0", lambda: side.login("ann", PASSWORD, "127.0.0.6"))
    side.login("ann", PASSWORD, "127.0.0.7").close()
    check(True, "others are served")

    def failed():
        return [e for e in side.relay.events("auth-failed") if e["client"].startswith("127.0.0.6")]
    failures = wait_until(lambda: len(failed()) >= 3 and failed(), "three failures are in the log")
    check([e["user"] for e in failures] == ["ann", "nobody", "ann"] and
          [e["failures"] for e in failures] == ["1", "2", "3"], "each is in the log", failures)
    check(side.relay.stats()["inbound"]["auth_failed"] >= 3, "and counted")


def hasty(side):
    """Clients that are gone while their password is checked."""
    for number in range(20):
        client = side.client(f"127.0.2.{number + 1}", starttls=True)
        client.send(plain("eve", "apple").encode() + b"\r\n")
        client._socket.close()
    wait_until(lambda: side.relay.stats()["inbound"]["open"] == 0, "all have left",
               alive=[side.relay.daemon])
    side.login("eve", "apple").close()
    check(True, "clients that do not wait for the reply: others are served")


def limits(side):
    with side.login("limited", PASSWORD, "127.0.0.9") as client:
        refused("another sender", "550 5.7.1", lambda: deliver(client, "a@other.test"))
        deliver(client)
        refused("two recipients", "452 4.5.3",
                lambda: deliver(client, recipients=("b@peer.test", "c@peer.test")))
        refused("a third message", "452 4.7.1", lambda: deliver(client))
    with side.login("limited", PASSWORD, "127.0.0.10") as client:
        refused("over all connections", "452 4.7.1", lambda: deliver(client))


def xclient(side):
    with side.client(STRANGER) as client:
        check("XCLIENT" not in client.keywords, "XCLIENT is not offered to a stranger")
        refused("nor taken from one", "550 5.7.0",
                lambda: client.command("XCLIENT NAME=x.test", 220))
    with side.client(PROXY) as client:
        check("XCLIENT NAME ADDR PORT PROTO HELO LOGIN" in client.keywords, "XCLIENT is offered")
        client.command("XCLIENT NAME=mail.c.test ADDR=192.0.2.55 PORT=1234", 220)
        client.command("EHLO c.test", 250)
        refused("a client that may not", "530 5.7.0", lambda: deliver(client))
        refused("which may not be another", "550 5.7.0",
                lambda: client.command("XCLIENT ADDR=127.0.0.1", 220))
    with side.client(PROXY) as client:
        client.command("XCLIENT ADDR=192.0.2.56 LOGIN=ann+2Bx", 220)
        client.command("EHLO c.test", 250)
        deliver(client)
    line = wait_until(lambda: [e for e in side.relay.events("received") if e.get("user") == "ann+x"],
                      "one that a proxy has let in is in the log")[0]
    check(line["client"] == "192.0.2.56:0", "with its address", line)
    held = [side.client(PROXY) for _ in range(2)]
    for client in held:
        client.command("XCLIENT ADDR=192.0.2.57", 220)
    held += [side.client(PROXY) for _ in range(5)]
    check(True, "those that were passed on count as themselves")
    refused("the sixth of the proxy itself", "421 4.7.0", lambda: side.client(PROXY))
    for client in held:
        client.close()


NGINX = """
load_module {root}/usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log stderr;
events {{ }}
mail {{
    auth_http 127.0.0.1:{judge}/;
    proxy_pass_error_message on;
    xclient on;
    proxy_timeout 60s;
    server {{ listen 127.0.0.1:{port}; protocol smtp; smtp_auth login plain none; }}
}}
"""


class Judge(http.server.BaseHTTPRequestHandler):
    """Tells nginx where to go with a client: always to the relay."""
    relay = None

    def do_GET(self):
        self.send_response(200)
        for name, value in (("Status", "OK"), ("Server", "127.0.0.1"), ("Port", str(self.relay))):
            self.send_header(f"Auth-{name}", value)
        self.end_headers()

    def log_message(self, *_):
        pass


def through_nginx(side, workshop):
    """A proxy that passes its clients on by XCLIENT: without a login by their address, else by it."""
    program, env = program_of("nginx", "nginx", "sbin")
    port = workshop.free_port()
    Judge.relay = side.port
    judge = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=judge.serve_forever, daemon=True).start()
    config = workshop.write("nginx.conf", NGINX.format(
        root=root_of("nginx"), dir=workshop.dir, judge=judge.server_port, port=port))
    nginx = workshop.start("nginx", [program, "-c", config, "-p", workshop.dir, "-e", "stderr"],
                           env=env)
    wait_until(lambda: answers("127.0.0.1", port), "nginx answers", alive=[nginx])
    with RawClient("127.0.0.1", port, source=STRANGER) as client:
        refused("nginx: a stranger", "530 5.7.0", lambda: deliver(client))
    for source, before, seen in (("127.0.0.1", None, {"client": "127.0.0.1"}),
                                 (STRANGER, plain("eve", "whatever"), {"user": "eve"})):
        with RawClient("127.0.0.1", port, source=source) as client:
            if before:
                client.command(before, 235)
            deliver(client)
        line = wait_until(lambda s=source, u=seen.get("user"): [
            e for e in side.relay.events("received")
            if e["client"].startswith(s + ":") and e.get("user") == u and e["helo"] == "client.test"
            and e["tls"] == "none"], "it is in the log")
        check(line, f"nginx: {seen}", line)
    judge.shutdown()


def told(side, sink):
    """The trace header names who; nothing names a password."""
    mails = b"".join(sink.dumped())
    check(b"(authenticated: ann)\r\n\tby relay.test (Millrace) with ESMTPSA id" in mails,
          "the trace header names the user")
    check(b"(authenticated: ann+x)\r\n\tby relay.test (Millrace) with ESMTPA id" in mails,
          "and one that a proxy has let in")
    log = side.relay.log()
    secrets = (PASSWORD, OTHER, "secret-word", "apple", "pen:cil")
    secrets += tuple(base64.b64encode(secret.encode()).decode()[:8] for secret in secrets)
    check(not any(secret in log for secret in secrets), "no password is in the log")


def test(workshop):
    sink = Sink(workshop, dump=True).start()
    side = Side(workshop, sink)
    command(side)
    faults(side)
    side.relay.start()
    hands_in(side)
    with_smtplib(side)
    changes(side)
    guessing(side)
    hasty(side)
    limits(side)
    xclient(side)
    try:
        through_nginx(side, workshop)
    except Skip as why:
        say(f"  left out: {why}")
    side.relay.wait_until_empty()
    told(side, sink)
    check(side.relay.stop() == 0, "the relay ends with 0")


run_test(test)
