/* Lists of addresses: what people write, what programs write, and what nobody should. */
#include "relay/sendmail/addresses.h"

#include "base/buffer.h"
#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

static const struct row {
    const char *text;
    const char *wanted; /* the addresses with blanks in between; or "! " and a part of the fault */
} rows[] = {
    {"", ""},
    {" \t ", ""},
    {"a@b.test", "a@b.test"},
    {"a@b.test, c@d.test", "a@b.test c@d.test"},
    {"a@b.test,c@d.test", "a@b.test c@d.test"},
    {" a@b.test\r\n", "a@b.test"},
    {"a@b.test,\r\n\tc@d.test\r\n", "a@b.test c@d.test"},
    /* unqualified */
    {"root", "root@o.test"},
    {"root, ann@b.test, bob", "root@o.test ann@b.test bob@o.test"},
    {"ann.lee", "ann.lee@o.test"},
    {"<root>", "root@o.test"},
    {"Root <root>", "root@o.test"},
    {"\"ann lee\"", "\"ann lee\"@o.test"},
    {"a!b%c", "a!b%c@o.test"},
    /* names */
    {"Ann <a@b.test>", "a@b.test"},
    {"Ann<a@b.test>", "a@b.test"},
    {"Ann Lee <a@b.test>, Bob <c@d.test>", "a@b.test c@d.test"},
    {"\"Lee, Ann\" <a@b.test>", "a@b.test"},
    {"\"Ann <x@y.test>\" <a@b.test>", "a@b.test"},
    {"\"a \\\"quoted\\\" name\" <a@b.test>", "a@b.test"},
    {"\"\\\\\" <a@b.test>", "a@b.test"},
    {"John Q. Public <a@b.test>", "a@b.test"},
    {"=?UTF-8?Q?J=C3=BCrgen?= <a@b.test>", "a@b.test"},
    {"J\xc3\xbcrgen <a@b.test>", "a@b.test"},
    {"Ann [home] \\ ) ] <a@b.test>", "a@b.test"},
    {"Ann @ Home <a@b.test>", "a@b.test"},
    {"a@b.test <c@d.test>", "c@d.test"},
    {"\"folded\r\n name\" <a@b.test>", "a@b.test"},
    /* comments */
    {"a@b.test (Ann)", "a@b.test"},
    {"(Ann) a@b.test", "a@b.test"},
    {"a(x)@(y)b.test(z)", "a@b.test"},
    {"a@b.test (one (within, another) and \\) a@x.test), c@d.test", "a@b.test c@d.test"},
    {"(only a comment)", ""},
    {"<a@b.test (Ann)>", "a@b.test"},
    {"Ann (a \"quote\") <a@b.test>", "a@b.test"},
    {"\"(no comment)\"@b.test", "\"(no comment)\"@b.test"},
    /* groups */
    {"undisclosed-recipients:;", ""},
    {"undisclosed recipients: ;", ""},
    {"friends: a@b.test, Bob <c@d.test>;", "a@b.test c@d.test"},
    {"friends: a@b.test;, e@f.test", "a@b.test e@f.test"},
    {"friends: a@b.test; e@f.test", "a@b.test e@f.test"},
    {"x@y.test, \"my: friends\": a@b.test, ; e: ;", "x@y.test a@b.test"},
    {"friends: a@b.test", "a@b.test"}, /* never closed */
    {": a@b.test;", "a@b.test"},
    /* obsolete, and met */
    {",, a@b.test ,,\r\n , c@d.test,", "a@b.test c@d.test"},
    {"a@b.test; c@d.test", "a@b.test c@d.test"},
    {"<@x.test:a@b.test>", "a@b.test"},
    {"Ann <@x.test,@y.test:a@b.test>", "a@b.test"},
    {"< a @ b . test >", "a@b.test"},
    {"ann . lee @ b.test", "ann.lee@b.test"},
    {"ann. lee@b.test", "ann.lee@b.test"},
    /* local parts and domains */
    {"\"a b\"@c.test", "\"a b\"@c.test"},
    {"\"a@b\"@c.test", "\"a@b\"@c.test"},
    {"\"a,b\" @ c.test, d@e.test", "\"a,b\"@c.test d@e.test"},
    {"a@[192.0.2.1]", "a@[192.0.2.1]"},
    {"<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"},
    {"x!#$%&'*+-/=?^_`{|}~@b.test", "x!#$%&'*+-/=?^_`{|}~@b.test"},
    {"j\xc3\xbcrgen@m\xc3\xbcller.test", "j\xc3\xbcrgen@m\xc3\xbcller.test"},
    {"-f@b.test", "-f@b.test"},
    {"a..b@c.test", "a..b@c.test"}, /* the relay will say no */
    /* each once: domains in any case, local parts as they are */
    {"a@b.test, A@b.test, a@B.Test, <a@b.test>", "a@b.test A@b.test"},
    {"root, root@O.TEST", "root@o.test"},
    /* wrong */
    {"a b", "! words that are no address"},
    {"a@b.test c@d.test", "! words that are no address"},
    {"Ann Lee a@b.test", "! words that are no address"},
    {"a@b@c.test", "! words that are no address"},
    {"@b.test", "! words that are no address"},
    {"a\\b", "! words that are no address"},
    {"\"a\x01"
     "b\"@c.test",
     "! words that are no address"},
    {"\"a\r\n b\"@c.test", "! words that are no address"},
    {"a\x07@c.test", "! words that are no address"},
    {"a@", "! nothing behind its @"},
    {"a@, b@c.test", "! nothing behind its @"},
    {"a@\"b.test\"", "! nothing behind its @"},
    {"a@[1 2]", "! nothing behind its @"},
    {"a@[1\n2]", "! nothing behind its @"},
    {"<>", "! no address between"},
    {"Ann <>", "! no address between"},
    {"<a b@c.test>", "! no address between"},
    {"<@x.test>", "! source route"},
    {"<a@b.test", "! without its >"},
    {"<a@b.test, c@d.test>", "! without its >"},
    {"<a@b.test;>", "! without its >"},
    {"<a<b@c.test>>", "! without its >"},
    {"a@b.test>", "! > without its <"},
    {"<a@b.test> c", "! no comma"},
    {"<a@b.test> <c@d.test>", "! no comma"},
    {"a: b: c@d.test;;", "! a : where"},
    {"a@b.test: c@d.test;", "! a : where"},
    {"\"a@b.test", "! a quote without its end"},
    {"\"a@b.test\\\"", "! a quote without its end"},
    {"a@b.test (x", "! a comment without its )"},
    {"a@b.test (x\\)", "! a comment without its )"},
    {"a@b.test (((((((((((((((((((((((((((", "! a comment without its )"},
};

