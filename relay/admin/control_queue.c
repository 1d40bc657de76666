/* Queue requests. What a filter by domain or state lets pass is asked of the dispatch, which has
 * it in memory; all else, and all while the spool is being read at start, is found by walking the
 * spool in short steps, each of them over before its results are read in full, acted on or
 * written to the client. */
#include "base/log.h"
#include "relay/admin/answer.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_operator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define GLANCES 256
#define PROGRESS_EVERY 4096 /* envelopes acted on */
#define ORDERS_MAX 800      /* given and not durable: two of the committer's batches */
#define ORDERS_LOOK_EVERY 64
#define ORDERS_POLL_MS 2
#define DURABLE_WAIT_MS 10000 /* for the last orders of a command */

/* ---- walking ---- */

/* Over one target's envelopes, or all that a filter by domain and state may let pass; in order
 * of their ids. */
struct walk {
    struct answer *answer;
    const struct filter *filter;
    const struct target *target; /* NULL: all */
    bool met;                    /* anything, whether or not it passed */
    bool from_start;
    struct envelope_key last; /* seen in the spool */
    size_t count, next;
    bool is_known;              /* the dispatch told; else the spool is walked */
    struct envelope_key *known; /* `count` of them */
    struct spool_glance glances[GLANCES];
};

static bool wants(const void *context, const char *destination, enum entry_state state)
{
    const struct filter *filter = context;
    return filter_passes_destination(filter, destination) &&
           filter_passes_state(filter, entry_state_name(state));
}

static void begin_at_target(struct walk *walk, const struct target *target)
{
    bool behind_another = target->number > 0 && !target->whole_message;
    walk->from_start = target->id == 0;
    walk->last.id = behind_another ? target->id : target->id - 1;
    walk->last.number = behind_another ? (uint16_t)(target->number - 1) : UINT16_MAX;
}

static struct walk *walk_begin(struct answer *answer, const struct filter *filter,
                               const struct target *target)
{
    struct dispatch *dispatch = answer->parts->dispatch;
    struct walk *walk = must_calloc(1, sizeof(*walk));
    walk->answer = answer;
    walk->filter = filter;
    walk->target = target;
    walk->from_start = true;
    if (target != NULL)
        begin_at_target(walk, target);
    else if (filter_is_for_known(filter) && dispatch_is_whole(dispatch))
        walk->is_known = true;
    if (walk->is_known)
        walk->count = dispatch_find(dispatch, wants, filter, &walk->known);
    return walk;
}

static bool is_of_target(const struct target *target, const struct spool_glance *glance)
{
    return target == NULL || (glance->id == target->id &&
                              (target->whole_message || glance->number == target->number));
}

static bool next_known(struct walk *walk, struct envelope_key *key)
{
    if (walk->next == walk->count)
        return false;
    *key = walk->known[walk->next++];
    return walk->next % GLANCES != 0 || answer_is_awaited(walk->answer);
}

static bool look_into_spool(struct walk *walk)
{
    size_t max = walk->target != NULL && !walk->target->whole_message ? 1 : GLANCES;
    walk->next = walk->count = 0;
    if (answer_is_awaited(walk->answer))
        walk->count = spool_scan(walk->answer->parts->spool, &walk->last.id, &walk->last.number,
                                 walk->from_start, walk->glances, max);
    walk->from_start = false;
    return walk->count > 0;
}

static bool next_in_spool(struct walk *walk, struct envelope_key *key)
{
    while (walk->next < walk->count || look_into_spool(walk)) {
        const struct spool_glance *glance = &walk->glances[walk->next++];
        if (!is_of_target(walk->target, glance))
            return false;
        walk->met = true;
        *key = (struct envelope_key){glance->id, glance->number};
        if (filter_passes_destination(walk->filter, glance->destination))
            return true;
    }
    return false;
}

