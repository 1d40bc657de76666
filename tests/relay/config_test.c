#include "relay/config.h"
#include "relay/smtp/extension.h"

#include "relay/config_keys.h"
#include "tests/relay/config_reading.h"
#include "tests/suite.h"

#include <sys/stat.h>

START_TEST(all_values)
{
    static const char text[] =
        "# one of each, and comments\n"
        "hostname = relay.example.com// bare words will do\r\n"
        "spool = /var/lib/millrace/* without quotes */\n"
        "control = \"/run/mill\\\"race\\$/control.sock\"\n"
        "submit = \"/run/s\" submit-users = { ann, 1000 }\n"
        "origin = example.com\n"
        "workers = 3 durability = \"none\" /* several\n"
        "on a line */ log = \"json\"\n"
        "map-size = 1G min-free = 100m resolver = \"[::1]:5353\"\n"
        "smtp-port = 2526 allow-loopback = yes drain = 250ms "
        "mta-sts-ca-file = \"ca.pem\" mta-sts-port = 8443 "
        "tls-policy-map = \"socketmap:inet:127.0.0.1:8461:postfix\"\n"
        "relay-from = { 10.0.0.0/8, \"2001:db8::/32\", }\n"
        "listen \"0.0.0.0:25\" { bare-newlines = \"normalise\" }\n"
        "listen \"[::]:587\" { certificate = \"c.pem\" key = \"k.pem\" }\n"
        "route \".Example.test\" { hosts = { \"[127.0.0.1]:26\", "
        "\"mx.example\", \"[IPv6:2001:db8::1]\", \"192.0.2.1:27\" } "
        "source = 127.0.0.2 hello = r.test }\n"
        "tls \"bank.test\" { level = \"encrypt\" on-454 = \"next-host\" "
        "plain-after = 0 min-version = \"1.3\" }\n"
        "destination \"slow.test\" { max-connections = 1 "
        "messages-per-connection = 0 idle = 0s back-off = 5s in-doubt = hold "
        "rate = \"10/s\" connection-rate = \"600/m\" "
        "max-hosts = 2 max-addresses = 3 address-families = ipv4-first "
        "source = { 192.0.2.1, \"2001:db8::1\" } hello = d.test "
        "discard-ehlo = { chunking, \"DSN\" } }\n"
        "retry \"*\" { first = 1s factor = 1.5 longest = 1h give-up = 2d "
        "warn-after = 0 }\n"
        "retry \"listed.test\" { schedule = { 1m, 5m, \"2h\" } }\n"
        "bounce { full-max = 10K per-sender = \"7/m\" "
        "postmaster-copy = \"pm@example.com\" }\n"
        "admin \"[::1]:0\" { destinations = 3 allow-remote = yes }\n"
        "tlsrpt { organization = \"A B\" contact = c@d.test from = f@d.test collector = /run/c "
        "send = yes ca-file = ca.pem }\n"
        "limits { connections = 1 connections-per-client = 2 recipients = 3 "
        "message-size = 64K errors = 4 idle = 5s queue = 6 memory = 7M }\n";
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *c CLEANUP(config_drop) = read_fine(&scratch, text);
    ck_assert_str_eq(c->hostname, "relay.example.com");
    ck_assert_str_eq(c->spool, "/var/lib/millrace");
    ck_assert_str_eq(c->control, "/run/mill\"race$/control.sock");
    ck_assert_str_eq(c->submit, "/run/s");
    ck_assert_uint_eq(c->submit_user_count, 2);
    ck_assert_str_eq(c->origin, "example.com");
    ck_assert_uint_eq(c->workers, 3);
    ck_assert(c->durability == DURABILITY_NONE && c->log == LOG_JSON);
    ck_assert_uint_eq(c->map_bytes, 1u << 30);
    ck_assert_uint_eq(c->min_free_bytes, 100u << 20);
    ck_assert_str_eq(c->resolver, "[::1]:5353");
    ck_assert(c->smtp_port == 2526 && c->allow_loopback && c->drain_ms == 250);
    ck_assert_str_eq(c->mta_sts_ca_file, "ca.pem");
    ck_assert_uint_eq(c->mta_sts_port, 8443);
    ck_assert_str_eq(c->tls_policy_map, "socketmap:inet:127.0.0.1:8461:postfix");
    ck_assert_uint_eq(c->relay_from.count, 2);

    ck_assert_uint_eq(c->listen_count, 2);
    ck_assert(c->listen[0].at.port == 25 && c->listen[0].tls == LISTEN_TLS_OFF);
    ck_assert_int_eq(c->listen[0].newlines, NEWLINES_NORMALISE);
    ck_assert(c->listen[1].at.ip.family == 6 && c->listen[1].tls == LISTEN_TLS_OFFERED);
    ck_assert_str_eq(c->listen[1].certificate, "c.pem");
    ck_assert_str_eq(c->listen[1].key, "k.pem");
    ck_assert_int_eq(c->listen[1].newlines, NEWLINES_REFUSE);
    ck_assert_str_eq(strrchr(c->listen[1].where, '/'), "/" NAME ":13");

    const struct route_config *route = config_route(c, SPAN("a.example.test"));
    ck_assert_ptr_nonnull(route);
    ck_assert_ptr_null(config_route(c, SPAN("example.test")));
    ck_assert_uint_eq(route->count, 4);
    ck_assert(route->hosts[0].name == NULL && route->hosts[0].port == 26);
    ck_assert_str_eq(route->hosts[1].name, "mx.example");
    ck_assert_uint_eq(route->hosts[1].port, 2526);
    ck_assert(route->hosts[2].ip.family == 6 && route->hosts[2].port == 2526);
    ck_assert(route->hosts[3].ip.family == 4 && route->hosts[3].port == 27);
    ck_assert(route->sources.count == 1 && route->sources.list[0].family == 4);
    ck_assert_str_eq(route->hello, "r.test");

    const struct tls_config *tls = config_tls(c, SPAN("BANK.test"));
    ck_assert(tls->policy.level == TLS_ENCRYPT && tls->policy.on_454 == ON_454_NEXT_HOST);
    ck_assert_uint_eq(tls->policy.plain_after, 0);
    ck_assert(tls->least == TLS_VERSION_1_3 && tls->most == TLS_VERSION_ANY);

    const struct destination_config *slow = config_destination(c, SPAN("slow.test"));
    ck_assert(slow->max_connections == 1 && slow->messages_per_connection == 0);
    ck_assert(slow->idle_ms == 0 && slow->back_off_ms == 5000);
    ck_assert(slow->rate.count == 10 && slow->rate.per_ms == 1000);
    ck_assert(slow->connection_rate.count == 600 && slow->connection_rate.per_ms == 60000);
    ck_assert(slow->max_hosts == 2 && slow->max_addresses == 3);
    ck_assert_int_eq(slow->families, FAMILIES_IPV4_FIRST);
    ck_assert(slow->sources.count == 2 && slow->sources.list[1].family == 6);
    ck_assert_str_eq(slow->hello, "d.test");

    const struct retry *retry = config_retry(c, SPAN("any.test"));
    ck_assert(retry->first_ms == 1000 && retry->longest_ms == 3600000);
    ck_assert(retry->give_up_ms == 2 * 86400000LL && retry->factor == 1.5);
    ck_assert(retry->warn_ms == 0 && retry->schedule.count == 0);
    retry = config_retry(c, SPAN("listed.test"));
    ck_assert(retry->schedule.count == 3 && retry->first_ms == 1000);
    ck_assert(retry->schedule.delays_ms[0] == 60000 && retry->schedule.delays_ms[2] == 7200000);
    ck_assert_int_eq(slow->in_doubt, IN_DOUBT_HOLD);
    ck_assert_uint_eq(slow->discarded, EXTENSION_CHUNKING | EXTENSION_DSN);
    ck_assert_int_eq(config_destination(c, SPAN("other.test"))->in_doubt, IN_DOUBT_RETRY);
    ck_assert(c->bounce.full_max == 10240 && c->bounce.per_sender.count == 7);
    ck_assert_int_eq(c->bounce.per_sender.per_ms, 60000);
    ck_assert_str_eq(c->bounce.postmaster_copy, "pm@example.com");
    ck_assert(c->tlsrpt.on && c->tlsrpt.send);
    ck_assert_str_eq(c->tlsrpt.organization, "A B");
    ck_assert_str_eq(c->tlsrpt.contact, "c@d.test");
    ck_assert_str_eq(c->tlsrpt.from, "f@d.test");
    ck_assert_str_eq(c->tlsrpt.collector, "/run/c");
    ck_assert_str_eq(c->tlsrpt.ca_file, "ca.pem");

    const struct admin_config *admin = &c->admin;
    ck_assert(admin->on && admin->at.port == 0 && admin->at.ip.family == 6);
    ck_assert(admin->destinations == 3 && admin->allow_remote && !admin->actions);

    const struct limits *limits = &c->limits;
    ck_assert(limits->connections == 1 && limits->connections_per_client == 2);
    ck_assert(limits->recipients == 3 && limits->message_bytes == 65536 && limits->errors == 4);
    ck_assert(limits->idle_ms == 5000 && limits->queue == 6 && limits->memory == 7u << 20);
}
END_TEST

