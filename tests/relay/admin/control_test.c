/* The control socket as a client sees it, over a spool and a dispatch that are a table here. */
#include "relay/admin/control.h"

#include "relay/admin/lines.h"
#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch.h"
#include "relay/outbound/dispatch_operator.h"
#include "tests/queue/scratch.h"

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
static unsigned looks_until_gone; /* after a drop */
static unsigned looks_when_full;  /* so often the dispatch says that much is out */
static unsigned looks_at_out;
static unsigned scans; /* of the spool */

static struct row *find_row(uint64_t id, uint16_t number)
{
    for (size_t i = 0; i < row_count; i++)
        if (rows[i].id == id && rows[i].number == number && !rows[i].gone)
            return &rows[i];
    return NULL;
}

static bool is_behind(const struct row *row, uint64_t id, uint16_t number)
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
    if (row != NULL && row->dropped > 0 && --looks_until_gone == 0) {
        row->gone = true;
        return false;
    }
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

bool dispatch_drop(struct dispatch *dispatch, uint64_t id, uint16_t number)
{
    struct row *row = find_row(id, number);
    (void)dispatch;
    if (row == NULL || row->unknown)
        return false;
    row->dropped++;
    row->gone = looks_until_gone == 0; /* at once: the walk must not trip over it */
    return true;
}

unsigned dispatch_out(struct dispatch *dispatch)
{
    (void)dispatch;
    looks_at_out++;
    if (looks_when_full == 0)
        return 0;
    looks_when_full--;
    return 20000;
}

