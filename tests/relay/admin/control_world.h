/* A control socket over a spool, a dispatch and a configuration that are tables here, and its
 * client. Each test program includes it once. */
#pragma once

#include "base/utf8.h"
#include "relay/admin/control.h"

#include "relay/admin/lines.h"
#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_destinations.h"
#include "relay/outbound/dispatch_operator.h"
#include "relay/outbound/transcript.h"
#include "tests/queue/scratch.h"
#include "tlspolicy/tlsrpt.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>

#define NOW_MS 1795266005123 /* 2026-11-21T13:00:05.123Z */
#define MANY 1000
#define MOST 5000

/* ---- the table ---- */

struct row {
    uint64_t id;
    uint16_t number;
    const char *destination, *sender, *recipient, *last_reply, *last_host, *why;
    uint16_t code; /* of the last reply */
    struct status status;
    bool unknown; /* to the dispatch: still being loaded */
    enum entry_state state;
    int64_t due_ms;
    bool gone;
    unsigned retried, dropped;
    const char *held; /* why */
    bool failed;
};

static const struct row sample_rows[] = {
    {.id = 100,
     .destination = "one.test",
     .sender = "a@app.test",
     .recipient = "x@one.test",
     .state = ENTRY_WAITING,
     .due_ms = NOW_MS + 5000,
     .last_reply = "later",
     .code = 451,
     .status = {4, 3, 0},
     .last_host = "mx.one.test[192.0.2.1]:25",
     .why = "not this"},
    {.id = 100,
     .number = 1,
     .destination = "two.test",
     .sender = "a@app.test",
     .recipient = "x@two.test",
     .state = ENTRY_READY,
     .why = "connection refused"},
    {.id = 200,
     .destination = "one.test",
     .sender = "",
     .recipient = "y@one.test",
     .state = ENTRY_OUT},
    {.id = 300,
     .destination = "sub.one.test",
     .sender = "b\xff@app.test",
     .recipient = "z@sub.one.test",
     .last_reply = "SERVFAIL",
     .status = {4, 4, 3},
     .unknown = true,
     .due_ms = NOW_MS - 1000},
};

static struct row rows[MOST];
static size_t row_count;
static unsigned orders_given;     /* by all commands */
static unsigned looks_until_done; /* at the orders of a command: then what was dropped is gone */
static unsigned looks_when_full;  /* so often there are too many of them, once ... */
static unsigned full_after;       /* ... that many have been given */
static unsigned scans;            /* of the spool */

static inline struct row *find_row(uint64_t id, uint16_t number)
{
    for (size_t i = 0; i < row_count; i++)
        if (rows[i].id == id && rows[i].number == number && !rows[i].gone)
            return &rows[i];
    return NULL;
}

static inline bool is_behind(const struct row *row, uint64_t id, uint16_t number)
{
    return row->id > id || (row->id == id && row->number > number);
}

size_t spool_scan(struct spool *spool, uint64_t *id, uint16_t *number, bool from_start,
                  struct spool_glance *glances, size_t max)
{
    size_t count = 0;
    (void)spool;
    scans++;
    for (size_t i = 0; i < row_count && count < max; i++) {
        if (rows[i].gone || (!from_start && !is_behind(&rows[i], *id, *number)))
            continue;
        struct spool_glance *glance = &glances[count++];
        *glance = (struct spool_glance){.id = rows[i].id, .number = rows[i].number};
        snprintf(glance->destination, sizeof(glance->destination), "%s", rows[i].destination);
    }
    if (count > 0) {
        *id = glances[count - 1].id;
        *number = glances[count - 1].number;
    }
    return count;
}

struct envelope *spool_read(struct spool *spool, uint64_t id, uint16_t number)
{
    const struct row *row = find_row(id, number);
    (void)spool;
    if (row == NULL)
        return NULL;
    struct message *message = message_create(span_of(row->sender), 0, NOW_MS - 90500);
    message->id = id;
    message->place.length = 4096;
    struct envelope *envelope = envelope_create(message, span_of(row->destination));
    message_drop(&message);
    envelope->number = number;
    envelope->attempts = 3;
    envelope->due_ms = row->due_ms;
    envelope->last_reply = row->last_reply ? row->last_reply : "";
    envelope->last_host = row->last_host ? row->last_host : "";
    envelope->held = row->held != NULL;
    envelope->hold_reason = row->held ? row->held : "";
    ck_assert(envelope_add(envelope, span_of(row->recipient), SPAN("")));
    envelope->recipients[0].code = row->code;
    envelope->recipients[0].status = row->status;
    return envelope;
}

void spool_facts(struct spool *spool, struct spool_facts *facts)
{
    (void)spool;
    *facts = (struct spool_facts){.messages = 3, .envelopes = 4, .bytes = 5, .free_bytes = 6};
}

