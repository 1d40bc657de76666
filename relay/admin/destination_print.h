/* Destinations as people read them. Each takes the objects of an answer one by one: it is an `each`
 * of control_ask. */
#pragma once

#include "relay/admin/print.h"

/* Some lines of text. */
void destination_print(json_t *object, void *unused);

/* Of an answer with "last_failures": what was said, session by session. */
void failures_print(const json_t *failures);

/* "paused until 14:00 …", "backs off until …", "": one state at a glance. */
#define DESTINATION_STATE_MAX 64
char *destination_state(const json_t *object, char text[DESTINATION_STATE_MAX]);

/* A table with a count below, once all rows are known. */
struct destination_list {
    struct table table;
    size_t count;
    bool more;
};

void destination_list_init(struct destination_list *list);
void destination_list_take(json_t *object, void *destination_list);
void destination_list_print(const struct destination_list *list, bool complete);
void destination_list_free(struct destination_list *list);
