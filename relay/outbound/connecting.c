#include "relay/outbound/connection_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS_PER_ATTEMPT 3 /* hosts that see one envelope in one attempt */

/* ---- which host ---- */

/* By preference; equals in random order (RFC 5321 5.1). */
static void order_hosts(struct connection *connection)
{
    const struct site *site = site_of(connection);
    must(site->host_count <= RESOLVE_HOSTS_MAX);
    for (unsigned i = 0; i < site->host_count; i++)
        connection->order[i] = i;
    for (unsigned i = 0; i < site->host_count; i++) {
        unsigned equals = 1;
        while (i + equals < site->host_count &&
               site->hosts[i + equals].preference == site->hosts[i].preference)
            equals++;
        unsigned other = i + (unsigned)random_below(&connection->worker->random, equals);
        unsigned swap = connection->order[i];
        connection->order[i] = connection->order[other];
        connection->order[other] = swap;
    }
}

/* It may be told of other envelopes as well, so of none of them it says more than "not now". */
static void remember_failure(struct connection *connection, const struct verdict *verdict)
{
    struct arena arena = {0};
    struct verdict copy = verdict_copy(verdict, &arena);
    copy.kind = VERDICT_DEFERRED;
    arena_free(&connection->failure_arena); /* after the copy: it may be a copy of itself */
    connection->failure_arena = arena;
    connection->failure = copy;
    connection->failure_recorded = false;
}

static void log_host_failed(const struct connection *connection, const struct verdict *failure)
{
    struct log_line line;
    log_begin(&line, "connect-failed");
    log_text(&line, "relay", failure->host);
    log_number(&line, "conn", (int64_t)connection->number);
    if (failure->code != 0)
        log_number(&line, "code", failure->code);
    log_text(&line, "why", failure->text);
    log_end(&line);
}

/* No further host took the attempt up: what the better one said holds. */
static void end_with_earlier(struct connection *connection)
{
    struct attempt *attempt = connection->attempt;
    for (unsigned i = 0; i < attempt->envelope->count; i++)
        if (attempt->delivery.verdicts[i].kind == VERDICT_NONE)
            attempt->delivery.verdicts[i] = connection->earlier[i];
    connection_end_attempt(connection);
}

/* Every host has been tried. */
static void give_up(struct connection *connection)
{
    if (!connection->failure_recorded && connection->failure.kind != VERDICT_NONE)
        connection_record_unreached(connection, &connection->failure);
    if (connection->attempt != NULL) {
        end_with_earlier(connection);
        connection_leave(connection);
        return;
    }
    connection->phase = PHASE_CLOSED;
    if (connection->crowded && connection->failure.kind == VERDICT_NONE)
        dispatch_crowded(dispatch_of(connection), &connection->slot);
    else if (connection_lacks_tls(connection))
        dispatch_lacking(dispatch_of(connection), &connection->slot, &connection->failure);
    else
        dispatch_failed(dispatch_of(connection), &connection->slot, &connection->failure, false);
    connection_die(connection);
}

/* ---- connecting ---- */

void connection_begin_session(struct connection *connection)
{
    connection_describe(connection, connection->address_at, connection->host_text);
    struct tls_policy policy = site_of(connection)->terms.tls->policy;
    policy.level = host_of(connection)->tls.level;
    struct tls_history history = dispatch_tls_history(dispatch_of(connection), site_of(connection),
                                                      connection->order[connection->host_at]);
    if (connection->plain)
        policy.level = TLS_NONE;
    /* The site's configuration lives as long as the slot; the worker's may be replaced. */
    session_init(&connection->session, site_of(connection)->terms.hello, connection->host_text,
                 &policy, &history, site_of(connection)->terms.limits->discarded,
                 &connection->channel.out);
    connection->replies_seen = 0;
    connection->out_noted = 0;
    transcript_begin(&connection->transcript, connection->worker->now_ms);
    connection->tls_told = connection->ready_told = connection->alive_told = false;
    snprintf(connection->tls_text, sizeof(connection->tls_text), "none:%s",
             tls_source_name(host_of(connection)->tls.source));
    session_log_in(&connection->session, site_of(connection)->terms.login,
                   host_of(connection)->name, host_of(connection)->port);
    connection->phase = PHASE_TALKING;
    enum session_ask ask = ASK_BYTES;
    if (host_of(connection)->implicit)
        ask = session_begin_secure(&connection->session);
    connection_set_deadline(connection, session_timeout_ms(&connection->session));
    if (ask != ASK_BYTES)
        connection_act(connection, ask);
}

