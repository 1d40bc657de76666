#include "tlspolicy/policy_line.h"

#include "base/buffer.h"
#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

#define PRINT                                                                                      \
    "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99"

/* What was read, in short: "secure a,.b sni=c". */
static void describe(const struct tls_policy *policy, char *text, size_t size)
{
    static const char *const kinds[] = {"HOST", "NEXTHOP", ".NEXTHOP", NULL};
    size_t at = (size_t)snprintf(text, size, "%s", tls_level_name(policy->level));
    for (unsigned i = 0; i < policy->match_count; i++) {
        const struct tls_match *match = &policy->matches[i];
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? "," : " ",
                               match->kind == MATCH_NAME ? match->name : kinds[match->kind]);
    }
    if (policy->fingerprint_count > 0)
        at += (size_t)snprintf(text + at, size - at, " prints=%u", policy->fingerprint_count);
    if (policy->server_name != NULL)
        snprintf(text + at, size - at, " sni=%s",
                 policy->server_name->kind == MATCH_NAME ? policy->server_name->name
                                                         : kinds[policy->server_name->kind]);
}

START_TEST(lines)
{
    static const struct {
        const char *line, *read; /* NULL: refused */
    } table[] = {
        {"none", "none"},
        {"may", "may"},
        {"  encrypt  ", "encrypt"},
        {"dane-only", "dane-only"},
        {"DANE", "dane"},
        {"verify", "verify"},
        {"secure match=mx.example.test servername=hostname", "secure mx.example.test sni=HOST"},
        {"secure match=.Mx.Example:b.test:nexthop:dot-nexthop",
         "secure .mx.example,b.test,NEXTHOP,.NEXTHOP"},
        {"verify match=hostname match=a.test servername=b.test", "verify HOST,a.test sni=b.test"},
        {"secure match=a.test policy_type=sts policy_ttl=86400 policy_domain=a.test "
         "{ policy_string = version: STSv1 } {policy_string = mode: enforce} mx_host_pattern=a.test",
         "secure a.test"},
        {"secure { match = a.test }", "secure a.test"},
        {"fingerprint match=" PRINT, "fingerprint prints=1"},
        {"fingerprint match=" PRINT "|" PRINT, "fingerprint prints=2"},
        /* It fails closed. */
        {"secure {} match=mx.example", NULL},
        {"none { } bogus=1", NULL},
        {"", NULL},
        {"half-dane", NULL},
        {"secured", NULL},
        {"secure match", NULL},
        {"secure match=", NULL},
        {"secure match=a.test:", "secure a.test"},
        {"secure match=a.test::b.test", NULL},
        {"secure match=*.a.test", NULL},
        {"secure match=..a.test", NULL},
        {"secure match=a..test", NULL},
        {"secure match=a.test.", NULL},
        {"secure match=a\x01.test", NULL},
        {"secure match=[192.0.2.1]", NULL},
        {"secure servername=.a.test", NULL},
        {"secure servername=dot-nexthop", NULL},
        {"secure servername=", NULL},
        {"encrypt match=a.test", NULL},
        {"fingerprint", NULL},
        {"fingerprint match=AA:BB", NULL},
        {"fingerprint match=" PRINT ":00", NULL},
        {"secure protocols=TLSv1.3", NULL},
        {"secure ciphers=high", NULL},
        {"may tafile=/etc/x", NULL},
        {"secure { match = a.test", NULL},
        {"secure = a", NULL},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct arena arena = {0};
        char text[512] = "";
        struct tls_policy policy = TLS_POLICY_DEFAULT, before = policy;
        const char *why = policy_line_read(span_of(table[i].line), &policy, &arena);
        if (why == NULL)
            describe(&policy, text, sizeof(text));
        ck_assert_msg((why == NULL) == (table[i].read != NULL), "%s: %s", table[i].line,
                      why ? why : text);
        if (table[i].read != NULL)
            ck_assert_str_eq(text, table[i].read);
        else
            ck_assert_mem_eq(&policy, &before, sizeof(policy));
        arena_free(&arena);
    }
}
END_TEST

/* What the section had of names and certificates does not go with another level. */
START_TEST(it_takes_the_place_of_what_the_section_says)
{
    static const struct tls_match name = {MATCH_NAME, "section.test"};
    static const struct fingerprint print = {.sha256 = {1}};
    struct arena arena = {0};
    struct tls_policy policy = TLS_POLICY_DEFAULT;
    policy.matches = &name;
    policy.server_name = &name;
    policy.match_count = policy.fingerprint_count = 1;
    policy.fingerprints = &print;
    policy.plain_after = 7;
    ck_assert_ptr_null(policy_line_read(SPAN("secure match=line.test"), &policy, &arena));
    ck_assert_uint_eq(policy.match_count, 1);
    ck_assert_str_eq(policy.matches[0].name, "line.test");
    ck_assert_ptr_null(policy.server_name);
    ck_assert_uint_eq(policy.fingerprint_count, 0);
    ck_assert_uint_eq(policy.plain_after, 7);
    arena_free(&arena);
}
END_TEST

START_TEST(it_is_bounded)
{
    struct buffer line = {0};
    struct arena arena = {0};
    struct tls_policy policy = TLS_POLICY_DEFAULT;
    buffer_print(&line, "secure match=a.test");
    for (int i = 1; i < POLICY_LINE_NAMES_MAX; i++)
        buffer_print(&line, ":a%d.test", i);
    ck_assert_ptr_null(policy_line_read(buffer_span(&line), &policy, &arena));
    ck_assert_uint_eq(policy.match_count, POLICY_LINE_NAMES_MAX);
    buffer_print(&line, ":b.test");
    ck_assert_ptr_nonnull(policy_line_read(buffer_span(&line), &policy, &arena));
    buffer_clear(&line);
    buffer_print(&line, "may%*s", POLICY_LINE_MAX, "");
    ck_assert_ptr_nonnull(policy_line_read(buffer_span(&line), &policy, &arena));
    buffer_free(&line);
    arena_free(&arena);
}
END_TEST

TEST_MAIN("tlspolicy/policy_line", lines, it_takes_the_place_of_what_the_section_says,
          it_is_bounded)