void dispatch_facts(struct dispatch *dispatch, struct dispatch_facts *facts)
{
    (void)dispatch;
    *facts = (struct dispatch_facts){.entries = 6, .counts = {1, 2, 3}};
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
static char path[SCRATCH_MAX * 2];

static void begin(void)
{
    char why[300] = "";
    memcpy(rows, sample_rows, sizeof(sample_rows));
    row_count = countof(sample_rows);
    scratch = scratch_make();
    struct control_parts parts = {.path = scratch_file(&scratch, "control.sock", path),
                                  .started_ms = os_now() - 7500};
    control = control_start(&parts, why, sizeof(why));
    ck_assert_msg(control != NULL, "%s", why);
}

static void end(void)
{
    control_stop(&control);
    ck_assert_ptr_null(control);
    ck_assert(!scratch_has(&scratch, "control.sock"));
    scratch_remove(&scratch);
}

static void open_client(struct lines *lines)
{
    int socket = unix_connect(path);
    ck_assert_int_ge(socket, 0);
    lines_init(lines, socket, -1, 1 << 20);
}

/* All objects that come back, in an array. The caller gives it back. */
static json_t *read_all(struct lines *lines)
{
    json_t *all = json_array();
    for (struct span line; lines_read(lines, INT64_MAX, &line) == LINES_OK;) {
        json_t *object = json_loadb(line.data, line.length, 0, NULL);
        ck_assert_msg(object != NULL, "%.*s", SPAN_FORMAT(line));
        json_array_append_new(all, object);
    }
    return all;
}

static json_t *ask(const char *request)
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

static const json_t *last_of(const json_t *all)
{
    const json_t *last = json_array_get(all, json_array_size(all) - 1);
    ck_assert(json_is_true(json_object_get(last, "end")));
    return last;
}

static void assert_text(const json_t *all, size_t at, const char *key, const char *wanted)
{
    const json_t *value = json_object_get(json_array_get(all, at), key);
    if (wanted == NULL)
        ck_assert(json_is_null(value));
    else
        ck_assert_str_eq(json_string_value(value), wanted);
}

static void assert_number(const json_t *all, size_t at, const char *key, json_int_t wanted)
{
    const json_t *value = json_object_get(json_array_get(all, at), key);
    ck_assert_msg(json_is_integer(value), "%s", key);
    ck_assert_int_eq(json_integer_value(value), wanted);
}

/* The answer is the envelopes of these rows, then (when there is one) the summary's count. */
static void assert_rows(const char *request, const int *wanted, size_t count)
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

static void assert_failure(const char *request, int exit, const char *word)
{
    json_t *all = ask(request);
    const json_t *last = last_of(all);
    const char *error = json_string_value(json_object_get(last, "error"));
    ck_assert_msg(error && strstr(error, word), "%s: %s", request, error ? error : "no error");
    ck_assert_int_eq(json_integer_value(json_object_get(last, "exit")), exit);
    json_decref(all);
}

/* ---- list and show ---- */

START_TEST(an_envelope_in_full)
{
    begin();
    json_t *all = ask("{\"command\":\"queue list\"}");
    ck_assert_uint_eq(json_array_size(all), 6);
    assert_text(all, 0, "id", "0000000000034");
    assert_text(all, 1, "id", "0000000000034");
    assert_text(all, 1, "envelope", "0000000000034.1");
    assert_text(all, 0, "state", "waiting");
    assert_text(all, 0, "sender", "a@app.test");
    assert_text(all, 0, "destination", "one.test");
    assert_text(all, 0, "arrived", "2026-11-21T12:58:34.623Z");
    assert_text(all, 0, "due", "2026-11-21T13:00:10.123Z");
    assert_text(all, 0, "last_host", "mx.one.test[192.0.2.1]:25");
    assert_number(all, 0, "age_seconds", 90);
    assert_number(all, 0, "size", 4096);
    assert_number(all, 0, "attempts", 3);
    const json_t *recipients = json_object_get(json_array_get(all, 0), "recipients");
    ck_assert_uint_eq(json_array_size(recipients), 1);
    ck_assert_str_eq(json_string_value(json_array_get(recipients, 0)), "x@one.test");

    assert_text(all, 0, "last_reply", "451 4.3.0 later");    /* its own goes before the site's */
    assert_text(all, 1, "last_reply", "connection refused"); /* the site's last failure */
    assert_text(all, 1, "state", "ready");
    assert_text(all, 1, "due", NULL);
    assert_text(all, 2, "state", "out");
    assert_text(all, 2, "due", NULL);
    assert_text(all, 2, "last_reply", "");
    assert_text(all, 3, "state", "loading");
    assert_text(all, 3, "last_reply", "4.4.3 SERVFAIL"); /* local: no code */
    assert_text(all, 3, "due", "2026-11-21T13:00:04.123Z");
    assert_text(all, 3, "sender", "b\\xff@app.test"); /* no UTF-8: no JSON as it is */
    assert_number(all, 4, "count", 4);
    ck_assert(json_is_false(json_object_get(json_array_get(all, 4), "more")));
    json_decref(all);
    end();
}
END_TEST

START_TEST(filters)
{
    begin();
    assert_rows("{\"command\":\"queue list\",\"domain\":\"one.test\"}", (int[]){0, 2}, 2);
    assert_rows("{\"command\":\"queue list\",\"domain\":\".one.test\"}", (int[]){3}, 1);
    assert_rows("{\"command\":\"queue list\",\"sender\":\"<>\"}", (int[]){2}, 1);
    assert_rows("{\"command\":\"queue list\",\"recipient\":\"x@two.test\"}", (int[]){1}, 1);
    assert_rows("{\"command\":\"queue list\",\"state\":\"ready\"}", (int[]){1}, 1);
    assert_rows("{\"command\":\"queue list\",\"state\":\"loading\"}", (int[]){3}, 1);
    assert_rows("{\"command\":\"queue list\",\"older_than_ms\":90500}", (int[]){0, 1, 2, 3}, 4);
    assert_rows("{\"command\":\"queue list\",\"older_than_ms\":90501}", NULL, 0);
    assert_rows("{\"command\":\"queue list\",\"domain\":\"one.test\",\"state\":\"out\"}",
                (int[]){2}, 1);
    end();
}
END_TEST

/* Once the spool has been read, what is in memory answers: the same, without a walk of the spool.
 */
START_TEST(filters_once_all_is_known)
{
    begin();
    rows[3].unknown = false;
    is_whole = true;
    scans = 0;
    assert_rows("{\"command\":\"queue list\",\"domain\":\"one.test\"}", (int[]){0, 2}, 2);
    assert_rows("{\"command\":\"queue list\",\"domain\":\".one.test\"}", (int[]){3}, 1);
    assert_rows("{\"command\":\"queue list\",\"state\":\"ready\"}", (int[]){1}, 1);
    assert_rows("{\"command\":\"queue list\",\"domain\":\"none.test\"}", NULL, 0);
    assert_rows("{\"command\":\"queue list\",\"domain\":\"one.test\",\"sender\":\"<>\"}",
                (int[]){2}, 1);
    ck_assert_uint_eq(scans, 0);
    assert_rows("{\"command\":\"queue list\",\"state\":\"loading\"}", NULL, 0);
    assert_rows("{\"command\":\"queue list\",\"sender\":\"<>\"}", (int[]){2}, 1);
    ck_assert_uint_gt(scans, 0);
    end();
}
END_TEST

START_TEST(show)
{
    begin();
    assert_rows("{\"command\":\"queue show\",\"ids\":[\"0000000000034\"]}", (int[]){0, 1}, 2);
    assert_rows("{\"command\":\"queue show\",\"ids\":[\"0000000000034.0\"]}", (int[]){0}, 1);
    assert_rows("{\"command\":\"queue show\",\"ids\":[\"0000000000034.1\"]}", (int[]){1}, 1);
    assert_failure("{\"command\":\"queue show\",\"ids\":[\"0000000000034.2\"]}", EX_DATAERR,
                   "0000000000034.2 is not in the queue");
    assert_failure("{\"command\":\"queue show\",\"ids\":[\"0000000000035\"]}", EX_DATAERR,
                   "not in the queue");
    assert_failure("{\"command\":\"queue show\",\"ids\":[\"0000000000000\"]}", EX_DATAERR,
                   "not in the queue");
    end();
}
END_TEST

static void fill_rows(size_t count)
{
    row_count = count;
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct row){.id = 1 + i / 2,
                               .number = i % 2,
                               .destination = "many.test",
                               .sender = "",
                               .recipient = "x@many.test"};
}

