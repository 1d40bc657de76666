/* Every error with its line, and what was meant: texts, and what is said of them. */
#include "tests/relay/config_reading.h"
#include "tests/suite.h"

#include <sys/stat.h>
#include <unistd.h>

#define SECTION_NAMES                                                                              \
    "listen, route, tls, destination, retry, limits, bounce, reply, admin, user, tlsrpt, login, "  \
    "include"

struct bad {
    const char *text, *errors;
};

static void expect_each(const struct bad *rows, size_t count)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    for (size_t i = 0; i < count; i++)
        expect_errors(&scratch, span_of(rows[i].text), rows[i].errors);
}

static void write_users(struct scratch *scratch, const char *name, const char *text, mode_t mode)
{
    char path[SCRATCH_FILE_MAX];
    scratch_write(scratch, name, span_of(text));
    must(chmod(scratch_name(scratch, name, path), mode) == 0);
}

/* One a line: whoever adds a key adds a line. */
#define TOP_NAMES                                                                                  \
    "hostname, "                                                                                   \
    "spool, "                                                                                      \
    "control, "                                                                                    \
    "submit, "                                                                                     \
    "submit-users, "                                                                               \
    "origin, "                                                                                     \
    "users, "                                                                                      \
    "workers, "                                                                                    \
    "durability, "                                                                                 \
    "map-size, "                                                                                   \
    "min-free, "                                                                                   \
    "log, "                                                                                        \
    "resolver, "                                                                                   \
    "dnssec, "                                                                                     \
    "trust-anchor, "                                                                               \
    "smtp-port, "                                                                                  \
    "allow-loopback, "                                                                             \
    "mta-sts-ca-file, "                                                                            \
    "mta-sts-port, "                                                                               \
    "tls-policy-map, "                                                                             \
    "tls-required-header, "                                                                        \
    "builtin-rules, "                                                                              \
    "drain, "                                                                                      \
    "relay-from, "                                                                                 \
    "xclient-from"

START_TEST(names_that_are_not_known)
{
    static const struct bad rows[] = {
        {"hostnam = \"x\"", "t.conf:1: unknown key \"hostnam\": did you mean \"hostname\"?\n"},
        {"\nrout \"x\" { hosts = \"y\" }",
         "t.conf:2: unknown section \"rout\": did you mean \"route\"?\n"},
        {"listen \"127.0.0.1:1\" {\n  certificat = \"x\"\n}",
         "t.conf:2: unknown key \"certificat\" in listen: did you mean \"certificate\"?\n"},
        {"tls \"*\" { xyzzy = 1 }",
         "t.conf:1: unknown key \"xyzzy\" in tls: known are level, on-454, plain-after, "
         "min-version, max-version, mta-sts, match, servername, fingerprints, ca-file, ciphers\n"},
        {"xyzzy { }", "t.conf:1: unknown section \"xyzzy\": known are " SECTION_NAMES "\n"},
        {"max-connections = 3",
         "t.conf:1: \"max-connections\" stands in the wrong place: it belongs to destination\n"},
        {"idle = 3s",
         "t.conf:1: \"idle\" stands in the wrong place: it belongs to destination or limits\n"},
        {"limits { spool = \"x\" }",
         "t.conf:1: \"spool\" stands in the wrong place in limits: it belongs to the top level\n"},
        {"limits { include(\"x\") }", "t.conf:1: \"include\" stands in the wrong place in limits: "
                                      "it belongs to the top level\n"},
        /* whatever stands behind it, reading goes on */
        {"one = { \"a\", \"b\" }\ntwo += 1\nthree(\"x\", y)\nfour \"t\" { x = { 1 } y { } }\n"
         "five \"x\"\nspol = 1",
         "t.conf:1: unknown key \"one\": known are " TOP_NAMES "\n"
         "t.conf:2: unknown key \"two\": known are " TOP_NAMES "\n"
         "t.conf:3: unknown section \"three\": known are " SECTION_NAMES "\n"
         "t.conf:4: unknown section \"four\": known are " SECTION_NAMES "\n"
         "t.conf:5: unknown section \"five\": known are " SECTION_NAMES "\n"
         "t.conf:6: unknown key \"spol\": did you mean \"spool\"?\n"},
        {"tls a.test { level = dane match = { nexthop } }",
         "t.conf:1: match has no use at level dane: names are looked for at verify and secure\n"},
        /* RFC 7672 1.3.1: without DNSSEC there is no DANE */
        {"dnssec = off\ntls a.test { level = dane-only }",
         "t.conf:1: dnssec is off, but tls \"a.test\" (t.conf:2) has level dane-only, which needs "
         "it: set it to validate or trust-ad\n"},
        {"dnssec = off trust-anchor = \"root.key\"",
         "t.conf:1: trust-anchor has no use but for dnssec = validate\n"},
        {"tls a.test { level = fingerprint }",
         "t.conf:1: level fingerprint needs fingerprints = { \"sha256:…\" }\n"},
        {"tls a.test { level = fingerprint fingerprints = { \"sha256:ab:cd\" } }",
         "t.conf:1: fingerprints: \"sha256:ab:cd\" is not the SHA-256 of a certificate or of its "
         "public key: sha256: and 64 hexadecimal digits\n"},
        {"tls a.test { level = secure match = { next } servername = dot-nexthop }",
         "t.conf:1: match: \"next\" is not hostname, nexthop, dot-nexthop, a name, or .name for all "
         "below it\n"
         "t.conf:1: servername: \"dot-nexthop\" is not one name: hostname, nexthop, or a name\n"},
        {"admin \"8025\" { }", "t.conf:1: admin \"8025\": not ADDRESS:PORT or the path of a unix "
                               "socket, as in 127.0.0.1:8025 or /run/millrace/admin.sock\n"},
        {"admin \"0.0.0.0:8025\" { }",
         "t.conf:1: admin \"0.0.0.0:8025\": everybody who reaches this address could ask: take a "
         "loopback address or a unix socket, or say allow-remote = true\n"},
        {"admin \"127.0.0.1:1\" { }\nadmin \"127.0.0.1:2\" { }",
         "t.conf:2: admin \"127.0.0.1:2\": there is one admin section already\n"},
        {"listen \"127.0.0.1:1\" { } admin \"127.0.0.1:1\" { }",
         "t.conf:1: admin \"127.0.0.1:1\": mail is taken there: take another port\n"},
    };
    expect_each(rows, countof(rows));
}
END_TEST

