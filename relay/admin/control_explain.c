/* explain: why a message, or mail for a destination, has not left yet, in sentences. */
#include "base/log.h"
#include "base/units.h"
#include "relay/admin/answer.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_destinations.h"
#include "relay/outbound/dispatch_operator.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define SENTENCE_MAX 1024

struct explanation {
    struct answer *answer;
    json_t *lines;
    struct config *config;
    struct destination_look *look;
    const struct envelope *envelope; /* NULL: a destination is explained */
    struct queue_look queue;
};

static void say(struct explanation *explanation, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct explanation *explanation, const char *format, ...)
{
    char text[SENTENCE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_array_append_new(explanation->lines, json_text(text));
}

/* "2026-11-21T13:00:05.123Z (in 5m)" */
#define WHEN_MAX (LOG_TIME_MAX + 32)
static char *when(int64_t wall_ms, char text[WHEN_MAX])
{
    char time[LOG_TIME_MAX];
    int64_t seconds = (wall_ms - os_wall()) / 1000;
    const char *unit = "s";
    if (seconds >= 7200) {
        seconds /= 3600;
        unit = "h";
    } else if (seconds >= 120) {
        seconds /= 60;
        unit = "m";
    }
    if (seconds > 0)
        snprintf(text, WHEN_MAX, "%s (in %lld%s)", log_time(wall_ms, time), (long long)seconds,
                 unit);
    else
        snprintf(text, WHEN_MAX, "%s", log_time(wall_ms, time));
    return text;
}

/* What RFC 8689 makes of it. */
static void say_security(struct explanation *explanation, enum security security)
{
    switch (security) {
    case SECURITY_USUAL: return;
    case SECURITY_REQUIRED:
        say(explanation, "Its sender asked for REQUIRETLS: it goes only to a host that is "
                         "authenticated and offers REQUIRETLS itself, else it is returned.");
        return;
    case SECURITY_PREFERRED:
        say(explanation, "It is from the null sender and was given with REQUIRETLS: it goes on so "
                         "where a host is authenticated and offers that, and as usual elsewhere.");
        return;
    case SECURITY_OPTIONAL:
        say(explanation, "Its header says \"TLS-Required: No\": it is delivered, in clear if need "
                         "be, whatever the domain publishes.");
        return;
    }
    must_not_reach();
}

/* ---- the message ---- */

static void say_what_it_is(struct explanation *explanation)
{
    const struct envelope *envelope = explanation->envelope;
    const struct message *message = envelope->message;
    const struct retry_config *retry =
        config_retry_section(explanation->config, span_of(explanation->look->name));
    char arrived[LOG_TIME_MAX], until[WHEN_MAX], longest[UNITS_TEXT_MAX];
    say(explanation, "It is from <%s> to <%s>%s, and arrived at %s.", message->sender,
        envelope->recipients[0].path, envelope->count > 1 ? " and others" : "",
        log_time(message->arrived_ms, arrived));
    say_security(explanation, envelope->security);
    say(explanation, "It is given up at %s: give-up = %s in retry \"%s\".",
        when(message_began_ms(message) + retry->retry.give_up_ms, until),
        units_duration_format(retry->retry.give_up_ms, longest), retry->name);
}

static void say_last_reply(struct explanation *explanation)
{
    const struct envelope *envelope = explanation->envelope;
    char status[STATUS_TEXT_MAX] = "", code[8] = "";
    if (envelope->attempts == 0) {
        say(explanation, "It has not been tried yet.");
        return;
    }
    const struct recipient *last = &envelope->recipients[envelope->count - 1];
    if (last->code != 0)
        snprintf(code, sizeof(code), "%u ", last->code);
    if (last->status.class != 0)
        status_format(last->status, status);
    say(explanation, "It was tried %u time%s. Last, %s said: %s%s%s%s", envelope->attempts,
        envelope->attempts == 1 ? "" : "s",
        envelope->last_host[0] ? envelope->last_host : "this relay", code, status,
        status[0] ? " " : "", envelope->last_reply);
}

/* ---- the way ---- */

static void say_paused(struct explanation *explanation)
{
    const struct destination_look *look = explanation->look;
    char until[WHEN_MAX];
    if (look->suspension.until_ms != 0)
        say(explanation, "%s is paused until %s: %s.", look->name,
            when(look->suspension.until_ms, until), look->suspension.reason);
    else
        say(explanation, "%s is paused until `millrace dest resume %s`: %s.", look->name,
            look->name, look->suspension.reason);
}

static void say_site(struct explanation *explanation)
{
    const struct destination_look *look = explanation->look;
    const char *section = config_destination(explanation->config, span_of(look->name))->name;
    char until[WHEN_MAX];
    if (look->retry_at_ms > os_wall() && look->failures == 0)
        say(explanation, "Nothing new goes to its hosts until %s: %s.",
            when(look->retry_at_ms, until), look->failure);
    else if (look->retry_at_ms > os_wall())
        say(explanation, "Its hosts back off until %s after %u failure%s: %s.",
            when(look->retry_at_ms, until), look->failures, look->failures == 1 ? "" : "s",
            look->failure);
    else if (look->failures > 0)
        say(explanation, "Its hosts failed %u time%s and are being tried with one connection: %s.",
            look->failures, look->failures == 1 ? "" : "s", look->failure);
    else if (look->limit[0] != '\0')
        say(explanation, "What is ready waits: %s, in destination \"%s\".", look->limit, section);
    else if (look->connections >= look->max_connections)
        say(explanation,
            "All connections are busy: %u of the max-connections = %u in destination \"%s\".",
            look->connections, look->max_connections, section);
    else if (look->counts[ENTRY_READY] > 0)
        say(explanation,
            "%u connections are open or being opened (of at most %u), and take what "
            "is ready one by one.",
            look->connections, look->max_connections);
}

static void say_way(struct explanation *explanation)
{
    const struct destination_look *look = explanation->look;
    char until[WHEN_MAX];
    if (look->suspended)
        say_paused(explanation);
    switch (look->route) {
    case ROUTE_UNKNOWN:
        if (look->known)
            say(explanation, "Its hosts are looked up when something is due.");
        return;
    case ROUTE_RESOLVING: say(explanation, "DNS is being asked for its hosts."); break;
    case ROUTE_WAITING:
        say(explanation, "DNS gave no answer and is asked again at %s: %s.",
            when(look->retry_at_ms, until), look->failure);
        break;
    case ROUTE_FAILED: say(explanation, "It cannot be reached: %s.", look->failure); break;
    case ROUTE_KNOWN: break;
    }
    if (look->site)
        say_site(explanation);
}

/* The level that holds for it may be another than the section's. */
static void say_host(struct explanation *explanation, const struct look_host *host)
{
    say(explanation, "  %u %s:%u, %u address%s, TLS: %s (%s)", host->preference, host->name,
        host->port, host->count, host->count == 1 ? "" : "es", tls_level_name(host->level),
        tls_source_name(host->source));
    if (host->refused[0] != '\0')
        say(explanation, "    It is not used: %s.", host->refused);
}

static void say_rules(struct explanation *explanation)
{
    struct span name = span_of(explanation->look->name);
    const struct route_config *route = config_route(explanation->config, name);
    const struct tls_config *tls = config_tls(explanation->config, name);
    const struct destination_look *look = explanation->look;
    if (route != NULL)
        say(explanation, "Its hosts are those of route \"%s\".", route->name);
    else if (look->name[0] != '[')
        say(explanation, "Its hosts are its MX hosts.");
    for (unsigned i = 0; i < look->host_count; i++)
        say_host(explanation, &look->hosts[i]);
    say(explanation, "TLS: %s, as tls \"%s\" says.", tls_level_name(tls->policy.level), tls->name);
}

/* ---- where it stands ---- */

static void say_held(struct explanation *explanation)
{
    const struct envelope *envelope = explanation->envelope;
    char name[ENVELOPE_NAME_MAX];
    say(explanation, "It is held until `millrace queue release %s`: %s.",
        envelope_name(envelope->id, envelope->number, name), envelope->hold_reason);
}

static void say_state(struct explanation *explanation, bool loading)
{
    const struct queue_look *queue = &explanation->queue;
    char until[WHEN_MAX];
    if (loading) {
        say(explanation, "The relay has just started and is still reading its spool.");
        return;
    }
    switch (queue->state) {
    case ENTRY_HELD: say_held(explanation); return;
    case ENTRY_OUT: say(explanation, "A connection has it in hand now."); return;
    case ENTRY_READY: say(explanation, "It is ready, and waits for a connection."); return;
    case ENTRY_WAITING: break;
    }
    if (explanation->look->suspended)
        return; /* say_way does */
    if (queue->due_ms > 0)
        say(explanation, "The next attempt is due at %s.", when(queue->due_ms, until));
}

static void put_answer(struct explanation *explanation, const char *what)
{
    json_t *object = json_object();
    json_put_text(object, "what", what);
    json_put_text(object, "destination", explanation->look->name);
    json_put(object, "explanation", explanation->lines);
    answer_object(explanation->answer, object);
}

static void say_counts(struct explanation *explanation)
{
    const struct destination_look *look = explanation->look;
    if (look->security != SECURITY_USUAL)
        say(explanation, "Mail of the security \"%s\" (RFC 8689) goes there apart.",
            security_name(look->security));
    if (look->known)
        say(explanation,
            "Of its envelopes %u wait for their time, %u are ready, %u are out, %u are held.",
            look->counts[ENTRY_WAITING], look->counts[ENTRY_READY], look->counts[ENTRY_OUT],
            look->counts[ENTRY_HELD]);
    else
        say(explanation, "No mail for it is queued.");
}

/* The usual mail for it, and of the other kinds what there is. */
static void explain_destination(struct explanation *explanation, const char *name)
{
    struct dispatch *dispatch = explanation->answer->parts->dispatch;
    for (unsigned i = 0; i < SECURITIES; i++) {
        dispatch_look_at(dispatch, name, (enum security)i, explanation->look);
        if (i != SECURITY_USUAL && !explanation->look->known)
            continue;
        say_counts(explanation);
        say_way(explanation);
        say_rules(explanation);
    }
    put_answer(explanation, name);
}

static void explain_envelope(struct explanation *explanation, const struct envelope *envelope)
{
    struct dispatch *dispatch = explanation->answer->parts->dispatch;
    char name[ENVELOPE_NAME_MAX];
    explanation->envelope = envelope;
    explanation->lines = json_array();
    snprintf(explanation->look->name, sizeof(explanation->look->name), "%s", envelope->destination);
    bool loading = !dispatch_look(dispatch, envelope->id, envelope->number, &explanation->queue);
    dispatch_look_at(dispatch, envelope->destination, envelope->security, explanation->look);
    say_what_it_is(explanation);
    say_state(explanation, loading);
    if (!loading && explanation->queue.state != ENTRY_OUT && explanation->queue.state != ENTRY_HELD)
        say_way(explanation);
    say_last_reply(explanation);
    say_rules(explanation);
    put_answer(explanation, envelope_name(envelope->id, envelope->number, name));
}

static void explain_target(struct explanation *explanation, const struct target *target)
{
    struct spool *spool = explanation->answer->parts->spool;
    struct spool_glance glance;
    uint64_t id = target->id;
    uint16_t number = target->number;
    size_t count = 0;
    bool more = true;
    if (target->whole_message) { /* from its first envelope on */
        id--;
        number = UINT16_MAX;
        more = spool_scan(spool, &id, &number, target->id == 0, &glance, 1) == 1;
    }
    while (more && id == target->id) {
        struct envelope *envelope CLEANUP(envelope_free) = spool_read(spool, id, number);
        if (envelope != NULL)
            explain_envelope(explanation, envelope);
        count += envelope != NULL;
        more = target->whole_message && answer_is_awaited(explanation->answer) &&
               spool_scan(spool, &id, &number, false, &glance, 1) == 1;
    }
    if (count == 0)
        answer_not_found(explanation->answer, target);
}

void answer_explain(struct answer *answer, const struct request *request)
{
    struct destination_look *look CLEANUP(look_free) = must_calloc(1, sizeof(*look));
    struct config *config CLEANUP(config_drop) = dispatch_config(answer->parts->dispatch);
    struct explanation explanation = {.answer = answer, .config = config, .look = look};
    char name[DOMAIN_MAX_BYTES + 1];
    struct target target;
    if (envelope_name_parse(span_of(request->what), &target.id, &target.number,
                            &target.whole_message)) {
        explain_target(&explanation, &target);
    } else if (destination_name(request->what, name)) {
        explanation.lines = json_array();
        explain_destination(&explanation, name);
    } else {
        answer_fail(answer, EX_USAGE, "\"%.60s\" is neither an id nor a domain", request->what);
    }
}
