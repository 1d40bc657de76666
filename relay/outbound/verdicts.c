/* Verdicts of a session: what a reply, or our own words, make of a recipient. */
#include "relay/outbound/session_inside.h"

static struct span one_line(struct arena *arena, struct span text)
{
    char *line = arena_copy(arena, text);
    for (char *c = line; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    return span_of(line);
}

/* What is tried again has a status of class 4 even where the server meant its 5xx for good; its
 * own status then stands before its words. */
static void soften(struct verdict *verdict, struct arena *arena)
{
    char said[STATUS_TEXT_MAX];
    status_format(verdict->status, said);
    verdict->text = span_of(arena_print(arena, "%s %.*s", said, SPAN_FORMAT(verdict->text)));
    verdict->status.class = 4;
}

struct verdict verdict_of(const struct session *session, struct arena *arena,
                          enum verdict_kind kind, const struct reply *reply)
{
    bool dsn = extensions_have(&session->extensions, EXTENSION_DSN);
    struct verdict verdict = {
        .kind = kind,
        .code = reply->code,
        .stage = session->stage,
        .status = {reply->status_class, reply->status_subject, reply->status_detail},
        .text = one_line(arena, reply->text),
        .host = span_of(arena_copy(arena, span_of(session->host))),
        .relayed = kind == VERDICT_DELIVERED && !dsn,
        .untimed = kind == VERDICT_DELIVERED &&
                   !extensions_have(&session->extensions, EXTENSION_DELIVERBY),
    };
    if (kind == VERDICT_DEFERRED && verdict.status.class == 5)
        soften(&verdict, arena);
    return verdict;
}

enum verdict_kind kind_of(const struct reply *reply)
{
    if (reply_is_positive(reply))
        return VERDICT_DELIVERED;
    return reply_is_permanent(reply) ? VERDICT_BOUNCED : VERDICT_DEFERRED;
}

struct verdict local_verdict(const struct session *session, struct arena *arena,
                             enum verdict_kind kind, struct status status, const char *why)
{
    return (struct verdict){
        .kind = kind,
        .stage = session->stage,
        .status = status,
        .text = one_line(arena, span_of(why)),
        .host = span_of(arena_copy(arena, span_of(session->host))),
    };
}

/* ---- of many recipients at once ---- */

bool is_open(const struct session *session, unsigned recipient)
{
    return session->delivery->verdicts[recipient].kind == VERDICT_NONE &&
           !session->now.later[recipient];
}

bool any_open(const struct session *session)
{
    for (unsigned i = 0; i < session->delivery->envelope->count; i++)
        if (is_open(session, i))
            return true;
    return false;
}

void decide_open(struct session *session, const struct verdict *verdict)
{
    for (unsigned i = 0; i < session->delivery->envelope->count; i++)
        if (is_open(session, i))
            session->delivery->verdicts[i] = *verdict;
}

void decide_open_by(struct session *session, enum verdict_kind kind, const struct reply *reply)
{
    struct verdict verdict = verdict_of(session, session->delivery->arena, kind, reply);
    decide_open(session, &verdict);
}

void decide_all(struct session *session, const struct verdict *verdict)
{
    struct delivery *delivery = session->delivery;
    for (unsigned i = 0; i < delivery->envelope->count; i++)
        if (delivery->verdicts[i].kind == VERDICT_NONE)
            delivery->verdicts[i] = *verdict;
}

void decide_all_by(struct session *session, enum verdict_kind kind, const struct reply *reply)
{
    struct verdict verdict = verdict_of(session, session->delivery->arena, kind, reply);
    decide_all(session, &verdict);
}
