/* Lists of the configuration: texts -> values, each checked, with a problem for each that is wrong.
 * Pure. For relay/config*.c only. */
#pragma once

#include "relay/config.h"
#include "relay/config_keys.h"
#include "relay/config_report.h"

struct list_text { /* a list as it was written */
    const char *const *texts;
    unsigned count;
    const struct place *place;
};

/* Puts the list where the key says within `item`; key_is_list() holds. */
void list_read(const struct list_text *list, const struct key *key, void *item,
               struct config *config, struct report *report);
