#include "relay/admin/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

bool answer_object(struct answer *answer, json_t *take)
{
    if (answer->gone)
        json_decref(take);
    else if (!answer->sink->object(answer->sink, take))
        answer->gone = true;
    return !answer->gone;
}

bool answer_flush(struct answer *answer)
{
    if (!answer->gone && !answer->sink->flush(answer->sink))
        answer->gone = true;
    return !answer->gone;
}

bool answer_pause(struct answer *answer, int64_t until_ms)
{
    if (!answer->gone && !answer->sink->pause(answer->sink, until_ms))
        answer->gone = true;
    return !answer->gone;
}

bool answer_is_awaited(struct answer *answer)
{
    return answer_pause(answer, 0);
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

static void obey(struct answer *answer, const struct request *request)
{
    switch (request->command) {
    case REQUEST_QUEUE_LIST: answer_queue_list(answer, request); return;
    case REQUEST_QUEUE_SHOW: answer_queue_show(answer, request); return;
    case REQUEST_QUEUE_CAT: answer_queue_cat(answer, request); return;
    case REQUEST_QUEUE_HOLD:
    case REQUEST_QUEUE_RELEASE:
    case REQUEST_QUEUE_RETRY:
    case REQUEST_QUEUE_FAIL:
    case REQUEST_QUEUE_DROP: answer_queue_action(answer, request); return;
    case REQUEST_DEST_LIST: answer_dest_list(answer, request); return;
    case REQUEST_DEST_SHOW: answer_dest_show(answer, request); return;
    case REQUEST_DEST_PAUSE:
    case REQUEST_DEST_RESUME: answer_dest_pause(answer, request); return;
    case REQUEST_EXPLAIN: answer_explain(answer, request); return;
    case REQUEST_STATS: answer_stats(answer); return;
    case REQUEST_TLSRPT_SHOW: answer_tlsrpt_show(answer, request); return;
    }
}

void answer_request(struct answer *answer, json_t *from)
{
    struct request request;
    char why[256];
    if (request_read(from, &request, why, sizeof(why)))
        obey(answer, &request);
    else
        answer_fail(answer, EX_USAGE, "%s", why);
    request_free(&request);
}
