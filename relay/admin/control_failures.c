/* The flight recorder's answer: how the last sessions of a destination failed. */
#include "relay/admin/answer.h"
#include "relay/outbound/dispatch_destinations.h"
#include "relay/outbound/transcript.h"

static const char *by_name(enum transcript_by by)
{
    switch (by) {
    case TRANSCRIPT_RELAY: return "relay";
    case TRANSCRIPT_SERVER: return "server";
    case TRANSCRIPT_NOTE: return "note";
    }
    must_not_reach();
}

static json_t *dialogue_json(struct span notes)
{
    json_t *lines = json_array();
    struct transcript_reader reader = {.notes = notes};
    for (struct transcript_line line; transcript_next(&reader, &line);) {
        json_t *object = json_object();
        json_put_number(object, "ms", line.ms);
        json_put_text(object, "by", by_name(line.by));
        json_put_text(object, "line", line.text);
        json_array_append_new(lines, object);
    }
    return lines;
}

/* What was said, or what we say of it: as the log has it. */
static const char *why_of(const struct verdict *verdict, struct arena *arena)
{
    char status[STATUS_TEXT_MAX] = "";
    if (verdict->code == 0)
        return arena_copy(arena, verdict->text);
    if (status_belongs(verdict->status, verdict->code))
        status_format(verdict->status, status);
    return arena_print(arena, "%u %s%s%.*s", verdict->code, status, status[0] ? " " : "",
                       SPAN_FORMAT(verdict->text));
}

static void put_verdict(json_t *object, const struct verdict *verdict)
{
    char status[STATUS_TEXT_MAX] = "";
    struct arena arena CLEANUP(arena_free) = {0};
    if (verdict->status.class != 0)
        status_format(verdict->status, status);
    json_put_text(object, "relay", arena_copy(&arena, verdict->host));
    json_put_text(object, "status", status);
    json_put_text(object, "why", why_of(verdict, &arena));
}

static json_t *failure_json(const struct recorded *recorded)
{
    const struct failed_session *session = recorded->session;
    json_t *object = json_object();
    json_put_time(object, "time", session->ends_ms);
    json_put_text(object, "event", session->what);
    json_put_text(object, "outcome", session->outcome);
    json_put_number(object, "times", recorded->times);
    json_put_time(object, "first", recorded->first_ms);
    put_verdict(object, &session->verdict);
    json_put_number(object, "conn", (int64_t)session->connection);
    json_put_text(object, "tls", session->tls);
    json_put_text(object, "tls_required", session->level);
    json_put_time(object, "began", session->began_ms);
    json_put(object, "dialogue", dialogue_json(session->notes));
    return object;
}

json_t *failures_json(struct dispatch *dispatch, const char *destination)
{
    struct recorded found[RECORDER_SESSIONS_MAX];
    json_t *failures = json_array();
    unsigned count = dispatch_recorded(dispatch, destination, found);
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(failures, failure_json(&found[i]));
        failed_session_drop(&found[i].session);
    }
    return failures;
}