/* With a collector somebody else reports. */
START_TEST(defaults_of_tlsrpt)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *c CLEANUP(config_drop) = read_fine(&scratch, "origin = a.test tlsrpt { }");
    ck_assert(c->tlsrpt.on && c->tlsrpt.send && c->tlsrpt.collector == NULL);
    ck_assert_str_eq(c->tlsrpt.organization, "a.test");
    ck_assert_str_eq(c->tlsrpt.contact, "postmaster@a.test");
    ck_assert_str_eq(c->tlsrpt.from, "postmaster@a.test");
    struct config *other CLEANUP(config_drop) =
        read_fine(&scratch, "tlsrpt { contact = b@c.test collector = /c }");
    ck_assert(other->tlsrpt.on && !other->tlsrpt.send);
    ck_assert_str_eq(other->tlsrpt.from, "b@c.test");
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
    ck_assert_str_eq(c->submit, "./var/millrace/submit.sock");
    ck_assert_str_eq(c->origin, c->hostname);
    ck_assert(config_may_submit(c, 0, "root") && config_may_submit(c, 4711, ""));
    ck_assert_uint_ge(c->workers, 1);
    ck_assert(c->durability == DURABILITY_COMMIT && c->log == LOG_TEXT && c->resolver == NULL);
    ck_assert(c->bounce.full_max == 1u << 20 && c->bounce.per_sender.count == 100);
    ck_assert(c->bounce.per_sender.per_ms == 3600000 && c->bounce.postmaster_copy == NULL);
    ck_assert(!c->tlsrpt.on && !c->tlsrpt.send);
    ck_assert(config_retry(c, SPAN("x.test"))->warn_ms == 4 * 3600000);
    ck_assert(c->smtp_port == 25 && !c->allow_loopback && c->drain_ms == 30000);
    ck_assert(c->mta_sts_ca_file == NULL && c->mta_sts_port == 443);
    ck_assert_uint_eq(c->listen_count, 1);
    ck_assert(c->listen[0].at.port == 2525 && ip_is_loopback(&c->listen[0].at.ip));
    ck_assert(c->admin.on && c->admin.at.port == 8025 && ip_is_loopback(&c->admin.at.ip));
    ck_assert(!c->admin.actions && !c->admin.allow_remote && c->admin.destinations == 20);
    ck_assert_ptr_null(config_route(c, SPAN("a.test")));
    ck_assert_int_eq(config_tls(c, SPAN("a.test"))->policy.level, TLS_MAY);
    const struct destination_config *any = config_destination(c, SPAN("a.test"));
    ck_assert_uint_eq(any->max_connections, 20);
    ck_assert(any->max_hosts == 20 && any->max_addresses == 10); /* whatever DNS says */
    ck_assert_int_eq(config_retry(c, SPAN("a.test"))->first_ms, 300000);
    ck_assert(ip_parse(SPAN("127.1.2.3"), &ip) && config_may_relay(c, &ip));
    ck_assert(ip_parse(SPAN("::1"), &ip) && config_may_relay(c, &ip));
    ck_assert(ip_parse(SPAN("::2"), &ip) && !config_may_relay(c, &ip));
    ck_assert(ip_parse(SPAN("192.0.2.1"), &ip) && !config_may_relay(c, &ip));
}
END_TEST

