#include "relay/config.h"

#include "relay/config_keys.h"
#include "tests/relay/scratch.h"
#include "tests/suite.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "t.conf"

/* Reads a file with this text; `errors` are its errors without the directory's name. */
static struct config *read_bytes(struct scratch *scratch, struct span text, struct buffer *errors)
{
    char path[SCRATCH_FILE_MAX];
    struct buffer raw CLEANUP(buffer_free) = {0};
    struct span rest, line;
    scratch_write(scratch, NAME, text);
    struct config *config = config_read(scratch_name(scratch, NAME, path), &raw);
    ck_assert((config == NULL) == (buffer_length(&raw) > 0));
    for (rest = buffer_span(&raw); span_line(&rest, &line);) {
        const char *from = line.data;
        size_t length = strlen(scratch->path) + 1;
        for (const char *at; (at = memmem(from, (size_t)(line.data + line.length - from),
                                          scratch->path, length - 1)) != NULL;
             from = at + length)
            buffer_append(errors, (struct span){from, (size_t)(at - from)});
        buffer_append(errors, (struct span){from, (size_t)(line.data + line.length - from)});
        buffer_append(errors, SPAN("\n"));
    }
    return config;
}

/* The file must be fine. */
static struct config *read_fine(struct scratch *scratch, const char *text)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = read_bytes(scratch, span_of(text), &errors);
    ck_assert_msg(config != NULL, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    return config;
}

static void expect_errors(struct scratch *scratch, struct span text, const char *wanted)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = read_bytes(scratch, text, &errors);
    config_drop(&config);
    ck_assert_msg(span_equal(buffer_span(&errors), span_of(wanted)), "%.*s\ngave:\n%.*snot:\n%s",
                  SPAN_FORMAT(text), SPAN_FORMAT(buffer_span(&errors)), wanted);
}

struct bad {
    const char *text, *errors;
};

