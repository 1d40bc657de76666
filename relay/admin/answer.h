/* The inside of the control socket: an answer on its way to one client, and what writes it. */
#pragma once

#include "relay/admin/control.h"
#include "relay/admin/lines.h"
#include "relay/admin/request.h"

struct answer {
    const struct control_parts *parts;
    struct lines *client;
    struct buffer out;
    bool gone; /* the client does not read any more: nothing needs to be done for it */
    int exit;  /* sysexits code; 0 as long as nothing failed */
    char error[256];
};

/* control.c */

/* One line. False when the client is gone. */
bool answer_object(struct answer *answer, json_t *take);
bool answer_flush(struct answer *answer);
void answer_fail(struct answer *answer, int exit, const char *format, ...) PRINTF_LIKE(3, 4);
/* False when nobody waits for the answer any more; to be asked during long work. */
bool answer_is_awaited(struct answer *answer);

/* json_make.c: values that cannot fail. */

void json_put(json_t *object, const char *key, json_t *take);
void json_put_number(json_t *object, const char *key, int64_t number);
/* Text of any bytes: those that are not UTF-8 are written as \xNN. */
json_t *json_text(const char *text);
void json_put_text(json_t *object, const char *key, const char *text);
void json_put_time(json_t *object, const char *key, int64_t wall_ms); /* RFC 3339 */

/* control_queue.c */
void answer_queue_list(struct answer *answer, const struct request *request);
void answer_queue_show(struct answer *answer, const struct request *request);
void answer_queue_action(struct answer *answer, const struct request *request);

/* control_stats.c */
void answer_stats(struct answer *answer);
