/* What a resolution asks, and what the answers come to: one question for MX, then two for each
 * host (A and AAAA), then those for its TLSA records; all that can be under way at once, is. */
#include "relay/metrics.h"
#include "relay/mx.h"
#include "relay/resolve_inside.h"
#include "relay/smtp/address.h"
#include "relay/txt.h"

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
        *to = (struct resolved_host){
            .name = from->name, .preference = from->preference, .tlsa = from->outcome};
        to->addresses = arena_take(arena, (from->a.count + from->aaaa.count) * sizeof(struct ip));
        copy_addresses(to, &from->a);
        copy_addresses(to, &from->aaaa);
    }
    finish(task, RESOLVE_OK, NULL);
}

static void conclude_hosts(struct task *task)
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
    else if (task->first.answer == ANSWER_RECORDS)
        finish(task, RESOLVE_NO_ADDRESS, "none of its mail hosts has an address");
    else if (no_name)
        finish(task, RESOLVE_NO_DOMAIN, "no such name (NXDOMAIN)");
    else if (task->resolution->kind == RESOLVE_MX)
        finish(task, RESOLVE_NO_DOMAIN, "neither MX nor address");
    else
        finish(task, RESOLVE_NO_ADDRESS, "no address");
}

static void conclude_mx(struct task *task)
{
    if (task->null_mx)
        finish(task, RESOLVE_NULL_MX, "accepts no mail (null MX)");
    else if (task->first.answer == ANSWER_FAILED)
        finish(task, RESOLVE_TEMPORARY, NULL);
    else if (task->first.answer == ANSWER_NO_NAME)
        finish(task, RESOLVE_NO_DOMAIN, "no such domain (NXDOMAIN)");
    else
        conclude_hosts(task);
}

static void conclude_txt(struct task *task)
{
    switch (task->first.answer) {
    case ANSWER_RECORDS: finish(task, RESOLVE_OK, NULL); break;
    case ANSWER_NONE: finish(task, RESOLVE_NO_DOMAIN, "no TXT record"); break;
    case ANSWER_NO_NAME: finish(task, RESOLVE_NO_DOMAIN, "no such name (NXDOMAIN)"); break;
    case ANSWER_FAILED: finish(task, RESOLVE_TEMPORARY, NULL); break;
    }
}

/* The last question was answered: what it all comes to. */
static void conclude(struct task *task)
{
    switch (task->resolution->kind) {
    case RESOLVE_MX: conclude_mx(task); break;
    case RESOLVE_ADDRESSES: conclude_hosts(task); break;
    case RESOLVE_TXT: conclude_txt(task); break;
    }
}

/* ---- asking ---- */

static void note_failure(struct task *task, const char *name, const char *what)
{
    if (task->failure == NULL)
        task->failure = arena_print(&task->resolution->arena, "%s: %s", name, what);
}

void question_ask(struct question *question, const char *name, enum record_type type)
{
    struct task *task = question->task;
    struct dns_answer none = {.answer = ANSWER_FAILED};
    question->name = name;
    question->type = type;
    question->pending = resolve_look_up(task->resolve, question, &none.failure);
    task->pending += question->pending;
    if (question->pending)
        return;
    question->answer = ANSWER_FAILED;
    note_failure(task, name, none.failure);
    question->take(question, &none);
}

static const char *take_canonical(struct task *task, const char *canonical)
{
    if (canonical == NULL || !domain_is_valid(span_of(canonical)))
        return NULL;
    char *name = arena_copy(&task->resolution->arena, span_of(canonical));
    text_lower(name);
    return name;
}

void question_answered(struct question *question, const struct dns_answer *answer)
{
    struct task *task = question->task;
    question->pending = false;
    task->pending--;
    question->answer = answer->answer;
    question->secure = answer->secure;
    question->canonical = take_canonical(task, answer->canonical);
    if (answer->answer == ANSWER_FAILED)
        note_failure(task, question->name, answer->failure);
    else if (answer->ttl_seconds < task->ttl_seconds)
        task->ttl_seconds = answer->ttl_seconds;
    question->take(question, answer);
    if (task->pending == 0)
        conclude(task);
}

/* ---- addresses ---- */

