#include "tlspolicy/terms.h"

#include "base/must.h"

#include <string.h>

const char *tls_source_name(enum tls_source source)
{
    switch (source) {
    case TLS_FROM_TABLE: return "table";
    case TLS_FROM_SERVER: return "server";
    case TLS_FROM_DANE: return "dane";
    case TLS_FROM_STS: return "sts";
    case TLS_FROM_REQUIRETLS: return "requiretls";
    case TLS_FROM_HEADER: return "header";
    }
    must_not_reach();
}

/* ---- names ---- */

static const char *name_of(const struct tls_match *match, const char *host, const char *next_hop,
                           struct arena *arena)
{
    switch (match->kind) {
    case MATCH_HOSTNAME: return arena_copy(arena, span_of(host));
    case MATCH_NEXTHOP: return arena_copy(arena, span_of(next_hop));
    case MATCH_DOT_NEXTHOP: return arena_print(arena, ".%s", next_hop);
    case MATCH_NAME: return arena_copy(arena, span_of(match->name));
    }
    must_not_reach();
}

/* An address has no DNS-ID. */
static bool is_name(const char *text)
{
    return text[0] != '[';
}

void terms_add_name(struct tls_terms *terms, const char *name, struct arena *arena)
{
    const char **names = arena_take(arena, (terms->name_count + 1) * sizeof(*names));
    for (unsigned i = 0; i < terms->name_count; i++)
        names[i] = terms->names[i];
    names[terms->name_count++] = arena_copy(arena, span_of(name));
    terms->names = names;
}

static void add_matches(struct tls_terms *terms, const struct tls_policy *policy, const char *host,
                        const char *next_hop, struct arena *arena)
{
    static const struct tls_match by_host[] = {{MATCH_HOSTNAME, NULL}};
    static const struct tls_match by_next_hop[] = {{MATCH_NEXTHOP, NULL},
                                                   {MATCH_DOT_NEXTHOP, NULL}};
    bool secure = policy->level == TLS_SECURE;
    const struct tls_match *matches = secure ? by_next_hop : by_host;
    unsigned count = secure ? countof(by_next_hop) : countof(by_host);
    if (policy->match_count > 0) {
        matches = policy->matches;
        count = policy->match_count;
    }
    for (unsigned i = 0; i < count; i++) {
        bool of_host = matches[i].kind == MATCH_HOSTNAME;
        bool named = matches[i].kind == MATCH_NAME || is_name(of_host ? host : next_hop);
        if (named)
            terms_add_name(terms, name_of(&matches[i], host, next_hop, arena), arena);
    }
    if (terms->name_count == 0)
        terms->refused = "there is no name that its certificate could be held against: set match";
}

/* Above all others stands what the operator says; below that, whom the level authenticates. */
static const char *choose_sni(const struct tls_policy *policy, const char *host,
                              const char *next_hop, struct arena *arena)
{
    static const struct tls_match by_host = {MATCH_HOSTNAME, NULL};
    static const struct tls_match by_next_hop = {MATCH_NEXTHOP, NULL};
    const struct tls_match *match = policy->server_name;
    if (match == NULL)
        match = policy->level == TLS_SECURE && is_name(next_hop) ? &by_next_hop : &by_host;
    const char *name = name_of(match, host, next_hop, arena);
    return is_name(name) ? name : NULL;
}

/* ---- the operator's policy ---- */

struct tls_terms terms_of_policy(const struct tls_policy *policy, const char *host,
                                 const char *next_hop, struct arena *arena)
{
    struct tls_terms terms = {.level = policy->level, .source = TLS_FROM_TABLE};
    switch (policy->level) {
    case TLS_NONE:
    case TLS_MAY:
    case TLS_ENCRYPT: break;
    case TLS_DANE: terms.level = TLS_MAY; break;
    case TLS_DANE_ONLY:
        terms.level = TLS_DANE;
        terms.refused = "nothing is known of its TLSA records";
        break;
    case TLS_FINGERPRINT:
        terms.fingerprints = policy->fingerprints;
        terms.fingerprint_count = policy->fingerprint_count;
        break;
    case TLS_VERIFY:
    case TLS_SECURE: add_matches(&terms, policy, host, next_hop, arena); break;
    }
    terms.sni = choose_sni(policy, host, next_hop, arena);
    return terms;
}

/* ---- MTA-STS ---- */

/* Two steps (RFC 8461 4): the MX's name matches the policy, and the certificate carries the MX's
 * name. A pattern is never held against a certificate. */
static void enforce_sts(struct tls_terms *terms, bool matches, const char *next_hop,
                        const char *host, struct arena *arena)
{
    terms->level = TLS_VERIFY;
    terms->source = TLS_FROM_STS;
    terms->sni = arena_copy(arena, span_of(host));
    terms->name_count = 0;
    terms_add_name(terms, host, arena);
    if (matches)
        return;
    terms->refused =
        arena_print(arena, "its name matches no mx of the MTA-STS policy of %s", next_hop);
    terms->refusal = TLS_REFUSED_STS;
}

static void test_sts(struct tls_terms *terms, bool matches, const char *next_hop, const char *host,
                     struct arena *arena)
{
    terms->check_only = true;
    terms->sni = arena_copy(arena, span_of(host));
    terms->name_count = 0;
    terms_add_name(terms, host, arena);
    if (!matches)
        terms->doubted = arena_print(
            arena, "its name matches no mx of the MTA-STS policy of %s (testing)", next_hop);
}

void terms_apply_sts(struct tls_terms *terms, const struct sts_policy *policy, const char *next_hop,
                     const char *host, struct arena *arena)
{
    bool matches = sts_matches(policy, span_of(host));
    if (terms->refused != NULL || tls_level_authenticates(terms->level) || terms->level == TLS_NONE)
        return;
    switch (policy->mode) {
    case STS_NONE: return;
    case STS_TESTING: test_sts(terms, matches, next_hop, host, arena); return;
    case STS_ENFORCE: enforce_sts(terms, matches, next_hop, host, arena); return;
    }
    must_not_reach();
}

/* ---- the key ---- */

static void print_bytes(struct buffer *key, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++)
        buffer_print(key, "%02x", bytes[i]);
}

/* What is refused is never connected to; its reason is in the key so that who shares the site is
 * told the right one. */
void terms_key(const struct tls_terms *terms, struct buffer *key)
{
    buffer_print(key, "%s:%s%s sni=%s", tls_level_name(terms->level),
                 tls_source_name(terms->source), terms->check_only ? ":check" : "",
                 terms->sni ? terms->sni : "");
    if (terms->requiretls != REQUIRETLS_NEVER)
        buffer_print(key, " requiretls=%d", (int)terms->requiretls);
    for (unsigned i = 0; i < terms->name_count; i++)
        buffer_print(key, " name=%s", terms->names[i]);
    if (terms->tlsa_base != NULL)
        buffer_print(key, " base=%s", terms->tlsa_base);
    for (unsigned i = 0; i < terms->record_count; i++) {
        const struct tlsa *record = &terms->records[i];
        buffer_print(key, " tlsa=%u/%u/%u/", record->usage, record->selector, record->matching);
        print_bytes(key, record->data.data, record->data.length);
    }
    for (unsigned i = 0; i < terms->fingerprint_count; i++) {
        buffer_print(key, " sha256=");
        print_bytes(key, terms->fingerprints[i].sha256, FINGERPRINT_BYTES);
    }
    if (terms->doubted != NULL)
        buffer_print(key, " doubted=%s", terms->doubted);
    if (terms->refused != NULL)
        buffer_print(key, " refused=%s", terms->refused);
}
