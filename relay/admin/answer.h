/* What the operator asks is answered here, once, whoever carries the answer away: the control
 * socket line by line, the HTTP API as one document. An answer is a row of JSON objects, and
 * perhaps a failure. It is made on the carrier's thread, and may take its time. */
#pragma once

#include "base/must.h"
#include "relay/admin/control.h"
#include "relay/admin/request.h"

/* Who carries the answer: each false when nobody waits for it any more. */
struct answer_sink {
    bool (*object)(struct answer_sink *sink, json_t *take);
    bool (*flush)(struct answer_sink *sink); /* what came so far is to be seen now */
    /* Does nothing until then (os_now()), or until nobody waits. */
    bool (*pause)(struct answer_sink *sink, int64_t until_ms);
};

struct answer {
    const struct control_parts *parts;
    struct answer_sink *sink;
    bool gone; /* nobody waits any more: nothing needs to be done */
    int exit;  /* sysexits code; 0 as long as nothing failed */
    char error[256];
};

/* answer.c */

/* Answers a request, {"command": NAME, …} as control.h has it. */
void answer_request(struct answer *answer, json_t *from);

/* The next object. False when nobody waits any more. */
bool answer_object(struct answer *answer, json_t *take);
bool answer_flush(struct answer *answer);
void answer_fail(struct answer *answer, int exit, const char *format, ...) PRINTF_LIKE(3, 4);
/* False when nobody waits for the answer any more; to be asked during long work. */
bool answer_is_awaited(struct answer *answer);
bool answer_pause(struct answer *answer, int64_t until_ms); /* and the same */

/* json_make.c: values that cannot fail. */

void json_put(json_t *object, const char *key, json_t *take);
void json_put_number(json_t *object, const char *key, int64_t number);
/* Text of any bytes: those that are not UTF-8 are written as \xNN. */
json_t *json_text(const char *text);
void json_put_text(json_t *object, const char *key, const char *text);
void json_put_time(json_t *object, const char *key, int64_t wall_ms); /* RFC 3339 */

/* control_queue.c */
void answer_not_found(struct answer *answer, const struct target *target);
void answer_queue_list(struct answer *answer, const struct request *request);
void answer_queue_show(struct answer *answer, const struct request *request);
void answer_queue_action(struct answer *answer, const struct request *request);

/* control_cat.c */
void answer_queue_cat(struct answer *answer, const struct request *request);

/* control_destination.c */
void answer_dest_list(struct answer *answer, const struct request *request);
void answer_dest_show(struct answer *answer, const struct request *request);
void answer_dest_pause(struct answer *answer, const struct request *request); /* and resume */
/* The name as the dispatch has it: lower case. False when it is none. */
bool destination_name(const char *what, char name[DOMAIN_MAX_BYTES + 1]);

/* control_failures.c */
struct dispatch;
json_t *failures_json(struct dispatch *dispatch, const char *destination);

/* control_explain.c */
void answer_explain(struct answer *answer, const struct request *request);

/* control_stats.c */
void answer_stats(struct answer *answer);

/* control_tlsrpt.c */
void answer_tlsrpt_show(struct answer *answer, const struct request *request);