/* The next envelope. False at the end, and when nobody waits for it. */
static bool walk_next(struct walk *walk, struct envelope_key *key)
{
    return walk->is_known ? next_known(walk, key) : next_in_spool(walk, key);
}

static void walk_free(struct walk **walk)
{
    free((*walk)->known);
    free(*walk);
    *walk = NULL;
}

/* ---- matching ---- */

struct match {
    struct envelope_key key;
    const char *state;
    struct queue_look look; /* nothing in it while loading */
    bool loading;
    struct envelope *envelope; /* NULL when it was not needed */
};

/* The look comes first: an envelope that is still in the spool after the dispatch did not know
 * it was not known yet, rather than done with. */
static bool match(struct answer *answer, const struct filter *filter, struct envelope_key key,
                  bool read, struct match *match)
{
    *match = (struct match){.key = key};
    match->loading = !dispatch_look(answer->parts->dispatch, key.id, key.number, &match->look);
    match->state = match->loading ? STATE_LOADING : entry_state_name(match->look.state);
    if (!filter_passes_state(filter, match->state))
        return false;
    if (!read && !match->loading && !filter_needs_envelope(filter))
        return true;
    match->envelope = spool_read(answer->parts->spool, key.id, key.number);
    if (match->envelope != NULL && filter_passes_envelope(filter, match->envelope, os_wall()))
        return true;
    envelope_free(&match->envelope);
    return false;
}

/* ---- envelopes as JSON ---- */

static json_t *recipients_json(const struct envelope *envelope)
{
    json_t *recipients = json_array();
    for (unsigned i = 0; i < envelope->count; i++)
        json_array_append_new(recipients, json_text(envelope->recipients[i].path));
    return recipients;
}

/* When it will be tried: null when that is now, or going on. */
static void put_due(json_t *object, const struct match *match)
{
    if (match->loading)
        json_put_time(object, "due", match->envelope->due_ms);
    else if (match->look.state == ENTRY_WAITING && match->look.due_ms > 0)
        json_put_time(object, "due", match->look.due_ms);
    else
        json_put(object, "due", json_null());
}

/* "451 4.7.1 Try later"; a deferral in our own words has no code: "4.4.3 SERVFAIL". The last
 * recipient has the codes, as it got the last reply. */
static void put_last_reply(json_t *object, const struct match *match)
{
    const struct envelope *envelope = match->envelope;
    char code[8] = "", status[STATUS_TEXT_MAX] = "";
    char reply[sizeof(code) + sizeof(status) + REPLY_KEPT_MAX + 1];
    if (envelope->last_reply[0] == '\0' || envelope->count == 0) {
        json_put_text(object, "last_reply", match->look.why);
        return;
    }
    const struct recipient *last = &envelope->recipients[envelope->count - 1];
    if (last->code != 0)
        snprintf(code, sizeof(code), "%u ", last->code);
    if (status_belongs(last->status, last->code))
        status_format(last->status, status);
    snprintf(reply, sizeof(reply), "%s%s%s%s", code, status, status[0] ? " " : "",
             envelope->last_reply);
    json_put_text(object, "last_reply", reply);
}

static json_t *envelope_json(const struct match *match)
{
    const struct envelope *envelope = match->envelope;
    const struct message *message = envelope->message;
    int64_t age_ms = os_wall() - message->arrived_ms;
    char id[MESSAGE_ID_TEXT], name[ENVELOPE_NAME_MAX];
    json_t *object = json_object();
    json_put_text(object, "id", message_id_format(envelope->id, id));
    json_put_text(object, "envelope", envelope_name(envelope->id, envelope->number, name));
    json_put_text(object, "state", match->state);
    json_put_text(object, "sender", message->sender);
    json_put(object, "recipients", recipients_json(envelope));
    json_put_text(object, "destination", envelope->destination);
    json_put_text(object, "security", security_name(envelope->security));
    json_put_number(object, "attempts", envelope->attempts);
    put_due(object, match);
    json_put_time(object, "arrived", message->arrived_ms);
    json_put_number(object, "age_seconds", age_ms > 0 ? age_ms / 1000 : 0);
    json_put_number(object, "size", (int64_t)message->place.length);
    put_last_reply(object, match);
    json_put_text(object, "last_host", envelope->last_host);
    if (envelope->held)
        json_put_text(object, "hold_reason", envelope->hold_reason);
    return object;
}

