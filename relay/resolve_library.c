/* libunbound: its limits, its name server, its trust anchor, and its answers. It looks things up
 * on a thread of its own, and calls back on ours, inside ub_process. */
#include "relay/resolve_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>

enum { CLASS_IN = 1 };
enum { RCODE_SERVFAIL = 2, RCODE_REFUSED = 5 };

struct library {
    struct ub_ctx *context;
    char failure[256]; /* of the answer that is being taken */
};

/* ---- settings ---- */

static const struct {
    const char *name, *value;
} options[] = {
    {"outgoing-range:", "256"}, /* a library's 16 sockets would make a burst of domains wait */
    {"msg-cache-size:", "16m"},
    {"rrset-cache-size:", "32m"},
    {"cache-max-ttl:", "3600"},
    {"cache-max-negative-ttl:", "300"},
    /* A name server that asks others may take longer over one name than over the last hundred.
     * After libunbound's 50 ms it would be given up within 0.7 s; so it is within 7. */
    {"infra-cache-min-rtt:", "500"},
    {"outbound-msg-retry:", "3"},
    {"infra-keep-probing:", "yes"}, /* a name server that was down is noticed when it is back */
    /* RFC 6761 lets these be answered with NXDOMAIN; what they are is the name server's to say. */
    {"local-zone:", "test. transparent"},
    {"local-zone:", "home.arpa. transparent"},
};

static int set_server(struct ub_ctx *context, const char *server)
{
    char address[ENDPOINT_TEXT_MAX], ip[IP_TEXT_MAX];
    struct endpoint endpoint;
    if (server == NULL)
        return ub_ctx_resolvconf(context, NULL);
    if (!endpoint_parse(span_of(server), &endpoint))
        return UB_SYNTAX;
    snprintf(address, sizeof(address), "%s@%u", ip_format(&endpoint.ip, ip), endpoint.port);
    return ub_ctx_set_fwd(context, address);
}

/* libunbound reads the file at the first question, and fails each one when it cannot: so one is
 * asked here that needs no server. */
static int try_out(struct ub_ctx *context)
{
    struct ub_result *result = NULL;
    int error = ub_resolve(context, "localhost", TYPE_A, CLASS_IN, &result);
    if (error == 0)
        ub_resolve_free(result);
    return error;
}

static int set_anchor(struct ub_ctx *context, const struct resolve_settings *settings)
{
    if (settings->dnssec == DNSSEC_OFF)
        return 0;
    int error = ub_ctx_add_ta_file(context, settings->trust_anchor);
    return error ? error : try_out(context);
}

static bool configure(struct ub_ctx *context, const struct resolve_settings *settings, char *why,
                      size_t why_size)
{
    int error = 0;
    ub_ctx_debugout(context, NULL); /* it would write to standard error on its own */
    for (size_t i = 0; i < countof(options) && error == 0; i++)
        if ((error = ub_ctx_set_option(context, options[i].name, options[i].value)) != 0)
            snprintf(why, why_size, "libunbound does not take \"%s %s\": %s", options[i].name,
                     options[i].value, ub_strerror(error));
    if (error == 0 && (error = ub_ctx_async(context, 1)) != 0)
        snprintf(why, why_size, "libunbound cannot use a thread: %s", ub_strerror(error));
    if (error == 0 && (error = set_server(context, settings->server)) != 0)
        snprintf(why, why_size, "name server %s cannot be used: %s",
                 settings->server ? settings->server : "of /etc/resolv.conf", ub_strerror(error));
    if (error == 0 && (error = set_anchor(context, settings)) != 0)
        snprintf(why, why_size,
                 "trust-anchor %s cannot be used (%s): it must have DS or DNSKEY "
                 "records, as /usr/share/dns/root.key of the package dns-root-data has",
                 settings->trust_anchor, ub_strerror(error));
    return error == 0;
}

struct library *library_create(const struct resolve_settings *settings, char *why, size_t why_size)
{
    struct ub_ctx *context = ub_ctx_create();
    if (context == NULL) {
        snprintf(why, why_size, "libunbound cannot be started: too little memory or files");
        return NULL;
    }
    if (!configure(context, settings, why, why_size)) {
        ub_ctx_delete(context);
        return NULL;
    }
    struct library *library = must_calloc(1, sizeof(*library));
    library->context = context;
    return library;
}

void library_destroy(struct library **library)
{
    ub_ctx_delete((*library)->context);
    free(*library);
    *library = NULL;
}

int library_descriptor(const struct library *library)
{
    return ub_fd(library->context);
}

void library_read(struct library *library)
{
    ub_process(library->context);
}

/* ---- questions ---- */

static const char *failure_of(struct library *library, int error, const struct ub_result *result)
{
    if (error != 0 || result == NULL)
        return ub_strerror(error);
    if (result->bogus) {
        snprintf(library->failure, sizeof(library->failure), "bogus (DNSSEC)%s%s",
                 result->why_bogus ? ": " : "", result->why_bogus ? result->why_bogus : "");
        return library->failure;
    }
    if (result->rcode == RCODE_REFUSED)
        return "REFUSED";
    return result->rcode == RCODE_SERVFAIL ? "SERVFAIL" : "the name server gave an error";
}

static enum answer classify(int error, const struct ub_result *result)
{
    if (error != 0 || result == NULL || result->bogus)
        return ANSWER_FAILED;
    if (result->nxdomain)
        return ANSWER_NO_NAME;
    if (result->rcode != 0)
        return ANSWER_FAILED;
    return result->havedata ? ANSWER_RECORDS : ANSWER_NONE;
}

/* "MX.example.test." without the final dot, when it is another name than the one asked for. */
static const char *canonical_of(const struct question *question, char *canonical)
{
    size_t length = canonical ? strlen(canonical) : 0;
    if (length == 0)
        return NULL;
    if (canonical[length - 1] == '.')
        canonical[--length] = '\0';
    struct span name = {canonical, length};
    return span_equal_nocase(name, span_of(question->name)) ? NULL : canonical;
}

static void take_result(struct question *question, struct ub_result *result,
                        struct dns_answer *answer)
{
    answer->secure = result->secure;
    answer->ttl_seconds = (uint32_t)result->ttl;
    answer->canonical = canonical_of(question, result->canonname);
    if (answer->answer == ANSWER_RECORDS)
        for (; answer->count < DNS_RECORDS_MAX && result->data[answer->count]; answer->count++)
            answer->records[answer->count] =
                (struct span){result->data[answer->count], (size_t)result->len[answer->count]};
}

static void on_answer(void *with, int error, struct ub_result *result)
{
    struct question *question = with;
    struct dns_answer answer = {.answer = classify(error, result)};
    if (answer.answer == ANSWER_FAILED)
        answer.failure = failure_of(question->task->resolve->upstream->library, error, result);
    else
        take_result(question, result, &answer);
    question_answered(question, &answer);
    ub_resolve_free(result);
}

bool library_ask(struct library *library, struct question *question, const char **failure)
{
    int error = ub_resolve_async(library->context, question->name, (int)question->type, CLASS_IN,
                                 question, on_answer, &question->id);
    if (error != 0)
        *failure = ub_strerror(error);
    return error == 0;
}

void library_cancel(struct library *library, const struct question *question)
{
    ub_cancel(library->context, question->id);
}