START_TEST(admin_sections)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *none CLEANUP(config_drop) = read_fine(&scratch, "workers = 1");
    ck_assert(!none->admin.on);
    struct config *local CLEANUP(config_drop) =
        read_fine(&scratch, "admin \"/run/admin.sock\" { actions = false }");
    ck_assert(local->admin.on && local->admin.at.ip.family == 0 && !local->admin.actions);
    ck_assert_str_eq(local->admin.path, "/run/admin.sock");
    struct config *owned CLEANUP(config_drop) =
        read_fine(&scratch, "admin \"/run/admin.sock\" { }");
    struct config *shared CLEANUP(config_drop) = read_fine(&scratch, "admin \"127.0.0.1:80\" { }");
    ck_assert(owned->admin.actions && !shared->admin.actions);
    struct config *remote CLEANUP(config_drop) =
        read_fine(&scratch, "admin \"192.0.2.1:80\" { allow-remote = true actions = true }");
    ck_assert(remote->admin.actions && remote->admin.path == NULL);
}
END_TEST

START_TEST(the_longest_control_socket)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    char text[512], path[CONFIG_SOCKET_MAX + 1] = {0};
    memset(path, 'a', CONFIG_SOCKET_MAX);
    snprintf(text, sizeof(text), "control = \"%s\" submit = s spool = \"/very/long/%s\"", path,
             path);
    struct config *c CLEANUP(config_drop) = read_fine(&scratch, text);
    ck_assert_str_eq(c->control, path);
}
END_TEST