static void expect_each(const struct bad *rows, size_t count)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    for (size_t i = 0; i < count; i++)
        expect_errors(&scratch, span_of(rows[i].text), rows[i].errors);
}

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
         "min-version, max-version\n"},
        {"xyzzy { }", "t.conf:1: unknown section \"xyzzy\": known are listen, route, tls, "
                      "destination, retry, limits, include\n"},
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
         "t.conf:1: unknown key \"one\": known are hostname, spool, control, workers, durability, "
         "map-size, min-free, log, resolver, smtp-port, allow-loopback, drain, relay-from\n"
         "t.conf:2: unknown key \"two\": known are hostname, spool, control, workers, durability, "
         "map-size, min-free, log, resolver, smtp-port, allow-loopback, drain, relay-from\n"
         "t.conf:3: unknown section \"three\": known are listen, route, tls, destination, retry, "
         "limits, include\n"
         "t.conf:4: unknown section \"four\": known are listen, route, tls, destination, retry, "
         "limits, include\n"
         "t.conf:5: unknown section \"five\": known are listen, route, tls, destination, retry, "
         "limits, include\n"
         "t.conf:6: unknown key \"spol\": did you mean \"spool\"?\n"},
        /* of a later version */
        {"users = \"/etc/users\"\nadmin \"127.0.0.1:8025\" { x = 1 }\nlogin \"corp\" { user = a }",
         "t.conf:1: users is not supported yet\nt.conf:2: admin is not supported yet\n"
         "t.conf:3: login is not supported yet\n"},
        {"listen \"127.0.0.1:1\" { auth = \"off\" }", "t.conf:1: auth is not supported yet\n"},
        {"tls \"a.test\" { level = \"dane\" match = { \"nexthop\" } }",
         "t.conf:1: level: \"dane\" is not supported yet: use one of none, may, encrypt\n"
         "t.conf:1: match is not supported yet\n"},
        {"listen \"127.0.0.1:1\" { tls = \"implicit\" }",
         "t.conf:1: tls: \"implicit\" is not supported yet: use one of off, offered\n"},
        {"destination \"*\" { rate = \"0/s\" }\nretry \"*\" { warn-after = 4h }",
         "t.conf:1: rate is not supported yet\nt.conf:2: warn-after is not supported yet\n"},
    };
    expect_each(rows, countof(rows));
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
        {"listen \"127.0.0.1:25\" {\ntls = \"offered\"\n}",
         "t.conf:2: tls needs certificate = \"FILE\" and key = \"FILE\"\n"},
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
        {"xyz {\n a = 1\n", "t.conf:1: unknown section \"xyz\": known are listen, route, tls, "
                            "destination, retry, limits, include\n"
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

START_TEST(all_values)
{
    static const char text[] = "# one of each, and comments\n"
                               "hostname = relay.example.com // bare words will do\r\n"
                               "spool = '/var/lib/millrace'\n"
                               "control = \"/run/mill\\\"race\\$/control.sock\"\n"
                               "workers = 3 durability = \"none\" /* several\n"
                               "on a line */ log = \"json\"\n"
                               "map-size = 1G min-free = 100m resolver = \"[::1]:5353\"\n"
                               "smtp-port = 2526 allow-loopback = yes drain = 250ms\n"
                               "relay-from = { 10.0.0.0/8, \"2001:db8::/32\", }\n"
                               "listen \"0.0.0.0:25\" { bare-newlines = \"normalise\" }\n"
                               "listen \"[::]:587\" { certificate = \"c.pem\" key = \"k.pem\" }\n"
                               "route \".Example.test\" { hosts = { \"[127.0.0.1]:26\", "
                               "\"mx.example\", \"[IPv6:2001:db8::1]\", \"192.0.2.1:27\" } }\n"
                               "tls \"bank.test\" { level = \"encrypt\" on-454 = \"next-host\" "
                               "plain-after = 0 min-version = \"1.3\" }\n"
                               "destination \"slow.test\" { max-connections = 1 "
                               "messages-per-connection = 0 idle = 0s back-off = 5s }\n"
                               "retry \"*\" { first = 1s factor = 1.5 longest = 1h give-up = 2d }\n"
                               "limits { connections = 1 connections-per-client = 2 recipients = 3 "
                               "message-size = 64K errors = 4 idle = 5s queue = 6 memory = 7M }\n";
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *c CLEANUP(config_drop) = read_fine(&scratch, text);
    ck_assert_str_eq(c->hostname, "relay.example.com");
    ck_assert_str_eq(c->spool, "/var/lib/millrace");
    ck_assert_str_eq(c->control, "/run/mill\"race$/control.sock");
    ck_assert_uint_eq(c->workers, 3);
    ck_assert(c->durability == DURABILITY_NONE && c->log == LOG_JSON);
    ck_assert_uint_eq(c->map_bytes, 1u << 30);
    ck_assert_uint_eq(c->min_free_bytes, 100u << 20);
    ck_assert_str_eq(c->resolver, "[::1]:5353");
    ck_assert(c->smtp_port == 2526 && c->allow_loopback && c->drain_ms == 250);
    ck_assert_uint_eq(c->relay_from_count, 2);

    ck_assert_uint_eq(c->listen_count, 2);
    ck_assert(c->listen[0].at.port == 25 && c->listen[0].tls == LISTEN_TLS_OFF);
    ck_assert_int_eq(c->listen[0].newlines, NEWLINES_NORMALISE);
    ck_assert(c->listen[1].at.ip.family == 6 && c->listen[1].tls == LISTEN_TLS_OFFERED);
    ck_assert_str_eq(c->listen[1].certificate, "c.pem");
    ck_assert_str_eq(c->listen[1].key, "k.pem");
    ck_assert_int_eq(c->listen[1].newlines, NEWLINES_REFUSE);
    ck_assert_str_eq(strrchr(c->listen[1].where, '/'), "/" NAME ":11");

    const struct route_config *route = config_route(c, SPAN("a.example.test"));
    ck_assert_ptr_nonnull(route);
    ck_assert_ptr_null(config_route(c, SPAN("example.test")));
    ck_assert_uint_eq(route->count, 4);
    ck_assert(route->hosts[0].name == NULL && route->hosts[0].port == 26);
    ck_assert_str_eq(route->hosts[1].name, "mx.example");
    ck_assert_uint_eq(route->hosts[1].port, 2526);
    ck_assert(route->hosts[2].ip.family == 6 && route->hosts[2].port == 2526);
    ck_assert(route->hosts[3].ip.family == 4 && route->hosts[3].port == 27);

    const struct tls_config *tls = config_tls(c, SPAN("BANK.test"));
    ck_assert(tls->policy.level == TLS_ENCRYPT && tls->policy.on_454 == ON_454_NEXT_HOST);
    ck_assert_uint_eq(tls->policy.plain_after, 0);
    ck_assert(tls->least == TLS_VERSION_1_3 && tls->most == TLS_VERSION_ANY);

    const struct destination_config *slow = config_destination(c, SPAN("slow.test"));
    ck_assert(slow->max_connections == 1 && slow->messages_per_connection == 0);
    ck_assert(slow->idle_ms == 0 && slow->back_off_ms == 5000);

    const struct retry *retry = config_retry(c, SPAN("any.test"));
    ck_assert(retry->first_ms == 1000 && retry->longest_ms == 3600000);
    ck_assert(retry->give_up_ms == 2 * 86400000LL && retry->factor == 1.5);

    const struct limits *limits = &c->limits;
    ck_assert(limits->connections == 1 && limits->connections_per_client == 2);
    ck_assert(limits->recipients == 3 && limits->message_bytes == 65536 && limits->errors == 4);
    ck_assert(limits->idle_ms == 5000 && limits->queue == 6 && limits->memory == 7u << 20);
}
END_TEST

START_TEST(defaults)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *c CLEANUP(config_drop) = config_read(NULL, &errors);
    struct ip ip;
    ck_assert_ptr_nonnull(c);
    ck_assert_uint_eq(buffer_length(&errors), 0);
    ck_assert_ptr_null(c->path);
    ck_assert_str_eq(c->spool, "./var/millrace");
    ck_assert_str_eq(c->control, "./var/millrace/control.sock");
    ck_assert_uint_ge(c->workers, 1);
    ck_assert(c->durability == DURABILITY_COMMIT && c->log == LOG_TEXT && c->resolver == NULL);
    ck_assert(c->smtp_port == 25 && !c->allow_loopback && c->drain_ms == 30000);
    ck_assert_uint_eq(c->listen_count, 1);
    ck_assert(c->listen[0].at.port == 2525 && ip_is_loopback(&c->listen[0].at.ip));
    ck_assert_ptr_null(config_route(c, SPAN("a.test")));
    ck_assert_int_eq(config_tls(c, SPAN("a.test"))->policy.level, TLS_MAY);
    ck_assert_uint_eq(config_destination(c, SPAN("a.test"))->max_connections, 20);
    ck_assert_int_eq(config_retry(c, SPAN("a.test"))->first_ms, 300000);
    ck_assert(ip_parse(SPAN("127.1.2.3"), &ip) && config_may_relay(c, &ip));
    ck_assert(ip_parse(SPAN("::1"), &ip) && config_may_relay(c, &ip));
    ck_assert(ip_parse(SPAN("::2"), &ip) && !config_may_relay(c, &ip));
    ck_assert(ip_parse(SPAN("192.0.2.1"), &ip) && !config_may_relay(c, &ip));
}
END_TEST

