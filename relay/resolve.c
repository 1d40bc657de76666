/* The resolver's thread. A resolution becomes a task: one question for MX, then two for each
 * host (A and AAAA), all under way at once. libunbound looks things up on a thread of its own
 * and calls back on ours, inside ub_process. */
#include "relay/resolve.h"

#include "base/list.h"
#include "relay/metrics.h"
#include "relay/mx.h"
#include "relay/os.h"
#include "relay/smtp/address.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>

enum { TYPE_A = 1, TYPE_MX = 15, TYPE_AAAA = 28, CLASS_IN = 1 };
enum { RCODE_SERVFAIL = 2, RCODE_REFUSED = 5 };

struct resolve {
    struct ub_ctx *context;
    struct os_loop *loop;
    struct watcher watcher; /* of libunbound's file descriptor */
    struct mailbox box;
    struct list waiting;   /* tasks that are not begun */
    struct list under_way; /* tasks, the oldest first: so in order of their deadlines too */
    unsigned under_way_count;
    atomic_bool stop;
    pthread_t thread;
};

enum answer {
    ANSWER_NONE, /* not yet, or the name has nothing of this type */
    ANSWER_RECORDS,
    ANSWER_NO_NAME, /* NXDOMAIN */
    ANSWER_FAILED,  /* SERVFAIL, bogus, no answer */
};

struct question {
    struct task *task;
    const char *name;
    int id; /* libunbound's */
    bool pending;
    enum answer answer;
    unsigned count; /* of addresses */
    struct ip *addresses;
};

struct host {
    const char *name;
    uint16_t preference;
    struct question a, aaaa;
};

struct task {
    struct list_node node;
    struct resolve *resolve;
    struct resolution *resolution;
    bool begun;
    int64_t came_us;
    int64_t deadline_ms;
    uint32_t ttl_seconds;
    unsigned pending;
    struct question mx;
    unsigned count;
    struct host hosts[RESOLVE_HOSTS_MAX];
    const char *failure; /* of the first question that failed: "example.test: SERVFAIL" */
};

/* ---- answering ---- */

static int64_t bounded_ttl_ms(uint32_t seconds)
{
    int64_t ms = (int64_t)seconds * 1000;
    if (ms < RESOLVE_TTL_LEAST_MS)
        return RESOLVE_TTL_LEAST_MS;
    return ms < RESOLVE_TTL_MOST_MS ? ms : RESOLVE_TTL_MOST_MS;
}

/* Sends the resolution back, and the task in its arena with it. `what` is the matter with the
 * domain; NULL: the first failure tells. */
static void finish(struct task *task, enum resolve_result result, const char *what)
{
    struct resolution *resolution = task->resolution;
    resolution->result = result;
    resolution->why =
        what ? arena_print(&resolution->arena, "%s: %s", resolution->domain, what) : task->failure;
    /* With a part of the answer missing, look again soon. */
    resolution->ttl_ms = bounded_ttl_ms(task->failure ? 0 : task->ttl_seconds);
    metric_time(TIMING_DNS, os_now_us() - task->came_us);
    list_remove(&task->node);
    task->resolve->under_way_count -= task->begun;
    mailbox_post(resolution->reply_to, &resolution->mail);
}

static void copy_addresses(struct resolved_host *to, const struct question *from)
{
    for (unsigned i = 0; i < from->count; i++)
        to->addresses[to->count++] = from->addresses[i];
}

static void finish_with_hosts(struct task *task)
{
    struct resolution *resolution = task->resolution;
    struct arena *arena = &resolution->arena;
    resolution->count = task->count;
    resolution->hosts = arena_take(arena, task->count * sizeof(*resolution->hosts));
    for (unsigned i = 0; i < task->count; i++) {
        const struct host *from = &task->hosts[i];
        struct resolved_host *to = &resolution->hosts[i];
        *to = (struct resolved_host){.name = from->name, .preference = from->preference};
        to->addresses = arena_take(arena, (from->a.count + from->aaaa.count) * sizeof(struct ip));
        copy_addresses(to, &from->a);
        copy_addresses(to, &from->aaaa);
    }
    finish(task, RESOLVE_OK, NULL);
}

/* ---- asking ---- */

