/* The TLSA records of a mail host (RFC 7672 2.2): where they may count, and under which name. */
#include "relay/resolve_inside.h"
#include "relay/smtp/address.h"

#include <string.h>

static struct arena *arena_of(const struct host *host)
{
    return &host->a.task->resolution->arena;
}

static void fail(struct host *host, const struct question *question, const char *what)
{
    const char *type = question->type == TYPE_TLSA ? "TLSA" : "CNAME";
    host->outcome = (struct resolved_tlsa){
        .state = TLSA_FAILED,
        .why = arena_print(arena_of(host), "%s %s: %s", question->name, type, what)};
}

/* Until it is known to be otherwise, they are there and nobody has seen them. */
void host_await_tlsa(struct host *host)
{
    const struct resolution *resolution = host->a.task->resolution;
    if (!resolution->tlsa)
        host->outcome.state = TLSA_NOT_ASKED;
    else if (resolution->kind == RESOLVE_MX && !resolution->secure)
        host->outcome.state = TLSA_INSECURE;
    else
        host->outcome = (struct resolved_tlsa){
            .state = TLSA_FAILED,
            .why = arena_print(arena_of(host), "%s: no answer from DNS in time", host->name)};
}

/* ---- TLSA ---- */

static void ask_tlsa(struct host *host, const char *base);

static void take_records(struct host *host, const struct dns_answer *answer)
{
    struct resolved_tlsa *tlsa = &host->outcome;
    tlsa->state = TLSA_RECORDS;
    tlsa->records = arena_take(arena_of(host), answer->count * sizeof(*tlsa->records));
    for (unsigned i = 0; i < answer->count; i++) {
        const struct span data = answer->records[i];
        tlsa->records[tlsa->count++] = (struct span){arena_copy(arena_of(host), data), data.length};
    }
}

static void after_tlsa(struct question *question, const struct dns_answer *answer)
{
    struct host *host = question->host;
    if (question->answer == ANSWER_FAILED) {
        fail(host, question, answer->failure);
    } else if (question->answer == ANSWER_RECORDS && question->secure) {
        take_records(host, answer);
    } else if (host->other_base != NULL) {
        const char *base = host->other_base;
        host->other_base = NULL;
        ask_tlsa(host, base);
    } else {
        host->outcome.state = question->secure ? TLSA_NONE : TLSA_INSECURE;
    }
}

static void ask_tlsa(struct host *host, const char *base)
{
    const struct resolution *resolution = host->a.task->resolution;
    char *name = arena_print(arena_of(host), "_%u._tcp.%s", resolution->port, base);
    host->outcome.base = base;
    if (strlen(name) > ADDRESS_DOMAIN_MAX) { /* no such name can be */
        host->outcome.state = TLSA_NONE;
        return;
    }
    host->tlsa = (struct question){.task = host->a.task, .host = host, .take = after_tlsa};
    question_ask(&host->tlsa, name, TYPE_TLSA);
}

/* ---- the base domain ---- */

/* RFC 7672 2.2.2: addresses are not secure, but that the name is an alias may be. */
static void after_alias(struct question *question, const struct dns_answer *answer)
{
    struct host *host = question->host;
    if (question->answer == ANSWER_FAILED)
        fail(host, question, answer->failure);
    else if (question->answer == ANSWER_RECORDS && question->secure)
        ask_tlsa(host, host->name);
    else
        host->outcome.state = TLSA_INSECURE;
}

static void ask_alias(struct host *host)
{
    host->alias = (struct question){.task = host->a.task, .host = host, .take = after_alias};
    question_ask(&host->alias, host->name, TYPE_CNAME);
}

/* What was not answered cannot be connected to, and so says nothing. */
static bool is_proved(const struct question *addresses)
{
    return addresses->answer == ANSWER_FAILED || addresses->secure;
}

/* RFC 7672 2.2.2, 2.2.3: with a chain of secure aliases, the name at its end comes first, then
 * the one that the MX record has. */
void host_ask_tlsa(struct host *host)
{
    const char *canonical = host->a.canonical ? host->a.canonical : host->aaaa.canonical;
    if (host->outcome.state != TLSA_FAILED || host->a.count + host->aaaa.count == 0)
        return;
    if (is_proved(&host->a) && is_proved(&host->aaaa)) {
        host->other_base = canonical ? host->name : NULL;
        ask_tlsa(host, canonical ? canonical : host->name);
    } else if (canonical != NULL) {
        ask_alias(host);
    } else {
        host->outcome.state = TLSA_INSECURE;
    }
}
