#include "tlspolicy/tlsrpt.h"

#include "base/list.h"
#include "base/map.h"
#include "base/random.h"
#include "tlspolicy/tlsrpt_inside.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_MS 60000 /* what began before midnight is counted by then */
#define HELO_MAX 255

struct held {
    struct tlsrpt_tally tally;
    struct list_node node;
    int64_t next_ms; /* its report is not tried before */
    bool changed;    /* since its image was last asked for */
};

struct tlsrpt {
    pthread_mutex_t lock;
    struct map map;   /* struct held, by day and domain */
    struct list list; /* the same, oldest first */
    size_t bytes;
    _Atomic uint64_t uncounted;
};

struct key {
    int64_t day;
    const char *domain;
};

/* ---- words ---- */

const char *tlsrpt_policy_name(enum tlsrpt_policy_type type)
{
    switch (type) {
    case TLSRPT_POLICY_NONE: return "no-policy-found";
    case TLSRPT_POLICY_TLSA: return "tlsa";
    case TLSRPT_POLICY_STS: return "sts";
    }
    must_not_reach();
}

const char *tlsrpt_result_name(enum tlsrpt_result result)
{
    switch (result) {
    case TLSRPT_SUCCESS: return "";
    case TLSRPT_STARTTLS_NOT_SUPPORTED: return "starttls-not-supported";
    case TLSRPT_CERTIFICATE_HOST_MISMATCH: return "certificate-host-mismatch";
    case TLSRPT_CERTIFICATE_EXPIRED: return "certificate-expired";
    case TLSRPT_CERTIFICATE_NOT_TRUSTED: return "certificate-not-trusted";
    case TLSRPT_VALIDATION_FAILURE: return "validation-failure";
    case TLSRPT_TLSA_INVALID: return "tlsa-invalid";
    case TLSRPT_DNSSEC_INVALID: return "dnssec-invalid";
    case TLSRPT_DANE_REQUIRED: return "dane-required";
    case TLSRPT_STS_POLICY_FETCH_ERROR: return "sts-policy-fetch-error";
    case TLSRPT_STS_POLICY_INVALID: return "sts-policy-invalid";
    case TLSRPT_STS_WEBPKI_INVALID: return "sts-webpki-invalid";
    }
    must_not_reach();
}

/* ---- the whole ---- */

static uint64_t key_hash(int64_t day, const char *domain)
{
    return hash_number(span_hash(span_of(domain)) ^ (uint64_t)day);
}

static uint64_t held_hash(const void *item)
{
    const struct held *held = item;
    return key_hash(held->tally.day, held->tally.domain);
}

static bool held_same(const void *item, const void *with)
{
    const struct held *held = item;
    const struct key *key = with;
    return held->tally.day == key->day && strcmp(held->tally.domain, key->domain) == 0;
}

static struct held *find(const struct tlsrpt *tlsrpt, int64_t day, const char *domain)
{
    const struct key key = {day, domain};
    return map_find(&tlsrpt->map, key_hash(day, domain), &key);
}

struct tlsrpt *tlsrpt_create(void)
{
    struct tlsrpt *tlsrpt = must_calloc(1, sizeof(*tlsrpt));
    pthread_mutex_init(&tlsrpt->lock, NULL);
    map_init(&tlsrpt->map, held_hash, held_same);
    list_init(&tlsrpt->list);
    atomic_init(&tlsrpt->uncounted, 0);
    return tlsrpt;
}

static void drop(struct tlsrpt *tlsrpt, struct held *held)
{
    map_remove(&tlsrpt->map, held);
    list_remove(&held->node);
    tlsrpt->bytes -= held->tally.bytes;
    tlsrpt_tally_free(&held->tally);
    free(held);
}