START_TEST(the_longest_control_socket)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    char text[256], path[CONFIG_CONTROL_MAX + 1] = {0};
    memset(path, 'a', CONFIG_CONTROL_MAX);
    snprintf(text, sizeof(text), "control = \"%s\" spool = \"/very/%s/%s\"", path, "long", path);
    struct config *c CLEANUP(config_drop) = read_fine(&scratch, text);
    ck_assert_str_eq(c->control, path);
}
END_TEST

START_TEST(nobody_may_relay)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *c CLEANUP(config_drop) = read_fine(&scratch, "relay-from = { }");
    struct ip ip;
    ck_assert(ip_parse(SPAN("127.0.0.1"), &ip) && !config_may_relay(c, &ip));
}
END_TEST

/* What a section leaves out is as in "*", wherever that stands. */
START_TEST(sections_start_from_the_star)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *c CLEANUP(config_drop) =
        read_fine(&scratch, "tls \"a.test\" { min-version = \"1.3\" }\n"
                            "tls \"*\" { level = \"encrypt\" plain-after = 7 }\n"
                            "tls \".b.test\" { level = \"none\" }\n");
    ck_assert_int_eq(config_tls(c, SPAN("a.test"))->policy.level, TLS_ENCRYPT);
    ck_assert_int_eq(config_tls(c, SPAN("a.test"))->least, TLS_VERSION_1_3);
    ck_assert_int_eq(config_tls(c, SPAN("c.test"))->least, TLS_VERSION_ANY);
    ck_assert_int_eq(config_tls(c, SPAN("x.b.test"))->policy.level, TLS_NONE);
    ck_assert_uint_eq(config_tls(c, SPAN("x.b.test"))->policy.plain_after, 7);
    ck_assert_uint_eq(c->tls_count, 3);
    ck_assert_str_eq(c->tls_list[0].name, "*");
}
END_TEST