/* What is inherited is told once. */
START_TEST(addresses_that_are_not_here)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    static const struct {
        const char *text, *doubts;
    } rows[] = {
        {"destination \"*\" { source = { 127.0.0.1, 127.0.0.2 } }", ""},
        {"\ndestination \"*\" { source = { 127.0.0.1, 203.0.113.251 } }\n"
         "destination \"a.test\" { idle = 1s }\ndestination \"b.test\" { source = 203.0.113.252 }",
         "t.conf:2: source 203.0.113.251 cannot be used: Cannot assign requested address\n"
         "t.conf:4: source 203.0.113.252 cannot be used: Cannot assign requested address\n"},
        {"route \"a.test\" { hosts = a.test\nsource = { 203.0.113.253 } }",
         "t.conf:2: source 203.0.113.253 cannot be used: Cannot assign requested address\n"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer doubts CLEANUP(buffer_free) = {0};
        struct config *c CLEANUP(config_drop) = read_fine(&scratch, rows[i].text);
        ck_assert_int_eq(config_doubts(c, &doubts), rows[i].doubts[0] == '\0');
        struct span rest = buffer_span(&doubts), line, wanted = span_of(rows[i].doubts), part;
        while (span_line(&wanted, &part)) {
            ck_assert(span_line(&rest, &line));
            ck_assert(line.length >= part.length);
            ck_assert(span_equal(span_skip(line, line.length - part.length), part));
        }
        ck_assert_uint_eq(rest.length, 0);
    }
}
END_TEST

