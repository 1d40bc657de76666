#!/usr/bin/env python3
"""Bad input gives one clear line on stderr, with what, where and what to do, and a sysexits
code."""
import os
import pwd
import shutil
import socket

from lib.millrace import Relay, binary
from lib.servers import make_certificate
from lib.workshop import Failed, check, run_command, run_test, say

USAGE, NO_INPUT, UNAVAILABLE, CANNOT_CREATE, TRY_LATER, CONFIG = 64, 66, 69, 73, 75, 78


class Tried:
    """Collects what was wrong, so that one run shows all there is."""

    def __init__(self):
        self.wrong = []

    def command(self, what, arguments, codes, words, **options):
        """`millrace ARGUMENTS` must end with one of `codes` and one line that has all `words`."""
        try:
            done = run_command([binary(), *arguments], within=30, check_code=False, **options)
        except Failed as reason:
            self.wrong.append(f"{what}: {reason}")
            return
        said = done.stderr.strip()
        faults = []
        if done.returncode not in codes:
            faults.append(f"exit code {done.returncode}, not {' or '.join(map(str, codes))}")
        if len(said.splitlines()) != 1:
            faults.append(f"{len(said.splitlines())} lines, not one")
        faults += [f"does not say {word!r}" for word in map(str, words) if word not in said]
        if faults:
            self.wrong.append(f"{what}: {'; '.join(faults)}; it said: {said!r}")
        else:
            say(f"  ok: {what} ({done.returncode}): {said}")

    def run(self, what, relay, codes, words, **options):
        self.command(what, ["run", "-c", relay.config], codes, words, **options)


def broken_configurations(tried, workshop):
    def with_line(name, text, words):
        path = workshop.path("bad.conf")
        good = Relay(workshop, "bad", route=["[127.0.0.1]:9"]).config.read_text()
        path.write_text(good + text + "\n")
        place = f"{path}:{len(good.splitlines()) + 1}"
        for command in ("check-config", "run"):
            tried.command(f"{command}, {name}", [command, "-c", path], [CONFIG], [*words(place)])

    with_line("unknown key", 'hostnam = "x"', lambda place: [place, "hostnam", "hostname"])
    with_line("bad unit", 'retry "x.test" { first = 5parsecs }', lambda place: [place, "5parsecs"])
    with_line("bad word", 'tls "x.test" { level = "encryptt" }', lambda place: [place, "encrypt"])
    with_line("missing closing brace", 'destination "x.test" { idle = 30s',
              lambda place: [str(workshop.path("bad.conf")) + ":"])
    with_line("unknown section", 'rout "x.test" { }', lambda place: [place, "rout", "route"])
    with_line("bad address", 'listen "127.0.0.1" { }', lambda place: [place, "127.0.0.1"])
    missing = workshop.path("missing.conf")
    tried.command("no such file", ["run", "-c", missing], [NO_INPUT, CONFIG], [missing])
    tried.command("unknown command", ["frobnicate"], [USAGE], ["frobnicate"])
    tried.command("unknown option", ["run", "--frobnicate"], [USAGE], ["frobnicate"])


def ports(tried, workshop):
    taken = workshop.free_port()
    with socket.create_server(("127.0.0.1", taken)):
        tried.run("port in use", Relay(workshop, "port", port=taken),
                  [UNAVAILABLE, CANNOT_CREATE, TRY_LATER], [f"127.0.0.1:{taken}", "in use"])
    other = Relay(workshop, "other").start()
    tried.run("port in use by another millrace", Relay(workshop, "same-port", port=other.port),
              [UNAVAILABLE, CANNOT_CREATE, TRY_LATER], [f"127.0.0.1:{other.port}", "in use"])
    tried.run("second process on the same spool", Relay(workshop, "same-spool", spool=other.spool),
              [UNAVAILABLE, CANNOT_CREATE, TRY_LATER], [other.spool])
    other.stop()


def certificates(tried, workshop):
    one, two = make_certificate(workshop, "one"), make_certificate(workshop, "two")
    tried.run("certificate that does not match its key",
              Relay(workshop, "pair", certificate=(one[0], two[1])), [CONFIG], [one[0], two[1]])
    tried.run("certificate that is not there",
              Relay(workshop, "absent", certificate=(workshop.path("no.pem"), one[1])),
              [CONFIG], [workshop.path("no.pem")])
    junk = workshop.write("junk.pem", "this is no certificate\n")
    tried.run("certificate that is none", Relay(workshop, "junk", certificate=(junk, one[1])),
              [CONFIG], [junk])


def used_spool(workshop, name):
    """A relay whose spool was made and closed in good order."""
    relay = Relay(workshop, name).start()
    relay.stop()
    return relay


def spools(tried, workshop):
    codes = [UNAVAILABLE, CANNOT_CREATE, 65, 74, 77, CONFIG]
    file = workshop.write("file", "not a directory\n")
    tried.run("spool that is a file", Relay(workshop, "file", spool=file), codes, [file])
    relay = Relay(workshop, "nowhere", spool=workshop.path("file", "spool"))
    tried.run("spool that cannot be made", relay, codes, [relay.spool])

    relay = used_spool(workshop, "garbage")
    data = relay.spool / "data.mdb"
    data.write_bytes(os.urandom(data.stat().st_size))
    tried.run("spool that is garbage", relay, codes, [relay.spool])

    relay = used_spool(workshop, "newer")
    raise_format(relay.spool / "data.mdb")
    tried.run("spool of a newer format", relay, codes, [relay.spool, "newer"])

    if os.geteuid() == 0:
        relay = used_spool(workshop, "private")
        os.chmod(relay.spool, 0o700)
        os.chmod(relay.spool.parent, 0o777)     # the control socket's directory is not at fault
        reader = shutil.copy(binary(), workshop.path("millrace"))      # nobody must get at it
        done = run_command([reader, "run", "-c", relay.config], within=30, check_code=False,
                           user=pwd.getpwnam("nobody").pw_uid)
        check_one_line(tried, "spool that may not be read", done, codes, relay.spool)


def check_one_line(tried, what, done, codes, word):
    said = done.stderr.strip()
    if done.returncode in codes and len(said.splitlines()) == 1 and str(word) in said:
        say(f"  ok: {what} ({done.returncode}): {said}")
    else:
        tried.wrong.append(f"{what}: exit code {done.returncode}, said: {said!r}")


def raise_format(data):
    """Raise the format version in a spool's meta table: the number that is stored under the key
    `format` (LMDB keeps key and value of a small record side by side, and no checksum)."""
    content = bytearray(data.read_bytes())
    at, changed = content.find(b"format"), 0
    while at >= 0:
        content[at + 6] = 99
        changed += 1
        at = content.find(b"format", at + 1)
    if not changed:
        raise Failed("no key `format` in the spool: bad_input.py must learn where it is now")
    data.write_bytes(content)


def test(workshop):
    binary()
    tried = Tried()
    broken_configurations(tried, workshop)
    ports(tried, workshop)
    certificates(tried, workshop)
    spools(tried, workshop)
    check(not tried.wrong, "each gave one clear line and the right exit code",
          "\n".join(tried.wrong))


run_test(test)