static void on_answer(void *with, int error, struct ub_result *result);

static void note_failure(struct task *task, const char *name, const char *what)
{
    if (task->failure == NULL)
        task->failure = arena_print(&task->resolution->arena, "%s: %s", name, what);
}

static void ask(struct task *task, struct question *question, const char *name, int type)
{
    question->task = task;
    question->name = name;
    int error = ub_resolve_async(task->resolve->context, name, type, CLASS_IN, question, on_answer,
                                 &question->id);
    question->pending = error == 0;
    task->pending += error == 0;
    if (error != 0) {
        question->answer = ANSWER_FAILED;
        note_failure(task, name, ub_strerror(error));
    }
}

/* The last question was answered: what it all comes to. */
static void conclude(struct task *task)
{
    bool found = false, no_name = true;
    for (unsigned i = 0; i < task->count; i++) {
        const struct host *host = &task->hosts[i];
        found |= host->a.count + host->aaaa.count > 0;
        no_name &= host->a.answer == ANSWER_NO_NAME || host->aaaa.answer == ANSWER_NO_NAME;
    }
    if (found)
        finish_with_hosts(task);
    else if (task->failure != NULL)
        finish(task, RESOLVE_TEMPORARY, NULL);
    else if (task->mx.answer == ANSWER_RECORDS)
        finish(task, RESOLVE_NO_ADDRESS, "none of its mail hosts has an address");
    else if (no_name)
        finish(task, RESOLVE_NO_DOMAIN, "no such name (NXDOMAIN)");
    else if (task->resolution->mx)
        finish(task, RESOLVE_NO_DOMAIN, "neither MX nor address");
    else
        finish(task, RESOLVE_NO_ADDRESS, "no address");
}

static void ask_addresses(struct task *task)
{
    for (unsigned i = 0; i < task->count; i++) {
        ask(task, &task->hosts[i].a, task->hosts[i].name, TYPE_A);
        ask(task, &task->hosts[i].aaaa, task->hosts[i].name, TYPE_AAAA);
    }
    if (task->pending == 0)
        conclude(task);
}

static void ask_own_addresses(struct task *task)
{
    char *name = arena_copy(&task->resolution->arena, span_of(task->resolution->domain));
    text_lower(name);
    task->hosts[0].name = name;
    task->count = 1;
    ask_addresses(task);
}

/* ---- MX (RFC 5321 5.1) ---- */

static void take_mx(struct task *task, const struct ub_result *result)
{
    struct mx_list list = {0};
    for (unsigned i = 0; i < MX_RECORDS_MAX && result->data[i] != NULL; i++)
        mx_add(&list, (struct span){result->data[i], (size_t)result->len[i]});
    if (list.count == 0 && list.null) {
        finish(task, RESOLVE_NULL_MX, "accepts no mail (null MX)");
        return;
    }
    task->count = list.count < RESOLVE_HOSTS_MAX ? list.count : RESOLVE_HOSTS_MAX;
    for (unsigned i = 0; i < task->count; i++) {
        task->hosts[i].name = arena_copy(&task->resolution->arena, span_of(list.hosts[i].name));
        task->hosts[i].preference = list.hosts[i].preference;
    }
    ask_addresses(task);
}

static void after_mx(struct task *task, const struct ub_result *result)
{
    switch (task->mx.answer) {
    case ANSWER_RECORDS: take_mx(task, result); break;
    case ANSWER_NONE: ask_own_addresses(task); break; /* it is its own mail host */
    case ANSWER_NO_NAME: finish(task, RESOLVE_NO_DOMAIN, "no such domain (NXDOMAIN)"); break;
    case ANSWER_FAILED: finish(task, RESOLVE_TEMPORARY, NULL); break;
    }
}

/* ---- answers ---- */

