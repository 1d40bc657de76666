#include "tlspolicy/tlsrpt_record.h"

#include "base/buffer.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

/* RFC 8460 3: what is published at _smtp._tls.DOMAIN. */

static struct arena arena;

/* "mailto TARGET https TARGET …", or "none". */
static const char *read_text(struct span text)
{
    static char found[4096];
    struct tlsrpt_record record;
    found[0] = '\0';
    arena_free(&arena);
    if (!tlsrpt_record_read(text, &arena, &record))
        return "none";
    for (unsigned i = 0; i < record.count; i++) {
        const struct tlsrpt_uri *uri = &record.uris[i];
        snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s%s", i > 0 ? " " : "",
                 uri->scheme == TLSRPT_MAILTO ? "mailto " : "", uri->target);
    }
    return found;
}

START_TEST(rfc8460_3_records)
{
    static const struct {
        const char *text, *found;
    } rows[] = {
        {"v=TLSRPTv1; rua=mailto:reports@example.com", "mailto reports@example.com"},
        {"v=TLSRPTv1;rua=mailto:reports@example.com;", "mailto reports@example.com"},
        {"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt",
         "https://reporting.example.com/v1/tlsrpt"},
        {"v=TLSRPTv1; \t rua=mailto:a@b.test , https://c.test/ ;",
         "mailto a@b.test https://c.test/"},
        /* unknown fields are ignored, before and behind */
        {"v=TLSRPTv1; x=1; rua=mailto:a@b.test; y=2", "mailto a@b.test"},
        {"v=TLSRPTv1; rua=mailto:a@b.test; rua=mailto:c@d.test", "mailto a@b.test"},
        /* the scheme in any case; the field's name and the version as they are written */
        {"v=TLSRPTv1; rua=MailTo:a@b.test,HTTPS://c.test", "mailto a@b.test HTTPS://c.test"},
        {"v=TLSRPTv1; RUA=mailto:a@b.test", "none"},
        {"v=tlsrptv1; rua=mailto:a@b.test", "none"},
        {"v=TLSRPTv1 ; rua=mailto:a@b.test", "none"},
        {" v=TLSRPTv1; rua=mailto:a@b.test", "none"},
        {"v=TLSRPTv2; rua=mailto:a@b.test", "none"},
        {"v=TLSRPTv1", "none"},
        {"v=TLSRPTv1;", "none"},
        {"v=TLSRPTv1; rua=", "none"},
        {"", "none"},
        /* other schemes, and what is none, are passed over */
        {"v=TLSRPTv1; rua=http://a.test/,mailto:a@b.test,ftp://a", "mailto a@b.test"},
        {"v=TLSRPTv1; rua=,,mailto:a@b.test,", "mailto a@b.test"},
        /* percent-encoding in mailto (RFC 6068); a query is not for us */
        {"v=TLSRPTv1; rua=mailto:a%2Bb%21c@d.test", "mailto a+b!c@d.test"},
        {"v=TLSRPTv1; rua=mailto:a@b.test?subject=x%0d%0aBcc:", "mailto a@b.test"},
        {"v=TLSRPTv1; rua=mailto:a%0d%0aRCPT@b.test", "none"},
        {"v=TLSRPTv1; rua=mailto:a%00b@c.test", "none"},
        {"v=TLSRPTv1; rua=mailto:a%20b@c.test", "none"},
        {"v=TLSRPTv1; rua=mailto:a%C3%A4b@c.test", "none"},
        {"v=TLSRPTv1; rua=mailto:a%2@c.test", "none"},
        {"v=TLSRPTv1; rua=mailto:a@c.test%4", "none"},
        {"v=TLSRPTv1; rua=mailto:%zza@c.test", "none"},
        {"v=TLSRPTv1; rua=mailto:nobody", "none"},
        {"v=TLSRPTv1; rua=mailto:", "none"},
        /* URLs with a host, without credentials, in one word */
        {"v=TLSRPTv1; rua=https://", "none"},
        {"v=TLSRPTv1; rua=https:///path", "none"},
        {"v=TLSRPTv1; rua=https://user:secret@c.test/", "none"},
        {"v=TLSRPTv1; rua=https://c.test/a@b", "https://c.test/a@b"},
        {"v=TLSRPTv1; rua=https://c.test/a b", "none"},
        {"v=TLSRPTv1; rua=https://c.test/a\x01", "none"},
        {"v=TLSRPTv1; rua=https://c.test/\xc3\xa4", "none"},
        {"v=TLSRPTv1; rua=https://127.0.0.1/", "none"}, /* a certificate names a domain */
        {"v=TLSRPTv1; rua=https://[::1]/", "none"},
        {"v=TLSRPTv1; rua=https://c.test:0/", "none"},
        {"v=TLSRPTv1; rua=https://c.test:65536/", "none"},
        {"v=TLSRPTv1; rua=https://c.test:/", "none"},
        {"v=TLSRPTv1; rua=https://c_\\.test/", "none"},
        /* no other bytes than those of its grammar, wherever */
        {"v=TLSRPTv1; rua=mailto:a@b.test; x=\xff", "none"},
        {"v=TLSRPTv1; rua=mailto:a@b.test; x=\n", "none"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_str_eq(read_text(span_of(rows[i].text)), rows[i].found);
    ck_assert_str_eq(read_text((struct span){"v=TLSRPTv1; rua=mailto:a\0b@c.test", 33}), "none");
    arena_free(&arena);
}
END_TEST

START_TEST(urls)
{
    static const struct {
        const char *url, *host, *path;
        unsigned port;
    } rows[] = {
        {"https://c.test", "c.test", "/", 443},
        {"https://C.test/A/b?c=%2C", "c.test", "/A/b?c=%2C", 443},
        {"https://c.test:8443?x", "c.test", "/?x", 8443},
        {"HTTPS://c.test:1/a#b", "c.test", "/a", 1},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct tlsrpt_record record;
        char text[200];
        snprintf(text, sizeof(text), "v=TLSRPTv1; rua=%s", rows[i].url);
        ck_assert(tlsrpt_record_read(span_of(text), &arena, &record));
        ck_assert_str_eq(record.uris[0].host, rows[i].host);
        ck_assert_str_eq(record.uris[0].path, rows[i].path);
        ck_assert_uint_eq(record.uris[0].port, rows[i].port);
    }
    arena_free(&arena);
}
END_TEST

START_TEST(limits)
{
    struct buffer text = {0};
    struct tlsrpt_record record;
    buffer_append(&text, SPAN("v=TLSRPTv1; rua="));
    for (unsigned i = 0; i < TLSRPT_URIS_MAX + 1; i++)
        buffer_print(&text, "mailto:a%u@b.test,", i);
    ck_assert(tlsrpt_record_read(buffer_span(&text), &arena, &record));
    ck_assert_uint_eq(record.count, TLSRPT_URIS_MAX);
    ck_assert_str_eq(record.uris[TLSRPT_URIS_MAX - 1].target, "a9@b.test");
    while (buffer_length(&text) < TLSRPT_RECORD_MAX)
        buffer_append(&text, SPAN(";"));
    ck_assert(tlsrpt_record_read(buffer_span(&text), &arena, &record));
    buffer_append(&text, SPAN(";"));
    ck_assert(!tlsrpt_record_read(buffer_span(&text), &arena, &record));

    for (size_t length = TLSRPT_URI_MAX; length <= TLSRPT_URI_MAX + 1; length++) {
        buffer_clear(&text);
        buffer_append(&text, SPAN("v=TLSRPTv1; rua=https://a.test/"));
        while (buffer_length(&text) < strlen("v=TLSRPTv1; rua=") + length)
            buffer_append(&text, SPAN("x"));
        ck_assert(tlsrpt_record_read(buffer_span(&text), &arena, &record) ==
                  (length == TLSRPT_URI_MAX));
    }
    buffer_free(&text);
    arena_free(&arena);
}
END_TEST

/* RFC 8460 3: records that begin otherwise are discarded; then there must be exactly one. */
START_TEST(rfc8460_3_exactly_one)
{
    const struct span one = SPAN("v=TLSRPTv1; rua=mailto:a@b.test"), other = SPAN("v=TLSRPTv1;x=y"),
                      foreign = SPAN("google-site-verification=x"), near = SPAN("v=TLSRPTv11;");
    static struct span found;
    ck_assert(tlsrpt_record_choose(&one, 1, &found));
    ck_assert(span_equal(found, one));
    ck_assert(tlsrpt_record_choose((struct span[]){foreign, one, near}, 3, &found));
    ck_assert(span_equal(found, one));
    ck_assert(!tlsrpt_record_choose((struct span[]){one, other}, 2, &found));
    ck_assert(!tlsrpt_record_choose((struct span[]){one, one}, 2, &found));
    ck_assert(!tlsrpt_record_choose((struct span[]){foreign, near}, 2, &found));
    ck_assert(!tlsrpt_record_choose(NULL, 0, &found));
}
END_TEST

TEST_MAIN("tlspolicy/tlsrpt_record", rfc8460_3_records, urls, limits, rfc8460_3_exactly_one)
