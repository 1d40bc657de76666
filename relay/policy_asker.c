#include "relay/policy_asker.h"

#include "base/list.h"
#include "relay/os.h"
#include "relay/unix_socket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 100 /* how often a thread that waits for the network looks whether it is to end */

struct policy_asker {
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct mail *first, **end; /* questions that wait */
    unsigned waiting, begun;   /* and threads that run */
    atomic_bool stop;
    pthread_t threads[POLICY_ASKERS];
};

/* One thread's connection. */
struct line_to {
    struct policy_asker *asker;
    int socket;        /* -1: none */
    const char *error; /* what broke; static or strerror's */
    char to[256];      /* the map it leads to */
    bool used;         /* it has answered before: the server may have closed it since */
};

/* ---- a connection ---- */

static void hang_up(struct line_to *line)
{
    if (line->socket >= 0)
        os_close(line->socket);
    line->socket = -1;
}

static bool fail(struct line_to *line, const char *error)
{
    line->error = error;
    hang_up(line);
    return false;
}

static bool wait_for(struct line_to *line, short events, int64_t until_ms)
{
    struct pollfd at = {.fd = line->socket, .events = events};
    for (;;) {
        int64_t left_ms = until_ms - os_now();
        if (atomic_load(&line->asker->stop))
            return fail(line, "the relay is ending");
        if (left_ms <= 0)
            return fail(line, "no answer in time");
        int ready = poll(&at, 1, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return fail(line, strerrordesc_np(errno));
    }
}

/* No event tells that a backlog has room again. */
static int connect_locally(const struct line_to *line, const char *path, int64_t until_ms)
{
    int socket;
    while ((socket = unix_connect_now(path)) == -EAGAIN && !atomic_load(&line->asker->stop) &&
           os_now() < until_ms)
        poll(NULL, 0, LOOK_MS);
    return socket;
}

static bool connect_to(struct line_to *line, const struct policy_map *map, int64_t until_ms)
{
    bool local = map->path[0] != '\0';
    line->used = false;
    line->socket = local ? connect_locally(line, map->path, until_ms) : os_connect(&map->at, NULL);
    if (line->socket < 0)
        return fail(line, strerrordesc_np(-line->socket));
    if (local)
        return true;
    if (!wait_for(line, POLLOUT, until_ms))
        return false;
    int result = os_connect_result(line->socket);
    return result == 0 || fail(line, strerrordesc_np(-result));
}

static bool send_all(struct line_to *line, struct span bytes, int64_t until_ms)
{
    while (bytes.length > 0) {
        ssize_t sent = os_write(line->socket, bytes.data, bytes.length);
        if (sent == -EAGAIN && wait_for(line, POLLOUT, until_ms))
            continue;
        if (sent < 0)
            return line->socket < 0 ? false : fail(line, strerrordesc_np((int)-sent));
        bytes = span_skip(bytes, (size_t)sent);
    }
    return true;
}

/* One read of what there is. */
static bool read_more(struct line_to *line, struct buffer *came, int64_t until_ms)
{
    for (;;) {
        ssize_t got = os_read(line->socket, buffer_room(came, 4096), 4096);
        if (got > 0) {
            buffer_grew(came, (size_t)got);
            return true;
        }
        if (got == 0)
            return fail(line, "the server closed the connection");
        if (got != -EAGAIN)
            return fail(line, strerrordesc_np((int)-got));
        if (!wait_for(line, POLLIN, until_ms))
            return false;
    }
}

/* ---- a question ---- */

/* False when the connection broke. */
static bool converse(struct line_to *line, const struct policy_map *map,
                     struct policy_question *question, int64_t until_ms)
{
    struct buffer ask CLEANUP(buffer_free) = {0}, came CLEANUP(buffer_free) = {0};
    if (line->socket < 0 && !connect_to(line, map, until_ms))
        return false;
    policy_map_ask(map, question->next_hop, &ask);
    if (!send_all(line, buffer_span(&ask), until_ms))
        return false;
    do {
        if (!read_more(line, &came, until_ms))
            return false;
        question->answer =
            policy_map_read(map, buffer_span(&came), question->arena, &question->text);
    } while (question->answer == POLICY_UNFINISHED);
    line->used = true;
    if (question->answer == POLICY_FAILED) /* what it says next may belong to this one */
        hang_up(line);
    return true;
}

static void tell_failure(struct policy_question *question, const char *why)
{
    question->answer = POLICY_FAILED;
    question->text = span_of(arena_copy(question->arena, span_of(why ? why : "unknown error")));
}

static void ask(struct line_to *line, struct policy_question *question)
{
    struct policy_map map;
    int64_t until_ms = os_now() + POLICY_ANSWER_MS;
    const char *wrong = policy_map_parse(question->map, &map);
    if (wrong != NULL) {
        tell_failure(question, wrong);
        return;
    }
    if (strcmp(line->to, question->map) != 0) {
        hang_up(line);
        snprintf(line->to, sizeof(line->to), "%s", question->map);
    }
    bool used = line->socket >= 0 && line->used;
    bool fine = converse(line, &map, question, until_ms);
    if (!fine && used) /* it was closed while nobody asked */
        fine = converse(line, &map, question, until_ms);
    if (!fine)
        tell_failure(question, line->error);
}

/* ---- the threads ---- */

/* The next question, once there is one; NULL when all is over. */
static struct policy_question *take(struct policy_asker *asker)
{
    pthread_mutex_lock(&asker->lock);
    while (asker->first == NULL && !atomic_load(&asker->stop))
        pthread_cond_wait(&asker->came, &asker->lock);
    struct mail *mail = asker->first;
    if (mail != NULL) {
        asker->first = mail->next;
        asker->waiting--;
        if (asker->first == NULL)
            asker->end = &asker->first;
    }
    pthread_mutex_unlock(&asker->lock);
    return mail != NULL ? container_of(mail, struct policy_question, mail) : NULL;
}

static void send_home(struct policy_question *question)
{
    mailbox_post(question->reply_to, &question->mail);
}

static void *run(void *with)
{
    struct line_to line = {.asker = with, .socket = -1};
    for (struct policy_question *question; (question = take(with)) != NULL;) {
        ask(&line, question);
        send_home(question);
    }
    hang_up(&line);
    return NULL;
}

/* ---- from outside ---- */

struct policy_asker *policy_asker_create(void)
{
    struct policy_asker *asker = must_calloc(1, sizeof(*asker));
    pthread_mutex_init(&asker->lock, NULL);
    pthread_cond_init(&asker->came, NULL);
    asker->end = &asker->first;
    return asker;
}

static void begin_threads(struct policy_asker *asker)
{
    for (; asker->begun < POLICY_ASKERS; asker->begun++) {
        must(pthread_create(&asker->threads[asker->begun], NULL, run, asker) == 0);
        pthread_setname_np(asker->threads[asker->begun], "policy-map");
    }
}

void policy_asker_post(struct policy_asker *asker, struct policy_question *take)
{
    pthread_mutex_lock(&asker->lock);
    bool taken = asker->waiting < POLICY_QUESTIONS_MAX && !atomic_load(&asker->stop);
    if (taken) {
        begin_threads(asker);
        take->mail.next = NULL;
        *asker->end = &take->mail;
        asker->end = &take->mail.next;
        asker->waiting++;
        pthread_cond_signal(&asker->came);
    }
    pthread_mutex_unlock(&asker->lock);
    if (taken)
        return;
    tell_failure(take, "too many questions wait for it");
    send_home(take);
}

void policy_asker_stop(struct policy_asker *asker)
{
    pthread_mutex_lock(&asker->lock);
    atomic_store(&asker->stop, true);
    pthread_cond_broadcast(&asker->came);
    unsigned begun = asker->begun;
    asker->begun = 0;
    pthread_mutex_unlock(&asker->lock);
    for (unsigned i = 0; i < begun; i++) /* what still waits fails at once */
        must(pthread_join(asker->threads[i], NULL) == 0);
}

void policy_asker_destroy(struct policy_asker **asker)
{
    struct policy_asker *ended = *asker;
    *asker = NULL;
    if (ended == NULL)
        return;
    policy_asker_stop(ended);
    must(ended->first == NULL);
    pthread_cond_destroy(&ended->came);
    pthread_mutex_destroy(&ended->lock);
    free(ended);
}