START_TEST(environment)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    ck_assert_int_eq(setenv("MILLRACE_TEST", "a.test", 1), 0);
    struct config *c CLEANUP(config_drop) =
        read_fine(&scratch, "hostname = ${MILLRACE_TEST}\n"
                            "spool = \"${MILLRACE_TEST}/${MILLRACE_NONE:-\"x\"}/s\"\n");
    ck_assert_str_eq(c->hostname, "a.test");
    ck_assert_str_eq(c->spool, "a.test/\"x\"/s");
}
END_TEST

START_TEST(a_dump_reads_as_the_same)
{
    static const char *const texts[] = {
        "",
        "control = \"/a\\\"\\\\\\$b\" relay-from = { } drain = 1ms resolver = \"127.0.0.1:53\"\n"
        "hostname = x.test map-size = 1234567890 allow-loopback = on durability = none\n"
        "listen \"[::]:0\" { certificate = c key = k bare-newlines = normalise }\n"
        "route \"*\" { hosts = { a.test, \"[::1]:3\", 192.0.2.1 } }\n"
        "route \"b.test\" { hosts = \"b.test:1\" }\n"
        "tls \".x.test\" { level = none max-version = 1.2 }\n"
        "destination \"y.test\" { idle = 90s }\n"
        "retry \"z.test\" { factor = 1.1 give-up = 36h }\n"
        "limits { memory = 1025K }\n",
    };
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    for (size_t i = 0; i < countof(texts); i++) {
        struct buffer first CLEANUP(buffer_free) = {0}, second CLEANUP(buffer_free) = {0};
        struct config *config CLEANUP(config_drop) = read_fine(&scratch, texts[i]);
        config_dump(config, &first);
        buffer_append(&first, (struct span){"", 1});
        struct config *again CLEANUP(config_drop) = read_fine(&scratch, buffer_span(&first).data);
        config_dump(again, &second);
        ck_assert_str_eq(buffer_span(&first).data, buffer_span(&second).data);
        ck_assert_str_eq(again->control, config->control);
        ck_assert_uint_eq(again->relay_from_count, config->relay_from_count);
        ck_assert_uint_eq(again->limits.memory, config->limits.memory);
        ck_assert(config_retry(again, SPAN("z.test"))->factor ==
                  config_retry(config, SPAN("z.test"))->factor);
    }
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

/* libconfuse's scanner is one per process: what a bad file leaves it in must not matter. */
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

START_TEST(references)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *one = read_fine(&scratch, "workers = 4");
    struct config *two = config_keep(one);
    config_drop(&one);
    ck_assert_ptr_null(one);
    ck_assert_uint_eq(two->workers, 4);
    config_drop(&two);
    config_drop(&two);
}
END_TEST

