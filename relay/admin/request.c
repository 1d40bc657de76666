#include "relay/admin/request.h"

#include "base/nearest.h"
#include "queue/destination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const commands[] = {
    [REQUEST_QUEUE_LIST] = "queue list",
    [REQUEST_QUEUE_SHOW] = "queue show",
    [REQUEST_QUEUE_CAT] = "queue cat",
    [REQUEST_QUEUE_HOLD] = "queue hold",
    [REQUEST_QUEUE_RELEASE] = "queue release",
    [REQUEST_QUEUE_RETRY] = "queue retry",
    [REQUEST_QUEUE_FAIL] = "queue fail",
    [REQUEST_QUEUE_DROP] = "queue drop",
    [REQUEST_DEST_LIST] = "dest list",
    [REQUEST_DEST_SHOW] = "dest show",
    [REQUEST_DEST_PAUSE] = "dest pause",
    [REQUEST_DEST_RESUME] = "dest resume",
    [REQUEST_EXPLAIN] = "explain",
    [REQUEST_STATS] = "stats",
    [REQUEST_TLSRPT_SHOW] = "tlsrpt show",
};

/* ---- reading ---- */

bool request_command_find(const char *name, enum request_command *command)
{
    for (size_t i = 0; i < countof(commands); i++)
        if (strcmp(commands[i], name) == 0) {
            *command = (enum request_command)i;
            return true;
        }
    return false;
}

bool request_acts(enum request_command command)
{
    switch (command) {
    case REQUEST_QUEUE_HOLD:
    case REQUEST_QUEUE_RELEASE:
    case REQUEST_QUEUE_RETRY:
    case REQUEST_QUEUE_FAIL:
    case REQUEST_QUEUE_DROP:
    case REQUEST_DEST_PAUSE:
    case REQUEST_DEST_RESUME: return true;
    case REQUEST_QUEUE_LIST:
    case REQUEST_QUEUE_SHOW:
    case REQUEST_QUEUE_CAT:
    case REQUEST_DEST_LIST:
    case REQUEST_DEST_SHOW:
    case REQUEST_EXPLAIN:
    case REQUEST_STATS:
    case REQUEST_TLSRPT_SHOW: return false;
    }
    must_not_reach();
}

static bool find_command(struct request *request, char *why, size_t why_size)
{
    if (request_command_find(request->name, &request->command))
        return true;
    const char *near = nearest_name(span_of(request->name), commands, countof(commands));
    snprintf(why, why_size, "this relay has no command \"%.40s\"%s%s%s", request->name,
             near ? " (is \"" : "", near ? near : "", near ? "\" meant?)" : "");
    return false;
}

static bool state_exists(const char *state, char *why, size_t why_size)
{
    for (int i = 0; i < ENTRY_STATES; i++)
        if (strcmp(entry_state_name((enum entry_state)i), state) == 0)
            return true;
    if (strcmp(state, STATE_LOADING) == 0)
        return true;
    snprintf(why, why_size, "\"%.40s\" is no state: %s, %s, %s, %s or " STATE_LOADING, state,
             entry_state_name(ENTRY_WAITING), entry_state_name(ENTRY_READY),
             entry_state_name(ENTRY_OUT), entry_state_name(ENTRY_HELD));
    return false;
}

static bool read_targets(struct request *request, const json_t *ids, char *why, size_t why_size)
{
    request->targets = must_calloc(json_array_size(ids), sizeof(*request->targets));
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        struct target *target = &request->targets[request->target_count++];
        if (id == NULL || !envelope_name_parse(span_of(id), &target->id, &target->number,
                                               &target->whole_message)) {
            snprintf(why, why_size, "\"%.40s\" is no id: one looks like 01K2X3Y4Z5A6B",
                     id ? id : "");
            return false;
        }
    }
    return true;
}

/* More than one envelope is acted on by those only who say that they mean it, and why. */
static bool is_meant(const struct request *request, char *why, size_t why_size)
{
    if (request->target_count == 1)
        return true;
    if (!request->all && filter_is_empty(&request->filter))
        snprintf(why, why_size, "%s of %s needs a filter, or --all", request->name,
                 request->target_count > 1 ? "more than one id" : "no particular id");
    else if (request->reason == NULL || request->reason[0] == '\0')
        snprintf(why, why_size, "%s of more than one id needs --reason", request->name);
    else
        return true;
    return false;
}

static bool has_reason(const struct request *request, char *why, size_t why_size)
{
    if (request->reason != NULL && request->reason[0] != '\0')
        return true;
    snprintf(why, why_size, "%s needs --reason", request->name);
    return false;
}

/* The name that dest and explain are about; those alone have one. */
static bool has_what(const struct request *request, bool needed, char *why, size_t why_size)
{
    if ((request->what != NULL) == needed)
        return true;
    snprintf(why, why_size, "%s takes %s", request->name,
             needed ? "the name of a destination" : "no name");
    return false;
}

static bool takes_one_id(const struct request *request, char *why, size_t why_size)
{
    if (request->target_count != 1)
        snprintf(why, why_size, "%s takes one id", request->name);
    return request->target_count == 1;
}

static bool takes_no_id(const struct request *request, char *why, size_t why_size)
{
    if (request->target_count > 0)
        snprintf(why, why_size, "%s takes no id", request->name);
    return request->target_count == 0;
}