#define LOGIN "login corp { user = a password-file = f "
#define ROUTE "route \"*\" { hosts = \"a.test:587\" login = corp }\n"

/* RFC 4954 4, RFC 8314 3: a secret does not leave for whom the operator did not mean. */
START_TEST(logins)
{
    static const struct bad rows[] = {
        {"login corp { password-file = f }", "t.conf:1: login needs a user: user = \"NAME\"\n"},
        {"login corp { user = a }", "t.conf:1: login needs one of password-file = \"FILE\" and "
                                    "token-file = \"FILE\"\n"},
        {"login corp { user = a password-file = f token-file = g }",
         "t.conf:1: login needs one of password-file = \"FILE\" and token-file = \"FILE\"\n"},
        {LOGIN "\nmechanisms = { PLAIN, XOAUTH2 } }",
         "t.conf:2: OAUTHBEARER and XOAUTH2 need token-file, not password-file\n"},
        {"login corp { user = a token-file = f mechanisms = { plain } }",
         "t.conf:1: with token-file there are only OAUTHBEARER and XOAUTH2\n"},
        {LOGIN "mechanisms = { GSSAPI } }",
         "t.conf:1: mechanisms: \"GSSAPI\" is not one of those that are known: SCRAM-SHA-256 "
         "SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 LOGIN PLAIN OAUTHBEARER XOAUTH2\n"},
        {"login \"a b\" { user = a password-file = f }",
         "t.conf:1: login \"a b\": not a name of letters, digits, '.', '_' and '-'\n"},
        {LOGIN "}\n" LOGIN "}", "t.conf:2: login \"corp\" is there twice\n"},
        {"route x.test { hosts = \"a.test:587\" login = corb }\n" LOGIN "}",
         "t.conf:1: there is no login \"corb\": did you mean \"corp\"?\n"},
        {ROUTE, "t.conf:1: there is no login \"corp\": write login \"corp\" { user = … "
                "password-file = … }\n"},
        {ROUTE LOGIN "}",
         "t.conf:1: login \"corp\" is never used in clear, and tls \"*\" has level may: set "
         "level = \"verify\" there, or in-clear = true in the login\n"},
        {ROUTE LOGIN "unverified = true }",
         "t.conf:1: login \"corp\" is never used in clear, and tls \"*\" has level may: set "
         "level = \"verify\" there, or in-clear = true in the login\n"},
        {ROUTE LOGIN "}\ntls \"*\" { level = verify }\ntls b.test { level = dane }",
         "t.conf:1: login \"corp\" is only used with hosts that have shown who they are, and tls "
         "\"b.test\" has level dane: set level = \"verify\" there, or unverified = true in the "
         "login\n"},
        {"route x.test { hosts = \"a.test:465\" login = corp }\n" LOGIN "}",
         "t.conf:1: login \"corp\" is only used with hosts that have shown who they are, and tls "
         "\"*\" has level may: set level = \"verify\" there, or unverified = true in the "
         "login\n"},
        {"route x.test { hosts = { \"a.test:465\", \"a.test:587\" } login = corp }\n" LOGIN
         "unverified = true }",
         "t.conf:1: login \"corp\" is never used in clear, and tls \"*\" has level may: set "
         "level = \"verify\" there, or in-clear = true in the login\n"},
        {"route x.test { hosts = \"a.test\" tls = starttls fallback = starttls }",
         "t.conf:1: fallback has no use with tls = \"starttls\"\n"},
        {"route x.test { hosts = \"a.test\" tls = implicit fallback-port = 0 }",
         "t.conf:1: fallback-port: \"0\" is not within 1 to 65535\n"},
    };
    static const char *const fine[] = {
        ROUTE LOGIN "in-clear = yes }",
        ROUTE LOGIN "unverified = yes } tls \"*\" { level = encrypt }",
        ROUTE LOGIN "} tls \"*\" { level = verify } tls b.test { level = dane-only }",
        /* what mail for a.test gets is of no concern to x.test's hosts */
        "route x.test { hosts = \"a.test\" login = Corp }" LOGIN "} tls x.test { level = secure }",
        "route .x.test { hosts = \"a.test:465\" login = corp }" LOGIN "unverified = yes }",
        "route x.test { hosts = \"a.test\" tls = implicit fallback = starttls login = corp }" LOGIN
        "unverified = yes }",
    };
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    expect_each(rows, countof(rows));
    for (size_t i = 0; i < countof(fine); i++) {
        struct config *config CLEANUP(config_drop) = read_fine(&scratch, fine[i]);
        ck_assert_ptr_nonnull(config->route_list[0].login);
    }
}
END_TEST

