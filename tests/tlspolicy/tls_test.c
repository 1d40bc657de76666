/* TLS on a channel: handshakes, and what goes through it. */
#include "tests/tlspolicy/ends.h"

#include <string.h>

/* ---- handshakes ---- */

START_TEST(versions)
{
    static const struct {
        enum tls_version client_least, client_most, server_least, server_most;
        const char *version; /* NULL: none that both have */
    } rows[] = {
        {TLS_VERSION_ANY, TLS_VERSION_ANY, TLS_VERSION_ANY, TLS_VERSION_ANY, "TLSv1.3"},
        {TLS_VERSION_ANY, TLS_VERSION_ANY, TLS_VERSION_1_2, TLS_VERSION_1_2, "TLSv1.2"},
        {TLS_VERSION_1_2, TLS_VERSION_1_2, TLS_VERSION_ANY, TLS_VERSION_ANY, "TLSv1.2"},
        {TLS_VERSION_1_3, TLS_VERSION_1_3, TLS_VERSION_1_2, TLS_VERSION_1_3, "TLSv1.3"},
        {TLS_VERSION_1_3, TLS_VERSION_ANY, TLS_VERSION_ANY, TLS_VERSION_1_2, NULL},
        {TLS_VERSION_ANY, TLS_VERSION_1_2, TLS_VERSION_1_3, TLS_VERSION_ANY, NULL},
        {TLS_VERSION_1_3, TLS_VERSION_1_2, TLS_VERSION_ANY, TLS_VERSION_ANY, NULL},
    };
    begin(TLS_VERSION_ANY, 0);
    for (size_t i = 0; i < countof(rows); i++) {
        hang_up();
        tls_server_destroy(&server);
        server = make_server(rows[i].server_least, rows[i].server_most, 2);
        struct tls_wants wants = {.least = rows[i].client_least, .most = rows[i].client_most};
        ours = tls_connect(client, &wants);
        theirs = tls_accept(server);
        struct tls_facts facts;
        ck_assert_msg(shake(ALL) == (rows[i].version != NULL), "row %zu", i);
        tls_facts(ours, &facts);
        if (rows[i].version == NULL) {
            ck_assert(tls_why(ours)[0] != '\0' || tls_why(theirs)[0] != '\0');
            continue;
        }
        ck_assert_str_eq(facts.version, rows[i].version);
        ck_assert_str_ne(facts.cipher, "");
        ck_assert(!is_resumed());
        ck_assert_str_eq(tls_why(ours), "");
    }
    end();
}
END_TEST

START_TEST(handshakes_in_pieces)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        begin(most[i], 2);
        for (size_t piece = 1; piece < 3000; piece += 1 + piece / 4) {
            call("");
            ck_assert_msg(shake(piece), "%zu", piece);
        }
        end();
    }
}
END_TEST

static bool hello_holds(const char *sni, const char *text)
{
    struct tls_wants wants = {.sni = sni};
    struct tls *tls = tls_connect(client, &wants);
    ck_assert_int_eq(tls_handshake(tls), TLS_MORE);
    struct span hello = buffer_span(tls_outgoing(tls));
    ck_assert_uint_gt(hello.length, 100);
    bool holds = memmem(hello.data, hello.length, text, strlen(text)) != NULL;
    tls_free(&tls);
    return holds;
}

START_TEST(names_are_sent_and_addresses_are_not)
{
    begin(TLS_VERSION_ANY, 0);
    ck_assert(hello_holds("mx.example.test", "mx.example.test"));
    ck_assert(!hello_holds("192.0.2.1", "192.0.2.1"));
    ck_assert(!hello_holds("[192.0.2.1]", "192.0.2.1"));
    ck_assert(!hello_holds("2001:db8::1", "2001:db8::1"));
    ck_assert(!hello_holds("[IPv6:2001:db8::1]", "2001:db8::1"));
    ck_assert(!hello_holds(NULL, "mx.example.test"));
    ck_assert(!hello_holds("", "mx.example.test"));
    char large[400];
    memset(large, 'a', sizeof(large));
    large[399] = '\0';
    ck_assert(!hello_holds(large, "aaaaaaaaaaaaaaaa"));
    end();
}
END_TEST

static void assert_both_fail_for_good(struct tls *tls)
{
    assert_why(tls);
    ck_assert_int_eq(tls_handshake(tls), TLS_FAILED);
    assert_why(tls);
    tls_bye(tls); /* does nothing, and breaks nothing */
}