static bool fits_command(const struct request *request, char *why, size_t why_size)
{
    switch (request->command) {
    case REQUEST_QUEUE_SHOW:
    case REQUEST_QUEUE_CAT: return takes_one_id(request, why, why_size);
    case REQUEST_QUEUE_HOLD:
    case REQUEST_QUEUE_FAIL: /* the sender or a colleague will read why */
        return is_meant(request, why, why_size) && has_reason(request, why, why_size);
    case REQUEST_QUEUE_RELEASE:
    case REQUEST_QUEUE_RETRY:
    case REQUEST_QUEUE_DROP: return is_meant(request, why, why_size);
    case REQUEST_DEST_PAUSE:
        return has_what(request, true, why, why_size) && has_reason(request, why, why_size);
    case REQUEST_DEST_SHOW:
    case REQUEST_DEST_RESUME:
    case REQUEST_EXPLAIN: return has_what(request, true, why, why_size);
    case REQUEST_QUEUE_LIST:
    case REQUEST_DEST_LIST:
    case REQUEST_STATS:
    case REQUEST_TLSRPT_SHOW:
        return has_what(request, false, why, why_size) && takes_no_id(request, why, why_size);
    }
    must_not_reach();
}

bool request_read(json_t *from, struct request *request, char *why, size_t why_size)
{
    json_error_t error;
    json_t *ids = NULL;
    json_int_t limit = 0, older_than_ms = 0, for_ms = 0;
    *request = (struct request){0};
    if (json_unpack_ex(from, &error, JSON_STRICT,
                       "{s:s, s?o, s?s, s?s, s?s, s?s, s?I, s?I, s?b, s?s, s?s, s?I, s?b, s?b}",
                       "command", &request->name, "ids", &ids, "domain", &request->filter.domain,
                       "sender", &request->filter.sender, "recipient", &request->filter.recipient,
                       "state", &request->filter.state, "older_than_ms", &older_than_ms, "limit",
                       &limit, "all", &request->all, "reason", &request->reason, "what",
                       &request->what, "for_ms", &for_ms, "busiest", &request->busiest,
                       "last_failures", &request->last_failures) != 0) {
        snprintf(why, why_size, "the request is not understood: %.150s", error.text);
        return false;
    }
    if (limit < 0 || older_than_ms < 0 || for_ms < 0 || (ids != NULL && !json_is_array(ids))) {
        snprintf(why, why_size,
                 "the request is not understood: a number below 0, or ids that "
                 "are no list");
        return false;
    }
    request->limit = (uint64_t)limit;
    request->for_ms = for_ms;
    request->filter.older_than_ms = older_than_ms;
    return find_command(request, why, why_size) &&
           (request->filter.state == NULL || state_exists(request->filter.state, why, why_size)) &&
           (ids == NULL || read_targets(request, ids, why, why_size)) &&
           fits_command(request, why, why_size);
}

void request_free(struct request *request)
{
    free(request->targets);
    *request = (struct request){0};
}

/* ---- filters ---- */

bool filter_is_empty(const struct filter *filter)
{
    return filter->domain == NULL && filter->state == NULL && !filter_needs_envelope(filter);
}

bool filter_is_for_known(const struct filter *filter)
{
    bool for_loading = filter->state != NULL && strcmp(filter->state, STATE_LOADING) == 0;
    return !for_loading && (filter->domain != NULL || filter->state != NULL);
}

bool filter_needs_envelope(const struct filter *filter)
{
    return filter->sender != NULL || filter->recipient != NULL || filter->older_than_ms > 0;
}

static bool ends_nocase(struct span whole, struct span end)
{
    return whole.length >= end.length &&
           span_equal_nocase(span_skip(whole, whole.length - end.length), end);
}

bool filter_passes_destination(const struct filter *filter, const char *destination)
{
    if (filter->domain == NULL)
        return true;
    struct span wanted = span_of(filter->domain);
    if (filter->domain[0] == '.')
        return ends_nocase(span_of(destination), wanted);
    return span_equal_nocase(span_of(destination), wanted);
}

bool filter_passes_state(const struct filter *filter, const char *state)
{
    return filter->state == NULL || strcmp(filter->state, state) == 0;
}

static bool path_matches(const char *wanted, const char *path)
{
    struct span pattern = span_of(wanted);
    if (pattern.length >= 2 && wanted[0] == '<' && wanted[pattern.length - 1] == '>')
        pattern = (struct span){wanted + 1, pattern.length - 2};
    if (pattern.length > 0 && pattern.data[0] == '@')
        return ends_nocase(span_of(path), pattern);
    return span_equal_nocase(span_of(path), pattern);
}

static bool any_recipient_matches(const char *wanted, const struct envelope *envelope)
{
    for (unsigned i = 0; i < envelope->count; i++)
        if (path_matches(wanted, envelope->recipients[i].path))
            return true;
    return false;
}

bool filter_passes_envelope(const struct filter *filter, const struct envelope *envelope,
                            int64_t wall_ms)
{
    if (filter->older_than_ms > 0 &&
        wall_ms - envelope->message->arrived_ms < filter->older_than_ms)
        return false;
    if (filter->sender != NULL && !path_matches(filter->sender, envelope->message->sender))
        return false;
    return filter->recipient == NULL || any_recipient_matches(filter->recipient, envelope);
}
