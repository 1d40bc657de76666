/* What a probe found, for people. */
#include "relay/probe/probe_inside.h"

#include <stdio.h>
#include <string.h>

static void field(const char *name, const char *value)
{
    printf("    %-12s %s\n", name, value);
}

/* Lines of one text below each other, as one field. */
static void lines(const char *name, const char *text)
{
    struct span rest = span_of(text), line;
    while (rest.length > 0) {
        const char *end = memchr(rest.data, '\n', rest.length);
        line = (struct span){rest.data, end ? (size_t)(end - rest.data) : rest.length};
        rest = span_skip(rest, line.length + (end != NULL));
        if (line.length > 0)
            printf("    %-12s %.*s\n", name, SPAN_FORMAT(line));
        name = "";
    }
}

static void print_tlsa(const struct tls_terms *terms, uint16_t port)
{
    if (terms->tlsa_base == NULL)
        return;
    for (unsigned i = 0; i < terms->record_count; i++) {
        const struct tlsa *record = &terms->records[i];
        printf("    %-12s _%u._tcp.%s %u %u %u ", i == 0 ? "TLSA" : "", port, terms->tlsa_base,
               record->usage, record->selector, record->matching);
        for (size_t byte = 0; byte < record->data.length; byte++)
            printf("%02x", (unsigned char)record->data.data[byte]);
        printf("\n");
    }
}

static void print_required(const struct tls_terms *terms)
{
    char text[256];
    int used = snprintf(text, sizeof(text), "%s, by %s", tls_level_name(terms->level),
                        tls_source_name(terms->source));
    for (unsigned i = 0; i < terms->name_count && used < (int)sizeof(text); i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%s%s",
                         i == 0 ? ": certificate for " : " or ", terms->names[i]);
    field("required", text);
}

static void print_certificate(const struct tls_certificate *certificate, unsigned depth)
{
    field(depth == 0 ? "certificate" : "issued by", certificate->subject);
    for (unsigned i = 0; i < certificate->name_count && depth == 0; i++)
        field(i == 0 ? "  for" : "", certificate->names[i]);
    printf("    %-12s %s to %s, %s\n", "  valid", certificate->not_before, certificate->not_after,
           certificate->key);
    if (depth == 0)
        printf("    %-12s sha256:%s, of its key sha256:%s\n", "  digest", certificate->fingerprint,
               certificate->key_fingerprint);
}

static void print_tls(const struct probe_visit *visit)
{
    char text[128];
    if (!visit->handshake)
        return;
    snprintf(text, sizeof(text), "%s %s", visit->facts.version, visit->facts.cipher);
    field("TLS", text);
    for (unsigned i = 0; i < visit->chain_length; i++)
        print_certificate(&visit->chain[i], i);
    snprintf(text, sizeof(text), "%s%s", visit->trusted ? "yes" : "no",
             visit->asked ? "" : ", and the level does not ask");
    field("verified", text);
    if (!visit->trusted && visit->why != NULL)
        field("", visit->why);
    if (visit->tried_again)
        field("resumption", visit->resumed ? "yes" : "no");
}

static void print_verdict(const char *indent, const struct verdict *verdict)
{
    char status[STATUS_TEXT_MAX];
    printf("%s%s %s%s%.*s%s", indent, verdict_name(verdict->kind),
           status_format(verdict->status, status), verdict->host.length ? " by " : "",
           SPAN_FORMAT(verdict->host), verdict->text.length ? ": " : "");
    if (verdict->code != 0)
        printf("%u ", verdict->code);
    printf("%.*s\n", SPAN_FORMAT(verdict->text));
}

static void print_visit(const struct probe_visit *visit)
{
    printf("  %s:%u (preference %u)%s%s\n", visit->host->name, visit->host->port,
           visit->host->preference, visit->address[0] ? " at " : "", visit->address);
    print_required(&visit->host->tls);
    print_tlsa(&visit->host->tls, visit->host->port);
    if (visit->host->tls.doubted != NULL)
        field("doubted", visit->host->tls.doubted);
    if (visit->refused) {
        field("not used", visit->host->tls.refused);
        return;
    }
    if (visit->greeting != NULL)
        lines("greeting", visit->greeting);
    if (visit->ehlo != NULL)
        lines("EHLO", visit->ehlo);
    if (visit->decided)
        field("STARTTLS", tls_outcome_name(visit->outcome));
    print_tls(visit);
    if (!visit->ready)
        print_verdict("    fails        ", &visit->failure);
}

static void print_policy(const struct sts_policy *policy)
{
    printf("  MTA-STS %s, id %s, for %us", sts_mode_name(policy->mode), policy->id,
           policy->max_age_s);
    for (unsigned i = 0; i < policy->count; i++)
        printf("%s%s", i == 0 ? ": " : ", ", policy->patterns[i]);
    printf("\n");
}

/* What was found by MX, and what the domain publishes. */
static void print_domain(const struct route_search *search)
{
    const struct discovery *published = search->discovery;
    if (search->configured == NULL && search->resolution != NULL)
        printf("  DNSSEC %s\n", search->resolution->secure ? "yes" : "no");
    if (published != NULL && published->sts != NULL)
        print_policy(published->sts);
    else if (published != NULL && published->failure == STS_NO_FAILURE)
        printf("  MTA-STS no\n");
    if (published != NULL && published->failure != STS_NO_FAILURE)
        printf("  MTA-STS %s: %s\n", sts_failure_name(published->failure), published->why);
}

void probe_print(const struct probe *probe)
{
    char way[PROBE_WAY_MAX];
    printf("%s\n", probe->destination.name);
    print_domain(&probe->search);
    for (unsigned i = 0; i < probe->visit_count; i++)
        print_visit(&probe->visits[i]);
    switch (probe->result) {
    case PROBE_DELIVERABLE:
        printf("A message would go to %s, tls=%s.\n", probe->visits[probe->taker].host->name,
               probe_way(&probe->visits[probe->taker], way));
        return;
    case PROBE_DEFERRED:
    case PROBE_BOUNCED: print_verdict("A message would be ", &probe->verdict); return;
    }
}