START_TEST(where_we_listen_is_ourselves)
{
    static const struct {
        const char *listener, *ip;
        bool ours;
    } rows[] = {
        {"192.0.2.1:25", "192.0.2.1", true},
        {"192.0.2.1:25", "192.0.2.2", false},
        {"192.0.2.1:26", "192.0.2.1", false},
        {"0.0.0.0:25", "127.9.9.9", true},
        {"0.0.0.0:25", "0.0.0.0", true},
        {"0.0.0.0:25", "198.51.100.9", false},
        {"0.0.0.0:25", "::1", false},
        {"[::]:25", "::1", true},
        {"[::]:25", "::", true},
        {"[::]:25", "::ffff:127.0.0.1", true},
        {"127.0.0.1:25", "0.0.0.0", true},
        {"127.0.0.1:25", "127.0.0.2", false},
        {"[::ffff:192.0.2.1]:25", "192.0.2.1", true},
    };
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    for (size_t i = 0; i < countof(rows); i++) {
        char text[128];
        struct ip ip;
        snprintf(text, sizeof(text), "listen \"%s\" { }", rows[i].listener);
        struct config *c CLEANUP(config_drop) = read_fine(&scratch, text);
        ck_assert(ip_parse(span_of(rows[i].ip), &ip));
        ck_assert_msg(config_is_own_listener(c, &ip, 25) == rows[i].ours, "%s at %s", rows[i].ip,
                      rows[i].listener);
    }
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

START_TEST(users_who_may_submit)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    static const struct {
        const char *users;
        unsigned uid;
        const char *name;
        bool may;
    } rows[] = {
        {"ann", 1000, "ann", true},
        {"ann", 1000, "bob", false},
        {"ann", 1000, "", false},
        {"bob, 1000", 1000, "ann", true},
        {"1000", 1000, "", true},
        {"1000", 1001, "", false},
        {"\"*\"", 1000, "ann", true},
        {"ann, \"*\"", 33, "", true},
        {"", 0, "root", false},
        {"ann", 1000, "an", false},
        {"4294968296", 1000, "", false} /* 2^32 + 1000 */,
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char text[200];
        snprintf(text, sizeof(text), "submit-users = { %s }", rows[i].users);
        struct config *c CLEANUP(config_drop) = read_fine(&scratch, text);
        ck_assert_msg(config_may_submit(c, rows[i].uid, rows[i].name) == rows[i].may, "%s, %u %s",
                      rows[i].users, rows[i].uid, rows[i].name);
    }
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
        "submit-users = { ann, \"*\", 7 } submit = \"./a b\" origin = o.test\n"
        "control = \"/a\\\"\\\\\\${b}\" relay-from = { } drain = 1ms resolver = \"127.0.0.1:53\"\n"
        "hostname = x.test map-size = 1234567890 allow-loopback = on durability = none\n"
        "listen \"127.0.0.1:0\" { } listen '[127.0.0.1]:0' { }\n"
        "listen \"[::]:0\" { certificate = c key = k bare-newlines = normalise }\n"
        "listen \"[::]:1\" { certificate = c key = k tls = required proxy = { 10.0.0.0/8, ::1 } }\n"
        "users = u xclient-from = 10.0.0.1\n"
        "listen \"[::]:4\" { auth = offered auth-in-clear = on xclient-from = { } }\n"
        "user \"Ann\" { messages-per-hour = 100 senders = { } }\n"
        "user \"*\" { recipients-per-message = 7 senders = { a@b.test, .c.test, <> } }\n"
        "listen \"[::]:2\" { certificate = c key = k tls = implicit proxy = { } }\n"
        "route \"*\" { hosts = { a.test, \"[::1]:3\", 192.0.2.1 } }\n"
        "route \"b.test\" { hosts = \"b.test:1\" }\n"
        "tls \".x.test\" { level = none max-version = 1.2 }\n"
        "destination \"*\" { discard-ehlo = LIMITS }\n"
        "destination \"y.test\" { idle = 90s source = { \"::1\", 192.0.2.1 } hello = x.test }\n"
        "destination \"z.test\" { discard-ehlo = { } }\n"
        "retry \"z.test\" { factor = 1.1 give-up = 36h }\n"
        "retry \"s.test\" { schedule = { 90s, 1h } warn-after = 0 }\n"
        "bounce { per-sender = \"0\" postmaster-copy = \"a+b@x.test\" full-max = 0 }\n"
        "tlsrpt { collector = c }\n"
        "limits { memory = 1025K }\n",
        "login corp { user = \"a b\" password-file = f mechanisms = { plain, SCRAM-SHA-1 } }\n"
        "login cloud { user = a token-file = t in-clear = yes unverified = yes }\n"
        "route a.test { hosts = a.test tls = implicit fallback = starttls login = corp }\n"
        "route b.test { hosts = a.test tls = starttls fallback-port = 1 login = cloud }\n"
        "tls a.test { level = verify }\n",
        ("reply \"greylist\" { match = '^4\\d\\d \"later\" \\$' action = next-host at = rcpt }\n"
         "reply \"mine\" { match = x destination = .y.test action = suspend for = 2d }\n"),
        "builtin-rules = no reply \"mine\" { match = 'a\\\\\\'b' action = bounce }\n",
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
        ck_assert_uint_eq(again->relay_from.count, config->relay_from.count);
        ck_assert_uint_eq(again->limits.memory, config->limits.memory);
        ck_assert_uint_eq(config_destination(again, SPAN("y.test"))->discarded,
                          config_destination(config, SPAN("y.test"))->discarded);
        ck_assert_uint_eq(config_destination(again, SPAN("z.test"))->discarded, 0);
        ck_assert(config_retry(again, SPAN("z.test"))->factor ==
                  config_retry(config, SPAN("z.test"))->factor);
    }
}
END_TEST

