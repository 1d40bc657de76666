/* Envelopes of the queue, as people and programs read them. Each takes the objects of an answer
 * one by one: it is an `each` of control_ask. */
#pragma once

#include "relay/admin/print.h"

/* A line of JSON; objects that are no envelope (summaries) are passed over. */
void queue_print_json(json_t *object, void *unused);

/* The bytes of a message, as they are. */
void queue_print_bytes(json_t *object, void *unused);

/* Some lines of text. */
void queue_print_envelope(json_t *object, void *unused);

/* A table with a count below, once all rows are known. */
struct queue_list {
    struct table table;
    size_t envelopes, recipients;
    bool filtered, more;
};

void queue_list_init(struct queue_list *list, bool filtered);
void queue_list_take(json_t *object, void *queue_list);
void queue_list_print(const struct queue_list *list, bool complete);
void queue_list_free(struct queue_list *list);

/* How many were acted on; meanwhile, on a terminal, how many so far. */
struct queue_action {
    const char *done; /* "dropped" */
    bool json, terminal;
    int64_t progress; /* as it was shown last; 0: not at all */
    int64_t count;
};

void queue_action_take(json_t *object, void *queue_action);
void queue_action_print(const struct queue_action *action, bool complete);
