#include "tlspolicy/dane.h"

#include "tests/suite.h"

#include <string.h>

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A64 A32 A32
#define DER "\x30\x03\x02\x01\x01"

/* ---- one record ---- */

/* RFC 7672 3.1: which usages (3.1.1 to 3.1.3); RFC 6698 2.1: what the rest may be. */
START_TEST(which_records_can_be_used)
{
    static const struct {
        struct span rdata;
        bool usable;
    } rows[] = {
        {SPAN("\3\1\1" A32), true},
        {SPAN("\3\0\1" A32), true},
        {SPAN("\3\1\2" A64), true},
        {SPAN("\2\0\1" A32), true},
        {SPAN("\2\1\2" A64), true},
        {SPAN("\3\0\0" DER), true},
        {SPAN("\2\1\0" DER), true},
        /* RFC 7672 3.1.3: PKIX-TA and PKIX-EE are not for SMTP */
        {SPAN("\0\0\1" A32), false},
        {SPAN("\1\1\1" A32), false},
        {SPAN("\4\1\1" A32), false},
        {SPAN("\377\1\1" A32), false},
        /* selector, matching type */
        {SPAN("\3\2\1" A32), false},
        {SPAN("\3\1\3" A32), false},
        /* lengths */
        {SPAN("\3\1\1" A32 "x"), false},
        {SPAN("\3\1\1"
              "short"),
         false},
        {SPAN("\3\1\1"), false},
        {SPAN("\3\1\2" A32), false},
        {SPAN("\3\1\0"), false},
        {SPAN("\3\1\0\x30"), false},
        {SPAN("\3\1\0" A32), false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct tlsa record;
        ck_assert_msg(tlsa_parse(rows[i].rdata, &record), "row %zu", i);
        ck_assert_msg(tlsa_is_usable(&record) == rows[i].usable, "row %zu", i);
    }
}
END_TEST

START_TEST(records_that_are_cut_off)
{
    static const struct span rows[] = {SPAN(""), SPAN("\3"), SPAN("\3\1")};
    struct tlsa record;
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert(!tlsa_parse(rows[i], &record));
}
END_TEST

/* ---- sets ---- */

#define RECORDS_MAX 6

struct set_row {
    const char *name;
    struct span records[RECORDS_MAX];
    const char *key, *only; /* terms_key(); of a policy that is TLS_DANE_ONLY, where it differs */
};

static struct tls_terms apply(const struct set_row *row, bool reversed, bool only,
                              struct arena *arena)
{
    const struct tls_policy policy = {.level = only ? TLS_DANE_ONLY : TLS_DANE};
    struct tls_terms terms = terms_of_policy(&policy, "mx.test", "example.test", arena);
    struct span records[RECORDS_MAX];
    unsigned count = 0;
    while (count < RECORDS_MAX && row->records[count].length > 0)
        count++;
    for (unsigned i = 0; i < count; i++)
        records[i] = row->records[reversed ? count - 1 - i : i];
    const struct dane_host host = {.base = "base.test",
                                   .next_hop = "example.test",
                                   .expanded = "real.test",
                                   .records = records,
                                   .count = count};
    dane_apply(&terms, &host, only, arena);
    return terms;
}

static void expect(const struct set_row *row, bool reversed, bool only)
{
    struct arena arena CLEANUP(arena_free) = {0};
    struct buffer key CLEANUP(buffer_free) = {0};
    struct tls_terms terms = apply(row, reversed, only, &arena);
    const char *wanted = only && row->only ? row->only : row->key;
    terms_key(&terms, &key);
    ck_assert_msg(span_equal(buffer_span(&key), span_of(wanted)), "%s:\n%.*s\nshould be\n%s",
                  row->name, SPAN_FORMAT(buffer_span(&key)), wanted);
}

#define HEX_A                                                                                      \
    "61616161616161616161616161616161"                                                             \
    "61616161616161616161616161616161"
#define HEX_B                                                                                      \
    "62626262626262626262626262626262"                                                             \
    "62626262626262626262626262626262"
#define UNUSABLE "encrypt:dane sni=mx.test"
#define UNUSABLE_ONLY "dane:dane sni=mx.test refused=none of its TLSA records can be used"

START_TEST(what_a_set_asks_for)
{
    static const struct set_row rows[] = {
        {"RFC 7672 3.1.1: DANE-EE, and no names",
         {SPAN("\3\1\1" A32)},
         "dane:dane sni=base.test base=base.test tlsa=3/1/1/" HEX_A,
         NULL},
        {"RFC 7672 3.2.2: DANE-TA, with the names that may be there",
         {SPAN("\2\0\1" A32)},
         "dane:dane sni=base.test name=base.test name=example.test name=real.test "
         "base=base.test tlsa=2/0/1/" HEX_A,
         NULL},
        {"both: names are for DANE-TA",
         {SPAN("\3\1\1" A32), SPAN("\2\1\1" B32)},
         "dane:dane sni=base.test name=base.test name=example.test name=real.test "
         "base=base.test tlsa=2/1/1/" HEX_B " tlsa=3/1/1/" HEX_A,
         NULL},
        {"an unusable one among them changes nothing",
         {SPAN("\1\1\1" A32), SPAN("\3\1\1" A32), SPAN("\3\7\1" A32), SPAN("\3")},
         "dane:dane sni=base.test base=base.test tlsa=3/1/1/" HEX_A,
         NULL},
        {"the same one twice",
         {SPAN("\3\1\1" A32), SPAN("\3\1\1" B32), SPAN("\3\1\1" A32)},
         "dane:dane sni=base.test base=base.test tlsa=3/1/1/" HEX_A " tlsa=3/1/1/" HEX_B,
         NULL},
        /* RFC 7672 2.2: records, but none that can be used: TLS, unauthenticated */
        {"all unusable", {SPAN("\0\0\1" A32), SPAN("\1\0\1" A32)}, UNUSABLE, UNUSABLE_ONLY},
        {"all broken", {SPAN("\3"), SPAN("\3\1\1x")}, UNUSABLE, UNUSABLE_ONLY},
        /* RFC 7671 9: digest agility */
        {"the stronger digest alone",
         {SPAN("\3\1\1" A32), SPAN("\3\1\2" A64)},
         "dane:dane sni=base.test base=base.test tlsa=3/1/2/" HEX_A HEX_A,
         NULL},
        {"but not where it cannot be used",
         {SPAN("\3\1\1" A32), SPAN("\3\1\2" A32)},
         "dane:dane sni=base.test base=base.test tlsa=3/1/1/" HEX_A,
         NULL},
        {"for each usage and selector apart",
         {SPAN("\3\1\1" A32), SPAN("\3\0\2" A64), SPAN("\2\1\2" A64)},
         "dane:dane sni=base.test name=base.test name=example.test name=real.test base=base.test "
         "tlsa=2/1/2/" HEX_A HEX_A " tlsa=3/0/2/" HEX_A HEX_A " tlsa=3/1/1/" HEX_A,
         NULL},
        {"the whole key counts beside a digest",
         {SPAN("\3\1\0" DER), SPAN("\3\1\1" A32), SPAN("\3\1\2" A64)},
         "dane:dane sni=base.test base=base.test tlsa=3/1/0/3003020101 "
         "tlsa=3/1/2/" HEX_A HEX_A,
         NULL},
    };
    for (size_t i = 0; i < countof(rows); i++)
        for (int way = 0; way < 4; way++)
            expect(&rows[i], way & 1, way & 2);
}
END_TEST

/* RFC 7672 3.2.2 */
START_TEST(names_are_there_once)
{
    struct arena arena CLEANUP(arena_free) = {0};
    const struct span record = SPAN("\2\0\1" A32);
    const struct tls_policy policy = {.level = TLS_DANE};
    static const struct {
        const char *base, *next_hop, *expanded;
        unsigned count;
    } rows[] = {
        {"mx.test", "example.test", NULL, 2},
        {"mx.test", "MX.test", NULL, 1},
        {"mx.test", NULL, NULL, 1},
        {"mx.test", "alias.test", "mx.test", 2},
        {"mx.test", "alias.test", "other.test", 3},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct tls_terms terms = terms_of_policy(&policy, "mx.test", "example.test", &arena);
        const struct dane_host host = {rows[i].base, rows[i].next_hop, rows[i].expanded, &record,
                                       1};
        dane_apply(&terms, &host, false, &arena);
        ck_assert_uint_eq(terms.name_count, rows[i].count);
        ck_assert_str_eq(terms.names[0], rows[i].base);
    }
}
END_TEST

TEST_MAIN("tlspolicy/dane", which_records_can_be_used, records_that_are_cut_off,
          what_a_set_asks_for, names_are_there_once)