static void assert_listed(const char *request, size_t count, bool more)
{
    json_t *all = ask(request);
    ck_assert_uint_eq(json_array_size(all), count + 2);
    assert_number(all, count, "count", (json_int_t)count);
    ck_assert(json_is_true(json_object_get(json_array_get(all, count), "more")) == more);
    json_decref(all);
}

/* Many pages; each envelope once, in order. */
START_TEST(long_lists_and_limits)
{
    begin();
    fill_rows(MANY);
    json_t *all = ask("{\"command\":\"queue list\"}");
    ck_assert_uint_eq(json_array_size(all), MANY + 2);
    for (size_t i = 0; i < MANY; i++) {
        char name[ENVELOPE_NAME_MAX];
        assert_text(all, i, "envelope", envelope_name(rows[i].id, rows[i].number, name));
    }
    json_decref(all);
    assert_listed("{\"command\":\"queue list\",\"limit\":7}", 7, true);
    assert_listed("{\"command\":\"queue list\",\"limit\":999}", 999, true);
    assert_listed("{\"command\":\"queue list\",\"limit\":1000}", 1000, false);
    assert_listed("{\"command\":\"queue list\",\"limit\":1001}", 1000, false);
    end();
}
END_TEST

/* ---- retry and drop ---- */

static void assert_acted(const char *request, json_int_t count, json_int_t loading)
{
    json_t *all = ask(request);
    assert_number(all, 0, "count", count);
    assert_number(all, 0, "loading", loading);
    const json_t *exit = json_object_get(last_of(all), "exit");
    ck_assert_int_eq(json_integer_value(exit), loading > 0 ? EX_TEMPFAIL : 0);
    json_decref(all);
}