static const char *failure_of(int error, const struct ub_result *result)
{
    if (error != 0 || result == NULL)
        return ub_strerror(error);
    if (result->bogus)
        return "bogus (DNSSEC)";
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

static void take_addresses(struct question *question, const struct ub_result *result)
{
    uint8_t family = result->qtype == TYPE_A ? 4 : 6;
    int length = family == 4 ? 4 : 16;
    question->addresses = arena_take(&question->task->resolution->arena,
                                     RESOLVE_ADDRESSES_MAX * sizeof(*question->addresses));
    for (unsigned i = 0; question->count < RESOLVE_ADDRESSES_MAX && result->data[i] != NULL; i++)
        if (result->len[i] == length)
            question->addresses[question->count++] =
                ip_of_bytes(family, (const uint8_t *)result->data[i]);
}

static void on_answer(void *with, int error, struct ub_result *result)
{
    struct question *question = with;
    struct task *task = question->task;
    question->pending = false;
    question->answer = classify(error, result);
    task->pending--;
    if (question->answer == ANSWER_FAILED)
        note_failure(task, question->name, failure_of(error, result));
    else if ((uint32_t)result->ttl < task->ttl_seconds)
        task->ttl_seconds = (uint32_t)result->ttl;

    if (question == &task->mx) {
        after_mx(task, result);
    } else {
        if (question->answer == ANSWER_RECORDS)
            take_addresses(question, result);
        if (task->pending == 0)
            conclude(task);
    }
    ub_resolve_free(result);
}

/* ---- tasks ---- */

static void add_task(struct resolve *resolve, struct resolution *resolution)
{
    struct task *task = arena_take(&resolution->arena, sizeof(*task));
    task->resolve = resolve;
    task->resolution = resolution;
    task->came_us = os_now_us();
    task->ttl_seconds = UINT32_MAX;
    list_append(&resolve->waiting, &task->node);
}

static void begin(struct resolve *resolve, struct task *task)
{
    const struct resolution *resolution = task->resolution;
    list_append(&resolve->under_way, &task->node);
    resolve->under_way_count++;
    task->begun = true;
    task->deadline_ms = os_now() + RESOLVE_DEADLINE_MS;
    if (!domain_is_valid(span_of(resolution->domain))) {
        finish(task, RESOLVE_NO_DOMAIN, "not a domain name");
        return;
    }
    if (!resolution->mx) {
        ask_own_addresses(task);
        return;
    }
    ask(task, &task->mx, resolution->domain, TYPE_MX);
    if (task->pending == 0)
        finish(task, RESOLVE_TEMPORARY, NULL);
}

static void begin_waiting(struct resolve *resolve)
{
    while (resolve->under_way_count < RESOLVE_UNDER_WAY_MAX && !list_empty(&resolve->waiting))
        begin(resolve, container_of(list_pop(&resolve->waiting), struct task, node));
}

static void cancel(const struct question *question)
{
    if (question->pending)
        ub_cancel(question->task->resolve->context, question->id);
}

static void cancel_all(struct task *task)
{
    cancel(&task->mx);
    for (unsigned i = 0; i < task->count; i++) {
        cancel(&task->hosts[i].a);
        cancel(&task->hosts[i].aaaa);
    }
}

static struct task *oldest(const struct resolve *resolve)
{
    struct list_node *first = list_first(&resolve->under_way);
    return first ? container_of(first, struct task, node) : NULL;
}

/* What is there by the deadline must do: one slow mail host does not hold up the others. */
static void expire(struct resolve *resolve)
{
    for (struct task *task; (task = oldest(resolve)) && task->deadline_ms <= os_now();) {
        cancel_all(task);
        note_failure(task, task->resolution->domain, "no answer from DNS in time");
        conclude(task);
    }
}

static int wait_ms(const struct resolve *resolve)
{
    const struct task *task = oldest(resolve);
    if (task == NULL)
        return -1;
    int64_t left = task->deadline_ms - os_now();
    return left > 0 ? (int)left : 0;
}

/* ---- the thread ---- */

static void take_post(struct resolve *resolve)
{
    struct mail *mail = mailbox_take(&resolve->box);
    while (mail != NULL) {
        struct mail *next = mail->next;
        add_task(resolve, container_of(mail, struct resolution, mail));
        mail = next;
    }
}

static void answer_rest(struct resolve *resolve)
{
    take_post(resolve);
    while (!list_empty(&resolve->waiting))
        list_append(&resolve->under_way, list_pop(&resolve->waiting));
    while (!list_empty(&resolve->under_way)) {
        struct task *task = container_of(list_pop(&resolve->under_way), struct task, node);
        cancel_all(task);
        note_failure(task, task->resolution->domain, "the relay is shutting down");
        finish(task, RESOLVE_TEMPORARY, NULL);
    }
}

static void on_readable(struct watcher *watcher, unsigned what)
{
    struct resolve *resolve = container_of(watcher, struct resolve, watcher);
    /* Calls back for all that is there. A broken pipe shows as questions that pass their
     * deadline. */
    if (what & OS_READABLE)
        ub_process(resolve->context);
}

static void *run(void *with)
{
    struct resolve *resolve = with;
    struct os_event events[OS_EVENTS_MAX];
    while (!atomic_load(&resolve->stop)) {
        int count = os_wait(resolve->loop, events, wait_ms(resolve));
        for (int i = 0; i < count; i++)
            events[i].watcher->ready(events[i].watcher, events[i].what);
        take_post(resolve);
        begin_waiting(resolve);
        expire(resolve);
    }
    answer_rest(resolve);
    return NULL;
}

static void wake(void *owner)
{
    struct resolve *resolve = owner;
    os_wake(resolve->loop);
}

/* ---- from outside ---- */

static const struct {
    const char *name, *value;
} settings[] = {
    {"outgoing-range:", "256"}, /* a library's 16 sockets would make a burst of domains wait */
    {"msg-cache-size:", "16m"},
    {"rrset-cache-size:", "32m"},
    {"cache-max-ttl:", "3600"},
    {"cache-max-negative-ttl:", "300"},
    {"outbound-msg-retry:", "3"},   /* a name server that is silent is given up after 5 s */
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

/* No trust anchor: validation (and with it DANE) is to be switched on here. */
static bool configure(struct ub_ctx *context, const char *server, char *why, size_t why_size)
{
    int error = 0;
    ub_ctx_debugout(context, NULL); /* it would write to standard error on its own */
    for (size_t i = 0; i < countof(settings) && error == 0; i++)
        if ((error = ub_ctx_set_option(context, settings[i].name, settings[i].value)) != 0)
            snprintf(why, why_size, "libunbound does not take \"%s %s\": %s", settings[i].name,
                     settings[i].value, ub_strerror(error));
    if (error == 0 && (error = ub_ctx_async(context, 1)) != 0)
        snprintf(why, why_size, "libunbound cannot use a thread: %s", ub_strerror(error));
    if (error == 0 && (error = set_server(context, server)) != 0)
        snprintf(why, why_size, "name server %s cannot be used: %s",
                 server ? server : "of /etc/resolv.conf", ub_strerror(error));
    return error == 0;
}

struct resolve *resolve_create(const char *server, char *why, size_t why_size)
{
    struct ub_ctx *context = ub_ctx_create();
    if (context == NULL) {
        snprintf(why, why_size, "libunbound cannot be started: too little memory or files");
        return NULL;
    }
    if (!configure(context, server, why, why_size)) {
        ub_ctx_delete(context);
        return NULL;
    }
    struct resolve *resolve = must_calloc(1, sizeof(*resolve));
    resolve->context = context;
    resolve->loop = os_loop_create();
    resolve->watcher.ready = on_readable;
    list_init(&resolve->waiting);
    list_init(&resolve->under_way);
    mailbox_init(&resolve->box, wake, resolve);
    must(os_watch(resolve->loop, ub_fd(context), &resolve->watcher) == 0);
    must(pthread_create(&resolve->thread, NULL, run, resolve) == 0);
    return resolve;
}

void resolve_destroy(struct resolve **resolve)
{
    struct resolve *ended = *resolve;
    *resolve = NULL;
    if (ended == NULL)
        return;
    atomic_store(&ended->stop, true);
    os_wake(ended->loop);
    must(pthread_join(ended->thread, NULL) == 0);
    ub_ctx_delete(ended->context); /* waits for libunbound's own thread */
    os_loop_destroy(&ended->loop);
    free(ended);
}

void resolve_post(struct resolve *resolve, struct resolution *take)
{
    mailbox_post(&resolve->box, &take->mail);
}

void resolution_free(struct resolution **resolution)
{
    struct resolution *freed = *resolution;
    *resolution = NULL;
    if (freed == NULL)
        return;
    free(freed->domain);
    arena_free(&freed->arena);
    free(freed);
}