void connection_cannot_connect(struct connection *connection, const char *host, const char *why,
                               bool tells)
{
    struct verdict verdict = {.kind = VERDICT_DEFERRED,
                              .stage = STAGE_CONNECT,
                              .status = {4, 4, 1}, /* RFC 3463 3.5: no answer from host */
                              .text = span_of(why),
                              .host = span_of(host)};
    log_host_failed(connection, &verdict);
    connection->may_recover = true;
    if (tells || connection->failure.kind == VERDICT_NONE)
        remember_failure(connection, &verdict);
}

static const struct site_host *host_at(const struct connection *connection, unsigned at)
{
    return &site_of(connection)->hosts[connection->order[at]];
}

/* The first from `at` on whose terms can be fulfilled at all. */
static unsigned find_host(const struct connection *connection, unsigned at)
{
    while (at < site_of(connection)->host_count && host_at(connection, at)->tls.refused != NULL)
        at++;
    return at;
}

static void pass_over(struct connection *connection, const struct site_host *host)
{
    struct verdict verdict = {.kind = VERDICT_DEFERRED,
                              .stage = STAGE_STARTTLS,
                              .status = {4, 7, 5}, /* RFC 3463 3.8: cryptographic failure */
                              .text = span_of(host->tls.refused),
                              .host = span_of(host->name)};
    struct log_line line;
    log_begin(&line, "tls-failed");
    log_text(&line, "relay", verdict.host);
    log_number(&line, "conn", (int64_t)connection->number);
    log_string(&line, "level", tls_level_name(host->tls.level));
    log_string(&line, "source", tls_source_name(host->tls.source));
    log_string(&line, "outcome", "policy");
    log_text(&line, "why", verdict.text);
    log_end(&line);
    connection->may_recover = true;
    connection_report_refusal(connection, host);
    remember_failure(connection, &verdict);
}

/* To the first host from `at` on that may be connected to; false: there is none. */
static bool go_to_host(struct connection *connection, unsigned at)
{
    unsigned to = find_host(connection, at);
    for (; at < to; at++)
        pass_over(connection, host_at(connection, at));
    connection->plain = connection->without_ticket = false;
    connection->host_at = to;
    return to < site_of(connection)->host_count;
}

void connection_try_on(struct connection *connection)
{
    while (!connection_race_on(connection)) {
        connection->may_recover |= connection->tries >= TRIES_MAX;
        if (connection->tries >= TRIES_MAX || !go_to_host(connection, connection->host_at + 1)) {
            give_up(connection);
            return;
        }
        connection_race_begin(connection);
    }
}

void connection_start(struct connection *connection)
{
    connection->tries = connection->served = connection->hosts_seen = 0;
    connection->one_shot = connection->may_recover = false;
    connection->opened_ms = connection->worker->now_ms;
    order_hosts(connection);
    if (!go_to_host(connection, 0)) {
        give_up(connection);
        return;
    }
    connection_race_begin(connection);
    connection_try_on(connection);
}

void connection_host_went_away(struct connection *connection)
{
    connection->may_recover = true;
    remember_failure(connection, &connection->attempt->delivery.verdicts[0]);
    log_host_failed(connection, &connection->failure);
    if (connection->attempt->entry->returned || session_in_doubt(&connection->session))
        connection_end_attempt(connection);
    else
        attempt_return(&connection->attempt);
    connection_close_channel(connection);
    connection->plain = false;
    connection_try_on(connection);
}

