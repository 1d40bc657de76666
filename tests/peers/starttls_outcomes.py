#!/usr/bin/env python3
"""Each way in which STARTTLS can end (RFC 3207), under `none`, `may`, `encrypt` and `verify`: what
the log says and the metrics count, that nothing goes in clear above `may`, and what the flight
recorder keeps.

The relay's clock runs faster for what takes until a deadline."""
import glob
import json
import urllib.request
from collections import Counter

from lib.exposition import families_of
from lib.millrace import Relay, binary, routes
from lib.rawsmtp import RawClient
from lib.servers import make_certificate
from lib.starttls import StartTlsServer
from lib.workshop import Skip, check, run_test, wait_until

MAIL = b"Subject: x\r\nMessage-ID: <1@app.test>\r\n\r\nx\r\n"
FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)

# way -> (the outcome's word, what `may` does, the status above `may`)
WAYS = {
    "not-offered": ("not-offered", "plain", "4.7.4"),
    "501": ("refused", "plain", "4.7.4"),
    "refused": ("refused", "plain", "4.7.4"),
    "wrong": ("refused", "plain", "4.7.4"),
    "residue": ("residue", "plain anew", "4.7.5"),
    "fragment": ("residue", "plain anew", "4.7.5"),
    "garbage": ("handshake-failed", "plain anew", "4.7.5"),
    "closed": ("handshake-failed", "plain anew", "4.7.5"),
    "endless": ("handshake-failed", "plain anew", "4.7.5"),
    "alert": ("alert", "plain anew", "4.7.5"),
    "late-alert": ("alert|handshake-failed", "plain anew", "4.7.5"),   # a reset may overtake it
}
FASTER = 50                                  # so many times the clock runs
SLOW = {
    "stalled": ("stalled", "plain anew", "4.7.5"),
    "dripping": ("stalled", "plain anew", "4.7.5"),
    "dripping-reply": ("stalled", "plain anew", "4.7.5"),
}
EACH = 3                                     # messages for a domain


