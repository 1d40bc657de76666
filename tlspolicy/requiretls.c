#include "tlspolicy/requiretls.h"

/* An address has no DNS-ID. */
static bool is_name(const char *host)
{
    return host[0] != '[';
}

/* Whoever shows that certificate is the next hop's, whatever DNS said on the way to it. */
static bool proves_itself(const struct tls_terms *terms)
{
    if (terms->check_only)
        return false;
    switch (terms->source) {
    case TLS_FROM_DANE:
    case TLS_FROM_STS: return tls_level_authenticates(terms->level);
    case TLS_FROM_TABLE:
    case TLS_FROM_SERVER: return terms->level == TLS_SECURE || terms->level == TLS_FINGERPRINT;
    case TLS_FROM_REQUIRETLS:
    case TLS_FROM_HEADER: return false;
    }
    must_not_reach();
}

static void look_for_host(struct tls_terms *terms, const char *host, struct arena *arena)
{
    terms->names = NULL;
    terms->name_count = 0;
    terms_add_name(terms, host, arena);
    terms->sni = arena_copy(arena, span_of(host));
}

bool terms_require(struct tls_terms *terms, const char *host, bool proven, struct arena *arena)
{
    terms->requiretls = REQUIRETLS_ALWAYS;
    if (terms->refused != NULL)
        return true; /* for a reason of its own */
    if (!proven && !proves_itself(terms)) {
        terms->refused = "the message came with REQUIRETLS, and neither DNSSEC nor MTA-STS proves "
                         "that this is a mail host of the domain";
        return false;
    }
    if (tls_level_authenticates(terms->level) && !terms->check_only)
        return true;
    if (!is_name(host)) {
        terms->refused = "the message came with REQUIRETLS, and a host without a name cannot be "
                         "authenticated";
        return false;
    }
    terms->level = TLS_VERIFY;
    terms->source = TLS_FROM_REQUIRETLS;
    terms->check_only = false;
    look_for_host(terms, host, arena);
    return true;
}

void terms_prefer(struct tls_terms *terms, const char *host, bool proven, struct arena *arena)
{
    bool authenticates = tls_level_authenticates(terms->level) && !terms->check_only;
    if (terms->refused != NULL || terms->level == TLS_NONE || !(proven || proves_itself(terms)) ||
        !(authenticates || is_name(host)))
        return;
    terms->requiretls = REQUIRETLS_IF_OFFERED;
    if (authenticates)
        return;
    terms->check_only = true;
    look_for_host(terms, host, arena);
}

struct tls_policy policy_with_requiretls(const struct tls_policy *policy)
{
    struct tls_policy raised = *policy;
    if (!tls_level_authenticates(raised.level))
        raised.level = TLS_DANE;
    raised.mta_sts = true;
    return raised;
}

struct tls_policy policy_without_tls_required(const struct tls_policy *policy)
{
    struct tls_policy lowered = *policy;
    if (lowered.level > TLS_MAY)
        lowered.level = TLS_MAY;
    lowered.mta_sts = false;
    return lowered;
}