START_TEST(garbage_instead_of_a_handshake)
{
    static const struct {
        struct span bytes;
        enum tls_fault fault;
        const char *why; /* NULL: OpenSSL's */
    } rows[] = {
        {SPAN("502 5.5.1 Command not implemented\r\n"), TLS_FAULT_PROTOCOL, NULL},
        {SPAN("\x16\x03\x03\x00\x04\x02\xff\xff\xff aha"), TLS_FAULT_PROTOCOL, NULL},
        {SPAN("\x15\x03\x03\x00\x02\x02\x28"), TLS_FAULT_ALERT,
         "peer alert: handshake failure (40)"},
        {SPAN("\x15\x03\x03\x00\x02\x02\x46"), TLS_FAULT_ALERT,
         "peer alert: protocol version (70)"},
        {SPAN("\x15\x03\x03\x00\x02\x01\x00"), TLS_FAULT_ALERT, "peer alert: close notify (0)"},
    };
    begin(TLS_VERSION_ANY, 2);
    for (size_t i = 0; i < countof(rows); i++) {
        struct tls_facts facts;
        call("");
        ck_assert_int_eq(tls_handshake(ours), TLS_MORE);
        buffer_append(tls_incoming(ours), rows[i].bytes);
        buffer_append(tls_incoming(theirs), rows[i].bytes);
        ck_assert_int_eq(tls_handshake(ours), TLS_FAILED);
        ck_assert_int_eq(tls_handshake(theirs), TLS_FAILED);
        assert_both_fail_for_good(ours);
        assert_both_fail_for_good(theirs);
        tls_facts(ours, &facts);
        ck_assert_str_eq(tls_fault_name(facts.fault), tls_fault_name(rows[i].fault));
        if (rows[i].why != NULL)
            ck_assert_str_eq(tls_why(ours), rows[i].why);
        call(""); /* and no other connection is harmed */
        ck_assert(shake(ALL));
    }
    end();
}
END_TEST

START_TEST(ciphers_of_tls_1_2)
{
    static const struct {
        const char *list, *cipher; /* NULL: none is known */
    } rows[] = {
        {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {"ECDHE-ECDSA-CHACHA20-POLY1305:@STRENGTH", "ECDHE-ECDSA-CHACHA20-POLY1305"},
        {"no such cipher", NULL},
        {"", NULL},
        {"TLS_AES_128_GCM_SHA256", NULL}, /* that is one of 1.3 */
    };
    begin(TLS_VERSION_1_2, 0);
    for (size_t i = 0; i < countof(rows); i++) {
        char why[TLS_WHY_MAX];
        struct tls_facts facts;
        struct tls_wants wants = {.ciphers = rows[i].list};
        ck_assert_int_eq(tls_ciphers_check(rows[i].list, why), rows[i].cipher != NULL);
        ck_assert_int_eq(why[0] != '\0', rows[i].cipher == NULL);
        hang_up();
        ours = tls_connect(client, &wants);
        theirs = tls_accept(server);
        ck_assert_msg(shake(ALL) == (rows[i].cipher != NULL), "%s", tls_why(ours));
        tls_facts(ours, &facts);
        if (rows[i].cipher != NULL)
            ck_assert_str_eq(facts.cipher, rows[i].cipher);
        else
            assert_both_fail_for_good(ours);
    }
    end();
}
END_TEST

/* ---- data ---- */

static char *noise(size_t length)
{
    char *text = must_calloc(length, 1);
    uint32_t state = 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525 + 1013904223;
        text[i] = (char)(state >> 24);
    }
    return text;
}

static void assert_carried(struct span text, size_t piece, size_t most)
{
    CLEANUP(buffer_free) struct buffer plain = {0};
    ck_assert(tls_write(ours, text));
    bool moved = true;
    while (moved) {
        moved = pair_carry(ours, theirs, piece);
        enum tls_progress progress = tls_read(theirs, &plain, most);
        while (progress == TLS_DONE)
            progress = tls_read(theirs, &plain, most);
        ck_assert_int_eq(progress, TLS_MORE);
        ck_assert_uint_eq(buffer_length(tls_incoming(theirs)), 0);
    }
    ck_assert_msg(span_equal(buffer_span(&plain), text), "%zu bytes by %zu and %zu", text.length,
                  piece, most);
}