void committer_facts(struct committer *committer, struct committer_facts *facts)
{
    (void)committer;
    *facts = (struct committer_facts){.commits = 4, .changes = 10, .commit_us = 402};
}

bool dispatch_look(struct dispatch *dispatch, uint64_t id, uint16_t number, struct queue_look *look)
{
    struct row *row = find_row(id, number);
    (void)dispatch;
    *look = (struct queue_look){0};
    if (row == NULL || row->unknown)
        return false;
    look->state = row->state;
    look->due_ms = row->due_ms;
    snprintf(look->why, sizeof(look->why), "%s", row->why ? row->why : "");
    return true;
}

static bool is_whole; /* the dispatch knows all there is but the unknown */

bool dispatch_is_whole(struct dispatch *dispatch)
{
    (void)dispatch;
    return is_whole;
}

size_t dispatch_find(struct dispatch *dispatch, dispatch_wants *wants, const void *context,
                     struct envelope_key **keys)
{
    size_t count = 0;
    (void)dispatch;
    *keys = must_calloc(row_count, sizeof(**keys));
    for (size_t i = 0; i < row_count; i++)
        if (!rows[i].gone && !rows[i].unknown && wants(context, rows[i].destination, rows[i].state))
            (*keys)[count++] = (struct envelope_key){rows[i].id, rows[i].number};
    return count;
}

bool dispatch_retry(struct dispatch *dispatch, uint64_t id, uint16_t number, int64_t asked_ms)
{
    struct row *row = find_row(id, number);
    (void)dispatch;
    (void)asked_ms;
    if (row == NULL || row->unknown)
        return false;
    row->retried++;
    return true;
}

/* ---- orders ---- */

struct orders {
    unsigned nothing;
};

struct orders *orders_create(void)
{
    return must_calloc(1, sizeof(struct orders));
}

void orders_drop(struct orders **orders)
{
    free(*orders);
    *orders = NULL;
}

static void drops_are_done(void)
{
    for (size_t i = 0; i < row_count; i++)
        rows[i].gone = rows[i].gone || rows[i].dropped > 0;
}

unsigned orders_open(const struct orders *orders)
{
    ck_assert_ptr_nonnull(orders);
    if (looks_when_full > 0 && orders_given >= full_after) {
        looks_when_full--;
        return 20000;
    }
    if (looks_until_done == 0)
        return 0;
    if (--looks_until_done == 0)
        drops_are_done();
    return looks_until_done;
}

/* The row that an order is for, or NULL. */
static struct row *order_row(uint64_t id, uint16_t number, const struct orders *orders)
{
    struct row *row = find_row(id, number);
    ck_assert_ptr_nonnull(orders);
    orders_given += row != NULL && !row->unknown;
    return row == NULL || row->unknown ? NULL : row;
}

bool dispatch_drop(struct dispatch *dispatch, uint64_t id, uint16_t number, struct orders *orders)
{
    struct row *row = order_row(id, number, orders);
    (void)dispatch;
    if (row == NULL)
        return false;
    row->dropped++;
    row->gone = looks_until_done == 0; /* at once: the walk must not trip over it */
    return true;
}

bool dispatch_hold(struct dispatch *dispatch, uint64_t id, uint16_t number, const char *reason,
                   struct orders *orders)
{
    struct row *row = order_row(id, number, orders);
    (void)dispatch;
    if (row == NULL)
        return false;
    row->held = strcmp(reason, "a look first") == 0 ? "a look first" : "something else";
    row->state = ENTRY_HELD;
    return true;
}

bool dispatch_release(struct dispatch *dispatch, uint64_t id, uint16_t number,
                      struct orders *orders)
{
    struct row *row = order_row(id, number, orders);
    (void)dispatch;
    if (row == NULL || row->held == NULL)
        return false;
    row->held = NULL;
    row->state = ENTRY_READY;
    return true;
}

bool dispatch_fail(struct dispatch *dispatch, uint64_t id, uint16_t number, const char *reason,
                   struct orders *orders)
{
    struct row *row = order_row(id, number, orders);
    (void)dispatch;
    if (row == NULL || strcmp(reason, "no such thing") != 0)
        return false;
    return row->failed = true;
}

void dispatch_facts(struct dispatch *dispatch, struct dispatch_facts *facts)
{
    (void)dispatch;
    *facts = (struct dispatch_facts){.entries = 6, .counts = {1, 2, 3}};
}

/* ---- destinations: one that is known, and its suspension ---- */

static struct suspension suspended;
static bool is_suspended;
static unsigned looks_until_durable;

