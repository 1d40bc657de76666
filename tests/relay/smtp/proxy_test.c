#include "relay/smtp/proxy.h"

#include "base/buffer.h"
#include "tests/suite.h"

#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\0\x02\x01\xc0\0\x02\x02\x9c\x40\0\x19" /* 192.0.2.1:40000 to 192.0.2.2:25 */
#define V6                                                                                         \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"         \
    "\x9c\x40\0\x19"
#define LINE_107                                                                                   \
    "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "                                       \
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"

static const struct good {
    struct span header;
    const char *client; /* NULL: the connection's own */
} good[] = {
    {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 40000 25\r\n"), "192.0.2.1:40000"},
    {SPAN("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535"},
    {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n"), "192.0.2.1:0"},
    {SPAN("PROXY TCP6 2001:db8::1 2001:db8::2 40000 25\r\n"), "[2001:db8::1]:40000"},
    {SPAN("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 40000 25\r\n"), "192.0.2.1:40000"},
    {SPAN("PROXY UNKNOWN\r\n"), NULL},
    {SPAN("PROXY UNKNOWN anything at all\r\n"), NULL},
    {SPAN(LINE_107), NULL},
    {SPAN(SIGNATURE "\x21\x11\0\x0c" V4), "192.0.2.1:40000"},
    {SPAN(SIGNATURE "\x21\x21\0\x24" V6), "[2001:db8::1]:40000"},
    {SPAN(SIGNATURE "\x21\x11\0\x10" V4 "\x04\0\x01\0"), "192.0.2.1:40000"},
    {SPAN(SIGNATURE "\x20\0\0\0"), NULL},
    {SPAN(SIGNATURE "\x20\x11\0\x0c" V4), NULL},
    {SPAN(SIGNATURE "\x20\xff\0\x02xx"), NULL},
    {SPAN(SIGNATURE "\x21\0\0\0"), NULL},
    {SPAN(SIGNATURE "\x21\x31\0\x04test"), NULL},
};

static struct buffer copy_of(struct span text, struct span behind)
{
    struct buffer copy = {0};
    buffer_append(&copy, text);
    buffer_append(&copy, behind);
    return copy;
}

START_TEST(headers)
{
    static const struct span behind[] = {SPAN(""), SPAN("EHLO a\r\n"), SPAN("PROXY UNKNOWN\r\n")};
    for (size_t i = 0; i < countof(good) * countof(behind); i++) {
        const struct good *row = &good[i / countof(behind)];
        struct buffer all = copy_of(row->header, behind[i % countof(behind)]);
        struct proxy_header header;
        char text[ENDPOINT_TEXT_MAX];
        size_t used;
        enum proxy_result result = proxy_read(buffer_span(&all), &header, &used);
        ck_assert_msg(result == PROXY_COMPLETE, "row %zu: %s", i / countof(behind), header.why);
        ck_assert_uint_eq(used, row->header.length);
        ck_assert_int_eq(header.has_client, row->client != NULL);
        if (row->client != NULL)
            ck_assert_str_eq(endpoint_format(&header.client, text), row->client);
        buffer_free(&all);
    }
}
END_TEST

/* Each in memory of its own, so that a sanitizer sees a look behind the end. */
START_TEST(a_header_cut_anywhere_is_partial)
{
    for (size_t i = 0; i < countof(good); i++)
        for (size_t length = 0; length < good[i].header.length; length++) {
            struct proxy_header header;
            size_t used;
            char *cut = must_strndup("", 0);
            cut = must_realloc(cut, length + (length == 0));
            memcpy(cut, good[i].header.data, length);
            enum proxy_result result = proxy_read((struct span){cut, length}, &header, &used);
            ck_assert_msg(result == PROXY_PARTIAL, "row %zu cut at %zu", i, length);
            ck_assert_uint_eq(used, 0);
            free(cut);
        }
}
END_TEST

START_TEST(lies)
{
    static const struct {
        struct span header;
        const char *why;
    } rows[] = {
        {SPAN("EHLO a\r\n"), "no PROXY header"},
        {SPAN("PROXX"), "no PROXY header"},
        {SPAN("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), "no PROXY header"},
        {SPAN("\x16\x03\x01"), "no PROXY header"},
        {SPAN("\r\n\r\n\0\r\nQUIT\r"), "no PROXY header"},
        {SPAN("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"), "unknown address family"},
        {SPAN("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), "unknown address family"},
        {SPAN("PROXY \r\n"), "unknown address family"},
        {SPAN("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), "bad address"},
        {SPAN("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"), "bad address"},
        {SPAN("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n"), "bad address"},
        {SPAN("PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n"), "bad address"},
        {SPAN("PROXY TCP4 192.0.2.1\r\n"), "bad address"},
        {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n"), "bad port"},
        {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n"), "bad port"},
        {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"), "bad port"},
        {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1 -2\r\n"), "bad port"},
        {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), "bad port"},
        {SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), "line without CRLF"},
        {SPAN("PROXY UNKNOWN " LINE_107), "line too long"},
        {SPAN(SIGNATURE "\x31\x11\0\x0c" V4), "unknown version or command"},
        {SPAN(SIGNATURE "\x11\x11\0\x0c" V4), "unknown version or command"},
        {SPAN(SIGNATURE "\x22\x11\0\x0c" V4), "unknown version or command"},
        {SPAN(SIGNATURE "\x21\x12\0\x0c" V4), "unknown address family"},
        {SPAN(SIGNATURE "\x21\x41\0\x0c" V4), "unknown address family"},
        {SPAN(SIGNATURE "\x21\x11\0\x0b" V4), "addresses cut short"},
        {SPAN(SIGNATURE "\x21\x21\0\x0c" V4), "addresses cut short"},
        {SPAN(SIGNATURE "\x21\x11\xff\xff" V4), "header too long"},
        {SPAN(SIGNATURE "\x21\x11\x02\x09"), "header too long"}, /* 521 and 16 are 537 */
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct proxy_header header;
        size_t used;
        enum proxy_result result = proxy_read(rows[i].header, &header, &used);
        ck_assert_msg(result == PROXY_MALFORMED, "row %zu: %d", i, (int)result);
        ck_assert_msg(strcmp(header.why, rows[i].why) == 0, "row %zu: %s", i, header.why);
        ck_assert(!header.has_client);
    }
}
END_TEST

START_TEST(the_longest_that_is_taken)
{
    char bytes[PROXY_BYTES_MAX] = SIGNATURE "\x21\x11\x02\x08" V4;
    struct proxy_header header;
    size_t used;
    struct span all = {bytes, sizeof(bytes)};
    ck_assert_int_eq(proxy_read(all, &header, &used), PROXY_COMPLETE);
    ck_assert_uint_eq(used, sizeof(bytes));
    all.length--;
    ck_assert_int_eq(proxy_read(all, &header, &used), PROXY_PARTIAL);
}
END_TEST

TEST_MAIN("relay/smtp/proxy", headers, a_header_cut_anywhere_is_partial, lies,
          the_longest_that_is_taken)