START_TEST(data_of_many_sizes)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    static const size_t lengths[] = {0, 1, 2, 100, 16383, 16384, 16385, 40000};
    static const size_t pieces[] = {1, 7, 1000, ALL};
    static const size_t reads[] = {1, 16384, 40000};
    char *text = noise(40000);
    for (size_t v = 0; v < countof(most); v++) {
        begin(most[v], 0);
        call("");
        ck_assert(shake(ALL));
        for (size_t l = 0; l < countof(lengths); l++)
            for (size_t p = 0; p < countof(pieces); p++)
                for (size_t r = 0; r < countof(reads); r++)
                    assert_carried((struct span){text, lengths[l]}, pieces[p], reads[r]);
        end();
    }
    free(text);
}
END_TEST

START_TEST(read_stops_where_it_is_told)
{
    begin(TLS_VERSION_ANY, 0);
    call("");
    ck_assert(shake(ALL));
    CLEANUP(buffer_free) struct buffer plain = {0};
    buffer_append(&plain, SPAN("before "));
    ck_assert(tls_write(theirs, SPAN("220 ready\r\n")));
    pair_carry(theirs, ours, ALL);
    ck_assert_int_eq(tls_read(ours, &plain, 4), TLS_DONE);
    ck_assert(span_equal(buffer_span(&plain), SPAN("before 220 ")));
    ck_assert_int_eq(tls_read(ours, &plain, 0), TLS_DONE);
    ck_assert_int_eq(tls_read(ours, &plain, 100), TLS_MORE);
    ck_assert(span_equal(buffer_span(&plain), SPAN("before 220 ready\r\n")));
    end();
}
END_TEST

START_TEST(close_notify)
{
    begin(TLS_VERSION_ANY, 2);
    call("");
    ck_assert(shake(ALL));
    CLEANUP(buffer_free) struct buffer plain = {0};
    ck_assert(tls_write(theirs, SPAN("221 bye\r\n")));
    tls_bye(theirs);
    pair_carry(theirs, ours, ALL);
    ck_assert_int_eq(tls_read(ours, &plain, 100), TLS_CLOSED);
    ck_assert(span_equal(buffer_span(&plain), SPAN("221 bye\r\n")));
    ck_assert_int_eq(tls_read(ours, &plain, 100), TLS_CLOSED);
    ck_assert_str_eq(tls_why(ours), "");
    tls_bye(ours);
    ck_assert(pair_carry(ours, theirs, ALL));
    ck_assert_int_eq(tls_read(theirs, &plain, 100), TLS_CLOSED);
    end();
}
END_TEST

START_TEST(a_byte_changed_on_the_way)
{
    begin(TLS_VERSION_ANY, 0);
    call("");
    ck_assert(shake(ALL));
    CLEANUP(buffer_free) struct buffer plain = {0};
    ck_assert(tls_write(theirs, SPAN("good")));
    ck_assert(tls_write(theirs, SPAN("evil")));
    struct buffer *wire = tls_outgoing(theirs);
    wire->memory[wire->end - 1] ^= 1;
    pair_carry(theirs, ours, ALL);
    ck_assert_int_eq(tls_read(ours, &plain, 100), TLS_FAILED);
    ck_assert(span_equal(buffer_span(&plain), SPAN("good")));
    assert_why(ours);
    ck_assert(!tls_write(ours, SPAN("more")));
    ck_assert_int_eq(tls_read(ours, &plain, 100), TLS_FAILED);
    ck_assert(pair_carry(ours, theirs, ALL)); /* the alert */
    ck_assert_int_eq(tls_read(theirs, &plain, 100), TLS_FAILED);
    assert_why(theirs);
    end();
}
END_TEST

START_TEST(versions_as_text)
{
    enum tls_version version = TLS_VERSION_ANY;
    ck_assert(tls_version_parse(SPAN("1.2"), &version));
    ck_assert_int_eq(version, TLS_VERSION_1_2);
    ck_assert(tls_version_parse(SPAN("1.3"), &version));
    ck_assert_int_eq(version, TLS_VERSION_1_3);
    static const char *const bad[] = {"", "1", "1.1", "1.20", "1.4", " 1.2", "TLSv1.2", "any"};
    for (size_t i = 0; i < countof(bad); i++)
        ck_assert_msg(!tls_version_parse(span_of(bad[i]), &version), "%s", bad[i]);
}
END_TEST

TEST_MAIN("tlspolicy/tls", versions, handshakes_in_pieces, names_are_sent_and_addresses_are_not,
          garbage_instead_of_a_handshake, ciphers_of_tls_1_2, data_of_many_sizes,
          read_stops_where_it_is_told, close_notify, a_byte_changed_on_the_way, versions_as_text)
