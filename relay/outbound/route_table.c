#include "relay/outbound/route_table.h"

#include "relay/outbound/route_dane.h"
#include "relay/outbound/route_security.h"
#include "tlspolicy/policy_line.h"

#include <string.h>

static enum search_state ask(struct route_search *search)
{
    search->discovery = must_calloc(1, sizeof(*search->discovery));
    search->discovery->domain = must_strdup(search->route->destination->name);
    search->discovery->map = search->config->tls_policy_map;
    search->table_asked = true;
    return SEARCH_DISCOVER;
}

static enum search_state fail(struct route_search *search, const char *what, struct span why)
{
    search->no_policy = true;
    search->verdict = (struct verdict){
        .kind = VERDICT_DEFERRED,
        .stage = STAGE_STARTTLS,
        .status = {4, 7, 5}, /* RFC 3463 3.8: cryptographic failure */
        .text = span_of(arena_print(&search->arena, "%s: %.*s", what, SPAN_FORMAT(why))),
    };
    return SEARCH_FAILED;
}

static enum search_state take_line(struct route_search *search, struct span line)
{
    struct tls_policy policy = search->terms.tls->policy;
    const char *why = policy_line_read(line, &policy, &search->arena);
    if (why != NULL)
        return fail(search, "the TLS policy map's answer is not understood", span_of(why));
    if (dane_is_wanted(&policy) && search->config->dnssec == DNSSEC_OFF)
        return fail(search, "the TLS policy map wants DANE",
                    SPAN("dnssec is off: set it to validate or trust-ad"));
    /* What the mail itself asks for comes on top, as with a section. */
    search->policy = route_policy(search, &policy);
    search->by_table = true;
    return SEARCH_FOUND;
}

static enum search_state take_answer(struct route_search *search)
{
    const struct policy_question *question = &search->discovery->question;
    switch (question->answer) {
    case POLICY_FOUND: return take_line(search, question->text);
    case POLICY_NOT_FOUND: return SEARCH_FOUND;
    case POLICY_FAILED: return fail(search, "the TLS policy map gives no answer", question->text);
    case POLICY_UNFINISHED: break;
    }
    must_not_reach();
}

bool route_table_next(struct route_search *search, enum search_state *state)
{
    if (search->config->tls_policy_map == NULL || search->table_read)
        return false;
    if (!search->table_asked) {
        *state = ask(search);
        return true;
    }
    search->table_read = true;
    *state = take_answer(search);
    discovery_free(&search->discovery);
    return *state == SEARCH_FAILED;
}

void route_table_own(const struct route_search *search, struct tls_terms *terms,
                     struct arena *arena)
{
    if (!search->by_table)
        return;
    size_t bytes = terms->fingerprint_count * sizeof(*terms->fingerprints);
    if (bytes > 0) {
        struct fingerprint *prints = arena_take(arena, bytes);
        memcpy(prints, terms->fingerprints, bytes);
        terms->fingerprints = prints;
    }
    if (terms->source == TLS_FROM_TABLE)
        terms->source = TLS_FROM_SERVER;
}
