/* What the resolver's parts share: the thread and its tasks (resolve.c), what a task asks and
 * what the answers come to (resolve_task.c, and resolve_tlsa.c for DANE), libunbound
 * (resolve_library.c). All of it is the resolver's thread's. */
#pragma once

#include "base/list.h"
#include "relay/os.h"
#include "relay/resolve.h"

#include <pthread.h>
#include <stdatomic.h>

struct library;

struct resolve {
    struct library *library;
    struct os_loop *loop;
    struct watcher watcher; /* of the library's file descriptor */
    struct mailbox box;
    struct list waiting;   /* tasks that are not begun */
    struct list under_way; /* tasks, the oldest first: so in order of their deadlines too */
    unsigned under_way_count;
    atomic_bool stop;
    pthread_t thread;
};

enum record_type { /* RFC 1035 3.2.2, RFC 3596 2.1, RFC 6698 7.1 */
                   TYPE_A = 1,
                   TYPE_CNAME = 5,
                   TYPE_MX = 15,
                   TYPE_TXT = 16,
                   TYPE_AAAA = 28,
                   TYPE_TLSA = 52,
};

enum answer {
    ANSWER_NONE, /* not yet, or the name has nothing of this type */
    ANSWER_RECORDS,
    ANSWER_NO_NAME, /* NXDOMAIN */
    ANSWER_FAILED,  /* SERVFAIL, bogus, no answer */
};

/* What a name server said, or why it said nothing. Good for the time of a call only. */
struct dns_answer {
    enum answer answer;
    const char *failure; /* of ANSWER_FAILED: "SERVFAIL" */
    bool secure;         /* proved by DNSSEC, aliases on the way and denials too */
    uint32_t ttl_seconds;
    const char *canonical; /* where aliases led to, without the final dot; NULL: nowhere else */
    unsigned count;
    struct span records[RESOLVE_RECORDS_MAX]; /* RDATA */
};

struct question {
    struct task *task;
    struct host *host; /* NULL: of the task as a whole */
    const char *name;
    enum record_type type;
    void (*take)(struct question *question, const struct dns_answer *answer);
    int id; /* libunbound's */
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

/* ---- resolve_task.c ---- */

/* Asks what the resolution wants to know. The task ends by itself with the last answer. */
void task_begin(struct task *task);
/* No more answers are awaited: what is there must do. */
void task_cut_short(struct task *task, const char *why);

/* One more question of a task; task, host and take are set by the asker. */
void question_ask(struct question *question, const char *name, enum record_type type);
/* Called by the library: the answer is taken, and the task goes on or ends. */
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
