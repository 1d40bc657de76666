#include "relay/smtp/extension.h"

#include "tests/suite.h"

#define ALL                                                                                        \
    (EXTENSION_PIPELINING | EXTENSION_SIZE | EXTENSION_8BITMIME | EXTENSION_STARTTLS |             \
     EXTENSION_ENHANCEDSTATUSCODES | EXTENSION_DSN)

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
        {"mx\nPIPELINING\nSIZE 1000\n8BITMIME\nSTARTTLS\nENHANCEDSTATUSCODES\nDSN", ALL, 1000},
        {"mx\nPipelining\nsize 1000\n8bitmime\nStartTLS\nEnhancedStatusCodes\ndsn", ALL, 1000},
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

TEST_MAIN("relay/smtp/extension", keywords, asking_for_one)
