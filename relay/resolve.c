/* The resolver's thread: resolutions come in, become tasks, and go back answered. libunbound
 * looks things up on a thread of its own and calls back on ours, inside ub_process. */
#include "relay/resolve_inside.h"

#include <stdlib.h>

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
    list_append(&resolve->under_way, &task->node);
    resolve->under_way_count++;
    task->begun = true;
    task->deadline_ms = os_now() + RESOLVE_DEADLINE_MS;
    task_begin(task);
}

static void begin_waiting(struct resolve *resolve)
{
    while (resolve->under_way_count < RESOLVE_UNDER_WAY_MAX && !list_empty(&resolve->waiting))
        begin(resolve, container_of(list_pop(&resolve->waiting), struct task, node));
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
        task_cut_short(task, "no answer from DNS in time");
    }
}

static int wait_ms(const struct resolve *resolve)
{
    const struct task *task = oldest(resolve);
    int64_t left = task ? task->deadline_ms - os_now() : -1;
    int most = task && left < 0 ? 0 : (int)left;
    return resolve->upstream->stub ? stub_wait_ms(resolve->upstream->stub, most) : most;
}

/* ---- who is asked ---- */

bool resolve_look_up(struct resolve *resolve, struct question *question, const char **failure)
{
    if (resolve->upstream->stub == NULL)
        return library_ask(resolve->upstream->library, question, failure);
    stub_ask(resolve->upstream->stub, question);
    return true;
}

void resolve_cancel(struct resolve *resolve, struct question *question)
{
    if (resolve->upstream->stub != NULL)
        stub_cancel(question);
    else
        library_cancel(resolve->upstream->library, question);
}

static void upstream_free(struct upstream *upstream)
{
    if (upstream->library != NULL)
        library_destroy(&upstream->library);
    if (upstream->stub != NULL)
        stub_destroy(&upstream->stub);
    free(upstream);
}

/* In this loop. NULL with `why`. */
static struct upstream *upstream_create(const struct resolve_settings *settings,
                                        struct os_loop *loop, char *why, size_t why_size)
{
    struct upstream *upstream = must_calloc(1, sizeof(*upstream));
    if (settings->dnssec == DNSSEC_TRUST_AD)
        upstream->stub = stub_create(settings, loop, why, why_size);
    else
        upstream->library = library_create(settings, why, why_size);
    if (upstream->library != NULL || upstream->stub != NULL)
        return upstream;
    upstream_free(upstream);
    return NULL;
}

/* From the beginning; nothing of what was answered so far counts. */
static void ask_anew(struct resolve *resolve, struct task *task)
{
    struct resolution *resolution = task->resolution;
    task_cancel(task);
    list_remove(&task->node);
    resolve->under_way_count--;
    resolution->secure = false;
    resolution->canonical = NULL;
    resolution->texts = NULL;
    resolution->text_count = 0;
    add_task(resolve, resolution);
}

static void use(struct resolve *resolve, struct upstream *upstream)
{
    resolve->upstream = upstream;
    if (upstream->library != NULL)
        must(os_watch(resolve->loop, library_descriptor(upstream->library), &resolve->watcher) ==
             0);
}

static void change_upstream(struct resolve *resolve)
{
    struct upstream *next = atomic_exchange(&resolve->next, NULL);
    if (next == NULL)
        return;
    for (struct task *task; (task = oldest(resolve));)
        ask_anew(resolve, task);
    upstream_free(resolve->upstream);
    use(resolve, next);
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
    for (struct task *task; (task = oldest(resolve));)
        task_cut_short(task, "the relay is shutting down");
}

static void on_readable(struct watcher *watcher, unsigned what)
{
    struct resolve *resolve = container_of(watcher, struct resolve, watcher);
    /* Calls back for all that is there. A broken pipe shows as questions that pass their
     * deadline. */
    if (what & OS_READABLE)
        library_read(resolve->upstream->library);
}

static void *run(void *with)
{
    struct resolve *resolve = with;
    struct os_event events[OS_EVENTS_MAX];
    while (!atomic_load(&resolve->stop)) {
        int count = os_wait(resolve->loop, events, wait_ms(resolve));
        for (int i = 0; i < count; i++)
            events[i].watcher->ready(events[i].watcher, events[i].what);
        change_upstream(resolve);
        take_post(resolve);
        begin_waiting(resolve);
        expire(resolve);
        if (resolve->upstream->stub != NULL)
            stub_go_on(resolve->upstream->stub);
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

bool resolve_check(const struct resolve_settings *settings, char *why, size_t why_size)
{
    struct os_loop *loop = os_loop_create();
    struct upstream *upstream = upstream_create(settings, loop, why, why_size);
    if (upstream != NULL)
        upstream_free(upstream);
    os_loop_destroy(&loop);
    return upstream != NULL;
}

struct resolve *resolve_create(const struct resolve_settings *settings, char *why, size_t why_size)
{
    struct os_loop *loop = os_loop_create();
    struct upstream *upstream = upstream_create(settings, loop, why, why_size);
    if (upstream == NULL) {
        os_loop_destroy(&loop);
        return NULL;
    }
    struct resolve *resolve = must_calloc(1, sizeof(*resolve));
    resolve->loop = loop;
    resolve->watcher.ready = on_readable;
    list_init(&resolve->waiting);
    list_init(&resolve->under_way);
    mailbox_init(&resolve->box, wake, resolve);
    use(resolve, upstream);
    must(pthread_create(&resolve->thread, NULL, run, resolve) == 0);
    return resolve;
}

bool resolve_reconfigure(struct resolve *resolve, const struct resolve_settings *settings,
                         char *why, size_t why_size)
{
    struct upstream *upstream = upstream_create(settings, resolve->loop, why, why_size);
    if (upstream == NULL)
        return false;
    struct upstream *passed_over = atomic_exchange(&resolve->next, upstream);
    if (passed_over != NULL)
        upstream_free(passed_over);
    os_wake(resolve->loop);
    return true;
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
    struct upstream *passed_over = atomic_exchange(&ended->next, NULL);
    if (passed_over != NULL)
        upstream_free(passed_over);
    upstream_free(ended->upstream);
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