/* To "apart.test" goes mail that came with REQUIRETLS as well. */
bool dispatch_look_at(struct dispatch *dispatch, const char *destination, enum security security,
                      struct destination_look *look)
{
    bool apart = security == SECURITY_REQUIRED && strcmp(destination, "apart.test") == 0;
    (void)dispatch;
    *look = (struct destination_look){.security = security};
    snprintf(look->name, sizeof(look->name), "%s", destination);
    look->suspended = is_suspended && strcmp(destination, suspended.destination) == 0;
    look->suspension = suspended;
    look->suspension_pending = looks_until_durable > 0;
    looks_until_durable -= looks_until_durable > 0;
    look->known = (security == SECURITY_USUAL || apart) && strstr(destination, "nothing") == NULL;
    look->counts[ENTRY_READY] = look->known;
    if (strcmp(destination, "one.test") != 0)
        return look->known || look->suspended;
    look->site = true;
    look->counts[ENTRY_WAITING] = 1;
    look->counts[ENTRY_OUT] = 1;
    look->route = ROUTE_KNOWN;
    look->retry_at_ms = NOW_MS + 600000;
    look->failures = 3;
    look->connections = 2;
    look->max_connections = 20;
    look->host_count = 1;
    snprintf(look->failure, sizeof(look->failure), "connection refused");
    snprintf(look->hosts[0].name, sizeof(look->hosts[0].name), "mx.one.test");
    look->hosts[0].preference = 10;
    look->hosts[0].port = 25;
    look->hosts[0].count = 1;
    look->hosts[0].level = TLS_VERIFY;
    look->hosts[0].source = TLS_FROM_STS;
    snprintf(look->hosts[0].refused, sizeof(look->hosts[0].refused), "not in its policy");
    look->hosts[0].addresses[0] = (struct ip){.family = 4, .bytes = {192, 0, 2, 1}};
    return true;
}

void dispatch_destinations(struct dispatch *dispatch, struct destination_names *names)
{
    static const struct destination_name known[] = {{"two.test", SECURITY_USUAL, 1},
                                                    {"one.test", SECURITY_USUAL, 2},
                                                    {"sub.one.test", SECURITY_USUAL, 1}};
    (void)dispatch;
    *names = (struct destination_names){.count = countof(known)};
    names->items = must_calloc(countof(known), sizeof(*known));
    memcpy(names->items, known, sizeof(known));
}

void destination_names_free(struct destination_names *names)
{
    free(names->items);
}

unsigned dispatch_recorded(struct dispatch *dispatch, const char *destination,
                           struct recorded found[RECORDER_SESSIONS_MAX])
{
    struct transcript said = {0};
    (void)dispatch;
    if (strcmp(destination, "one.test") != 0)
        return 0;
    transcript_begin(&said, 0);
    transcript_add(&said, TRANSCRIPT_SERVER, 0, SPAN("220 mx\x1b[2J\r\n"));
    transcript_add(&said, TRANSCRIPT_RELAY, 1500, SPAN("STARTTLS\r\n"));
    struct failed_session failed = {
        .what = "tls-failed",
        .outcome = "stalled",
        .level = "verify",
        .tls = "none:sts",
        .connection = 7,
        .began_ms = NOW_MS - 60000,
        .ends_ms = NOW_MS,
        .verdict = {.status = {4, 7, 5},
                    .text = SPAN("timed out in the TLS handshake"),
                    .host = SPAN("mx.one.test[192.0.2.1]:25")},
        .notes = buffer_span(&said.notes),
    };
    found[0] = (struct recorded){failed_session_create(&failed), 3, NOW_MS - 5000};
    transcript_free(&said);
    return 1;
}

void look_free(struct destination_look **look)
{
    free(*look);
}

bool dispatch_suspend(struct dispatch *dispatch, const struct suspension *suspension)
{
    (void)dispatch;
    suspended = *suspension;
    is_suspended = true;
    looks_until_durable = 2;
    return true;
}

bool dispatch_lift(struct dispatch *dispatch, const char *destination)
{
    (void)dispatch;
    bool was = is_suspended && strcmp(destination, suspended.destination) == 0;
    is_suspended = is_suspended && !was;
    return was;
}

struct config *dispatch_config(struct dispatch *dispatch)
{
    (void)dispatch;
    return NULL;
}

void config_drop(struct config **config)
{
    (void)config;
}

const struct route_config *config_route(const struct config *config, struct span domain)
{
    static const struct route_config route = {.name = ".one.test"};
    (void)config;
    return span_equal(domain, SPAN("sub.one.test")) ? &route : NULL;
}

const struct tls_config *config_tls(const struct config *config, struct span domain)
{
    static const struct tls_config tls = {.name = "*", .policy.level = TLS_ENCRYPT};
    (void)config;
    (void)domain;
    return &tls;
}

const struct destination_config *config_destination(const struct config *config, struct span domain)
{
    static const struct destination_config destination = {.name = "*"};
    (void)config;
    (void)domain;
    return &destination;
}

