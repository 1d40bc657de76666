/* What a resolution asks, and what the answers come to: one question for MX, then two for each
 * host (A and AAAA), all under way at once. */
#include "relay/metrics.h"
#include "relay/mx.h"
#include "relay/resolve_inside.h"
#include "relay/smtp/address.h"
#include "relay/txt.h"

enum { TYPE_A = 1, TYPE_MX = 15, TYPE_TXT = 16, TYPE_AAAA = 28, CLASS_IN = 1 };
enum { RCODE_SERVFAIL = 2, RCODE_REFUSED = 5 };

/* ---- answering ---- */

static int64_t bounded_ttl_ms(uint32_t seconds)
{
    int64_t ms = (int64_t)seconds * 1000;
    if (ms < RESOLVE_TTL_LEAST_MS)
        return RESOLVE_TTL_LEAST_MS;
    return ms < RESOLVE_TTL_MOST_MS ? ms : RESOLVE_TTL_MOST_MS;
}

void task_finish(struct task *task, enum resolve_result result, const char *what)
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
    task_finish(task, RESOLVE_OK, NULL);
}

/* ---- asking ---- */

static void on_answer(void *with, int error, struct ub_result *result);

void task_note_failure(struct task *task, const char *name, const char *what)
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
        task_note_failure(task, name, ub_strerror(error));
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
        task_finish(task, RESOLVE_TEMPORARY, NULL);
    else if (task->first.answer == ANSWER_RECORDS)
        task_finish(task, RESOLVE_NO_ADDRESS, "none of its mail hosts has an address");
    else if (no_name)
        task_finish(task, RESOLVE_NO_DOMAIN, "no such name (NXDOMAIN)");
    else if (task->resolution->kind == RESOLVE_MX)
        task_finish(task, RESOLVE_NO_DOMAIN, "neither MX nor address");
    else
        task_finish(task, RESOLVE_NO_ADDRESS, "no address");
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
        task_finish(task, RESOLVE_NULL_MX, "accepts no mail (null MX)");
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
    switch (task->first.answer) {
    case ANSWER_RECORDS: take_mx(task, result); break;
    case ANSWER_NONE: ask_own_addresses(task); break; /* it is its own mail host */
    case ANSWER_NO_NAME: task_finish(task, RESOLVE_NO_DOMAIN, "no such domain (NXDOMAIN)"); break;
    case ANSWER_FAILED: task_finish(task, RESOLVE_TEMPORARY, NULL); break;
    }
}

/* ---- TXT ---- */

static void take_texts(struct resolution *resolution, const struct ub_result *result)
{
    struct span text;
    resolution->texts =
        arena_take(&resolution->arena, RESOLVE_TEXTS_MAX * sizeof(*resolution->texts));
    for (unsigned i = 0; i < RESOLVE_TEXTS_MAX && result->data[i] != NULL; i++)
        if (txt_join((struct span){result->data[i], (size_t)result->len[i]}, RESOLVE_TEXT_BYTES_MAX,
                     &resolution->arena, &text))
            resolution->texts[resolution->text_count++] = text;
}

static void after_txt(struct task *task, const struct ub_result *result)
{
    switch (task->first.answer) {
    case ANSWER_RECORDS:
        take_texts(task->resolution, result);
        task_finish(task, RESOLVE_OK, NULL);
        break;
    case ANSWER_NONE: task_finish(task, RESOLVE_NO_DOMAIN, "no TXT record"); break;
    case ANSWER_NO_NAME: task_finish(task, RESOLVE_NO_DOMAIN, "no such name (NXDOMAIN)"); break;
    case ANSWER_FAILED: task_finish(task, RESOLVE_TEMPORARY, NULL); break;
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
        task_note_failure(task, question->name, failure_of(error, result));
    else if ((uint32_t)result->ttl < task->ttl_seconds)
        task->ttl_seconds = (uint32_t)result->ttl;

    if (question == &task->first)
        task->resolution->secure = question->answer != ANSWER_FAILED && result->secure;
    if (question == &task->first && task->resolution->kind == RESOLVE_TXT) {
        after_txt(task, result);
    } else if (question == &task->first) {
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

void task_ask(struct task *task)
{
    const struct resolution *resolution = task->resolution;
    if (!domain_is_valid(span_of(resolution->domain))) {
        task_finish(task, RESOLVE_NO_DOMAIN, "not a domain name");
        return;
    }
    switch (resolution->kind) {
    case RESOLVE_MX: ask(task, &task->first, resolution->domain, TYPE_MX); break;
    case RESOLVE_TXT: ask(task, &task->first, resolution->domain, TYPE_TXT); break;
    case RESOLVE_ADDRESSES: ask_own_addresses(task); return;
    }
    if (task->pending == 0)
        task_finish(task, RESOLVE_TEMPORARY, NULL);
}

static void cancel(const struct question *question)
{
    if (question->pending)
        ub_cancel(question->task->resolve->context, question->id);
}

void task_cancel(struct task *task)
{
    cancel(&task->first);
    for (unsigned i = 0; i < task->count; i++) {
        cancel(&task->hosts[i].a);
        cancel(&task->hosts[i].aaaa);
    }
}

/* One slow mail host does not hold up the others. */
void task_cut_short(struct task *task, const char *why)
{
    task_cancel(task);
    task_note_failure(task, task->resolution->domain, why);
    conclude(task);
}
