/* A client, a server with a certificate of a CA that the test has made, and what is to be said of
 * it. For the tests of verification; a program has one. */
#pragma once

#include "tlspolicy/peer.h"
#include "tlspolicy/trust.h"

#include "tests/suite.h"
#include "tests/tlspolicy/mini_ca.h"
#include "tests/tlspolicy/pair.h"

static int64_t clock_ms(void)
{
    return 1000000;
}

/* ---- the CA, and what it has issued ---- */

enum leaf {
    GOOD,       /* mx.example.test, and its key and name are the right ones */
    OTHER,      /* another name */
    WILDCARD,   /* *.example.test */
    PARTIAL,    /* m*.example.test */
    DEEP,       /* *.*.test */
    COMMON,     /* mx.example.test as common name only */
    COMMON_TOO, /* and another name beside it */
    EXPIRED,
    FUTURE,
    CLIENT,          /* for clients only */
    ADDRESS,         /* 192.0.2.1 and 2001:db8::1 */
    ADDRESS_AS_NAME, /* 192.0.2.1 as a DNS name */
    BELOW,           /* a.b.mx.example.test */
    NUL,             /* mx.example.test\0.evil.test */
    MANY,            /* fifty names */
    LEAVES,
};

static struct scratch scratch;
static char ca_file[PATH_MAX];
static struct issued root, intermediate, stranger, lone, leaves[LEAVES];
static struct tls_trust *trust;
static struct tickets *tickets;
static struct tls_client *client;
static struct tls_server *server;
static struct tls *ours, *theirs;

static const struct issue leaf_issues[LEAVES] = {
    [GOOD] = {.cn = "mx.example.test", .names = "DNS:mx.example.test"},
    [OTHER] = {.cn = "other.test", .names = "DNS:other.test,DNS:www.other.test"},
    [WILDCARD] = {.names = "DNS:*.example.test"},
    [PARTIAL] = {.names = "DNS:m*.example.test"},
    [DEEP] = {.names = "DNS:*.*.test,DNS:mx.*.test"},
    [COMMON] = {.cn = "mx.example.test"},
    [COMMON_TOO] = {.cn = "mx.example.test", .names = "DNS:other.test"},
    [EXPIRED] = {.cn = "old", .names = "DNS:mx.example.test", .from = -30 * DAY, .until = -DAY},
    [FUTURE] = {.cn = "new", .names = "DNS:mx.example.test", .from = DAY, .until = 30 * DAY},
    [CLIENT] = {.cn = "c", .names = "DNS:mx.example.test", .usage = "clientAuth"},
    [ADDRESS] = {.cn = "mx.example.test", .names = "IP:192.0.2.1,IP:2001:db8::1"},
    [ADDRESS_AS_NAME] = {.names = "DNS:192.0.2.1"},
    [BELOW] = {.names = "DNS:a.b.mx.example.test"},
    [NUL] = {.cn = "nul"},
    [MANY] = {.cn = "many"},
};

/* A DNS name with a NUL in it can not be said in a configuration. */
static inline void add_name_with_nul(struct issued *leaf, const struct issued *by)
{
    static const char text[] = "mx.example.test\0.evil.test";
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();
    ASN1_STRING_set(value, text, sizeof(text) - 1);
    GENERAL_NAME_set0_value(name, GEN_DNS, value);
    sk_GENERAL_NAME_push(names, name);
    ck_assert(X509_add1_ext_i2d(leaf->certificate, NID_subject_alt_name, names, 0, 0) == 1);
    GENERAL_NAMES_free(names);
    ck_assert(X509_sign(leaf->certificate, by->key, EVP_sha256()));
}

static inline void add_many_names(struct issued *leaf, const struct issued *by)
{
    char text[4096] = "";
    for (size_t i = 0, at = 0; i < 50; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%sDNS:host%zu.other.test",
                               i ? "," : "", i);
    issue_extension(leaf->certificate, NID_subject_alt_name, text);
    ck_assert(X509_sign(leaf->certificate, by->key, EVP_sha256()));
}

