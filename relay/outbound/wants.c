#include "relay/outbound/wants.h"

#include "base/must.h"
#include "tlspolicy/trust.h"

#include <inttypes.h>

static enum tls_check check_of(const struct tls_terms *terms)
{
    switch (terms->level) {
    case TLS_NONE:
    case TLS_MAY:
    case TLS_ENCRYPT: return terms->check_only ? TLS_CHECK_NAMES : TLS_CHECK_NOTHING;
    case TLS_DANE:
    case TLS_DANE_ONLY: return TLS_CHECK_DANE;
    case TLS_FINGERPRINT: return TLS_CHECK_FINGERPRINTS;
    case TLS_VERIFY:
    case TLS_SECURE: return TLS_CHECK_NAMES;
    }
    must_not_reach();
}

struct tls_wants wants_of(const struct tls_terms *terms, const struct tls_config *tls)
{
    return (struct tls_wants){
        .sni = terms->sni,
        .least = tls->least,
        .most = tls->most,
        .ciphers = tls->ciphers,
        .check = check_of(terms),
        .check_only = terms->check_only,
        .names = terms->names,
        .name_count = terms->name_count,
        .records = terms->records,
        .record_count = terms->record_count,
        .tlsa_base = terms->tlsa_base,
        .fingerprints = terms->fingerprints,
        .fingerprint_count = terms->fingerprint_count,
        .trust = tls->trust,
    };
}

void ticket_key(const struct ticket_way *way, const struct tls_wants *wants,
                const struct tls_terms *terms, struct buffer *key)
{
    char from[IP_TEXT_MAX];
    uint64_t trust = 0; /* nobody is asked */
    if (wants->check == TLS_CHECK_NAMES)
        trust = tls_trust_generation(wants->trust);
    buffer_print(key, "%s%s from %s ", way->to, way->implicit ? " implicit" : "",
                 way->from ? ip_format(way->from, from) : "any");
    if (way->login != NULL) /* another secret may be somebody else */
        buffer_print(key, "login %s %s ", way->login, way->mark);
    buffer_print(key, "versions=%d-%d ciphers=%s ca=%016" PRIx64 " ", (int)wants->least,
                 (int)wants->most, wants->ciphers ? wants->ciphers : "", trust);
    terms_key(terms, key);
}