START_TEST(retry)
{
    begin();
    assert_acted("{\"command\":\"queue retry\",\"ids\":[\"0000000000034\"]}", 2, 0);
    assert_acted("{\"command\":\"queue retry\",\"ids\":[\"0000000000034.1\"]}", 1, 0);
    assert_acted("{\"command\":\"queue retry\",\"all\":true,\"reason\":\"x\"}", 3, 1);
    ck_assert_uint_eq(rows[0].retried, 2);
    ck_assert_uint_eq(rows[1].retried, 3);
    ck_assert_uint_eq(rows[2].retried, 1);
    ck_assert_uint_eq(rows[3].retried, 0);
    end();
}
END_TEST

START_TEST(drop_takes_what_was_named_and_no_more)
{
    begin();
    assert_failure("{\"command\":\"queue drop\"}", EX_USAGE, "--all");
    /* --all beside ids says that several are meant: not that all others are, too */
    assert_acted("{\"command\":\"queue drop\",\"ids\":[\"0000000000034.1\",\"0000000000068\"],"
                 "\"all\":true,\"reason\":\"x\"}",
                 2, 0);
    ck_assert(rows[1].gone && rows[2].gone);
    ck_assert(!rows[0].gone && !rows[3].gone);
    end();
}
END_TEST

START_TEST(drop_by_filter)
{
    begin();
    assert_acted("{\"command\":\"queue drop\",\"sender\":\"@app.test\",\"state\":\"ready\","
                 "\"reason\":\"x\"}",
                 1, 0);
    ck_assert(rows[1].gone);
    assert_acted("{\"command\":\"queue drop\",\"recipient\":\"nobody@one.test\","
                 "\"reason\":\"x\"}",
                 0, 0);
    assert_acted("{\"command\":\"queue drop\",\"domain\":\".one.test\",\"reason\":\"x\"}", 0, 1);
    ck_assert(!rows[0].gone && !rows[2].gone && !rows[3].gone);
    assert_failure("{\"command\":\"queue drop\",\"ids\":[\"0000000000034.1\"]}", EX_DATAERR,
                   "not in the queue");
    end();
}
END_TEST

START_TEST(drop_many)
{
    begin();
    fill_rows(MANY);
    assert_acted("{\"command\":\"queue drop\",\"limit\":300,\"all\":true,\"reason\":\"x\"}", 300,
                 0);
    assert_acted("{\"command\":\"queue drop\",\"all\":true,\"reason\":\"x\"}", 700, 0);
    for (size_t i = 0; i < MANY; i++)
        ck_assert(rows[i].gone);
    end();
}
END_TEST

START_TEST(a_drop_is_answered_when_it_is_done)
{
    begin();
    looks_until_gone = 3;
    assert_acted("{\"command\":\"queue drop\",\"ids\":[\"0000000000034.1\"]}", 1, 0);
    ck_assert(rows[1].gone);

    looks_until_gone = 1; /* but what is out may take its time */
    assert_acted("{\"command\":\"queue drop\",\"ids\":[\"0000000000068\"]}", 1, 0);
    ck_assert(!rows[2].gone && rows[2].dropped);
    end();
}
END_TEST

START_TEST(a_drop_waits_for_room)
{
    begin();
    fill_rows(MOST);
    looks_when_full = 3;
    json_t *all = ask("{\"command\":\"queue drop\",\"all\":true,\"reason\":\"x\"}");
    assert_number(all, 0, "progress", 4096);
    assert_number(all, 1, "count", MOST);
    ck_assert_uint_eq(looks_at_out, 4);
    json_decref(all);
    end();
}
END_TEST

START_TEST(a_drop_ends_when_its_client_leaves)
{
    struct lines lines;
    struct span line;
    begin();
    fill_rows(MOST);
    looks_when_full = UINT_MAX;
    open_client(&lines);
    lines_write(&lines, INT64_MAX,
                SPAN("{\"command\":\"queue drop\",\"all\":true,\"reason\":\"x\"}\n"));
    ck_assert_int_eq(lines_read(&lines, INT64_MAX, &line), LINES_OK);
    ck_assert_msg(span_equal(line, SPAN("{\"progress\":4096}")), "%.*s", SPAN_FORMAT(line));
    lines_free(&lines);
    assert_listed("{\"command\":\"queue list\"}", MOST - 4096, false);
    end();
}
END_TEST

/* ---- stats ---- */

