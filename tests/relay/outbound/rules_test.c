#include "relay/outbound/rules.h"

#include "relay/config.h"
#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

/* The built-in set, as a configuration without a file has it. */
static struct config *builtin(void)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = config_read(NULL, &errors);
    ck_assert_ptr_nonnull(config);
    ck_assert_uint_gt(config->rule_count, 5);
    return config;
}

/* "550 5.1.1 No such user", as said at RCPT. */
static struct verdict said(const char *reply)
{
    struct verdict verdict = {.stage = STAGE_RCPT};
    struct span rest = span_of(reply), code = span_word(&rest);
    uint64_t number;
    ck_assert(span_number(code, &number));
    verdict.code = (uint16_t)number;
    verdict.kind = number >= 500 ? VERDICT_BOUNCED : VERDICT_DEFERRED;
    struct span after = rest, status = span_word(&after);
    if (status.length >= 5 && status.data[1] == '.') {
        unsigned class, subject, detail;
        char text[32] = "";
        memcpy(text, status.data, status.length < 31 ? status.length : 31);
        ck_assert_int_eq(sscanf(text, "%u.%u.%u", &class, &subject, &detail), 3);
        verdict.status = (struct status){(uint8_t) class, (uint16_t)subject, (uint16_t)detail};
        rest = after;
    }
    verdict.text = span_trim(rest);
    return verdict;
}

/* Replies as they come in the world, and which of ours takes them; NULL: none may. */
START_TEST(the_builtin_set)
{
    enum { MINUTE = 60000 };
    static const struct {
        const char *reply, *rule;
        int64_t for_ms;
    } table[] = {
        {"450 4.2.0 <u@x.test>: Recipient address rejected: Greylisted, see http://x.test/help",
         "greylist", 5 * MINUTE},
        {"451 4.7.1 Greylisting in effect, please come back later", "greylist", 5 * MINUTE},
        {"450 4.7.1 Graylisted, try again in 300 seconds", "greylist-seconds", 5 * MINUTE},
        {"451 4.7.1 Try again in 90s", "greylist-seconds", 90000},
        {"450 4.7.1 Greylisted for 7 minutes", "greylist-minutes", 7 * MINUTE},
        {"451 Please retry in 1 min", "greylist-minutes", MINUTE},
        {"451 Please retry in 0 seconds", "greylist-seconds", 1000},
        {"451 Greylisted, retry in 9999 minutes", "greylist-minutes", RULE_FOR_MOST_MS},
        {"421 4.7.28 Our system has detected an unusual rate of unsolicited mail", "rate-gmail",
         15 * MINUTE},
        {"421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume",
         "rate-yahoo", 15 * MINUTE},
        {"421 RP-001 (BAY004-MC1F1) Unfortunately, some messages weren't sent. The mail server IP "
         "connecting to Outlook.com server has exceeded the rate limit allowed",
         "rate-outlook", 15 * MINUTE},
        {"451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited (S775)",
         "rate-outlook", 15 * MINUTE},
        {"421 4.7.0 mx.x.test Error: too many connections from 192.0.2.1", "rate", 5 * MINUTE},
        {"450 4.7.1 Rate limit exceeded", "rate", 5 * MINUTE},
        {"452 4.3.1 Throttled", "rate", 5 * MINUTE},
        {"450 4.7.1 Error: too many messages in an hour", "rate", 5 * MINUTE},
        {"452 4.2.2 The recipient's inbox is out of storage space", "mailbox-full", 60 * MINUTE},
        {"450 Mailbox quota exceeded", "mailbox-full", 60 * MINUTE},
        {"550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
         "blocklist", 60 * MINUTE},
        {"554 5.7.1 Your IP 192.0.2.1 is on our block list", "blocklist", 60 * MINUTE},
        {"550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your "
         "Internet service provider since part of their network is on our block list (S3140).",
         "blocklist", 60 * MINUTE},

        /* what is said of this mail, or of this recipient, is that alone */
        {"554 5.7.1 Blocked using dbl.spamhaus.org: the URL in your message [192.0.2.1]", NULL, 0},
        {"550 5.7.1 Sender domain listed in a blacklist [192.0.2.1]", NULL, 0},
        {"550 5.1.1 No such user", NULL, 0},
        {"450 4.1.1 No such user here", NULL, 0},
        {"552 5.2.2 Mailbox full", NULL, 0},
        {"552 5.3.4 Message too large", NULL, 0},
        {"452 4.5.3 Too many recipients", NULL, 0},
        {"452 4.5.3 Too many messages sent", NULL, 0}, /* on this connection: OpenSMTPD */
        {"451 4.3.0 Temporary failure, please try again later", NULL, 0},
        {"421 4.7.0 Try again later, closing connection. 12si3456789wmb.5 - gsmtp", NULL, 0},
        {"550 5.7.1 Too many connections", NULL, 0},
    };
    struct config *config CLEANUP(config_drop) = builtin();
    for (size_t i = 0; i < countof(table); i++) {
        struct verdict verdict = said(table[i].reply);
        struct ruling ruling =
            rules_find(config->rules, config->rule_count, SPAN("x.test"), &verdict);
        const char *name = ruling.rule ? ruling.rule->name : NULL;
        ck_assert_msg((name == NULL) == (table[i].rule == NULL) &&
                          (name == NULL || strcmp(name, table[i].rule) == 0),
                      "%s: %s", table[i].reply, name ? name : "none");
        ck_assert_msg(ruling.for_ms == table[i].for_ms, "%s: %lld", table[i].reply,
                      (long long)ruling.for_ms);
    }
}
END_TEST

