#include "relay/policy_map.h"

#include "tests/suite.h"

START_TEST(places)
{
    static const struct {
        const char *text;
        bool fine;
        const char *path, *name;
    } table[] = {
        {"socketmap:inet:127.0.0.1:8461:postfix", true, "", "postfix"},
        {"socketmap:inet:[::1]:8461:postfix", true, "", "postfix"},
        {"socketmap:unix:/run/mta-sts.sock:postfix", true, "/run/mta-sts.sock", "postfix"},
        {"tcp:127.0.0.1:1234", true, "", ""},
        {"tcp:localhost:1234", false, NULL, NULL},
        {"tcp:127.0.0.1", false, NULL, NULL},
        {"socketmap:inet:127.0.0.1:8461", false, NULL, NULL},
        {"socketmap:inet:127.0.0.1:8461:", false, NULL, NULL},
        {"socketmap:inet:127.0.0.1:8461:a b", false, NULL, NULL},
        {"socketmap:unix:postfix", false, NULL, NULL},
        {"socketmap:unix::postfix", false, NULL, NULL},
        {"hash:/etc/postfix/tls_policy", false, NULL, NULL},
        {"", false, NULL, NULL},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct policy_map map;
        const char *why = policy_map_parse(table[i].text, &map);
        ck_assert_msg((why == NULL) == table[i].fine, "%s: %s", table[i].text, why ? why : "");
        if (!table[i].fine)
            continue;
        ck_assert_str_eq(map.path, table[i].path);
        ck_assert_str_eq(map.name, table[i].name);
        ck_assert(map.path[0] != '\0' || map.at.port != 0);
    }
}
END_TEST

static const struct policy_map socketmap = {.protocol = POLICY_SOCKETMAP, .name = "postfix"};
static const struct policy_map tcp = {.protocol = POLICY_TCP};

START_TEST(questions)
{
    struct buffer to = {0};
    policy_map_ask(&socketmap, "example.test", &to);
    policy_map_ask(&tcp, "example.test", &to);
    policy_map_ask(&tcp, "a%b\n", &to);
    ck_assert(span_equal(buffer_span(&to),
                         SPAN("20:postfix example.test,get example.test\nget a%25b%0A\n")));
    buffer_free(&to);
}
END_TEST

START_TEST(answers)
{
    static const struct {
        const struct policy_map *map;
        struct span came;
        enum policy_answer answer;
        const char *text;
    } table[] = {
        {&socketmap, SPAN("19:OK secure match=a.b,"), POLICY_FOUND, "secure match=a.b"},
        {&socketmap, SPAN("9:NOTFOUND ,"), POLICY_NOT_FOUND, NULL},
        {&socketmap, SPAN("8:NOTFOUND,"), POLICY_NOT_FOUND, NULL},
        {&socketmap, SPAN("10:TEMP later,"), POLICY_FAILED, "it said: TEMP later"},
        {&socketmap, SPAN("8:PERM no!,"), POLICY_FAILED, "it said: PERM no!"},
        {&socketmap, SPAN("8:TIMEOUT ,"), POLICY_FAILED, "it said: TIMEOUT "},
        {&socketmap, SPAN("4:OK \x1b,"), POLICY_FOUND, "\x1b"},
        {&socketmap, SPAN("6:TEMP\x1b\n,"), POLICY_FAILED, "it said: TEMP??"},
        {&socketmap, SPAN("0:,"), POLICY_FAILED, "it said"},
        {&socketmap, SPAN("3:OKA,"), POLICY_FAILED, "it said: OKA"},
        {&socketmap, SPAN("1"), POLICY_UNFINISHED, NULL},
        {&socketmap, SPAN("19:OK secure match=a.b"), POLICY_UNFINISHED, NULL},
        {&socketmap, SPAN("2:OK;"), POLICY_FAILED, "its reply is no netstring: 2:OK;"},
        {&socketmap, SPAN("2:OK,x"), POLICY_FAILED, "its reply is no netstring: 2:OK,x"},
        {&socketmap, SPAN("99999:OK"), POLICY_FAILED, "its reply is no netstring: 99999:OK"},
        {&socketmap, SPAN("9999999"), POLICY_FAILED, "its reply is no netstring: 9999999"},
        {&socketmap, SPAN("HTTP/1.1"), POLICY_FAILED, "its reply is no netstring: HTTP/1.1"},
        {&tcp, SPAN("200 secure match=a.b\n"), POLICY_FOUND, "secure match=a.b"},
        {&tcp, SPAN("200 secure%20match=a.b\n"), POLICY_FOUND, "secure match=a.b"},
        {&tcp, SPAN("500 not found\n"), POLICY_NOT_FOUND, NULL},
        {&tcp, SPAN("500\n"), POLICY_NOT_FOUND, NULL},
        {&tcp, SPAN("400 later\n"), POLICY_FAILED, "it said: 400 later"},
        {&tcp, SPAN("200 a%0\n"), POLICY_FAILED, "it said: 200 a%0"},
        {&tcp, SPAN("200 a%00\n"), POLICY_FAILED, "it said: 200 a%00"},
        {&tcp, SPAN("2000 a\n"), POLICY_FAILED, "it said: 2000 a"},
        {&tcp, SPAN("500 a\n200 b\n"), POLICY_FAILED, "it said: 500 a"},
        {&tcp, SPAN("200 may"), POLICY_UNFINISHED, NULL},
        {&tcp, SPAN("\n"), POLICY_FAILED, "it said"},
        {&tcp, SPAN("20\n"), POLICY_FAILED, "it said: 20"},
        {&tcp, SPAN(""), POLICY_UNFINISHED, NULL},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct arena arena = {0};
        struct span text;
        enum policy_answer answer = policy_map_read(table[i].map, table[i].came, &arena, &text);
        ck_assert_msg(answer == table[i].answer, "%s: %d", table[i].came.data, (int)answer);
        if (table[i].text != NULL)
            ck_assert_msg(span_equal(text, span_of(table[i].text)), "%s: %.*s", table[i].came.data,
                          SPAN_FORMAT(text));
        arena_free(&arena);
    }
}
END_TEST

START_TEST(replies_are_bounded)
{
    static char endless[POLICY_MAP_REPLY_MAX + 100];
    struct arena arena = {0};
    struct span text;
    memset(endless, 'x', sizeof(endless));
    ck_assert_int_eq(policy_map_read(&tcp, (struct span){endless, sizeof(endless)}, &arena, &text),
                     POLICY_FAILED);
    arena_free(&arena);
}
END_TEST

TEST_MAIN("relay/policy_map", places, questions, answers, replies_are_bounded)