static json_int_t stat_of(const json_t *stats, const char *group, const char *key)
{
    const json_t *from = group ? json_object_get(stats, group) : stats;
    const json_t *value = json_object_get(from, key);
    ck_assert_msg(json_is_integer(value), "%s %s", group ? group : "", key);
    return json_integer_value(value);
}

START_TEST(what_was_counted)
{
    begin();
    metric_add(METRIC_MESSAGES_RECEIVED, 8);
    metric_add(METRIC_RECEIVED, 10);
    metric_add(METRIC_DELIVERED, 7);
    metric_add(METRIC_QUEUED, 3);
    metric_add(METRIC_HANDSHAKES_RESUMED, 5);
    metric_add(METRIC_CONNECTIONS_OPEN, 2);
    metric_add(METRIC_INBOUND_REFUSED, 1);
    json_t *all = ask("{\"command\":\"stats\"}");
    ck_assert_uint_eq(json_array_size(all), 2);
    const json_t *stats = json_array_get(all, 0);
    ck_assert_str_eq(json_string_value(json_object_get(stats, "version")), MILLRACE_VERSION);
    ck_assert_int_ge(stat_of(stats, NULL, "uptime_seconds"), 7);
    ck_assert_int_eq(stat_of(stats, NULL, "messages_received"), 8);
    ck_assert_int_eq(stat_of(stats, NULL, "received"), 10);
    ck_assert_int_eq(stat_of(stats, NULL, "restored"), 0);
    ck_assert_int_eq(stat_of(stats, NULL, "delivered"), 7);
    ck_assert_int_eq(stat_of(stats, NULL, "in_doubt"), 0);
    ck_assert_int_eq(stat_of(stats, NULL, "queued"), 3);
    ck_assert(json_is_true(json_object_get(stats, "balanced")));
    ck_assert_int_eq(stat_of(stats, "queue", "waiting"), 1);
    ck_assert_int_eq(stat_of(stats, "queue", "ready"), 2);
    ck_assert_int_eq(stat_of(stats, "queue", "out"), 3);
    ck_assert_int_eq(stat_of(stats, "connections", "open"), 2);
    ck_assert_int_eq(stat_of(stats, "inbound", "refused"), 1);
    ck_assert_int_eq(stat_of(stats, "handshakes", "resumed"), 5);
    ck_assert_int_eq(stat_of(stats, "delay_ms", "max"), 0);
    ck_assert_int_eq(stat_of(stats, "spool", "messages"), 3);
    ck_assert_int_eq(stat_of(stats, "spool", "free_bytes"), 6);
    ck_assert_int_eq(stat_of(stats, "spool", "commit_us_mean"), 100);
    const json_t *batch = json_object_get(json_object_get(stats, "spool"), "batch_mean");
    ck_assert_double_eq(json_real_value(batch), 2.5);
    json_decref(all);

    metric_add(METRIC_QUEUED, 1);
    all = ask("{\"command\":\"stats\"}");
    ck_assert(json_is_false(json_object_get(json_array_get(all, 0), "balanced")));
    json_decref(all);
    end();
}
END_TEST

/* ---- clients that misbehave ---- */

START_TEST(requests_that_are_none)
{
    begin();
    assert_failure("", EX_DATAERR, "JSON");
    assert_failure("{", EX_DATAERR, "JSON");
    assert_failure("\xff\xfe", EX_DATAERR, "JSON");
    assert_failure("[1]", EX_USAGE, "not understood");
    assert_failure("{\"command\":\"stats\",\"command\":\"queue list\"}", EX_DATAERR, "JSON");
    assert_failure("{\"command\":\"quit\"}", EX_USAGE, "no command");
    end();
}
END_TEST

START_TEST(an_over_long_line_is_refused)
{
    static char text[CONTROL_LINE_MAX];
    struct lines lines;
    begin();
    open_client(&lines);
    memset(text, ' ', sizeof(text));
    ck_assert_int_eq(lines_write(&lines, INT64_MAX, (struct span){text, sizeof(text)}), LINES_OK);
    json_t *all = read_all(&lines);
    ck_assert_uint_eq(json_array_size(all), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(last_of(all), "exit")), EX_DATAERR);
    json_decref(all);
    lines_free(&lines);
    assert_rows("{\"command\":\"queue list\",\"limit\":1}", (int[]){0}, 1);
    end();
}
END_TEST