static const struct rule *find_rule(const struct config *config, const char *name)
{
    for (unsigned i = 0; i < config->rule_count; i++)
        if (strcmp(config->rules[i].name, name) == 0)
            return &config->rules[i];
    return NULL;
}

START_TEST(rules_in_their_order)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *all CLEANUP(config_drop) = read_fine(
        &scratch, "reply \"b\" { match = '^5\\d\\d ' action = retry at = data }\n"
                  "reply \"greylist\" { match = y destination = \"*\" action = defer for = 9s }\n");
    ck_assert_str_eq(all->rules[0].name, "b");
    ck_assert_str_eq(all->rules[0].match, "^5\\d\\d ");
    ck_assert(all->rules[0].at == STAGE_DATA && all->rules[0].action == RULE_RETRY);
    ck_assert(all->rules[0].for_ms == 0 && all->rules[0].destination == NULL);
    const struct rule *ours = find_rule(all, "greylist"); /* instead of the built-in one */
    ck_assert(ours == &all->rules[1] && ours->for_ms == 9000);
    ck_assert_int_eq(find_rule(all, "blocklist")->for_ms, 3600000);

    struct config *none CLEANUP(config_drop) = read_fine(&scratch, "builtin-rules = false");
    ck_assert_uint_eq(none->rule_count, 0);
}
END_TEST