START_TEST(values_that_are_wrong)
{
    static const struct bad rows[] = {
        {"workers = many", "t.conf:1: workers: \"many\" is not a number\n"},
        {"workers = 257", "t.conf:1: workers: \"257\" is not within 0 to 256\n"},
        {"workers = -1", "t.conf:1: workers: \"-1\" is not a number\n"},
        {"smtp-port = 0", "t.conf:1: smtp-port: \"0\" is not within 1 to 65535\n"},
        {"smtp-port = 65536", "t.conf:1: smtp-port: \"65536\" is not within 1 to 65535\n"},
        {"drain = 30",
         "t.conf:1: drain: \"30\" is not a duration, as in 250ms, 30s, 5m, 4h or 5d\n"},
        {"drain = 3parsecs",
         "t.conf:1: drain: \"3parsecs\" is not a duration, as in 250ms, 30s, 5m, 4h or 5d\n"},
        {"drain = 1.5h",
         "t.conf:1: drain: \"1.5h\" is not a duration, as in 250ms, 30s, 5m, 4h or 5d\n"},
        {"drain = 2d", "t.conf:1: drain: \"2d\" is not within 0 to 1d\n"},
        {"destination \"*\" { back-off = 0s }",
         "t.conf:1: back-off: \"0s\" is not within 1ms to 1d\n"},
        {"destination \"*\" { rate = 10 connection-rate = \"2/x\" }",
         "t.conf:1: rate: \"10\" is not a rate, as in 5/s, 100/h, or 0 for no limit\n"
         "t.conf:1: connection-rate: \"2/x\" is not a rate, as in 5/s, 100/h, or 0 for no limit\n"},
        {"limits { message-size = 50X }",
         "t.conf:1: message-size: \"50X\" is not a size, as in 64K, 50M or 2G\n"},
        {"limits { message-size = 100 }",
         "t.conf:1: message-size: \"100\" is not within 1K to 1T\n"},
        {"map-size = 1M", "t.conf:1: map-size: \"1M\" is not within 16M to 16T\n"},
        {"durability = \"comit\"", "t.conf:1: durability: \"comit\" is not one of commit, relaxed, "
                                   "none: did you mean \"commit\"?\n"},
        {"log = \"xml\"", "t.conf:1: log: \"xml\" is not one of text, json\n"},
        {"allow-loopback = perhaps",
         "t.conf:1: allow-loopback: \"perhaps\" is neither true nor false\n"},
        {"hostname = \"a b\"",
         "t.conf:1: hostname: \"a b\" is not a host name, as in relay.example.com\n"},
        {"hostname = \"\"",
         "t.conf:1: hostname: \"\" is not a host name, as in relay.example.com\n"},
        {"spool = \"\"", "t.conf:1: spool: \"\" is not the name of a file or directory\n"},
        {"spool = \"a\\nb\"", "t.conf:1: spool: \"a?b\" is not the name of a file or directory\n"},
        {"resolver = \"127.0.0.1\"",
         "t.conf:1: resolver: \"127.0.0.1\" is not ADDRESS:PORT, as in 127.0.0.1:53 or [::1]:53\n"},
        {"retry \"*\" { factor = 0.9 }", "t.conf:1: factor: \"0.9\" is not within 1 to 100\n"},
        {"retry \"*\" { factor = 1e1 }",
         "t.conf:1: factor: \"1e1\" is not a number, as in 2 or 1.5\n"},
        {"retry \"*\" { factor = nan }",
         "t.conf:1: factor: \"nan\" is not a number, as in 2 or 1.5\n"},
        {"reply \"x\" { match = '^550 (unclosed'\naction = \"bounce\" }",
         "t.conf:1: match: not a regular expression: missing closing parenthesis, at byte 15\n"},
        {"reply \"x\" { match = no action = bounce at = helo destination = \"a b\" }",
         "t.conf:1: at: \"helo\" is not one of any, connect, greeting, ehlo, starttls, auth, mail, rcpt, "
         "data, end-of-data: did you mean \"ehlo\"?\n"
         "t.conf:1: destination: \"a b\" is not a domain, as in example.com, .example.com (all "
         "below it) or *\n"},
        {"tlsrpt { contact = me organization = \"\xc3\xa4\" }",
         "t.conf:1: contact: \"me\" is not an address, as in postmaster@example.com\n"
         "t.conf:1: organization: only ASCII can stand in a report\n"},
        {"tlsrpt { collector = "
         "/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/"
         "123456789/123456789/1234567 }",
         "t.conf:1: collector: the path of the socket has 108 bytes, 107 at most\n"},
        {"bounce { per-sender = 100 }",
         "t.conf:1: per-sender: \"100\" is not a rate, as in 5/s, 100/h, or 0 for no limit\n"},
        {"bounce { per-sender = \"1000001/h\" full-max = 2M postmaster-copy = me }",
         "t.conf:1: per-sender: \"1000001/h\" is more than 1000000\n"
         "t.conf:1: full-max: \"2M\" is not within 0 to 1M\n"
         "t.conf:1: postmaster-copy: \"me\" is not an address, as in postmaster@example.com\n"},
        {"retry \"*\" { schedule = { 5m, 0s, soon } }",
         "t.conf:1: schedule: \"0s\" is not within 1ms to 1000d\n"
         "t.conf:1: schedule: \"soon\" is not a duration, as in 250ms, 30s, 5m, 4h or 5d\n"},
        {"destination \"*\" { discard-ehlo = { dsn, \"8BIT\", AUTH, starttls } }",
         "t.conf:1: discard-ehlo: \"8BIT\" is not one of the extensions that are used when they are "
         "offered: PIPELINING, SIZE, 8BITMIME, DSN, CHUNKING, BINARYMIME, SMTPUTF8, DELIVERBY, "
         "LIMITS\n"
         "t.conf:1: discard-ehlo: \"AUTH\" is not one of the extensions that are used when they are "
         "offered: PIPELINING, SIZE, 8BITMIME, DSN, CHUNKING, BINARYMIME, SMTPUTF8, DELIVERBY, "
         "LIMITS\n"
         "t.conf:1: discard-ehlo: whether STARTTLS is used is for tls to say: level = \"none\"\n"},
        {"relay-from = { \"10.0.0.0/8\", \"10.0.0.1/8\", \"localhost\" }",
         "t.conf:1: relay-from: \"10.0.0.1/8\" is not a network, as in 192.0.2.0/24 or "
         "2001:db8::/32 (no bits set behind the prefix)\n"
         "t.conf:1: relay-from: \"localhost\" is not a network, as in 192.0.2.0/24 or "
         "2001:db8::/32 (no bits set behind the prefix)\n"},
        {"route \"a.test\" { hosts = { \"mx:0\", \"[1.2.3]:25\", \"2001:db8::1\", \"a b\", \"\" } }",
         "t.conf:1: hosts: \"mx:0\" is not a host, as in mx.example:25 or [192.0.2.1]:25\n"
         "t.conf:1: hosts: \"[1.2.3]:25\" is not a host, as in mx.example:25 or [192.0.2.1]:25\n"
         "t.conf:1: hosts: \"2001:db8::1\" is not a host, as in mx.example:25 or [192.0.2.1]:25\n"
         "t.conf:1: hosts: \"a b\" is not a host, as in mx.example:25 or [192.0.2.1]:25\n"
         "t.conf:1: hosts: \"\" is not a host, as in mx.example:25 or [192.0.2.1]:25\n"},
        {"listen \"127.0.0.1:1\" {\nproxy = { \"10.0.0.1/8\" }\n}",
         "t.conf:2: proxy: \"10.0.0.1/8\" is not a network, as in 192.0.2.0/24 or "
         "2001:db8::/32 (no bits set behind the prefix)\n"},
        {"destination \"*\" { source = { \"0.0.0.0\", \"x\", \"192.0.2.1/32\", \"fe80::1\" } }",
         "t.conf:1: source: \"0.0.0.0\" is not an address to send from, as in 192.0.2.1 or "
         "2001:db8::1\n"
         "t.conf:1: source: \"x\" is not an address to send from, as in 192.0.2.1 or "
         "2001:db8::1\n"
         "t.conf:1: source: \"192.0.2.1/32\" is not an address to send from, as in 192.0.2.1 or "
         "2001:db8::1\n"
         "t.conf:1: source: \"fe80::1\" is not an address to send from, as in 192.0.2.1 or "
         "2001:db8::1\n"},
        {"listen \"127.0.0.1\" { }",
         "t.conf:1: listen \"127.0.0.1\": not ADDRESS:PORT, as in 127.0.0.1:2525 or [::]:587\n"},
        {"tls \"a b\" { }", "t.conf:1: tls \"a b\": not a domain, as in example.com, .example.com "
                            "(all below it) or *\n"},
        {"tls \".\" { }", "t.conf:1: tls \".\": not a domain, as in example.com, .example.com "
                          "(all below it) or *\n"},
    };
    expect_each(rows, countof(rows));
}
END_TEST

