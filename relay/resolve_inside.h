/* What the resolver's parts share: the thread and its tasks (resolve.c), what a task asks and
 * what the answers come to (resolve_task.c, and resolve_tlsa.c for DANE), and whoever is asked:
 * libunbound (resolve_library.c), or a resolver that is trusted (resolve_stub.c). All of it is the
 * resolver's thread's. */
#pragma once

#include "base/list.h"
#include "base/random.h"
#include "relay/dns_message.h"
#include "relay/os.h"
#include "relay/resolve.h"

#include <pthread.h>
#include <stdatomic.h>

struct library;
struct stub;
struct asked;

/* Who is asked: one of the two; the other is NULL. */
struct upstream {
    struct library *library;
    struct stub *stub;
};

struct resolve {
    struct upstream *upstream;
    _Atomic(struct upstream *) next; /* takes its place; NULL: none does */
    struct os_loop *loop;
    struct watcher watcher; /* of the library's file descriptor */
    struct mailbox box;
    struct list waiting;   /* tasks that are not begun */
    struct list under_way; /* tasks, the oldest first: so in order of their deadlines too */
    unsigned under_way_count;
    atomic_bool stop;
    pthread_t thread;
};

struct question {
    struct task *task;
    struct host *host; /* NULL: of the task as a whole */
    const char *name;
    enum record_type type;
    void (*take)(struct question *question, const struct dns_answer *answer);
    int id;              /* libunbound's */
    struct asked *asked; /* or the stub's */
    bool pending;
    enum answer answer;
    bool secure;
    const char *canonical; /* lower case; NULL: the name is no alias */
    unsigned count;        /* of addresses */
    struct ip *addresses;
};

struct host {
    const char *name;
    uint16_t preference;
    struct question a, aaaa;
    struct question alias, tlsa;  /* asked where DANE needs them */
    const char *other_base;       /* asked for TLSA next, when the first has none; or NULL */
    struct resolved_tlsa outcome; /* so far: as it is when no more answers come */
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
    struct question first; /* for MX, or for TXT */
    bool null_mx;
    unsigned count;
    struct host hosts[RESOLVE_HOSTS_MAX];
    const char *failure; /* of the first question that failed: "example.test: SERVFAIL" */
};

/* ---- resolve.c ---- */

/* False with `failure` when it cannot be asked; else question_answered is called, later. */
bool resolve_look_up(struct resolve *resolve, struct question *question, const char **failure);
/* It will not be. */
void resolve_cancel(struct resolve *resolve, struct question *question);

/* ---- resolve_task.c ---- */

/* Asks what the resolution wants to know. The task ends by itself with the last answer. */
void task_begin(struct task *task);
/* None of its questions is answered any more. */
void task_cancel(struct task *task);
/* No more answers are awaited: what is there must do. */
void task_cut_short(struct task *task, const char *why);

/* One more question of a task; task, host and take are set by the asker. */
void question_ask(struct question *question, const char *name, enum record_type type);
/* Called by who looked it up: the answer is taken, and the task goes on or ends. */
void question_answered(struct question *question, const struct dns_answer *answer);

/* ---- resolve_tlsa.c ---- */

/* Its addresses are asked for: what holds if no answer comes. */
void host_await_tlsa(struct host *host);
/* Both address answers of a host are there: its TLSA records are asked for where they may count
 * (RFC 7672 2.2). */
void host_ask_tlsa(struct host *host);

/* ---- resolve_library.c ---- */

/* NULL with `why`. */
struct library *library_create(const struct resolve_settings *settings, char *why, size_t why_size);
void library_destroy(struct library **library); /* waits for its thread */
int library_descriptor(const struct library *library);
void library_read(struct library *library); /* calls question_answered for all that is there */
/* Sets question->id. False with `failure` when it cannot be asked. */
bool library_ask(struct library *library, struct question *question, const char **failure);
void library_cancel(struct library *library, const struct question *question);

/* ---- resolve_stub.c ---- */

/* NULL with `why`. Watches its sockets in `loop`. */
struct stub *stub_create(const struct resolve_settings *settings, struct os_loop *loop, char *why,
                         size_t why_size);
void stub_destroy(struct stub **stub);
/* How long to wait, `most` at most (-1: for ever), until stub_go_on has something to do. */
int stub_wait_ms(const struct stub *stub, int most);
/* Sends what was asked, and gives up what has waited too long. */
void stub_go_on(struct stub *stub);
void stub_ask(struct stub *stub, struct question *question);
void stub_cancel(struct question *question);
