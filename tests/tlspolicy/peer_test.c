/* What a certificate says of itself, for whoever wants to see why it does or does not match. */
#include "tests/tlspolicy/checked.h"

static struct tls_certificate certificate_at(unsigned depth, struct arena *arena)
{
    struct tls_certificate certificate;
    ck_assert(tls_peer_certificate(ours, depth, arena, &certificate));
    return certificate;
}

START_TEST(the_chain_as_it_was_sent)
{
    CLEANUP(arena_free) struct arena arena = {0};
    const struct tls_wants wants = {.ticket_key = SPAN("key")};
    serve_leaf(ADDRESS, TLS_VERSION_ANY);
    ck_assert(talk(&wants));
    struct tls_certificate leaf = certificate_at(0, &arena), ca = certificate_at(1, &arena);
    ck_assert_str_eq(leaf.subject, "CN=mx.example.test");
    ck_assert_str_eq(leaf.issuer, "CN=Between");
    ck_assert_uint_eq(leaf.name_count, 2);
    ck_assert_str_eq(leaf.names[0], "192.0.2.1");
    ck_assert_str_eq(leaf.names[1], "2001:db8::1");
    ck_assert_str_eq(leaf.key, "EC 256");
    ck_assert_uint_eq(strlen(leaf.not_after), strlen("2026-11-21T13:00:05Z"));
    ck_assert(strcmp(leaf.not_before, leaf.not_after) < 0);
    char data[2048];
    struct tlsa whole = issued_tlsa(&leaves[ADDRESS], 3, 0, 1, data);
    char start[9];
    snprintf(start, sizeof(start), "%02x%02x%02x%02x", (uint8_t)whole.data.data[0],
             (uint8_t)whole.data.data[1], (uint8_t)whole.data.data[2], (uint8_t)whole.data.data[3]);
    ck_assert_uint_eq(strlen(leaf.fingerprint), 64);
    ck_assert_int_eq(strncmp(leaf.fingerprint, start, 8), 0);
    ck_assert_uint_eq(strlen(leaf.key_fingerprint), 64);
    ck_assert_str_ne(leaf.key_fingerprint, leaf.fingerprint);
    ck_assert_str_eq(ca.subject, "CN=Between");
    ck_assert_uint_eq(ca.name_count, 0);
    struct tls_certificate none;
    ck_assert(!tls_peer_certificate(ours, 2, &arena, &none));
    ck_assert(talk(&wants)); /* resumed: none is sent */
    ck_assert(facts().resumed);
    ck_assert(!tls_peer_certificate(ours, 0, &arena, &none));
    ck_assert(!tls_peer_certificate(theirs, 0, &arena, &none));
}
END_TEST

START_TEST(it_is_safe_to_print)
{
    CLEANUP(arena_free) struct arena arena = {0};
    const struct tls_wants wants = {0};
    serve_leaf(NUL, TLS_VERSION_ANY);
    ck_assert(talk(&wants));
    struct tls_certificate leaf = certificate_at(0, &arena);
    ck_assert_str_eq(leaf.names[0], "mx.example.test?.evil.test");
    struct issued rude = issue_certificate(
        NULL, &(struct issue){.cn = "a\r\n\x1b[31m, \xc3\xbc\x7f", .names = "DNS:a b\x1b"});
    const struct issued *const chain[] = {&rude};
    serve(chain, 1, TLS_VERSION_ANY);
    ck_assert(talk(&wants));
    leaf = certificate_at(0, &arena);
    for (const char *c = leaf.subject; *c; c++)
        ck_assert(*c >= ' ' && *c <= '~');
    ck_assert_str_eq(leaf.names[0], "a b?");
    issued_free(&rude);
}
END_TEST

CHECKED_MAIN("tlspolicy/peer", the_chain_as_it_was_sent, it_is_safe_to_print)