static void compile(struct rule *rules, unsigned count)
{
    char why[PATTERN_WHY_MAX];
    for (unsigned i = 0; i < count; i++) {
        rules[i].pattern = pattern_compile(rules[i].match, why);
        ck_assert_msg(rules[i].pattern != NULL, "%s: %s", rules[i].match, why);
    }
}

static void forget(struct rule *rules, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pattern_free(&rules[i].pattern);
}

START_TEST(where_a_rule_applies)
{
    struct rule rules[] = {
        {.name = "exact", .match = "no", .destination = "a.test", .at = STAGE_MAIL},
        {.name = "below", .match = "no", .destination = ".b.test", .action = RULE_SUSPEND},
        {.name = "local", .match = "^cannot connect", .at = STAGE_CONNECT},
        {.name = "code", .match = "^550 $", .destination = "*"},
        {.name = "softened", .match = "^554 5\\.7\\.1 go"},
        {.name = "second", .match = "NO", .for_ms = 7},
    };
    static const struct {
        const char *destination, *text;
        enum verdict_kind kind;
        uint16_t code;
        struct status status;
        enum stage stage;
        const char *rule;
    } table[] = {
        {"a.test", "no", VERDICT_BOUNCED, 550, {0}, STAGE_MAIL, "exact"},
        {"A.Test", "no", VERDICT_DEFERRED, 450, {0}, STAGE_MAIL, "exact"},
        {"a.test", "no", VERDICT_BOUNCED, 550, {0}, STAGE_RCPT, "second"},
        {"x.a.test", "no", VERDICT_BOUNCED, 550, {0}, STAGE_MAIL, "second"},
        {"x.y.b.test", "no", VERDICT_BOUNCED, 550, {0}, STAGE_DATA, "below"},
        {"b.test", "no", VERDICT_BOUNCED, 550, {0}, STAGE_DATA, "second"},
        {"xb.test", "no", VERDICT_BOUNCED, 550, {0}, STAGE_DATA, "second"},
        {"c.test", "", VERDICT_BOUNCED, 550, {0}, STAGE_RCPT, "code"},
        {"c.test",
         "cannot connect: Connection refused",
         VERDICT_DEFERRED,
         0,
         {4, 4, 1},
         STAGE_CONNECT,
         "local"},
        {"c.test", "5.7.1 go", VERDICT_DEFERRED, 554, {4, 7, 1}, STAGE_GREETING, "softened"},
        {"c.test", "go", VERDICT_BOUNCED, 554, {5, 7, 1}, STAGE_RCPT, "softened"},
        {"c.test", "yes", VERDICT_BOUNCED, 550, {0}, STAGE_RCPT, NULL},
        /* of what is none of a host's refusals nobody asks */
        {"c.test", "no", VERDICT_DELIVERED, 250, {0}, STAGE_RCPT, NULL},
        {"c.test", "no", VERDICT_IN_DOUBT, 0, {0}, STAGE_END_OF_DATA, NULL},
        {"c.test", "no", VERDICT_EXPIRED, 450, {0}, STAGE_RCPT, NULL},
        {"c.test", "no", VERDICT_BOUNCED, 0, {0}, STAGE_NONE, NULL},
    };
    compile(rules, countof(rules));
    for (size_t i = 0; i < countof(table); i++) {
        struct verdict verdict = {.kind = table[i].kind,
                                  .code = table[i].code,
                                  .status = table[i].status,
                                  .stage = table[i].stage,
                                  .text = span_of(table[i].text)};
        struct ruling ruling =
            rules_find(rules, countof(rules), span_of(table[i].destination), &verdict);
        const char *name = ruling.rule ? ruling.rule->name : "none";
        ck_assert_msg(strcmp(name, table[i].rule ? table[i].rule : "none") == 0, "row %zu: %s", i,
                      name);
    }
    struct verdict verdict = said("550 no");
    ck_assert_int_eq(rules_find(rules, countof(rules), SPAN("c.test"), &verdict).for_ms, 7);
    ck_assert_int_eq(rules_find(rules, countof(rules), SPAN("x.b.test"), &verdict).for_ms, 3600000);
    forget(rules, countof(rules));
}
END_TEST