START_TEST(users_have_their_limits)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *c CLEANUP(config_drop) =
        read_fine(&scratch, "user \"*\" { recipients-per-message = 7 }\n"
                            "user \"Ann@A.test\" { messages-per-hour = 9 senders = { } }\n"
                            "user \".b\" { messages-per-hour = 2 recipients-per-message = 1 }\n");
    ck_assert_uint_eq(config_user(c, "nobody")->messages_per_hour, 0);
    ck_assert_uint_eq(config_user(c, "nobody")->recipients_per_message, 7);
    ck_assert_uint_eq(config_user(c, "ann@a.test")->messages_per_hour, 9);
    ck_assert_uint_eq(config_user(c, "ANN@a.test")->recipients_per_message, 7);
    ck_assert_uint_eq(config_user(c, "a.b")->messages_per_hour, 0); /* a name, not a domain */
    ck_assert_uint_eq(config_user(c, ".b")->messages_per_hour, 2);
    ck_assert(config_may_send_as(&config_user(c, "nobody")->senders, SPAN("x@y.test")));
    ck_assert(!config_may_send_as(&config_user(c, "ann@a.test")->senders, SPAN("ann@a.test")));
    struct config *plain CLEANUP(config_drop) = read_fine(&scratch, "");
    ck_assert_uint_eq(config_user(plain, "x")->messages_per_hour, 0);
    ck_assert_uint_eq(plain->limits.auth_failures, 10);
    ck_assert_int_eq(plain->limits.auth_delay_ms, 500);
    ck_assert(plain->listen[0].auth == LISTEN_AUTH_OFF && !plain->listen[0].auth_in_clear);
}
END_TEST

START_TEST(senders)
{
    static const char *list[] = {"a@b.test", ".c.test", "d.test", "<>"};
    static const struct {
        const char *sender;
        unsigned allowed; /* bits by `list` */
    } rows[] = {{"a@b.test", 1},   {"A@B.Test", 1},   {"b@b.test", 0},           {"a@x.b.test", 0},
                {"x@c.test", 0},   {"x@e.c.test", 2}, {"x@ec.test", 0},          {"x@d.test", 4},
                {"x@e.d.test", 0}, {"", 8},           {"\"a@d.test\"@e.test", 0}};
    for (size_t i = 0; i < countof(rows) * countof(list); i++) {
        const struct senders one = {&list[i % countof(list)], 1};
        bool allowed = rows[i / countof(list)].allowed >> i % countof(list) & 1;
        ck_assert_msg(config_may_send_as(&one, span_of(rows[i / countof(list)].sender)) == allowed,
                      "%s as %s", rows[i / countof(list)].sender, list[i % countof(list)]);
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

    static const char format[] = "spool = \"%s/a/b\"\nlisten \"127.0.0.1:0\" {\n"
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

    scratch_write(&scratch, "anchor", SPAN("no key at all\n"));
    snprintf(text, sizeof(text), "spool = \"%s/a\"\ntrust-anchor = \"%s/anchor\"", one,
             scratch.path);
    expect_files(&scratch, text, NAME ":2: trust-anchor ");
    snprintf(text, sizeof(text),
             "spool = \"%s/a\"\ntls a.test { level = dane }\n"
             "trust-anchor = \"/nowhere\"",
             one);
    expect_files(&scratch, text, NAME ":3: trust-anchor /nowhere cannot be used");
    snprintf(text, sizeof(text), "spool = \"%s/a\"\nmta-sts-ca-file = \"%s/key.pem\"", one, one);
    expect_files(&scratch, text, NAME ":2: mta-sts-ca-file: ");
    snprintf(text, sizeof(text), "spool = \"%s/a\"\nmta-sts-ca-file = \"%s/cert.pem\"", one, one);
    expect_files(&scratch, text, NULL);
}
END_TEST

/* A login's file is looked at by check-config; run goes on without it. */
START_TEST(secrets_of_logins)
{
    static const struct {
        const char *text;
        mode_t mode;
        const char *fault; /* NULL: none */
    } rows[] = {
        {"s3cret", 0600, NULL},
        {"s3cret", 0640, "others may use it (mode 0640): chmod 600 "},
        {"s3cret", 0604, "others may use it (mode 0604): chmod 600 "},
        {"", 0600, "it is empty"},
        {"s3cret\ns3cret\n", 0600, "it has more than one line"},
    };
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    char path[SCRATCH_FILE_MAX], text[1024];
    snprintf(text, sizeof(text),
             "spool = \"%s/s\"\nlogin corp {\nuser = a password-file = \"%s\" }", scratch.path,
             scratch_name(&scratch, "secret", path));
    struct config *config CLEANUP(config_drop) = read_fine(&scratch, text);
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer said CLEANUP(buffer_free) = {0};
        scratch_write(&scratch, "secret", span_of(rows[i].text));
        must(chmod(path, rows[i].mode) == 0);
        expect_files(&scratch, text, NULL);
        ck_assert(config_doubts(config, &said) == (rows[i].fault == NULL));
        config_dump(config, &said);
        buffer_append(&said, (struct span){"", 1});
        const char *told = buffer_span(&said).data;
        ck_assert_ptr_null(strstr(told, "s3cret"));
        ck_assert_msg(rows[i].fault == NULL || strstr(told, rows[i].fault) != NULL, "%s", told);
        ck_assert(rows[i].fault == NULL ||
                  strstr(told, NAME ":2: login \"corp\" cannot be used: "));
    }
}
END_TEST