/* ---- the files it names ---- */

static void expect_files(struct scratch *scratch, const char *text, const char *words)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config CLEANUP(config_drop) = read_fine(scratch, text);
    bool fine = config_check_files(config, &errors);
    buffer_append(&errors, (struct span){"", 1});
    const char *said = buffer_span(&errors).data;
    ck_assert_msg(fine == (words == NULL), "%s", said);
    if (words != NULL)
        ck_assert_msg(strstr(said, words) != NULL, "%s\nsays not: %s", said, words);
    else
        ck_assert_str_eq(said, "");
}

START_TEST(files_that_it_names)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    char why[TLS_WHY_MAX], one[SCRATCH_FILE_MAX], two[SCRATCH_FILE_MAX], text[4096];
    ck_assert(mkdir(scratch_name(&scratch, "one", one), 0700) == 0);
    ck_assert(mkdir(scratch_name(&scratch, "two", two), 0700) == 0);
    ck_assert_msg(tls_self_signed(one, "a.test", why), "%s", why);
    ck_assert_msg(tls_self_signed(two, "a.test", why), "%s", why);

    static const char format[] = "spool = \"%s/a/b\" control = \"/c\"\nlisten \"127.0.0.1:0\" {\n"
                                 " certificate = \"%s/cert.pem\" key = \"%s/key.pem\" }";
    snprintf(text, sizeof(text), format, one, one, one);
    expect_files(&scratch, text, NULL);
    snprintf(text, sizeof(text), format, one, one, two);
    expect_files(&scratch, text, NAME ":2: ");
    expect_files(&scratch, text, "two/key.pem");
    snprintf(text, sizeof(text), format, one, scratch.path, two);
    expect_files(&scratch, text, NAME ":2: ");
    snprintf(text, sizeof(text), "\nspool = \"%s/cert.pem\"", one);
    expect_files(&scratch, text, "cert.pem cannot be used: it is not a directory\n");
    snprintf(text, sizeof(text), "\nspool = \"%s/cert.pem/x\"", one);
    expect_files(&scratch, text, NAME ":2: spool ");
}
END_TEST

/* ---- the manual ---- */

START_TEST(the_manual_names_every_key)
{
    FILE *file = fopen("docs/configuration.md", "re");
    ck_assert_msg(file != NULL, "run it from the project's root");
    struct buffer manual CLEANUP(buffer_free) = {0};
    for (size_t got = 1; got > 0; buffer_grew(&manual, got))
        got = fread(buffer_room(&manual, 65536), 1, 65536, file);
    fclose(file);
    buffer_append(&manual, (struct span){"", 1});
    for (unsigned kind = 0; kind < SECTIONS; kind++) {
        const struct section *section = config_section((enum section_kind)kind);
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "\n## %s", kind ? section->name : "The top level");
        const char *part = strstr(buffer_span(&manual).data, wanted);
        ck_assert_msg(part != NULL, "no part \"%s\"", wanted + 1);
        const char *end = strstr(part + 1, "\n## ");
        for (size_t i = 0; i < section->count; i++) {
            snprintf(wanted, sizeof(wanted), "\n| `%s` |", section->keys[i].name);
            const char *row = strstr(part, wanted);
            bool there = row != NULL && (end == NULL || row < end);
            ck_assert_msg(there == (section->keys[i].kind != KEY_LATER), "%s: a row for %s%s",
                          section->name, section->keys[i].name, there ? "" : " is missing");
        }
    }
}
END_TEST

TEST_MAIN("relay/config", names_that_are_not_known, values_that_are_wrong,
          things_that_do_not_fit_together, syntax_errors, bytes_that_are_no_text,
          more_errors_than_are_shown, all_values, defaults, the_longest_control_socket,
          nobody_may_relay, sections_start_from_the_star, environment, a_dump_reads_as_the_same,
          includes, a_file_that_includes_itself, files_that_cannot_be_read,
          a_good_file_after_a_bad_one, references, files_that_it_names, the_manual_names_every_key)