const struct retry_config *config_retry_section(const struct config *config, struct span domain)
{
    static const struct retry_config retry = {.name = "*", .retry.give_up_ms = 432000000};
    (void)config;
    (void)domain;
    return &retry;
}

/* ---- bodies ---- */

static const char body[] = "Subject: \xe9\r\n\r\n\0x\r\n"; /* not UTF-8, and a NUL */

struct segments *spool_segments(struct spool *spool)
{
    (void)spool;
    return NULL;
}

int segments_read(struct segments *segments, const struct body_place *place, uint64_t offset,
                  char *to, size_t length)
{
    (void)segments;
    if (place->segment == 404)
        return EIO;
    for (size_t i = 0; i < length; i++)
        to[i] = body[(offset + i) % (sizeof(body) - 1)];
    return 0;
}

int64_t os_wall(void)
{
    return NOW_MS;
}

int64_t os_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- a client ---- */

static struct scratch scratch;
static struct control *control;
static struct tlsrpt *tlsrpt;
static char path[SCRATCH_MAX * 2];

static inline void begin(void)
{
    char why[300] = "";
    memcpy(rows, sample_rows, sizeof(sample_rows));
    row_count = countof(sample_rows);
    scratch = scratch_make();
    tlsrpt = tlsrpt_create();
    struct control_parts parts = {.path = scratch_file(&scratch, "control.sock", path),
                                  .tlsrpt = tlsrpt,
                                  .started_ms = os_now() - 7500};
    control = control_start(&parts, why, sizeof(why));
    ck_assert_msg(control != NULL, "%s", why);
}

static inline void end(void)
{
    control_stop(&control);
    ck_assert_ptr_null(control);
    tlsrpt_destroy(&tlsrpt);
    ck_assert(!scratch_has(&scratch, "control.sock"));
    scratch_remove(&scratch);
}

static inline void open_client(struct lines *lines)
{
    int socket = unix_connect(path);
    ck_assert_int_ge(socket, 0);
    lines_init(lines, socket, -1, 1 << 20);
}

/* All objects that come back, in an array. The caller gives it back. */
static inline json_t *read_all(struct lines *lines)
{
    json_t *all = json_array();
    for (struct span line; lines_read(lines, INT64_MAX, &line) == LINES_OK;) {
        json_t *object = json_loadb(line.data, line.length, JSON_ALLOW_NUL, NULL);
        ck_assert(object != NULL);
        json_array_append_new(all, object);
    }
    return all;
}

static inline json_t *ask(const char *request)
{
    struct lines lines;
    open_client(&lines);
    ck_assert_int_eq(lines_write(&lines, INT64_MAX, span_of(request)), LINES_OK);
    ck_assert_int_eq(lines_write(&lines, INT64_MAX, SPAN("\n")), LINES_OK);
    json_t *all = read_all(&lines);
    lines_free(&lines);
    ck_assert_uint_gt(json_array_size(all), 0);
    return all;
}

static inline const json_t *last_of(const json_t *all)
{
    const json_t *last = json_array_get(all, json_array_size(all) - 1);
    ck_assert(json_is_true(json_object_get(last, "end")));
    return last;
}

static inline void assert_text(const json_t *all, size_t at, const char *key, const char *wanted)
{
    const json_t *value = json_object_get(json_array_get(all, at), key);
    if (wanted == NULL)
        ck_assert(json_is_null(value));
    else
        ck_assert_str_eq(json_string_value(value), wanted);
}

static inline void assert_number(const json_t *all, size_t at, const char *key, json_int_t wanted)
{
    const json_t *value = json_object_get(json_array_get(all, at), key);
    ck_assert_msg(json_is_integer(value), "%s", key);
    ck_assert_int_eq(json_integer_value(value), wanted);
}

/* The answer is the envelopes of these rows, then (when there is one) the summary's count. */
static inline void assert_rows(const char *request, const int *wanted, size_t count)
{
    json_t *all = ask(request);
    char name[ENVELOPE_NAME_MAX];
    ck_assert_msg(json_array_size(all) >= count + 1, "%s", request);
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[wanted[i]];
        assert_text(all, i, "envelope", envelope_name(row->id, row->number, name));
    }
    ck_assert_ptr_null(json_object_get(json_array_get(all, count), "envelope"));
    ck_assert_ptr_null(json_object_get(last_of(all), "error"));
    json_decref(all);
}

static inline void assert_failure(const char *request, int exit, const char *word)
{
    json_t *all = ask(request);
    const json_t *last = last_of(all);
    const char *error = json_string_value(json_object_get(last, "error"));
    ck_assert_msg(error && strstr(error, word), "%s: %s", request, error ? error : "no error");
    ck_assert_int_eq(json_integer_value(json_object_get(last, "exit")), exit);
    json_decref(all);
}