START_TEST(things_that_do_not_fit_together)
{
    static const struct bad rows[] = {
        {"reply \"a b\" { match = x action = retry }",
         "t.conf:1: reply \"a b\": a name is letters, digits, \"-\", \"_\" and \".\", 64 at most\n"},
        {"reply \"x\" { }", "t.conf:1: reply \"x\" matches nothing: match = '^550 5\\.7\\.1 '\n"
                            "t.conf:1: reply \"x\" does nothing: action = \"defer\"\n"},
        {"reply \"x\" { match = a action = retry }\nreply \"x\" { match = b action = bounce }",
         "t.conf:2: reply \"x\" is there twice\n"},
        {"workers = 1\nworkers = 2",
         "t.conf:2: workers is set twice: the first time in t.conf:1\n"},
        {"limits { }\nlimits { errors = 1 }",
         "t.conf:2: limits is there twice: the first time in t.conf:1\n"},
        {"tls \"a.test\" { }\ntls \"A.test\" { }", "t.conf:2: tls \"a.test\" is there twice\n"},
        {"retry \"*\" { }\nretry \"*\" { }", "t.conf:2: retry \"*\" is there twice\n"},
        {"listen \"127.0.0.1:25\" { }\nlisten \"[127.0.0.1]:25\" { }",
         "t.conf:2: listen \"[127.0.0.1]:25\" is there twice\n"},
        {"\nroute \"a.test\" { }",
         "t.conf:2: route \"a.test\" has no hosts: hosts = { \"mx.example:25\" }\n"},
        {"route \"a.test\" {\nhosts = { } }",
         "t.conf:2: route \"a.test\" has no hosts: hosts = { \"mx.example:25\" }\n"},
        {"listen \"[::]:25\" { }\nhostname = Relay.test\nroute \"a.test\" {\nhosts = { "
         "\"[127.0.0.1]:25\", \"b.test:25\" } }\nroute \"b.test\" { hosts = { \"relay.TEST:25\", "
         "\"relay.test:26\", \"[127.0.0.1]:26\" } }",
         "t.conf:4: route \"a.test\" leads to this relay itself: mail would loop\n"
         "t.conf:5: route \"b.test\" leads to this relay itself: mail would loop\n"},
        {"listen \"127.0.0.1:25\" {\ntls = \"offered\"\n}",
         "t.conf:2: tls needs certificate = \"FILE\" and key = \"FILE\"\n"},
        {"listen \"127.0.0.1:25\" {\nauth-in-clear = on\nauth = \"offered\"\n}",
         "t.conf:3: auth needs users = \"FILE\" at the top level\n"},
        {"users = u\nlisten \"127.0.0.1:25\" {\nauth = \"required\"\n}",
         "t.conf:3: auth is never offered without TLS: set certificate and key, or auth-in-clear = "
         "true\n"},
        {"user \"a:b\" { }\nuser \"*\" {\nsenders = { \"a@b@c\", \"..\", \"\", \"a.test\" }\n}",
         "t.conf:1: user \"a:b\": not a user's name, or *\n"
         "t.conf:3: senders: \"a@b@c\" is not a sender: an address, a domain, .domain for all below "
         "it, or <>\n"
         "t.conf:3: senders: \"..\" is not a sender: an address, a domain, .domain for all below "
         "it, or <>\n"
         "t.conf:3: senders: \"\" is not a sender: an address, a domain, .domain for all below "
         "it, or <>\n"},
        {"listen \"127.0.0.1:25\" {\ncertificate = \"x\"\n}",
         "t.conf:2: certificate needs its key: key = \"FILE\"\n"},
        {"listen \"127.0.0.1:25\" {\nkey = \"x\"\n}",
         "t.conf:2: key needs its certificate: certificate = \"FILE\"\n"},
        {"tls \"*\" {\nmin-version = \"1.3\"\nmax-version = \"1.2\" }",
         "t.conf:2: min-version is above max-version\n"},
        {"retry \"*\" {\nfirst = 5h }", "t.conf:1: longest is below first: no delay fits both\n"},
        {"limits \"x\" { }", "t.conf:1: limits takes no name: limits { }\n"},
        {"listen { }", "t.conf:1: listen needs a name: listen \"…\" { }\n"},
        {"hostname = { \"a\" }\nworkers = x",
         "t.conf:1: hostname takes one value, not a list\nt.conf:2: workers: \"x\" is not a number\n"},
        {"relay-from += { \"10.0.0.0/8\" }",
         "t.conf:1: relay-from cannot be added to: write all of it behind \"=\"\n"},
        {"spool = \"/a23456789/b23456789/c23456789/d23456789/e23456789/f23456789/g23456789/"
         "h23456789/i23456789/j234\"",
         "t.conf:1: control: the path of the socket has 108 bytes, 107 at most: set control to a "
         "shorter one\n"},
        {"control = \"/run/x\"\nsubmit = \"/run/x\"",
         "t.conf:2: submit: /run/x is the control socket: the two need a place each\n"},
        {"submit-users = { ann, \"b c\", \"\", \"-x\" }",
         "t.conf:1: submit-users: \"b c\" is not a user: a name, a number, or * for all\n"
         "t.conf:1: submit-users: \"\" is not a user: a name, a number, or * for all\n"
         "t.conf:1: submit-users: \"-x\" is not a user: a name, a number, or * for all\n"},
        {"origin = \"a b\"",
         "t.conf:1: origin: \"a b\" is not a host name, as in relay.example.com\n"},
    };
    expect_each(rows, countof(rows));
}
END_TEST

