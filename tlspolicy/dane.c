#include "tlspolicy/dane.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- one record ---- */

#define FIXED_BYTES 3
#define DER_SEQUENCE 0x30

bool tlsa_parse(struct span rdata, struct tlsa *record)
{
    if (rdata.length < FIXED_BYTES)
        return false;
    *record = (struct tlsa){
        .usage = (uint8_t)rdata.data[0],
        .selector = (uint8_t)rdata.data[1],
        .matching = (uint8_t)rdata.data[2],
        .data = span_skip(rdata, FIXED_BYTES),
    };
    return true;
}

/* A whole certificate or key is a SEQUENCE, which goes on behind its first byte. */
static bool has_its_length(const struct tlsa *record)
{
    switch (record->matching) {
    case TLSA_FULL: return record->data.length > 1 && record->data.data[0] == DER_SEQUENCE;
    case TLSA_SHA256: return record->data.length == 256 / 8;
    case TLSA_SHA512: return record->data.length == 512 / 8;
    }
    return false;
}

bool tlsa_is_usable(const struct tlsa *record)
{
    bool usage = record->usage == TLSA_DANE_TA || record->usage == TLSA_DANE_EE;
    bool selector = record->selector == TLSA_CERT || record->selector == TLSA_SPKI;
    return usage && selector && has_its_length(record);
}

/* ---- a set of them ---- */

static int compare(const void *one, const void *other)
{
    const struct tlsa *a = one, *b = other;
    if (a->usage != b->usage)
        return a->usage - b->usage;
    if (a->selector != b->selector)
        return a->selector - b->selector;
    if (a->matching != b->matching)
        return a->matching - b->matching;
    if (a->data.length != b->data.length)
        return a->data.length < b->data.length ? -1 : 1;
    return memcmp(a->data.data, b->data.data, a->data.length);
}

/* RFC 7671 9: of digests for the same usage and selector only the strongest count; what stands
 * for itself counts always. */
static bool is_outdone(const struct tlsa *record, const struct tlsa *all, unsigned count)
{
    if (record->matching == TLSA_FULL)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (all[i].usage == record->usage && all[i].selector == record->selector &&
            all[i].matching > record->matching)
            return true;
    return false;
}

static unsigned read_usable(const struct dane_host *host, struct tlsa *usable)
{
    unsigned count = 0;
    for (unsigned i = 0; i < host->count; i++)
        if (tlsa_parse(host->records[i], &usable[count]) && tlsa_is_usable(&usable[count]))
            count++;
    qsort(usable, count, sizeof(*usable), compare);
    return count;
}

/* In order, each once. */
static void take_records(struct tls_terms *terms, const struct tlsa *usable, unsigned count,
                         struct arena *arena)
{
    struct tlsa *records = arena_take(arena, count * sizeof(*records));
    unsigned kept = 0;
    for (unsigned i = 0; i < count; i++) {
        bool again = i > 0 && compare(&usable[i - 1], &usable[i]) == 0;
        if (again || is_outdone(&usable[i], usable, count))
            continue;
        records[kept] = usable[i];
        records[kept].data.data = arena_copy(arena, usable[i].data);
        kept++;
    }
    terms->records = records;
    terms->record_count = kept;
}

/* ---- what a host must show ---- */

static void add_name_once(struct tls_terms *terms, const char *name, struct arena *arena)
{
    if (name == NULL)
        return;
    for (unsigned i = 0; i < terms->name_count; i++)
        if (strcasecmp(terms->names[i], name) == 0)
            return;
    terms_add_name(terms, name, arena);
}

/* RFC 7672 3.1.1, 3.2.2: names count where a trust anchor vouches for them, and not else. */
static void add_names(struct tls_terms *terms, const struct dane_host *host, struct arena *arena)
{
    bool anchored = false;
    for (unsigned i = 0; i < terms->record_count; i++)
        anchored |= terms->records[i].usage == TLSA_DANE_TA;
    if (!anchored)
        return;
    add_name_once(terms, host->base, arena);
    add_name_once(terms, host->next_hop, arena);
    add_name_once(terms, host->expanded, arena);
}

static void be_unauthenticated(struct tls_terms *terms, bool only)
{
    terms->level = only ? TLS_DANE : TLS_ENCRYPT;
    terms->source = TLS_FROM_DANE;
    terms->refused = only ? "none of its TLSA records can be used" : NULL;
    terms->refusal = TLS_REFUSED_TLSA;
}

void dane_apply(struct tls_terms *terms, const struct dane_host *host, bool only,
                struct arena *arena)
{
    struct tlsa *usable = must_calloc(host->count + 1, sizeof(*usable));
    unsigned count = read_usable(host, usable);
    if (count == 0) {
        be_unauthenticated(terms, only);
    } else {
        terms->level = TLS_DANE;
        terms->source = TLS_FROM_DANE;
        terms->refused = NULL;
        terms->tlsa_base = terms->sni = arena_copy(arena, span_of(host->base));
        take_records(terms, usable, count, arena);
        add_names(terms, host, arena);
    }
    free(usable);
}
