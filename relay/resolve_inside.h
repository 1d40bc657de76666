/* What the resolver's parts share: the thread and its tasks (resolve.c), the questions of a task
 * and what their answers come to (resolve_ask.c), libunbound's settings (resolve_library.c).
 * All of it is the resolver's thread's. */
#pragma once

#include "base/list.h"
#include "relay/os.h"
#include "relay/resolve.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unbound.h>

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
    struct question first; /* for MX, or for TXT */
    unsigned count;
    struct host hosts[RESOLVE_HOSTS_MAX];
    const char *failure; /* of the first question that failed: "example.test: SERVFAIL" */
};

/* ---- resolve_ask.c ---- */

/* Asks what the resolution wants to know. The task ends by itself with the last answer. */
void task_ask(struct task *task);
/* No more answers are awaited: what is there must do. */
void task_cut_short(struct task *task, const char *why);
/* Sends the resolution back, and the task in its arena with it. `what` is the matter with the
 * domain; NULL: the first failure tells. */
void task_finish(struct task *task, enum resolve_result result, const char *what);

void task_note_failure(struct task *task, const char *name, const char *what);
void task_cancel(struct task *task);

/* ---- resolve_library.c ---- */

/* NULL with `why`. */
struct ub_ctx *resolve_library(const char *server, char *why, size_t why_size);