/* What stands before it is checked all the same; nothing behind it is. */
START_TEST(syntax_errors)
{
    static const struct bad rows[] = {
        {"hostname \"x\"", "t.conf:1: \"=\" is missing before \"x\"\n"},
        {"hostname =", "t.conf:1: a value is missing at the end of the file\n"},
        {"hostname = }", "t.conf:1: a value is missing before }\n"},
        {"workers = x\nhostname = =\nworkers = y",
         "t.conf:1: workers: \"x\" is not a number\nt.conf:2: a value is missing before =\n"},
        {"= 3", "t.conf:1: a name is missing before =\n"},
        {"}", "t.conf:1: the \"{\" to this is missing before }\n"},
        {"route \"a.test\" {\n\nspool = \"x\"",
         "t.conf:1: route { has no end: \"}\" is missing\n"
         "t.conf:3: \"spool\" stands in the wrong place in route: it belongs to the top level\n"},
        {"listen \"127.0.0.1:1\" tls = \"off\"", "t.conf:1: \"{\" is missing before tls\n"},
        {"listen = 3", "t.conf:1: a name in quotes is missing before =\n"},
        {"relay-from = { \"10.0.0.0/8\" \"11.0.0.0/8\" }",
         "t.conf:1: \",\" or \"}\" is missing before \"11.0.0.0/8\"\n"},
        {"xyz {\n a = 1\n", "t.conf:1: unknown section \"xyz\": known are " SECTION_NAMES "\n"
                            "t.conf:3: \"}\" is missing at the end of the file\n"},
        {"hostname = \"x\nspool = \"y\"", "t.conf:1: the closing quote is missing after \"x\n"},
        {"hostname = 'x", "t.conf:1: the closing quote is missing after 'x\n"},
        {"\n/* what\n", "t.conf:2: the comment that begins here has no end: \"*/\" is missing\n"},
        {"tls * { }", "t.conf:1: this must stand in quotes: *\n"},
        {"hostname = ${X", "t.conf:1: \"}\" is missing after ${\n"},
        {"hostname = \"a\\9\"", "t.conf:1: bad escape sequence '\\9'\n"},
        {"hostname = \"\\400\"", "t.conf:1: invalid octal number '\\400'\n"},
        {"include(", "t.conf:1: the name of a file in quotes is missing at the end of the file\n"},
        {"include \"x\"", "t.conf:1: \"(\" is missing before \"x\"\n"},
    };
    expect_each(rows, countof(rows));
}
END_TEST

