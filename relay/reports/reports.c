#include "relay/reports/reports_inside.h"

#include "base/log.h"
#include "relay/os.h"
#include "tlspolicy/store.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MAX (4 + 255)

/* ---- what is kept ---- */

/* The day, so that the store has the oldest first, and the domain. */
static struct span store_key(int64_t day, const char *domain, char key[KEY_MAX])
{
    size_t length = strnlen(domain, KEY_MAX - 4);
    for (unsigned i = 0; i < 4; i++)
        key[i] = (char)(uint8_t)((uint64_t)day >> (8 * (3 - i)));
    memcpy(key + 4, domain, length);
    return (struct span){key, 4 + length};
}

struct loading {
    struct reports *reports;
    struct arena arena;
    struct store_write *useless; /* what cannot be read any more */
    size_t count;
};

static bool load_one(void *context, struct span key, struct span image)
{
    struct loading *loading = context;
    if (tlsrpt_restore(loading->reports->counts, image))
        return true;
    size_t size = (loading->count + 1) * sizeof(*loading->useless);
    loading->useless = must_realloc(loading->useless, size);
    struct span copy = {arena_copy(&loading->arena, key), key.length};
    loading->useless[loading->count++] = (struct store_write){STORE_TLSRPT, copy, {NULL, 0}};
    return true;
}

static void load(struct reports *reports)
{
    struct loading loading = {.reports = reports};
    store_each(reports->parts.store, STORE_TLSRPT, load_one, &loading);
    if (loading.count > 0)
        store_write(reports->parts.store, loading.useless, loading.count);
    free(loading.useless);
    arena_free(&loading.arena);
}

static void keep_changed(struct reports *reports, struct span images)
{
    struct tlsrpt_tally tally;
    while (tlsrpt_image_next(&images, &tally, NULL)) {
        tlsrpt_not_written(reports->counts, tally.day, tally.domain);
        tlsrpt_tally_free(&tally);
    }
}

/* As many as came at a time. False when the disk did not take them: they are tried again. */
static bool write_images(struct reports *reports, struct span images)
{
    struct arena arena CLEANUP(arena_free) = {0};
    struct store_write *writes = NULL;
    const struct span all = images;
    struct tlsrpt_tally tally;
    struct span image;
    size_t count = 0, room = 0;
    while (tlsrpt_image_next(&images, &tally, &image)) {
        char *key = arena_take(&arena, KEY_MAX);
        if (count == room) {
            room = room > 0 ? 2 * room : 16;
            writes = must_realloc(writes, room * sizeof(*writes));
        }
        writes[count++] =
            (struct store_write){STORE_TLSRPT, store_key(tally.day, tally.domain, key), image};
        tlsrpt_tally_free(&tally);
    }
    bool written = reports->parts.store == NULL || store_write(reports->parts.store, writes, count);
    if (!written)
        keep_changed(reports, all);
    free(writes);
    return written;
}

static void flush(struct reports *reports)
{
    for (bool more = true; more;) {
        struct buffer images CLEANUP(buffer_free) = {0};
        more = tlsrpt_images(reports->counts, TLSRPT_CHANGED, NULL, 0, &images);
        more &= write_images(reports, buffer_span(&images));
    }
    reports->write_ms = reports->wall_ms + REPORTS_WRITE_MS;
}

void reports_forget(struct reports *reports, int64_t day, const char *domain)
{
    char key[KEY_MAX];
    const struct store_write gone = {STORE_TLSRPT, store_key(day, domain, key), {NULL, 0}};
    store_write(reports->parts.store, &gone, 1);
    tlsrpt_remove(reports->counts, day, domain); /* last: the strings may be its own */
}

/* ---- turns ---- */

static void take_config(struct reports *reports)
{
    pthread_mutex_lock(&reports->lock);
    struct config *next = reports->next_config;
    reports->next_config = NULL;
    pthread_mutex_unlock(&reports->lock);
    if (next == NULL)
        return;
    config_drop(&reports->config);
    reports->config = next;
    collector_configure(reports);
}

static void send_what_is_due(struct reports *reports)
{
    while (reports->sending_count < REPORTS_SENDING_MAX) {
        struct buffer image CLEANUP(buffer_free) = {0};
        struct tlsrpt_tally tally;
        if (!tlsrpt_next_due(reports->counts, reports->wall_ms, &image))
            return;
        struct span rest = buffer_span(&image);
        must(tlsrpt_image_next(&rest, &tally, NULL));
        sending_begin(reports, &tally);
    }
}

static void take_mails(struct reports *reports)
{
    mailbox_deliver(&reports->box, reports);
}

void reports_turn(struct reports *reports, int64_t wall_ms)
{
    reports->wall_ms = wall_ms;
    take_config(reports);
    take_mails(reports);
    sendings_go_on(reports);
    collector_turn(reports);
    bool clock_went_back = reports->write_ms > wall_ms + REPORTS_WRITE_MS;
    if (wall_ms < reports->write_ms && !clock_went_back)
        return;
    send_what_is_due(reports);
    flush(reports);
}

void reports_step(struct reports *reports, int wait_ms)
{
    https_wait(reports->https, wait_ms);
    reports_turn(reports, os_wall());
}

/* ---- from outside ---- */

static void wake(void *owner)
{
    struct reports *reports = owner;
    https_wake(reports->https);
}

struct reports *reports_create(const struct reports_parts *parts)
{
    struct reports *reports = must_calloc(1, sizeof(*reports));
    reports->parts = *parts;
    reports->config = config_keep(parts->config);
    reports->counts = tlsrpt_create();
    mailbox_init(&reports->box, wake, reports);
    reports->https = https_create();
    list_init(&reports->sendings);
    pthread_mutex_init(&reports->lock, NULL);
    collector_init(reports);
    collector_configure(reports);
    load(reports);
    return reports;
}

void reports_end(struct reports *reports)
{
    reports->ending = true;
    take_mails(reports);
    collector_turn(reports);
    flush(reports);
}

void reports_destroy(struct reports **reports)
{
    struct reports *destroyed = *reports;
    *reports = NULL;
    if (destroyed == NULL)
        return;
    destroyed->ending = true;
    take_mails(destroyed);
    https_destroy(&destroyed->https);
    for (struct list_node *node; (node = list_first(&destroyed->sendings)) != NULL;)
        sending_free(container_of(node, struct sending, node));
    collector_close(destroyed);
    tlsrpt_destroy(&destroyed->counts);
    if (destroyed->next_config != NULL)
        config_drop(&destroyed->next_config);
    config_drop(&destroyed->config);
    pthread_mutex_destroy(&destroyed->lock);
    free(destroyed);
}

void reports_reconfigure(struct reports *reports, struct config *config)
{
    pthread_mutex_lock(&reports->lock);
    if (reports->next_config != NULL)
        config_drop(&reports->next_config);
    reports->next_config = config_keep(config);
    pthread_mutex_unlock(&reports->lock);
}

void reports_count(struct reports *reports, const struct tlsrpt_session *session, int64_t wall_ms)
{
    tlsrpt_count(reports->counts, session, wall_ms);
    collector_tell(reports, session);
}

struct tlsrpt *reports_counts(struct reports *reports)
{
    return reports->counts;
}