void tlsrpt_destroy(struct tlsrpt **tlsrpt)
{
    struct tlsrpt *destroyed = *tlsrpt;
    *tlsrpt = NULL;
    if (destroyed == NULL)
        return;
    for (struct list_node *node; (node = list_first(&destroyed->list)) != NULL;)
        drop(destroyed, container_of(node, struct held, node));
    map_free(&destroyed->map);
    pthread_mutex_destroy(&destroyed->lock);
    free(destroyed);
}

void tlsrpt_tally_free(struct tlsrpt_tally *tally)
{
    struct arena arena = tally->arena;
    *tally = (struct tlsrpt_tally){0};
    arena_free(&arena);
}

uint64_t tlsrpt_uncounted(const struct tlsrpt *tlsrpt)
{
    return atomic_load(&tlsrpt->uncounted);
}

/* ---- counting ---- */

static bool is_full(const struct tlsrpt *tlsrpt)
{
    return tlsrpt->bytes > TLSRPT_BYTES_MAX;
}

static void add(struct tlsrpt *tlsrpt, struct held *held)
{
    held->next_ms = tlsrpt_due_ms(held->tally.day, held->tally.domain);
    tlsrpt->bytes += held->tally.bytes;
    map_add(&tlsrpt->map, held);
    list_append(&tlsrpt->list, &held->node);
}

static struct held *hold(struct tlsrpt *tlsrpt, int64_t day, const char *domain)
{
    struct held *held = find(tlsrpt, day, domain);
    if (held != NULL || is_full(tlsrpt) || tlsrpt->map.count >= TLSRPT_TALLIES_MAX)
        return held;
    held = must_calloc(1, sizeof(*held));
    held->tally.day = day;
    held->tally.bytes = sizeof(*held);
    held->tally.domain = tally_copy(&held->tally, span_of(domain));
    held->tally.record = "";
    add(tlsrpt, held);
    return held;
}

