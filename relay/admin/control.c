#include "relay/admin/control.h"

#include "base/log.h"
#include "relay/admin/answer.h"
#include "relay/admin/lines.h"
#include "relay/os.h"

#include <fcntl.h>
#include <pthread.h>
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

/* ---- one client ---- */

struct client {
    struct answer_sink sink;
    struct lines lines;
    struct buffer out;
};

static bool client_flush(struct answer_sink *sink)
{
    struct client *client = container_of(sink, struct client, sink);
    int64_t deadline_ms = os_now() + CONTROL_IDLE_MS;
    bool written = lines_write(&client->lines, deadline_ms, buffer_span(&client->out)) == LINES_OK;
    buffer_clear(&client->out);
    return written;
}

static int add_bytes(const char *bytes, size_t length, void *buffer)
{
    buffer_append(buffer, (struct span){bytes, length});
    return 0;
}

static bool client_object(struct answer_sink *sink, json_t *take)
{
    struct client *client = container_of(sink, struct client, sink);
    must(json_dump_callback(take, add_bytes, &client->out,
                            JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6)) == 0);
    buffer_append(&client->out, SPAN("\n"));
    json_decref(take);
    return buffer_length(&client->out) < OUT_AT_ONCE || client_flush(sink);
}

static bool client_pause(struct answer_sink *sink, int64_t until_ms)
{
    return lines_pause(&container_of(sink, struct client, sink)->lines, until_ms);
}

static void answer_line(struct answer *answer, struct span line)
{
    json_error_t error;
    json_t *request = json_loadb(line.data, line.length, JSON_REJECT_DUPLICATES, &error);
    if (request != NULL)
        answer_request(answer, request);
    else
        answer_fail(answer, EX_DATAERR, "the request is no line of JSON: %.150s", error.text);
    json_decref(request);
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

static void serve(struct control *control, int socket)
{
    struct client client = {.sink = {client_object, client_flush, client_pause}};
    struct answer answer = {.parts = &control->parts, .sink = &client.sink};
    struct span line;
    lines_init(&client.lines, socket, control->stop[0], CONTROL_LINE_MAX);
    switch (lines_read(&client.lines, os_now() + CONTROL_IDLE_MS, &line)) {
    case LINES_OK: answer_line(&answer, line); break;
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
    buffer_free(&client.out);
    lines_free(&client.lines);
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
    const struct unix_place place = {"control", parts->path, 0600};
    if (!unix_listen(&place, &control->listener, why, why_size)) {
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