START_TEST(bytes_that_are_no_text)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    expect_errors(&scratch, SPAN("workers = 1\n\0"), "t.conf:2: a control character stands here\n");
    expect_errors(&scratch, SPAN("spool = \"a\0b\""),
                  "t.conf:1: a control character stands here\n");
    expect_errors(&scratch, SPAN("spool = \"a\x1b[31m\""),
                  "t.conf:1: a control character stands here\n");
}
END_TEST

START_TEST(more_errors_than_are_shown)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct buffer text CLEANUP(buffer_free) = {0}, errors CLEANUP(buffer_free) = {0};
    struct span rest, line;
    unsigned lines = 0;
    for (int i = 0; i < 200; i++)
        buffer_append(&text, SPAN("hostnam = x\n"));
    ck_assert_ptr_null(read_bytes(&scratch, buffer_span(&text), &errors));
    for (rest = buffer_span(&errors); span_line(&rest, &line);)
        lines++;
    ck_assert_uint_eq(lines, 101);
    ck_assert(span_equal(line, SPAN("t.conf: 100 more errors are not shown")));
}
END_TEST

/* ---- includes ---- */

START_TEST(includes)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    char path[SCRATCH_FILE_MAX];
    ck_assert_int_eq(mkdir(scratch_name(&scratch, "d", path), 0700), 0);
    scratch_write(&scratch, "d/a.conf", SPAN("workers = 5\ninclude(\"b.conf\") drain = 1s"));
    scratch_write(&scratch, "d/b.conf", SPAN("log = \"json\""));
    struct config *c CLEANUP(config_drop) =
        read_fine(&scratch, "include(\"d/a.conf\") smtp-port = 26\nhostname = \"x.test\"");
    ck_assert(c->workers == 5 && c->log == LOG_JSON && c->drain_ms == 1000);
    ck_assert_uint_eq(c->smtp_port, 26);
    ck_assert_str_eq(c->hostname, "x.test");

    scratch_write(&scratch, "d/b.conf", SPAN("\nlog = \"jsn\"\nworkers = 6"));
    expect_errors(&scratch, SPAN("drain = 5\ninclude(\"d/a.conf\")\nsmtp-port = x\n"),
                  "t.conf:1: drain: \"5\" is not a duration, as in 250ms, 30s, 5m, 4h or 5d\n"
                  "d/b.conf:2: log: \"jsn\" is not one of text, json: did you mean \"json\"?\n"
                  "d/b.conf:3: workers is set twice: the first time in d/a.conf:1\n"
                  "d/a.conf:2: drain is set twice: the first time in t.conf:1\n"
                  "t.conf:3: smtp-port: \"x\" is not a number\n");
    scratch_write(&scratch, "d/b.conf", SPAN("hostname = \"\\9\""));
    expect_errors(&scratch, SPAN("workers = 1 include('d/b.conf')"),
                  "d/b.conf:1: bad escape sequence '\\9'\n");
    expect_errors(&scratch, SPAN("include(\"none\")\ninclude(\"d\")\nworkers = x"),
                  "t.conf:1: cannot read none: No such file or directory\n"
                  "t.conf:2: cannot read d: Is a directory\n"
                  "t.conf:3: workers: \"x\" is not a number\n");
}
END_TEST

