/* What a client of the control socket asks for, out of its JSON; and which envelopes its filter
 * lets pass. Pure. */
#pragma once

#include "base/buffer.h"
#include "queue/message.h"

#include <jansson.h>

enum request_command {
    REQUEST_QUEUE_LIST,
    REQUEST_QUEUE_SHOW,
    REQUEST_QUEUE_CAT,
    REQUEST_QUEUE_HOLD,
    REQUEST_QUEUE_RELEASE,
    REQUEST_QUEUE_RETRY,
    REQUEST_QUEUE_FAIL,
    REQUEST_QUEUE_DROP,
    REQUEST_DEST_LIST,
    REQUEST_DEST_SHOW,
    REQUEST_DEST_PAUSE,
    REQUEST_DEST_RESUME,
    REQUEST_EXPLAIN,
    REQUEST_STATS,
    REQUEST_TLSRPT_SHOW,
};

/* False when there is no command of that name. */
bool request_command_find(const char *name, enum request_command *command);
/* Whether it changes something; the others only look. */
bool request_acts(enum request_command command);

/* Each NULL, or 0, lets everything pass. */
struct filter {
    const char *domain;    /* "example.test", or ".example.test": what lies below it */
    const char *sender;    /* "a@example.test", "@example.test", "" or "<>": the null sender */
    const char *recipient; /* any of the envelope's; written as a sender */
    const char *state;
    int64_t older_than_ms;
};

struct target { /* an id that was given */
    uint64_t id;
    uint16_t number;
    bool whole_message;
};

struct request {
    enum request_command command;
    const char *name; /* of the command */
    struct filter filter;
    struct target *targets;
    size_t target_count;
    uint64_t limit; /* 0: none */
    int all;        /* as jansson unpacks a boolean */
    const char *reason;
    const char *what;  /* dest: a destination's name; explain: that or an id */
    int64_t for_ms;    /* dest pause: how long; 0: until it is resumed */
    int last_failures; /* dest show: how the last sessions failed, too */
    int busiest;       /* dest list: those with most envelopes first, `limit` of them */
};

#define STATE_LOADING "loading" /* beside the entry_state_name()s */

/* False with one line in `why`. Texts are borrowed from the JSON. */
bool request_read(json_t *from, struct request *request, char *why, size_t why_size);
void request_free(struct request *request);

bool filter_is_empty(const struct filter *filter);
/* Whether it is by what the dispatch has in memory, the domain or the state. */
bool filter_is_for_known(const struct filter *filter);
/* Whether the envelope itself must be read to know. */
bool filter_needs_envelope(const struct filter *filter);
bool filter_passes_destination(const struct filter *filter, const char *destination);
bool filter_passes_state(const struct filter *filter, const char *state);
bool filter_passes_envelope(const struct filter *filter, const struct envelope *envelope,
                            int64_t wall_ms);