class World:
    """A relay of one level, and a server for each way."""

    def __init__(self, workshop, certificate, level, ways, env=None, tls=""):
        self.level = level
        self.servers = {way: StartTlsServer(workshop, certificate, [way]).start() for way in ways}
        self.admin = workshop.free_port()
        hops = {f"{way}.test": server.next_hop for way, server in self.servers.items()}
        self.relay = Relay(workshop, f"{level}-{len(ways)}", level=level, back_off="100s", env=env,
                           retry="first = 1h factor = 1 longest = 1h give-up = 5d",
                           top=f'admin "127.0.0.1:{self.admin}" {{ }}\n{routes(hops)}\n{tls}'
                           ).start()

    def send(self, way, number=EACH):
        with RawClient(self.relay.host, self.relay.port) as client:
            for i in range(number):
                client.deliver("a@app.test", [f"m{i}@{way}.test"], MAIL)

    def poke(self):
        """Timers are looked at when something happens: a fast clock does not shorten a wait."""
        for _ in range(8):
            with RawClient(self.relay.host, self.relay.port):
                pass

    def metrics(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics") as page:
            return families_of(page.read().decode())[name].samples

    def outcomes(self):
        """How often each was counted."""
        counts = Counter()
        for _, labels, value in self.metrics("millrace_tls_policy_total"):
            counts[labels["result"]] += int(value)
        return counts

    def failures(self, way):
        shown = self.relay.command("dest", "show", f"{way}.test", "--last-failures", "--json")
        return json.loads(shown.stdout)["last_failures"]

    def tls_failed(self, way):
        hop = self.servers[way].next_hop
        return [e for e in self.relay.events("tls-failed") if e["relay"] == hop]


def all_in_clear(world, way):
    """Under `none` and `may`."""
    server = world.servers[way]
    wait_until(lambda: world.poke() or len(server.clear) == EACH,
               f"{world.level}: {way}: {EACH} messages in clear", alive=[world.relay.daemon])


def deferred(world, way):
    """Above `may`: one tells, the others wait for the site."""
    def told():
        world.poke()
        return [e for e in world.relay.events("deferred") if f"@{way}.test>" in e["to"]]
    return wait_until(told, f"{world.level}: {way}: deferred", alive=[world.relay.daemon])


def look_at_none(world, ways):
    for way in ways:
        world.send(way)
        all_in_clear(world, way)
        server = world.servers[way]
        check("STARTTLS" not in server.commands, f"none: {way}: STARTTLS is not said")
        check(not world.tls_failed(way), f"none: {way}: nothing failed")


def look_at_may(world, ways):
    for way, (outcome, then, status) in ways.items():
        world.send(way)
        all_in_clear(world, way)
        server, told = world.servers[way], world.tls_failed(way)
        mailed = [verbs for verbs in server.begun if "MAIL" in verbs]
        anew = then == "plain anew"
        check(all(("STARTTLS" in verbs) != anew for verbs in mailed) or way == "not-offered",
              f"may: {way}: in clear on {'a new' if anew else 'the same'} connection", server.begun)
        check({e["outcome"] for e in told} <= set(outcome.split("|"))
              and bool(told) == (way != "not-offered"), f"may: {way}: the log says {outcome}", told)
        if anew:                     # RFC 7435: what fails is not tried again for a while
            asked = sum("STARTTLS" in verbs for verbs in server.begun)
            world.send(way)
            wait_until(lambda: world.poke() or len(server.clear) == 2 * EACH, f"{way}: more mail")
            check(sum("STARTTLS" in verbs for verbs in server.begun) == asked,
                  f"may: {way}: the next messages do not fail again")
        if told:
            look_at_record(world, way, outcome, status)


def look_at_record(world, way, outcome, status):
    records = [r for r in world.failures(way) if r["event"] == "tls-failed"]
    check(1 <= len(records) <= 2, f"{world.level}: {way}: the failed session is kept", records)
    record = records[0]
    said = [(line["by"], line["line"].split()[0]) for line in record["dialogue"]]
    check(record["outcome"] in outcome.split("|") and record["status"] == status and record["why"],
          f"{world.level}: {way}: it is told as {outcome} {status}: {record['why']}", record)
    check(said[:2] == [("server", "220"), ("relay", "EHLO")], f"{way}: the dialogue", said)
    check(outcome in ("not-offered", "withdrawn") or ("relay", "STARTTLS") in said, f"{way}: and STARTTLS", said)
    text = world.relay.command("dest", "show", f"{way}.test", "--last-failures").stdout
    check(f"tls-failed: {record['outcome']}" in text and "--> EHLO relay.test" in text
          and all(" " <= c <= "~" or c == "\n" for c in text), f"{way}: people can read it", text)


def look_at_encrypt(world, ways):
    for way, (outcome, _, status) in ways.items():
        world.send(way)
        tried, told = deferred(world, way), world.tls_failed(way)
        check({e["dsn"] for e in tried} == {status},
              f"{world.level}: {way}: one is deferred with {status}, the others wait", tried)
        check(told and {e["outcome"] for e in told} <= set(outcome.split("|")),
              f"{world.level}: {way}: is {outcome}", told)
        server = world.servers[way]
        check(not server.clear and "MAIL" not in [v for verbs in server.begun for v in verbs],
              f"{world.level}: {way}: nothing went in clear", server.begun)
        look_at_record(world, way, outcome, status)


def look_at_counts(world, ways):
    counts = world.outcomes()
    for outcome in {row[0] for row in ways.values()}:
        check(any(counts[word] for word in outcome.split("|")), f"{world.level}: {outcome} is counted", counts)


def test_quick(workshop, certificate):
    world = World(workshop, certificate, "none", WAYS)
    look_at_none(world, WAYS)
    check(not world.outcomes() or set(world.outcomes().values()) == {0}, "none: nothing is counted")
    world.relay.stop()
    for level in ("may", "encrypt"):
        world = World(workshop, certificate, level, WAYS)
        (look_at_may if level == "may" else look_at_encrypt)(world, WAYS)
        look_at_counts(world, WAYS)
        world.relay.stop()


def test_slow(workshop, certificate):
    """The deadline of STARTTLS is one for its reply and the whole handshake, however it drips."""
    if FAKETIME is None:
        raise Skip("no libfaketime: ./dev test installs it")
    fast = {"LD_PRELOAD": FAKETIME, "FAKETIME": f"+0 x{FASTER}"}
    for level in ("may", "encrypt"):
        world = World(workshop, certificate, level, SLOW, env=fast)
        (look_at_may if level == "may" else look_at_encrypt)(world, SLOW)
        look_at_counts(world, SLOW)
        world.relay.stop()


def storm(world, number):
    """Many messages at once to a server that says 454."""
    back_offs = value_of_back_offs(world)
    with RawClient(world.relay.host, world.relay.port) as client:
        for i in range(number):
            client.deliver("a@app.test", [f"m{i}@temporary.test"], MAIL)
    wait_until(lambda: world.relay.events("deferred"), "one is deferred", alive=[world.relay.daemon])
    wait_until(lambda: world.relay.stats()["connections"]["open"] == 0, "all connections are over")
    return value_of_back_offs(world) - back_offs


def value_of_back_offs(world):
    return sum(value for _, labels, value in world.metrics("millrace_throttled_total")
               if labels["reason"] == "back-off")


def test_454(workshop, certificate):
    """RFC 3207 4: the site backs off once, not each message; TLS is tried again, and `may` goes in
    clear only after so many deferrals."""
    world = World(workshop, certificate, "encrypt", ["temporary"])
    begun = storm(world, 50)
    deferred = world.relay.events("deferred")
    check(begun == 1 and len(deferred) == 1 and deferred[0]["dsn"] == "4.7.4",
          f"encrypt: 50 messages meet 454: {begun} back-off, {len(deferred)} deferral", deferred)
    check(not world.servers["temporary"].clear, "encrypt: 454: nothing went in clear")
    world.relay.stop()

    world = World(workshop, certificate, "may", ["temporary"])
    server = world.servers["temporary"]
    begun = storm(world, 50)
    check(begun == 1 and not server.clear, "may: a storm of 454 is one: nothing goes in clear yet")
    for round in (2, 3):
        world.relay.command("queue", "retry", "--all", "--reason", "try now")
        wait_until(lambda: len(world.relay.events("deferred")) >= round,
                   f"may: deferral {round}", alive=[world.relay.daemon])
        check(not server.clear, f"may: 454, time no. {round}: not in clear")
    world.relay.command("queue", "retry", "--all", "--reason", "try now")
    wait_until(lambda: len(server.clear) == 50, "may: then all go in clear",
               alive=[world.relay.daemon])
    check(all("STARTTLS" in verbs for verbs in server.begun if "MAIL" in verbs), "may: TLS was tried each time")
    world.relay.stop()


def test_inside(workshop, certificate):
    """What TLS brings: a keyword inside is ignored (RFC 3207 4.2); a name that does not fit."""
    ca = f'tls "named.test" {{ level = "verify" match = {{ "peer.test" }} ca-file = "{certificate[0]}" }}'
    world = World(workshop, certificate, "may", ["named", "unnamed", "wants-tls"],
                  tls=ca + f'\ntls "unnamed.test" {{ level = "verify" match = {{ "other.test" }} '
                  f'ca-file = "{certificate[0]}" }}')
    world.send("named")
    named, unnamed = world.servers["named"], world.servers["unnamed"]
    wait_until(lambda: len(named.inside) == EACH, "verify: mail goes inside TLS",
               alive=[world.relay.daemon])
    check(named.asked_inside == 0 and not named.clear, "STARTTLS inside TLS is not said again")
    connected = [e for e in world.relay.events("connected") if e["relay"] == named.next_hop]
    check(connected and all(e["tls"].startswith("verify:table:TLSv1.3:") and e["cipher"]
                            and e["tls-required"] == "verify" for e in connected),
          "the log has each upgrade", connected)
    world.send("unnamed")
    check([e["dsn"] for e in deferred(world, "unnamed")] == ["4.7.5"], "another name: 4.7.5")
    check({e["outcome"] for e in world.tls_failed("unnamed")} == {"untrusted"}
          and not unnamed.clear and not unnamed.inside, "another name: untrusted, and no mail")
    look_at_record(world, "unnamed", "untrusted", "4.7.5")
    world.send("wants-tls")              # RFC 3207 6: the keyword may have been stripped
    told = deferred_by_reply(world, "wants-tls")
    check(all(e["reply"].startswith("530 ") and e["dsn"].startswith("4.") for e in told),
          "530 to MAIL where STARTTLS was not offered: deferred, not bounced", told)
    check(not world.relay.events("bounced"), "nothing bounced")
    world.relay.stop()


def deferred_by_reply(world, way):
    return wait_until(lambda: [e for e in world.relay.events("deferred") if f"@{way}.test>" in e["to"]],
                      f"{way}: deferred", alive=[world.relay.daemon])


def test_withdrawn(workshop, certificate):
    """RFC 3207 6: what was offered before and is not now is told as a downgrade."""
    for level in ("may", "encrypt"):
        world = World(workshop, certificate, level, ["changes"])
        server = world.servers["changes"]
        server.ways = ["fine", "not-offered"]
        world.send("changes", 1)
        wait_until(lambda: len(server.inside) == 1, f"{level}: the first goes inside TLS",
                   alive=[world.relay.daemon])
        server.hang_up()
        if level == "encrypt":          # whatever becomes of the site
            world.relay.reload()
            wait_until(lambda: world.relay.events("reloaded"), "all ways are looked for anew",
                       alive=[world.relay.daemon])
        world.send("changes", 1)
        wait_until(lambda: world.relay.events("tls-downgrade"), f"{level}: a downgrade is told",
                   alive=[world.relay.daemon])
        check(world.outcomes()["withdrawn"] > 0, f"{level}: and counted")
        if level == "may":
            wait_until(lambda: len(server.clear) == 1, "may: it goes in clear")
        else:
            check(deferred(world, "changes")[0]["dsn"] == "4.7.4" and not server.clear,
                  "encrypt: it is deferred")
            look_at_record(world, "changes", "withdrawn", "4.7.4")
        world.relay.stop()


def test(workshop):
    binary()
    certificate = make_certificate(workshop)
    test_quick(workshop, certificate)
    test_454(workshop, certificate)
    test_inside(workshop, certificate)
    test_withdrawn(workshop, certificate)
    test_slow(workshop, certificate)


run_test(test)