/* ---- list and show ---- */

/* True when the match is one too many. */
static bool list_one(struct answer *answer, const struct match *found, uint64_t limit,
                     uint64_t *count)
{
    if (limit > 0 && *count == limit)
        return true;
    answer_object(answer, envelope_json(found));
    ++*count;
    return false;
}

void answer_queue_list(struct answer *answer, const struct request *request)
{
    struct walk *walk CLEANUP(walk_free) = walk_begin(answer, &request->filter, NULL);
    uint64_t count = 0;
    bool more = false;
    for (struct envelope_key key; !more && walk_next(walk, &key);) {
        struct match found;
        if (!match(answer, &request->filter, key, true, &found))
            continue;
        more = list_one(answer, &found, request->limit, &count);
        envelope_free(&found.envelope);
    }
    json_t *summary = json_object();
    json_put_number(summary, "count", (int64_t)count);
    json_put(summary, "more", json_boolean(more));
    answer_object(answer, summary);
}

void answer_not_found(struct answer *answer, const struct target *target)
{
    char name[ENVELOPE_NAME_MAX];
    answer_fail(answer, EX_DATAERR, "%s is not in the queue: it is done with, or never was there",
                envelope_name(target->id, target->number, name));
}

void answer_queue_show(struct answer *answer, const struct request *request)
{
    const struct target *target = &request->targets[0];
    struct walk *walk CLEANUP(walk_free) = walk_begin(answer, &request->filter, target);
    size_t count = 0;
    for (struct envelope_key key; walk_next(walk, &key);) {
        struct match found;
        if (!match(answer, &request->filter, key, true, &found))
            continue;
        count++;
        answer_object(answer, envelope_json(&found));
        envelope_free(&found.envelope);
    }
    if (count == 0)
        answer_not_found(answer, target);
}

/* ---- orders ---- */

struct action {
    struct answer *answer;
    const struct request *request;
    int64_t asked_ms; /* ms since 1970: when it began */
    uint64_t count;   /* acted on */
    uint64_t loading; /* could not be yet */
    struct orders *orders;
};

static bool act_on(struct action *action, struct envelope_key key)
{
    struct dispatch *dispatch = action->answer->parts->dispatch;
    const struct request *request = action->request;
    switch (request->command) {
    case REQUEST_QUEUE_HOLD:
        return dispatch_hold(dispatch, key.id, key.number, request->reason, action->orders);
    case REQUEST_QUEUE_RELEASE:
        return dispatch_release(dispatch, key.id, key.number, action->orders);
    case REQUEST_QUEUE_RETRY: return dispatch_retry(dispatch, key.id, key.number, action->asked_ms);
    case REQUEST_QUEUE_FAIL:
        return dispatch_fail(dispatch, key.id, key.number, request->reason, action->orders);
    case REQUEST_QUEUE_DROP: return dispatch_drop(dispatch, key.id, key.number, action->orders);
    case REQUEST_QUEUE_LIST:
    case REQUEST_QUEUE_SHOW:
    case REQUEST_QUEUE_CAT:
    case REQUEST_DEST_LIST:
    case REQUEST_DEST_SHOW:
    case REQUEST_DEST_PAUSE:
    case REQUEST_DEST_RESUME:
    case REQUEST_EXPLAIN:
    case REQUEST_STATS:
    case REQUEST_TLSRPT_SHOW: break;
    }
    must_not_reach();
}

/* The committer takes so many orders a second: what it has not got to is not piled up, so that
 * what comes and goes meanwhile has its turn. False when nobody waits for the answer. */