START_TEST(a_file_that_includes_itself)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    expect_errors(&scratch, SPAN("\ninclude(\"t.conf\")"),
                  "t.conf:2: too many includes: does a file include itself?\n");
}
END_TEST

/* All of it at once; but a default is not held against somebody who wrote something else. */
START_TEST(errors_in_the_file_and_in_what_it_names)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    static const struct bad rows[] = {
        {"\nspool = \"t.conf\"\nworkers = x",
         "t.conf:3: workers: \"x\" is not a number\n"
         "t.conf:2: spool t.conf cannot be used: it is not a directory\n"},
        {"\nspol = \"/dev/null\"", "t.conf:2: unknown key \"spol\": did you mean \"spool\"?\n"},
        {"spool = \"\"\ncontrol = \"none/c\"",
         "t.conf:1: spool: \"\" is not the name of a file or directory\n"
         "t.conf:2: control none/c cannot be made: No such file or directory: let its directory "
         "exist and be writable\n"},
        {"workers = x\nlisten \"127.0.0.1:0\" { certificate = \"none\" }",
         "t.conf:1: workers: \"x\" is not a number\n"
         "t.conf:2: certificate needs its key: key = \"FILE\"\n"},
        {"spool = s\nusers = none", "t.conf:2: users none: No such file or directory\n"},
        {"spool = s\nusers = open",
         "t.conf:2: users open: others may use it (mode 0644): chmod 600 open\n"},
        {"spool = s\nusers = wrong\nworkers = x",
         "t.conf:3: workers: \"x\" is not a number\n"
         "wrong:2: not NAME:{SCRAM-SHA-256}…: make it with millrace passwd NAME\n"},
        {"spool = s\nusers = fine", NULL},
        {"spool = \"s\"", NULL},
    };
    char before[4096];
    write_users(&scratch, "open", "", 0644);
    write_users(&scratch, "wrong", "# nobody\nnobody\n", 0600);
    write_users(&scratch, "fine", "# nobody\n", 0600);
    scratch_write(&scratch, "var", SPAN("the default spool cannot be made"));
    must(getcwd(before, sizeof(before)) != NULL && chdir(scratch.path) == 0);
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer errors CLEANUP(buffer_free) = {0};
        scratch_write(&scratch, NAME, span_of(rows[i].text));
        struct config *config CLEANUP(config_drop) = config_check(NAME, &errors);
        ck_assert((config == NULL) == (rows[i].errors != NULL));
        ck_assert_msg(
            span_equal(buffer_span(&errors), span_of(rows[i].errors ? rows[i].errors : "")),
            "%s\ngave:\n%.*s", rows[i].text, SPAN_FORMAT(buffer_span(&errors)));
    }
    must(chdir(before) == 0);
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    ck_assert_ptr_null(config_read("/nowhere/m.conf", &errors));
    ck_assert_ptr_null(config_read("/", &errors));
    ck_assert(span_equal(buffer_span(&errors),
                         SPAN("/nowhere/m.conf: cannot read this file: No such file or directory\n"
                              "/: cannot read this file: Is a directory\n")));
}
END_TEST

/* libconfuse's scanner is one per process: what a bad file leaves in it must not matter. */
START_TEST(a_good_file_after_a_bad_one)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    for (int i = 0; i < 20; i++) {
        expect_errors(&scratch, SPAN("hostname = \"a\\9\""),
                      "t.conf:1: bad escape sequence '\\9'\n");
        struct config *c CLEANUP(config_drop) = read_fine(&scratch, "workers = 4");
        ck_assert_uint_eq(c->workers, 4);
    }
}
END_TEST

TEST_MAIN("relay/config_errors", names_that_are_not_known, logins, values_that_are_wrong,
          things_that_do_not_fit_together, syntax_errors, bytes_that_are_no_text,
          more_errors_than_are_shown, includes, a_file_that_includes_itself,
          errors_in_the_file_and_in_what_it_names, files_that_cannot_be_read,
          a_good_file_after_a_bad_one)