static void take_addresses(struct question *question, const struct dns_answer *answer)
{
    struct host *host = question->host;
    uint8_t family = question->type == TYPE_A ? 4 : 6;
    size_t length = family == 4 ? 4 : 16;
    if (answer->count > 0)
        question->addresses = arena_take(&question->task->resolution->arena,
                                         RESOLVE_ADDRESSES_MAX * sizeof(*question->addresses));
    for (unsigned i = 0; question->count < RESOLVE_ADDRESSES_MAX && i < answer->count; i++)
        if (answer->records[i].length == length)
            question->addresses[question->count++] =
                ip_of_bytes(family, (const uint8_t *)answer->records[i].data);
    if (!host->a.pending && !host->aaaa.pending)
        host_ask_tlsa(host);
}

static void ask_addresses(struct task *task)
{
    for (unsigned i = 0; i < task->count; i++) {
        struct host *host = &task->hosts[i];
        host->a = host->aaaa =
            (struct question){.task = task, .host = host, .take = take_addresses, .pending = true};
        host_await_tlsa(host);
        question_ask(&host->a, host->name, TYPE_A);
        question_ask(&host->aaaa, host->name, TYPE_AAAA);
    }
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

static void take_mx(struct task *task, const struct dns_answer *answer)
{
    struct mx_list list = {0};
    for (unsigned i = 0; i < answer->count; i++)
        mx_add(&list, answer->records[i]);
    task->null_mx = list.count == 0 && list.null;
    task->count = list.count < RESOLVE_HOSTS_MAX ? list.count : RESOLVE_HOSTS_MAX;
    for (unsigned i = 0; i < task->count; i++) {
        task->hosts[i].name = arena_copy(&task->resolution->arena, span_of(list.hosts[i].name));
        task->hosts[i].preference = list.hosts[i].preference;
    }
    ask_addresses(task);
}

static void after_mx(struct question *question, const struct dns_answer *answer)
{
    question->task->resolution->secure = question->secure;
    question->task->resolution->canonical = question->canonical;
    switch (question->answer) {
    case ANSWER_RECORDS: take_mx(question->task, answer); break;
    case ANSWER_NONE: ask_own_addresses(question->task); break; /* it is its own mail host */
    case ANSWER_NO_NAME:
    case ANSWER_FAILED: break;
    }
}

/* ---- TXT ---- */

static void after_txt(struct question *question, const struct dns_answer *answer)
{
    struct resolution *resolution = question->task->resolution;
    struct span text;
    resolution->secure = question->secure;
    resolution->texts = arena_take(&resolution->arena, answer->count * sizeof(text));
    for (unsigned i = 0; i < answer->count; i++)
        if (txt_join(answer->records[i], RESOLVE_TEXT_BYTES_MAX, &resolution->arena, &text))
            resolution->texts[resolution->text_count++] = text;
}

/* ---- tasks ---- */

static void ask_first(struct task *task, enum record_type type,
                      void (*take)(struct question *, const struct dns_answer *))
{
    task->first.task = task;
    task->first.take = take;
    question_ask(&task->first, task->resolution->domain, type);
}

void task_begin(struct task *task)
{
    if (!domain_is_valid(span_of(task->resolution->domain))) {
        finish(task, RESOLVE_NO_DOMAIN, "not a domain name");
        return;
    }
    switch (task->resolution->kind) {
    case RESOLVE_MX: ask_first(task, TYPE_MX, after_mx); break;
    case RESOLVE_TXT: ask_first(task, TYPE_TXT, after_txt); break;
    case RESOLVE_ADDRESSES: ask_own_addresses(task); break;
    }
    if (task->pending == 0)
        conclude(task);
}

static void cancel(struct question *question)
{
    if (!question->pending)
        return;
    resolve_cancel(question->task->resolve, question);
    question->pending = false;
    question->answer = ANSWER_FAILED;
}

void task_cancel(struct task *task)
{
    cancel(&task->first);
    for (unsigned i = 0; i < task->count; i++) {
        cancel(&task->hosts[i].a);
        cancel(&task->hosts[i].aaaa);
        cancel(&task->hosts[i].alias);
        cancel(&task->hosts[i].tlsa);
    }
}

/* One slow mail host does not hold up the others. */
void task_cut_short(struct task *task, const char *why)
{
    task_cancel(task);
    note_failure(task, task->resolution->domain, why);
    if (!task->begun)
        task->first.answer = ANSWER_FAILED;
    conclude(task);
}