static void try_row(const struct row *row)
{
    struct buffer got CLEANUP(buffer_free) = {0};
    struct address_list addresses CLEANUP(addresses_free);
    addresses_init(&addresses, "o.test");
    const char *fault = addresses_read(&addresses, span_of(row->text));
    for (unsigned i = 0; i < addresses.count; i++)
        buffer_print(&got, i > 0 ? " %s" : "%s", addresses.items[i]);
    if (row->wanted[0] == '!')
        ck_assert_msg(fault && strstr(fault, row->wanted + 2), "%s: %s", row->text,
                      fault ? fault : "no fault");
    else
        ck_assert_msg(fault == NULL && span_equal(buffer_span(&got), span_of(row->wanted)),
                      "%s: %.*s %s", row->text, SPAN_FORMAT(buffer_span(&got)), fault ? fault : "");
}

START_TEST(lists)
{
    for (size_t i = 0; i < countof(rows); i++)
        try_row(&rows[i]);
}
END_TEST

/* Nothing comes out that would be more than a word in a command. */
static void assert_harmless(const char *address)
{
    bool quoted = false;
    ck_assert_msg(strchr(address, '@') != NULL, "%s", address);
    for (const char *c = address; *c != '\0'; c++) {
        bool bracket = *c == '<' || *c == '>' || *c == ' ';
        bool control = (unsigned char)*c < ' ' || *c == 0x7f;
        ck_assert_msg(!control && (quoted || !bracket), "%s", address);
        if (quoted && *c == '\\')
            c++;
        else if (*c == '"')
            quoted = !quoted;
    }
    ck_assert_msg(!quoted, "%s", address);
}