/* A pattern that would take for ever does not match, and does not take for ever. */
START_TEST(work_is_bounded)
{
    struct rule rules[] = {{.name = "evil", .match = "(?:a+)+(?:a+)+(?:a+)+$"},
                           {.name = "deep", .match = "((a|b)*)*c"},
                           {.name = "good", .match = "^550 a"}};
    char text[1500];
    memset(text, 'a', sizeof(text));
    text[600] = '!';
    struct verdict verdict = {
        .kind = VERDICT_BOUNCED, .code = 550, .stage = STAGE_RCPT, .text = {text, sizeof(text)}};
    compile(rules, countof(rules));
    struct ruling ruling = rules_find(rules, countof(rules), SPAN("c.test"), &verdict);
    ck_assert_ptr_nonnull(ruling.rule);
    forget(rules, countof(rules));
}
END_TEST

START_TEST(patterns_that_are_wrong)
{
    static const struct {
        const char *text, *why;
    } table[] = {
        {"(", "at byte 2"},
        {"a{3,2}", "at byte"},
        {"[z-a]", "at byte"},
        {"\\C", "at byte"},
    };
    char why[PATTERN_WHY_MAX], longest[RULE_PATTERN_MAX + 2];
    for (size_t i = 0; i < countof(table); i++) {
        ck_assert_ptr_null(pattern_compile(table[i].text, why));
        ck_assert_msg(strstr(why, table[i].why) != NULL, "%s: %s", table[i].text, why);
    }
    memset(longest, 'a', sizeof(longest));
    longest[RULE_PATTERN_MAX + 1] = '\0';
    ck_assert_ptr_null(pattern_compile(longest, why));
    longest[RULE_PATTERN_MAX] = '\0';
    struct pattern *fits CLEANUP(pattern_free) = pattern_compile(longest, why);
    ck_assert_ptr_nonnull(fits);
}
END_TEST

TEST_MAIN("relay/outbound/rules", the_builtin_set, where_a_rule_applies, work_is_bounded,
          patterns_that_are_wrong)