static inline void setup(void)
{
    char why[TLS_WHY_MAX];
    scratch_make_empty(&scratch);
    root = issue_certificate(NULL, &(struct issue){.cn = "Root", .ca = true});
    stranger = issue_certificate(NULL, &(struct issue){.cn = "Stranger", .ca = true});
    intermediate = issue_certificate(&root, &(struct issue){.cn = "Between", .ca = true});
    lone = issue_certificate(NULL, &leaf_issues[GOOD]);
    for (size_t i = 0; i < LEAVES; i++)
        leaves[i] = issue_certificate(&intermediate, &leaf_issues[i]);
    add_name_with_nul(&leaves[NUL], &intermediate);
    add_many_names(&leaves[MANY], &intermediate);
    snprintf(ca_file, sizeof(ca_file), "%s/ca.pem", scratch.directory);
    issued_write_ca(ca_file, &root);
    trust = tls_trust_load(ca_file, why);
    ck_assert_msg(trust != NULL, "%s", why);
    tickets = tickets_create(NULL, 0);
    client = tls_client_create(tickets, clock_ms);
}

static inline void hang_up(void)
{
    tls_free(&ours);
    tls_free(&theirs);
}

static inline void teardown(void)
{
    hang_up();
    tls_client_destroy(&client);
    tls_server_destroy(&server);
    tickets_destroy(&tickets);
    tls_trust_release(&trust);
    for (size_t i = 0; i < LEAVES; i++)
        issued_free(&leaves[i]);
    issued_free(&root);
    issued_free(&intermediate);
    issued_free(&stranger);
    issued_free(&lone);
    unlink(ca_file);
    scratch_remove(&scratch);
}

/* ---- one handshake ---- */

static inline void serve(const struct issued *const *chain, size_t count, enum tls_version most)
{
    char why[TLS_WHY_MAX];
    issued_write(&scratch, chain, count);
    /* the relay's own certificates have a level to keep; these are to be bad */
    const struct tls_server_options options = {
        scratch.certificate, scratch.key, TLS_VERSION_ANY, most, 2, NULL,
    };
    tls_server_destroy(&server);
    server = tls_server_create(&options, why);
    ck_assert_msg(server != NULL, "%s", why);
}

static inline void serve_leaf(enum leaf leaf, enum tls_version most)
{
    const struct issued *const chain[] = {&leaves[leaf], &intermediate};
    serve(chain, 2, most);
}

static inline bool talk(const struct tls_wants *wants)
{
    hang_up();
    ours = tls_connect(client, wants);
    theirs = tls_accept(server);
    bool done = pair_shake(ours, theirs, ALL);
    if (done) {
        CLEANUP(buffer_free) struct buffer plain = {0};
        ck_assert_int_eq(tls_read(ours, &plain, 100), TLS_MORE); /* tickets */
    }
    return done;
}

static inline struct tls_facts facts(void)
{
    struct tls_facts facts;
    tls_facts(ours, &facts);
    return facts;
}

static inline void assert_why(void)
{
    const char *why = tls_why(ours);
    ck_assert_str_ne(why, "");
    ck_assert_uint_lt(strlen(why), TLS_WHY_MAX);
    for (const char *c = why; *c; c++)
        ck_assert(*c >= ' ' && *c <= '~');
}

/* The same twice: once it must hold, once it is only told; and with either version. */
static inline void assert_verdict(const char *rule, struct tls_wants wants, enum tls_fault fault)
{
    wants.check_only = false;
    ck_assert_msg(talk(&wants) == (fault == TLS_FAULT_NONE), "%s: %s", rule, tls_why(ours));
    ck_assert_msg(facts().fault == fault, "%s: %s (%s)", rule, tls_fault_name(facts().fault),
                  tls_why(ours));
    ck_assert_msg(facts().verified == (fault == TLS_FAULT_NONE), "%s", rule);
    if (fault != TLS_FAULT_NONE)
        assert_why();
    else
        ck_assert_str_eq(tls_why(ours), "");
    wants.check_only = true;
    ck_assert_msg(talk(&wants), "%s: %s", rule, tls_why(ours));
    ck_assert_msg(facts().fault == fault, "%s: %s", rule, tls_why(ours));
    ck_assert_msg(facts().verified == (fault == TLS_FAULT_NONE), "%s", rule);
}

/* TEST_MAIN, with the CA made before each test. */
#define CHECKED_MAIN(name, ...)                                                                    \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return suite_run_in(name, tests, countof(tests), setup, teardown);                         \
    }