START_TEST(clients_that_leave_harm_nobody)
{
    struct lines lines;
    begin();
    fill_rows(MANY);
    for (int i = 0; i < 20; i++) {
        open_client(&lines);
        if (i % 2) /* the answer finds nobody */
            lines_write(&lines, INT64_MAX, SPAN("{\"command\":\"queue list\"}\n"));
        lines_free(&lines);
    }
    assert_listed("{\"command\":\"queue list\",\"limit\":1}", 1, true);
    end();
}
END_TEST

/* One is silent, and one reads nothing of a long answer. */
START_TEST(clients_that_take_their_time_keep_nobody_waiting)
{
    struct lines silent, slow;
    struct span line;
    begin();
    fill_rows(MOST);
    open_client(&silent);
    open_client(&slow);
    ck_assert_int_eq(lines_write(&slow, INT64_MAX, SPAN("{\"command\":\"queue list\"}\n")),
                     LINES_OK);
    ck_assert_int_eq(lines_read(&slow, INT64_MAX, &line), LINES_OK); /* it is being served */
    int64_t before_ms = os_now();
    json_t *all = ask("{\"command\":\"stats\"}");
    ck_assert_uint_eq(json_array_size(all), 2);
    ck_assert_int_lt(os_now() - before_ms, CONTROL_IDLE_MS);
    json_decref(all);
    all = read_all(&slow); /* nothing of it was lost */
    ck_assert_uint_eq(json_array_size(all), MOST - 1 + 2);
    json_decref(all);
    lines_free(&silent);
    lines_free(&slow);
    end();
}
END_TEST

/* Those beyond the cap are served when others have left. */
START_TEST(more_clients_than_are_served_at_once)
{
    struct lines clients[2 * CONTROL_CLIENTS];
    begin();
    for (size_t i = 0; i < countof(clients); i++)
        open_client(&clients[i]);
    for (size_t i = 0; i < countof(clients); i++) {
        ck_assert_int_eq(lines_write(&clients[i], INT64_MAX, SPAN("{\"command\":\"stats\"}\n")),
                         LINES_OK);
        json_t *all = read_all(&clients[i]);
        ck_assert_uint_eq(json_array_size(all), 2);
        json_decref(all);
        lines_free(&clients[i]);
    }
    end();
}
END_TEST

/* Ended at once, though one client is silent and the next one waits behind it. */
START_TEST(stop_waits_for_no_client)
{
    struct lines silent, behind;
    begin();
    open_client(&silent);
    open_client(&behind);
    int64_t before_ms = os_now();
    end();
    ck_assert_int_lt(os_now() - before_ms, CONTROL_IDLE_MS);
    lines_free(&silent);
    lines_free(&behind);
}
END_TEST

START_TEST(two_relays_cannot_share_a_socket)
{
    char why[300] = "";
    begin();
    struct control_parts parts = {.path = path};
    ck_assert_ptr_null(control_start(&parts, why, sizeof(why)));
    ck_assert_msg(strstr(why, path) != NULL, "%s", why);
    assert_rows("{\"command\":\"queue list\",\"limit\":1}", (int[]){0}, 1);
    end();
}
END_TEST

TEST_MAIN("relay/admin/control", an_envelope_in_full, filters, filters_once_all_is_known, show,
          long_lists_and_limits, retry, drop_takes_what_was_named_and_no_more, drop_by_filter,
          drop_many, a_drop_is_answered_when_it_is_done, what_was_counted, a_drop_waits_for_room,
          a_drop_ends_when_its_client_leaves, requests_that_are_none, an_over_long_line_is_refused,
          clients_that_leave_harm_nobody, clients_that_take_their_time_keep_nobody_waiting,
          more_clients_than_are_served_at_once, stop_waits_for_no_client,
          two_relays_cannot_share_a_socket)
