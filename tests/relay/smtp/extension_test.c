#include "relay/smtp/extension.h"

#include "relay/smtp/auth.h"
#include "tests/suite.h"

#include <string.h>

#include <stdio.h>

#define ALL                                                                                        \
    (EXTENSION_PIPELINING | EXTENSION_SIZE | EXTENSION_8BITMIME | EXTENSION_STARTTLS |             \
     EXTENSION_ENHANCEDSTATUSCODES | EXTENSION_DSN | EXTENSION_CHUNKING | EXTENSION_BINARYMIME |   \
     EXTENSION_SMTPUTF8 | EXTENSION_DELIVERBY | EXTENSION_LIMITS)

START_TEST(keywords)
{
    static const struct {
        const char *text;
        unsigned offered;
        uint64_t size;
    } rows[] = {
        {"", 0, 0},
        {"mx.example.test", 0, 0},
        {"STARTTLS", 0, 0}, /* the greeting, whatever it says */
        {"STARTTLS\nSTARTTLS", EXTENSION_STARTTLS, 0},
        {"mx\nPIPELINING\nSIZE 1000\n8BITMIME\nSTARTTLS\nENHANCEDSTATUSCODES\nDSN\nCHUNKING\n"
         "BINARYMIME\nSMTPUTF8\nDELIVERBY\nLIMITS",
         ALL, 1000},
        {"mx\nPipelining\nsize 1000\n8bitmime\nStartTLS\nEnhancedStatusCodes\ndsn\n"
         "chunking\nbinarymime\nsmtputf8\ndeliverby\nlimits",
         ALL, 1000},
        {"mx\nDSN\nAUTH PLAIN\nHELP", EXTENSION_DSN | EXTENSION_AUTH, 0},
        {"mx\nSIZE", EXTENSION_SIZE, 0},
        {"mx\nSIZE 0", EXTENSION_SIZE, 0},
        {"mx\nSIZE   20 ", EXTENSION_SIZE, 20},
        {"mx\nSIZE 20 30", EXTENSION_SIZE, 20},
        {"mx\nSIZE many", EXTENSION_SIZE, 0},
        {"mx\nSIZE -1", EXTENSION_SIZE, 0},
        {"mx\nSIZE 18446744073709551615", EXTENSION_SIZE, UINT64_MAX},
        {"mx\nSIZE 18446744073709551616", EXTENSION_SIZE, 0},
        {"mx\nXSIZE 10\nSIZES 10\nSTARTTLSX\n8BITMIME?", 0, 0},
        {"mx\nSTARTTLS now", EXTENSION_STARTTLS, 0},
        {"mx\n\nSTARTTLS\n", EXTENSION_STARTTLS, 0},
        {"mx\nAUTH STARTTLS", EXTENSION_AUTH, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct extensions got = extensions_read(span_of(rows[i].text), 0);
        ck_assert_msg(got.offered == rows[i].offered, "row %zu: %x", i, got.offered);
        ck_assert_msg(got.size == rows[i].size, "row %zu: size %ju", i, (uintmax_t)got.size);
    }
}
END_TEST

START_TEST(limits_and_times)
{
    static const struct {
        const char *line;
        unsigned mail_max, rcpt_max, rcpt_domain_max, least_by;
    } rows[] = {
        {"LIMITS MAILMAX=5 RCPTMAX=20 RCPTDOMAINMAX=1", 5, 20, 1, 0},
        {"limits rcptmax=20 mailmax=5", 5, 20, 0, 0},
        {"LIMITS OTHER=1 RCPTMAX=999999 FLAG", 0, 999999, 0, 0},
        {"LIMITS RCPTMAX=1000000", 0, 0, 0, 0},
        {"LIMITS RCPTMAX=0 MAILMAX= RCPTDOMAINMAX=x", 0, 0, 0, 0},
        {"LIMITS RCPTMAX XRCPTMAX=3 RCPTMAXX=3", 0, 0, 0, 0},
        {"LIMITS", 0, 0, 0, 0},
        {"XLIMITS RCPTMAX=1", 0, 0, 0, 0},
        {"DELIVERBY", 0, 0, 0, 0},
        {"DELIVERBY 240", 0, 0, 0, 240},
        {"DELIVERBY 240,more", 0, 0, 0, 240},
        {"DELIVERBY soon", 0, 0, 0, 0},
        {"DELIVERBY 4294967296", 0, 0, 0, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char text[128];
        snprintf(text, sizeof(text), "mx\n%s", rows[i].line);
        struct extensions got = extensions_read(span_of(text), 0);
        ck_assert_msg(got.mail_max == rows[i].mail_max && got.rcpt_max == rows[i].rcpt_max &&
                          got.rcpt_domain_max == rows[i].rcpt_domain_max &&
                          got.least_by == rows[i].least_by,
                      "%s", rows[i].line);
    }
}
END_TEST

/* RFC 4954 3: each mechanism is a word; what is not known is passed over. */
START_TEST(mechanisms)
{
    static const struct {
        const char *text, *set;
    } rows[] = {
        {"mx\nAUTH", ""},
        {"mx\nAUTH LOGIN PLAIN", "LOGIN PLAIN"},
        {"mx\nauth plain scram-sha-256 GSSAPI XOAUTH2 x", "SCRAM-SHA-256 PLAIN XOAUTH2"},
        {"mx\nAUTH DIGEST-MD5\nDSN\nAUTH CRAM-MD5 SCRAM-SHA-1 OAUTHBEARER",
         "SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 OAUTHBEARER"},
        {"AUTH PLAIN\nDSN PLAIN\nPLAIN", ""},
        {"mx\nAUTH=LOGIN PLAIN", ""}, /* as it was before there was an RFC */
    };
    char text[AUTH_TEXT_MAX];
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_str_eq(auth_set_format(extensions_read(span_of(rows[i].text), 0).auth, text),
                         rows[i].set);
    ck_assert_uint_eq(strlen(auth_set_format(AUTH_BY_PASSWORD | AUTH_BY_TOKEN, text)), 77);
}
END_TEST

START_TEST(what_is_discarded_was_not_offered)
{
    struct extensions got = extensions_read(SPAN("mx\nSIZE 9\nLIMITS RCPTMAX=2\nDSN"),
                                            EXTENSION_SIZE | EXTENSION_LIMITS);
    ck_assert_uint_eq(got.offered, EXTENSION_DSN);
    ck_assert_uint_eq(got.size, 0);
    ck_assert_uint_eq(got.rcpt_max, 0);
}
END_TEST

START_TEST(names)
{
    for (unsigned i = 0; i < EXTENSIONS; i++)
        ck_assert_uint_eq(extension_find(span_of(extension_name(1u << i))), 1u << i);
    ck_assert_uint_eq(extension_find(SPAN("chunking")), EXTENSION_CHUNKING);
    ck_assert_uint_eq(extension_find(SPAN("CHUNK")), 0);
    ck_assert_uint_eq(extension_find(SPAN("")), 0);
}
END_TEST

START_TEST(asking_for_one)
{
    struct extensions some = {.offered = EXTENSION_SIZE | EXTENSION_STARTTLS};
    ck_assert(extensions_have(&some, EXTENSION_SIZE));
    ck_assert(extensions_have(&some, EXTENSION_STARTTLS));
    ck_assert(!extensions_have(&some, EXTENSION_PIPELINING));
    ck_assert(!extensions_have(&some, EXTENSION_8BITMIME));
    ck_assert(!extensions_have(&some, EXTENSION_ENHANCEDSTATUSCODES));
}
END_TEST

TEST_MAIN("relay/smtp/extension", keywords, limits_and_times, mechanisms,
          what_is_discarded_was_not_offered, names, asking_for_one)