/* Every byte in every place of an address, of a name, and behind them. */
START_TEST(no_byte_breaks_out)
{
    static const char *const places[][2] = {
        {"a", "b@c.test"},       {"\"a", "b\"@c.test"}, {"a@b", "c.test"},
        {"a@[1", "2]"},          {"<a", "b@c.test>"},   {"<a@b", "c.test>"},
        {"\"a\\", "b\"@c.test"}, {"x ", " <a@b.test>"}, {"a@b.test", " c@d.test"},
        {"(", ") a@b.test"},     {"<@x", ":a@b.test>"}, {"g", ":a@b.test;"},
    };
    unsigned read = 0;
    for (size_t i = 0; i < countof(places); i++)
        for (unsigned byte = 0; byte < 256; byte++) {
            struct buffer text CLEANUP(buffer_free) = {0};
            struct address_list addresses CLEANUP(addresses_free);
            char c = (char)byte;
            buffer_print(&text, "%s", places[i][0]);
            buffer_append(&text, (struct span){&c, 1});
            buffer_print(&text, "%s", places[i][1]);
            addresses_init(&addresses, "o.test");
            addresses_read(&addresses, buffer_span(&text));
            for (unsigned j = 0; j < addresses.count; j++, read++)
                assert_harmless(addresses.items[j]);
        }
    ck_assert_uint_gt(read, 1000);
}
END_TEST

START_TEST(lists_add_up)
{
    struct address_list addresses CLEANUP(addresses_free);
    addresses_init(&addresses, "o.test");
    ck_assert_ptr_null(addresses_read(&addresses, SPAN("a@b.test, c")));
    ck_assert_ptr_null(addresses_read(&addresses, SPAN("c@o.test, d")));
    ck_assert_uint_eq(addresses.count, 3);
    ck_assert_str_eq(addresses.items[2], "d@o.test");
}
END_TEST

START_TEST(as_many_as_the_limit)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    struct address_list addresses CLEANUP(addresses_free);
    for (unsigned i = 0; i < ADDRESSES_MAX; i++)
        buffer_print(&text, "a%u,", i);
    addresses_init(&addresses, "o.test");
    ck_assert_ptr_null(addresses_read(&addresses, buffer_span(&text)));
    ck_assert_uint_eq(addresses.count, ADDRESSES_MAX);
    ck_assert_ptr_null(addresses_read(&addresses, SPAN("a0"))); /* known */
    ck_assert_ptr_nonnull(addresses_read(&addresses, SPAN("b, c")));
    ck_assert_uint_eq(addresses.count, ADDRESSES_MAX);
}
END_TEST

START_TEST(as_long_as_the_limit)
{
    char text[ADDRESS_BYTES_MAX + 2];
    struct address_list addresses CLEANUP(addresses_free);
    memset(text, 'x', sizeof(text));
    memcpy(text, "a@", 2);
    addresses_init(&addresses, "o.test");
    ck_assert_ptr_null(addresses_read(&addresses, (struct span){text, ADDRESS_BYTES_MAX}));
    ck_assert_ptr_nonnull(addresses_read(&addresses, (struct span){text, ADDRESS_BYTES_MAX + 1}));
    ck_assert_uint_eq(addresses.count, 1);
}
END_TEST

TEST_MAIN("relay/sendmail/addresses", lists, no_byte_breaks_out, lists_add_up, as_many_as_the_limit,
          as_long_as_the_limit)