static bool wait_for_room(struct action *action)
{
    while (orders_open(action->orders) > ORDERS_MAX)
        if (!answer_pause(action->answer, os_now() + ORDERS_POLL_MS))
            return false;
    return true;
}

/* Who lists the queue next shall find it as it was ordered. */
static void wait_until_durable(struct action *action)
{
    int64_t deadline_ms = os_now() + DURABLE_WAIT_MS;
    while (orders_open(action->orders) > 0 && os_now() < deadline_ms)
        if (!answer_pause(action->answer, os_now() + ORDERS_POLL_MS))
            return;
    unsigned open = orders_open(action->orders);
    if (open > 0)
        answer_fail(action->answer, EX_TEMPFAIL,
                    "all are in effect, but the spool has not stored %u of them yet", open);
}

static bool tell_progress(struct action *action)
{
    json_t *progress = json_object();
    json_put_number(progress, "progress", (int64_t)action->count);
    return answer_object(action->answer, progress) && answer_flush(action->answer);
}

static bool is_enough(const struct action *action)
{
    return action->request->limit > 0 && action->count == action->request->limit;
}

/* All that the walk meets. False when nobody waits for the answer any more. */
static bool act_along(struct action *action, const struct target *target)
{
    struct answer *answer = action->answer;
    struct walk *walk CLEANUP(walk_free) = walk_begin(answer, &action->request->filter, target);
    for (struct envelope_key key; !is_enough(action) && walk_next(walk, &key);) {
        struct match found;
        if (!match(answer, &action->request->filter, key, false, &found))
            continue;
        envelope_free(&found.envelope);
        action->loading += found.loading;
        if (found.loading || !act_on(action, key))
            continue;
        action->count++;
        if (action->count % PROGRESS_EVERY == 0 && !tell_progress(action))
            break;
        if (action->count % ORDERS_LOOK_EVERY == 0 && !wait_for_room(action))
            break;
    }
    if (target != NULL && !walk->met && !is_enough(action))
        answer_not_found(answer, target);
    return !answer->gone;
}

static void log_action(const struct action *action)
{
    const struct request *request = action->request;
    const struct filter *filter = &request->filter;
    struct log_line line;
    char name[ENVELOPE_NAME_MAX];
    log_begin(&line, "operator");
    log_string(&line, "command", request->name);
    log_number(&line, "envelopes", (int64_t)action->count);
    if (request->target_count > 0)
        log_string(&line, "id",
                   envelope_name(request->targets[0].id, request->targets[0].number, name));
    if (filter->domain != NULL)
        log_string(&line, "domain", filter->domain);
    if (filter->sender != NULL)
        log_string(&line, "sender", filter->sender);
    if (filter->recipient != NULL)
        log_string(&line, "recipient", filter->recipient);
    if (filter->state != NULL)
        log_string(&line, "state", filter->state);
    if (filter->older_than_ms > 0)
        log_seconds(&line, "older-than", filter->older_than_ms);
    if (request->reason != NULL)
        log_string(&line, "reason", request->reason);
    log_end(&line);
}

void answer_queue_action(struct answer *answer, const struct request *request)
{
    struct action action = {
        .answer = answer, .request = request, .asked_ms = os_wall(), .orders = orders_create()};
    bool asked = true;
    if (request->target_count == 0)
        act_along(&action, NULL);
    for (size_t i = 0; asked && i < request->target_count; i++)
        asked = act_along(&action, &request->targets[i]);
    log_action(&action);
    wait_until_durable(&action);
    orders_drop(&action.orders);
    json_t *summary = json_object();
    json_put_number(summary, "count", (int64_t)action.count);
    json_put_number(summary, "loading", (int64_t)action.loading);
    answer_object(answer, summary);
    if (action.loading > 0)
        answer_fail(answer, EX_TEMPFAIL,
                    "%" PRIu64 " more are still being read from the spool: try again in a moment",
                    action.loading);
}
