#include "relay/admin/control.h"

#include "base/log.h"
#include "relay/admin/answer.h"
#include "relay/os.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define OUT_AT_ONCE 65536 /* bytes that gather before they are written */

struct control {
    struct control_parts parts;
    struct unix_listener listener;
    int stop[2]; /* a pipe: closing its end [1] stops the threads */
    pthread_t threads[CONTROL_CLIENTS];
    unsigned thread_count;
};

/* ---- answers ---- */

bool answer_flush(struct answer *answer)
{
    if (!answer->gone && lines_write(answer->client, os_now() + CONTROL_IDLE_MS,
                                     buffer_span(&answer->out)) != LINES_OK)
        answer->gone = true;
    buffer_clear(&answer->out);
    return !answer->gone;
}

static int add_bytes(const char *bytes, size_t length, void *buffer)
{
    buffer_append(buffer, (struct span){bytes, length});
    return 0;
}

bool answer_object(struct answer *answer, json_t *take)
{
    must(json_dump_callback(take, add_bytes, &answer->out,
                            JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6)) == 0);
    buffer_append(&answer->out, SPAN("\n"));
    json_decref(take);
    return buffer_length(&answer->out) < OUT_AT_ONCE ? !answer->gone : answer_flush(answer);
}

bool answer_is_awaited(struct answer *answer)
{
    if (!answer->gone && !lines_pause(answer->client, 0))
        answer->gone = true;
    return !answer->gone;
}

void answer_fail(struct answer *answer, int exit, const char *format, ...)
{
    va_list arguments;
    if (answer->exit != EX_OK)
        return; /* the first failure is the one to tell */
    answer->exit = exit;
    va_start(arguments, format);
    vsnprintf(answer->error, sizeof(answer->error), format, arguments);
    va_end(arguments);
}

static void end(struct answer *answer)
{
    json_t *last = json_object();
    json_put(last, "end", json_true());
    if (answer->exit != EX_OK) {
        json_put_text(last, "error", answer->error);
        json_put_number(last, "exit", answer->exit);
    }
    answer_object(answer, last);
    answer_flush(answer);
}

/* ---- one client ---- */

static void obey(struct answer *answer, const struct request *request)
{
    switch (request->command) {
    case REQUEST_QUEUE_LIST: answer_queue_list(answer, request); return;
    case REQUEST_QUEUE_SHOW: answer_queue_show(answer, request); return;
    case REQUEST_QUEUE_RETRY:
    case REQUEST_QUEUE_DROP: answer_queue_action(answer, request); return;
    case REQUEST_STATS: answer_stats(answer); return;
    }
}

static void obey_line(struct answer *answer, struct span line)
{
    json_error_t error;
    struct request request;
    char why[256];
    json_t *json = json_loadb(line.data, line.length, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        answer_fail(answer, EX_DATAERR, "the request is no line of JSON: %.150s", error.text);
        return;
    }
    if (request_read(json, &request, why, sizeof(why)))
        obey(answer, &request);
    else
        answer_fail(answer, EX_USAGE, "%s", why);
    request_free(&request);
    json_decref(json);
}

static void serve(struct control *control, int client)
{
    struct lines lines CLEANUP(lines_free);
    struct span line;
    lines_init(&lines, client, control->stop[0], CONTROL_LINE_MAX);
    struct answer answer = {.parts = &control->parts, .client = &lines};
    switch (lines_read(&lines, os_now() + CONTROL_IDLE_MS, &line)) {
    case LINES_OK: obey_line(&answer, line); break;
    case LINES_LONG:
        answer_fail(&answer, EX_DATAERR, "the request is longer than %d bytes", CONTROL_LINE_MAX);
        break;
    case LINES_LATE:
        answer_fail(&answer, EX_TEMPFAIL, "no request came within %d s", CONTROL_IDLE_MS / 1000);
        break;
    case LINES_ENDED:
    case LINES_STOPPED: answer.gone = true; break;
    }
    end(&answer);
    buffer_free(&answer.out);
}

/* Each thread takes the next client that comes. */
static void *run(void *argument)
{
    struct control *control = argument;
    for (int client; (client = unix_accept(&control->listener, control->stop[0])) >= 0;) {
        serve(control, client);
        log_flush();
    }
    return NULL;
}

/* ---- start and stop ---- */

static bool start_threads(struct control *control)
{
    json_object_seed(0); /* not safe by itself once there are threads */
    for (; control->thread_count < CONTROL_CLIENTS; control->thread_count++)
        if (pthread_create(&control->threads[control->thread_count], NULL, run, control) != 0)
            return false;
    return true;
}

static void stop_threads(struct control *control)
{
    if (control->stop[1] >= 0)
        close(control->stop[1]);
    for (unsigned i = 0; i < control->thread_count; i++)
        pthread_join(control->threads[i], NULL);
}

static void control_free(struct control *control)
{
    stop_threads(control);
    unix_close(&control->listener);
    if (control->stop[0] >= 0)
        close(control->stop[0]);
    free(control);
}

struct control *control_start(const struct control_parts *parts, char *why, size_t why_size)
{
    struct control *control = must_calloc(1, sizeof(*control));
    control->stop[0] = control->stop[1] = -1;
    control->parts = *parts;
    if (!unix_listen(parts->path, &control->listener, why, why_size)) {
        free(control);
        return NULL;
    }
    control->parts.path = control->listener.path;
    if (pipe2(control->stop, O_CLOEXEC) == 0 && start_threads(control))
        return control;
    snprintf(why, why_size, "control socket %s: no descriptor or thread is left for it",
             parts->path);
    control_free(control);
    return NULL;
}

void control_stop(struct control **control)
{
    if (*control == NULL)
        return;
    control_free(*control);
    *control = NULL;
}
