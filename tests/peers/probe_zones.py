#!/usr/bin/env python3
"""millrace probe against local zones, signed and not, and MTA-STS policies of a real nginx: the
verdict that a message would get, and the exit code that tells it."""
import json

from lib.millrace import Sink, binary
from lib.policyhost import HOST, PolicyHost, policy
from lib.servers import Nsd, make_ca, sign_certificate
from lib.workshop import check, run_command, run_test
from lib.zones import Signed, tlsa_of_key

GOOD, MISNAMED, PLAIN, TEMPORARY = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
DELIVERABLE, DEFERRED = 0, 75

# domain, level, exit code, the way or the status, words of the reason
VERDICTS = [
    ("good.safe.test", "dane", DELIVERABLE, "verify:dane:TLSv1.3", ""),
    ("stale.safe.test", "dane", DEFERRED, "4.7.5", "TLSA"),
    ("none.safe.test", "dane-only", DEFERRED, "4.7.5", "it has no TLSA records"),
    ("good.example", "may", DELIVERABLE, "verify:sts:TLSv1.3", ""),
    ("misnamed.example", "may", DEFERRED, "4.7.5", "not for mx-bad.example"),
    ("mismatch.example", "may", DEFERRED, "4.7.5", "matches no mx of the MTA-STS policy"),
    ("testing.example", "may", DELIVERABLE, "encrypt:table:TLSv1.3", ""),
    ("broken.example", "may", DELIVERABLE, "encrypt:table:TLSv1.3", ""),
    ("plain.example", "may", DELIVERABLE, "none:table", ""),
    ("plain.example", "encrypt", DEFERRED, "4.7.4", "does not offer STARTTLS"),
    ("temporary.example", "may", DEFERRED, "4.7.4", ""),
    ("temporary.example", "encrypt", DEFERRED, "4.7.4", ""),
]


def safe_zone(port, key):
    at = f"_{port}._tcp"
    return (f"good MX 10 mx1\nmx1 A {GOOD}\n{at}.mx1 TLSA 3 1 1 {key}\n"
            f"stale MX 10 mx2\nmx2 A {GOOD}\n{at}.mx2 TLSA 3 1 1 {'00' * 32}\n"
            f"none MX 10 mx3\nmx3 A {GOOD}\n")


def plain_zone():
    text = f"mx-good A {GOOD}\nmx-bad A {MISNAMED}\n"
    for name, host in (("good", "mx-good"), ("misnamed", "mx-bad"), ("mismatch", "mx-good"),
                       ("testing", "mx-bad"), ("broken", "mx-good")):
        text += (f"{name} MX 10 {host}\nmta-sts.{name} A {HOST}\n"
                 f'_mta-sts.{name} TXT "v=STSv1; id=one;"\n')
    return text + (f"plain MX 10 mx-plain\nmx-plain A {PLAIN}\n"
                   f"temporary MX 10 mx-temporary\nmx-temporary A {TEMPORARY}\n")


def start_sinks(workshop, port, ca):
    """The mail hosts; the certificate of the good one."""
    options = {}
    for host, name in ((GOOD, "mx-good.example"), (MISNAMED, "somebody.else.example")):
        cert, key = sign_certificate(workshop, ca, f"sink-{host}", name)
        options[host] = ["--tls-cert", cert, "--tls-key", key]
        Sink(workshop, f"sink-{host}", host=host, port=port, tls=False, options=options[host]).start()
    Sink(workshop, "sink-plain", host=PLAIN, port=port, tls=False).start()
    Sink(workshop, "sink-454", host=TEMPORARY, port=port, faults=["starttls:454:1"]).start()
    return options[GOOD][1]


def start_policies(workshop, ca):
    policies = PolicyHost(workshop, ca)
    policies.add("good.example", policy("enforce", "*.example"))
    policies.add("misnamed.example", policy("enforce", "*.example"))
    policies.add("mismatch.example", policy("enforce", "mx.elsewhere.example"))
    policies.add("testing.example", policy("testing", "mx.elsewhere.example"))
    policies.add("broken.example", "no policy")
    return policies.start()


def configure(workshop):
    hosts = (GOOD, MISNAMED, PLAIN, TEMPORARY, "127.0.0.1")
    port = workshop.free_port(hosts)
    ca = make_ca(workshop)
    key = tlsa_of_key(start_sinks(workshop, port, ca))
    nsd = Nsd(workshop, {"example.": plain_zone(), "safe.test.": Signed(safe_zone(port, key))}).start()
    policies = start_policies(workshop, ca)
    return workshop.write("probe.conf", f"""\
hostname = "relay.test"
spool = "{workshop.path("none")}"
resolver = "127.0.0.1:{nsd.port}"
trust-anchor = "{nsd.anchor}"
smtp-port = {port}
allow-loopback = true
mta-sts-port = {policies.port}
mta-sts-ca-file = "{ca[0]}"
tls "*" {{ level = "dane" ca-file = "{ca[0]}" }}
""")


def probe(config, domain, level, *options):
    return run_command([binary(), "probe", domain, "--level", level, "-c", config, *options],
                       check_code=False)


def foretold(config, domain, level):
    done = probe(config, domain, level, "--json")
    found = json.loads(done.stdout) if done.stdout else {"verdict": {"status": done.stderr}}
    return done.returncode, found


def verdicts(config):
    for domain, level, code, way, words in VERDICTS:
        got, found = foretold(config, domain, level)
        verdict = found.get("verdict", {})
        check((got, found.get("way") or verdict["status"]) == (code, way) and
              words in verdict.get("text", ""),
              f"{domain} under {level}: {way} {verdict.get('text', '')}", json.dumps(found, indent=1))


def what_is_shown(config):
    _, found = foretold(config, "good.safe.test", "dane")
    check(found["dnssec"] and found["mta_sts"] is None and found["hosts"][0]["required"]["tlsa"],
          "DNSSEC, TLSA records, no policy")
    _, found = foretold(config, "good.example", "may")
    check(not found["dnssec"] and found["mta_sts"] == {
        "mode": "enforce", "id": "one", "max_age": 604800, "mx": ["*.example"]}, "the policy", found)
    _, found = foretold(config, "testing.example", "may")
    check("testing" in found["hosts"][0]["required"]["doubted"], "and what only testing lets through")
    _, found = foretold(config, "broken.example", "may")
    check(found["mta_sts_failure"]["kind"] == "sts-policy-invalid", "and what is the matter with one")
    text = probe(config, "mismatch.example", "may")
    check("  MTA-STS enforce, id one, for 604800s: mx.elsewhere.example\n" in text.stdout and
          "  DNSSEC no\n" in text.stdout and text.stderr == "", "for people, too", text.stdout)


def test(workshop):
    config = configure(workshop)
    verdicts(config)
    what_is_shown(config)


run_test(test)