static bool texts_equal(const char *const *a, unsigned a_count, const char *const *b,
                        unsigned b_count)
{
    for (unsigned i = 0; i < a_count && i < b_count; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return a_count == b_count;
}

static bool policies_equal(const struct tlsrpt_policy *a, const struct tlsrpt_policy *b)
{
    return a->type == b->type && strcmp(a->domain, b->domain) == 0 &&
           texts_equal(a->strings, a->string_count, b->strings, b->string_count) &&
           texts_equal(a->mx, a->mx_count, b->mx, b->mx_count);
}

static const char *const *copy_texts(struct tlsrpt_tally *tally, const char *const *texts,
                                     unsigned count)
{
    const char **copy = tally_take(tally, count * sizeof(*copy));
    for (unsigned i = 0; i < count; i++)
        copy[i] = tally_copy(tally, span_of(texts[i]));
    return copy;
}

static struct tlsrpt_count *count_for(struct tlsrpt_tally *tally,
                                      const struct tlsrpt_policy *policy, bool may_add)
{
    unsigned others = 0;
    struct tlsrpt_count **at = &tally->counts;
    for (; *at != NULL; at = &(*at)->next, others++)
        if (policies_equal(&(*at)->policy, policy))
            return *at;
    if (!may_add || others >= TLSRPT_POLICIES_MAX || policy->string_count > TLSRPT_STRINGS_MAX ||
        policy->mx_count > TLSRPT_STRINGS_MAX)
        return NULL;
    *at = tally_take(tally, sizeof(**at));
    (*at)->policy = (struct tlsrpt_policy){
        .type = policy->type,
        .domain = tally_copy(tally, span_of(policy->domain)),
        .strings = copy_texts(tally, policy->strings, policy->string_count),
        .string_count = policy->string_count,
        .mx = copy_texts(tally, policy->mx, policy->mx_count),
        .mx_count = policy->mx_count,
    };
    return *at;
}

static bool details_equal(const struct tlsrpt_detail *a, const struct tlsrpt_detail *b)
{
    return a->result == b->result && ip_equal(&a->sending, &b->sending) &&
           ip_equal(&a->receiving, &b->receiving) && strcmp(a->mx_host, b->mx_host) == 0 &&
           strcmp(a->helo, b->helo) == 0 && strcmp(a->reason, b->reason) == 0;
}

/* One like `wanted`, or the place where it belongs. */
static struct tlsrpt_detail **detail_at(struct tlsrpt_count *count,
                                        const struct tlsrpt_detail *wanted, unsigned *others)
{
    struct tlsrpt_detail **at = &count->details;
    for (*others = 0; *at != NULL && !details_equal(*at, wanted); at = &(*at)->next)
        ++*others;
    return at;
}

static void count_failure(struct tlsrpt_tally *tally, struct tlsrpt_count *count,
                          struct tlsrpt_detail wanted, bool may_add)
{
    unsigned others;
    struct tlsrpt_detail **at = detail_at(count, &wanted, &others);
    if (*at == NULL && (others >= TLSRPT_DETAILS_MAX || !may_add)) {
        wanted = (struct tlsrpt_detail){
            .result = wanted.result, .mx_host = "", .helo = "", .reason = ""};
        at = detail_at(count, &wanted, &others);
    }
    if (*at == NULL) {
        *at = tally_take(tally, sizeof(**at));
        **at = wanted;
        (*at)->mx_host = tally_copy(tally, span_of(wanted.mx_host));
        (*at)->helo = tally_copy(tally, span_of(wanted.helo));
        (*at)->reason = tally_copy(tally, span_of(wanted.reason));
    }
    (*at)->sessions++;
    count->failures++;
}

/* What a peer said, as much as fits, printable. */
static const char *clean(const char *text, char *to, size_t size)
{
    size_t length = 0;
    for (; text[length] != '\0' && length + 1 < size; length++)
        to[length] = text[length] >= ' ' && text[length] < 0x7f ? text[length] : '?';
    to[length] = '\0';
    return to;
}

static bool count_held(struct held *held, const struct tlsrpt_session *session, bool may_add)
{
    char mx_host[HELO_MAX + 1], helo[HELO_MAX + 1], reason[TLSRPT_REASON_MAX + 1];
    struct tlsrpt_tally *tally = &held->tally;
    struct tlsrpt_count *count = count_for(tally, &session->policy, may_add);
    if (strcmp(tally->record, session->record) != 0 && (may_add || tally->record[0] == '\0'))
        tally->record = tally_copy(tally, span_of(session->record));
    if (count == NULL)
        return false;
    if (session->result == TLSRPT_SUCCESS) {
        count->successes++;
        return true;
    }
    const struct tlsrpt_detail wanted = {
        .result = session->result,
        .mx_host = clean(session->mx_host, mx_host, sizeof(mx_host)),
        .helo = clean(session->helo, helo, sizeof(helo)),
        .reason = clean(session->reason, reason, sizeof(reason)),
        .sending = session->sending,
        .receiving = session->receiving,
    };
    count_failure(tally, count, wanted, may_add);
    return true;
}

void tlsrpt_count(struct tlsrpt *tlsrpt, const struct tlsrpt_session *session, int64_t wall_ms)
{
    pthread_mutex_lock(&tlsrpt->lock);
    struct held *held = hold(tlsrpt, wall_ms / TLSRPT_DAY_MS, session->domain);
    bool counted = false;
    if (held != NULL) {
        size_t before = held->tally.bytes;
        counted = count_held(held, session, !is_full(tlsrpt));
        held->changed = true;
        tlsrpt->bytes += held->tally.bytes - before;
    }
    pthread_mutex_unlock(&tlsrpt->lock);
    atomic_fetch_add(&tlsrpt->uncounted, !counted);
}

/* ---- images ---- */

static bool is_asked_for(const struct held *held, enum tlsrpt_which which, const char *domain,
                         int64_t wall_ms)
{
    if (domain != NULL && strcmp(held->tally.domain, domain) != 0)
        return false;
    return which == TLSRPT_CHANGED ? held->changed : held->tally.day == wall_ms / TLSRPT_DAY_MS;
}

bool tlsrpt_images(struct tlsrpt *tlsrpt, enum tlsrpt_which which, const char *domain,
                   int64_t wall_ms, struct buffer *images)
{
    bool more = false;
    pthread_mutex_lock(&tlsrpt->lock);
    for (struct list_node *node = list_first(&tlsrpt->list); node != NULL && !more;
         node = list_next(&tlsrpt->list, node)) {
        struct held *held = container_of(node, struct held, node);
        if (!is_asked_for(held, which, domain, wall_ms))
            continue;
        more = which == TLSRPT_CHANGED && buffer_length(images) > TLSRPT_IMAGES_MAX;
        if (more)
            break;
        tlsrpt_image_write(&held->tally, images);
        held->changed &= which != TLSRPT_CHANGED;
    }
    pthread_mutex_unlock(&tlsrpt->lock);
    return more;
}

void tlsrpt_not_written(struct tlsrpt *tlsrpt, int64_t day, const char *domain)
{
    pthread_mutex_lock(&tlsrpt->lock);
    struct held *held = find(tlsrpt, day, domain);
    if (held != NULL)
        held->changed = true;
    pthread_mutex_unlock(&tlsrpt->lock);
}

bool tlsrpt_restore(struct tlsrpt *tlsrpt, struct span image)
{
    struct held *held = must_calloc(1, sizeof(*held));
    bool fine = tlsrpt_image_next(&image, &held->tally, NULL) && image.length == 0;
    pthread_mutex_lock(&tlsrpt->lock);
    fine = fine && !is_full(tlsrpt) && tlsrpt->map.count < TLSRPT_TALLIES_MAX &&
           find(tlsrpt, held->tally.day, held->tally.domain) == NULL;
    if (fine)
        add(tlsrpt, held);
    pthread_mutex_unlock(&tlsrpt->lock);
    if (!fine) {
        tlsrpt_tally_free(&held->tally);
        free(held);
    }
    return fine;
}

/* ---- what is to be reported ---- */

int64_t tlsrpt_due_ms(int64_t day, const char *domain)
{
    struct random_state random = {key_hash(day, domain)};
    uint64_t delay_ms = random_below(&random, TLSRPT_DELAY_MAX_MS - SETTLE_MS);
    return (day + 1) * TLSRPT_DAY_MS + SETTLE_MS + (int64_t)delay_ms;
}

bool tlsrpt_next_due(struct tlsrpt *tlsrpt, int64_t wall_ms, struct buffer *image)
{
    bool found = false;
    pthread_mutex_lock(&tlsrpt->lock);
    for (struct list_node *node = list_first(&tlsrpt->list); node != NULL && !found;
         node = list_next(&tlsrpt->list, node)) {
        const struct held *held = container_of(node, struct held, node);
        found = held->next_ms <= wall_ms;
        if (found)
            tlsrpt_image_write(&held->tally, image);
    }
    pthread_mutex_unlock(&tlsrpt->lock);
    return found;
}

void tlsrpt_postpone(struct tlsrpt *tlsrpt, int64_t day, const char *domain, uint32_t sent,
                     int64_t until_ms)
{
    pthread_mutex_lock(&tlsrpt->lock);
    struct held *held = find(tlsrpt, day, domain);
    if (held != NULL) {
        held->changed |= held->tally.sent != sent;
        held->tally.sent = sent;
        held->next_ms = until_ms;
    }
    pthread_mutex_unlock(&tlsrpt->lock);
}

void tlsrpt_remove(struct tlsrpt *tlsrpt, int64_t day, const char *domain)
{
    pthread_mutex_lock(&tlsrpt->lock);
    struct held *held = find(tlsrpt, day, domain);
    if (held != NULL)
        drop(tlsrpt, held);
    pthread_mutex_unlock(&tlsrpt->lock);
}
