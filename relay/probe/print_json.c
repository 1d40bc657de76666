/* What a probe found, for programs: one line. */
#include "relay/probe/probe_inside.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes that are not UTF-8 were made harmless before; should one be left, the text is left out. */
static json_t *text_json(struct span text)
{
    json_t *string = json_stringn(text.data ? text.data : "", text.length);
    return string ? string : json_null();
}

static json_t *verdict_json(const struct verdict *verdict)
{
    char status[STATUS_TEXT_MAX];
    return json_pack("{s:s, s:s, s:i, s:o, s:o}", "kind", verdict_name(verdict->kind), "status",
                     status_format(verdict->status, status), "code", (int)verdict->code, "host",
                     text_json(verdict->host), "text", text_json(verdict->text));
}

static json_t *records_json(const struct tls_terms *terms)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < terms->record_count; i++) {
        const struct tlsa *record = &terms->records[i];
        struct buffer data CLEANUP(buffer_free) = {0};
        for (size_t byte = 0; byte < record->data.length; byte++)
            buffer_print(&data, "%02x", (unsigned char)record->data.data[byte]);
        json_array_append_new(array,
                              json_pack("{s:i, s:i, s:i, s:o}", "usage", record->usage, "selector",
                                        record->selector, "matching", record->matching, "data",
                                        text_json(buffer_span(&data))));
    }
    return array;
}

static json_t *terms_json(const struct tls_terms *terms)
{
    json_t *object = json_pack("{s:s, s:s, s:b}", "level", tls_level_name(terms->level), "source",
                               tls_source_name(terms->source), "check_only", terms->check_only);
    json_t *names = json_array();
    for (unsigned i = 0; i < terms->name_count; i++)
        json_array_append_new(names, text_json(span_of(terms->names[i])));
    json_object_set_new(object, "names", names);
    if (terms->tlsa_base != NULL)
        json_object_set_new(object, "tlsa_base", text_json(span_of(terms->tlsa_base)));
    json_object_set_new(object, "tlsa", records_json(terms));
    if (terms->doubted != NULL)
        json_object_set_new(object, "doubted", text_json(span_of(terms->doubted)));
    if (terms->refused != NULL)
        json_object_set_new(object, "refused", text_json(span_of(terms->refused)));
    return object;
}

static json_t *offered_json(const struct extensions *extensions)
{
    json_t *array = json_array();
    for (unsigned bit = 1; bit < 1u << EXTENSIONS; bit <<= 1)
        if (extensions->offered & bit)
            json_array_append_new(array, json_string(extension_name(bit)));
    return array;
}

static json_t *certificate_json(const struct tls_certificate *certificate)
{
    json_t *names = json_array();
    for (unsigned i = 0; i < certificate->name_count; i++)
        json_array_append_new(names, json_string(certificate->names[i]));
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:s}", "subject", certificate->subject,
                     "issuer", certificate->issuer, "names", names, "not_before",
                     certificate->not_before, "not_after", certificate->not_after, "key",
                     certificate->key, "sha256", certificate->fingerprint, "key_sha256",
                     certificate->key_fingerprint);
}

static json_t *chain_json(const struct probe_visit *visit)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < visit->chain_length; i++)
        json_array_append_new(array, certificate_json(&visit->chain[i]));
    return array;
}

static json_t *handshake_json(const struct probe_visit *visit)
{
    json_t *object =
        json_pack("{s:s, s:s, s:b, s:b, s:s, s:s, s:o}", "version", visit->facts.version, "cipher",
                  visit->facts.cipher, "asked", visit->asked, "trusted", visit->trusted, "fault",
                  tls_fault_name(visit->facts.fault), "why", visit->why ? visit->why : "", "chain",
                  chain_json(visit));
    if (visit->tried_again)
        json_object_set_new(object, "resumed", json_boolean(visit->resumed));
    return object;
}

static json_t *visit_json(const struct probe_visit *visit)
{
    json_t *object =
        json_pack("{s:s, s:i, s:i, s:s, s:o, s:b}", "name", visit->host->name, "port",
                  (int)visit->host->port, "preference", (int)visit->host->preference, "address",
                  visit->address, "required", terms_json(&visit->host->tls), "ready", visit->ready);
    if (visit->greeting != NULL)
        json_object_set_new(object, "greeting", text_json(span_of(visit->greeting)));
    if (visit->ehlo != NULL) {
        json_object_set_new(object, "offered_in_clear", offered_json(&visit->in_clear));
        json_object_set_new(object, "offered", offered_json(&visit->offered));
    }
    if (visit->decided)
        json_object_set_new(object, "starttls", json_string(tls_outcome_name(visit->outcome)));
    if (visit->handshake)
        json_object_set_new(object, "tls", handshake_json(visit));
    if (!visit->ready)
        json_object_set_new(object, "failure", verdict_json(&visit->failure));
    return object;
}

static json_t *policy_json(const struct sts_policy *policy)
{
    json_t *patterns = json_array();
    for (unsigned i = 0; i < policy->count; i++)
        json_array_append_new(patterns, text_json(span_of(policy->patterns[i])));
    return json_pack("{s:s, s:s, s:I, s:o}", "mode", sts_mode_name(policy->mode), "id", policy->id,
                     "max_age", (json_int_t)policy->max_age_s, "mx", patterns);
}

/* What was found by MX, and what the domain publishes. */
static void add_domain(json_t *object, const struct route_search *search)
{
    const struct discovery *published = search->discovery;
    if (search->configured == NULL && search->resolution != NULL)
        json_object_set_new(object, "dnssec", json_boolean(search->resolution->secure));
    if (published == NULL)
        return;
    json_object_set_new(object, "mta_sts",
                        published->sts ? policy_json(published->sts) : json_null());
    if (published->failure != STS_NO_FAILURE)
        json_object_set_new(object, "mta_sts_failure",
                            json_pack("{s:s, s:o}", "kind", sts_failure_name(published->failure),
                                      "why", text_json(span_of(published->why))));
}

void probe_print_json(const struct probe *probe)
{
    static const char *const results[] = {[PROBE_DELIVERABLE] = "deliverable",
                                          [PROBE_DEFERRED] = "deferred",
                                          [PROBE_BOUNCED] = "bounced"};
    char way[PROBE_WAY_MAX];
    json_t *hosts = json_array();
    for (unsigned i = 0; i < probe->visit_count; i++)
        json_array_append_new(hosts, visit_json(&probe->visits[i]));
    json_t *object = json_pack("{s:s, s:s, s:o}", "destination", probe->destination.name, "result",
                               results[probe->result], "hosts", hosts);
    add_domain(object, &probe->search);
    if (probe->result == PROBE_DELIVERABLE) {
        const struct probe_visit *taker = &probe->visits[probe->taker];
        json_object_set_new(object, "host", json_string(taker->host->name));
        json_object_set_new(object, "way", json_string(probe_way(taker, way)));
    } else {
        json_object_set_new(object, "verdict", verdict_json(&probe->verdict));
    }
    json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(object);
}