START_TEST(the_place_of_the_control_socket)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    static const struct {
        const char *spool, *control, *fault;
    } rows[] = {
        {"new", "new/c", NULL}, /* the spool is made */
        {"new/", "new//c", NULL},
        {"new", "c", NULL},
        {"new", "none/c", "No such file or directory"},
        {"new", "file/c", "it is not a directory"},
        {"new", "file", "there is a file of that name"},
    };
    scratch_write(&scratch, "file", SPAN("x"));
    for (size_t i = 0; i < countof(rows); i++) {
        char text[4096], words[1024];
        snprintf(text, sizeof(text), "spool = \"%s/%s\"\ncontrol = \"%s/%s\"", scratch.path,
                 rows[i].spool, scratch.path, rows[i].control);
        snprintf(words, sizeof(words), NAME ":2: control %s/%s cannot be made: %s", scratch.path,
                 rows[i].control, rows[i].fault ? rows[i].fault : "");
        expect_files(&scratch, text, rows[i].fault ? words : NULL);
    }
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
            ck_assert_msg(there, "%s: a row for %s is missing", section->name,
                          section->keys[i].name);
        }
    }
}
END_TEST

/* DNS is validated where somebody has a use for it, or says so. */
START_TEST(when_dns_is_validated)
{
    static const struct {
        const char *text;
        enum dnssec dnssec;
        const char *anchor;
    } rows[] = {
        {"", DNSSEC_OFF, NULL},
        {"tls a.test { level = secure }", DNSSEC_OFF, NULL},
        {"tls a.test { level = dane }", DNSSEC_VALIDATE, CONFIG_TRUST_ANCHOR},
        {"tls \"*\" { level = dane-only }", DNSSEC_VALIDATE, CONFIG_TRUST_ANCHOR},
        {"dnssec = validate", DNSSEC_VALIDATE, CONFIG_TRUST_ANCHOR},
        {"trust-anchor = \"/a\"", DNSSEC_VALIDATE, "/a"},
        {"dnssec = trust-ad tls a.test { level = dane }", DNSSEC_TRUST_AD, NULL},
        {"dnssec = off", DNSSEC_OFF, NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
        struct config *c CLEANUP(config_drop) = read_fine(&scratch, rows[i].text);
        struct resolve_settings settings = config_resolver(c);
        ck_assert_msg(settings.dnssec == rows[i].dnssec, "%s", rows[i].text);
        if (rows[i].anchor == NULL)
            ck_assert_ptr_null(settings.trust_anchor);
        else
            ck_assert_str_eq(settings.trust_anchor, rows[i].anchor);
    }
}
END_TEST

TEST_MAIN("relay/config", all_values, defaults, defaults_of_tlsrpt, the_longest_control_socket,
          admin_sections, where_we_listen_is_ourselves, addresses_that_are_not_here,
          nobody_may_relay, users_who_may_submit, sections_start_from_the_star, environment,
          a_dump_reads_as_the_same, users_have_their_limits, senders, rules_in_their_order,
          references, files_that_it_names, secrets_of_logins, the_place_of_the_control_socket,
          when_dns_is_validated, the_manual_names_every_key)