void connection_turned_away(struct connection *connection)
{
    const struct attempt *attempt = connection->attempt;
    unsigned last = attempt->envelope->count - 1; /* the first ones may have been heard out */
    remember_failure(connection, &attempt->delivery.verdicts[last]);
    connection->turned_away = true;
}

/* Another of its addresses would say the same. */
static void leave_host(struct connection *connection)
{
    if (connection->tries >= TRIES_MAX || !go_to_host(connection, connection->host_at + 1)) {
        give_up(connection);
        return;
    }
    connection_race_begin(connection);
    connection_try_on(connection);
}

void connection_host_failed(struct connection *connection)
{
    struct session *session = &connection->session;
    bool plain_anew = session->decided && session->next_step == TLS_GO_PLAIN_ANEW;
    bool anew = session->decided && session->next_step == TLS_GO_ANEW;
    bool later = session->decided && session->next_step == TLS_RETRY_LATER;
    remember_failure(connection, &session->failure);
    bool refused = session->login.refused;
    if (session->failure.stage == STAGE_AUTH) {
        connection_tell_login(connection);
    } else if (!connection_failed_at_tls(connection)) {
        log_host_failed(connection, &connection->failure);
        connection_record(connection, "connect-failed", &connection->failure);
    }
    connection->failure_recorded = true;
    connection_close_channel(connection);
    connection->plain = plain_anew;
    connection->without_ticket = anew;
    if (plain_anew || anew)
        connection_race_repeat(connection);
    else
        connection_weigh_failure(connection);
    if (refused)
        leave_host(connection);
    else if (later)
        give_up(connection);
    else
        connection_try_on(connection);
}

/* Deferred, or not even offered, for this host does not speak what the message needs: another
 * one may. */
static bool may_differ_elsewhere(const struct verdict *verdict)
{
    bool lacking = verdict->kind == VERDICT_BOUNCED && verdict->code == 0;
    return verdict->kind == VERDICT_DEFERRED || lacking;
}

/* Nothing was taken by this host: a verdict that says otherwise must be committed at once, not wait
 * for further hosts. */
static bool another_host_may_help(struct attempt *attempt)
{
    bool any = false;
    attempt_rule(attempt);
    for (unsigned i = 0; i < attempt->envelope->count; i++) {
        const struct verdict *verdict = &attempt->delivery.verdicts[i];
        if (verdict->kind == VERDICT_DELIVERED || verdict->kind == VERDICT_IN_DOUBT)
            return false;
        any |= attempt_lets_go_on(attempt, i, may_differ_elsewhere(verdict));
    }
    return any;
}

bool connection_moves_on(struct connection *connection)
{
    struct attempt *attempt = connection->attempt;
    unsigned next = find_host(connection, connection->host_at + 1);
    if (attempt == NULL || next >= site_of(connection)->host_count ||
        (connection->hosts_seen >= HOSTS_PER_ATTEMPT && !connection_requires_tls(connection)) ||
        !another_host_may_help(attempt))
        return false;
    unsigned count = attempt->envelope->count;
    connection->earlier = arena_take(&attempt->arena, count * sizeof(struct verdict));
    for (unsigned i = 0; i < count; i++) {
        connection->earlier[i] = attempt->delivery.verdicts[i];
        if (attempt_lets_go_on(attempt, i, may_differ_elsewhere(&connection->earlier[i])))
            attempt->delivery.verdicts[i] = (struct verdict){0};
    }
    if (!connection->session.closing)
        session_quit(&connection->session); /* no reply is waited for */
    connection_close_channel(connection);
    connection->one_shot = true;
    connection->served = 0;
    connection->opened_ms = connection->worker->now_ms;
    must(go_to_host(connection, connection->host_at + 1));
    connection_race_begin(connection);
    connection_try_on(connection);
    return true;
}
