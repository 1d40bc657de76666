/* The inside of reading a configuration, for its own files: config_read.c (keys, listeners, the
 * top level), config_tables.c (the sections that go by names of domains), config_login.c (who we
 * are at other hosts), config_admin.c and config_rules.c (reply patterns). */
#pragma once

#include "relay/config.h"
#include "relay/config_scan.h"

#include <confuse.h>

struct reader {
    struct config *config;
    struct scan scan;
    struct report report;
    cfg_t *root;
};

/* config_read.c */

/* The sections of one kind that libconfuse has read, one after the other. */
struct walk {
    size_t section; /* in the scan */
    unsigned number;
    cfg_t *cfg;
    const struct place *place;
};
bool walk_next(struct reader *reader, enum section_kind kind, struct walk *walk);

/* All keys that are set in this section, into `item`. */
void read_keys(struct reader *reader, size_t section, cfg_t *from, void *item);

/* Where the key is set, else where its section begins. */
const struct place *place_of(const struct reader *reader, size_t section, const char *key);
bool is_set(const struct reader *reader, size_t section, const char *key);

/* "FILE:LINE", in the configuration's arena. */
const char *where(struct reader *reader, const struct place *place);

/* config_admin.c: after the listen sections */

void read_admin(struct reader *reader);

/* config_tables.c */

/* "example.com", ".example.com", "*" */
bool name_is_valid(struct span name);

void read_tables(struct reader *reader);

/* config_dnssec.c: after the tables */

void finish_dnssec(struct reader *reader);

/* config_login.c: after the tables were read */

void finish_logins(struct reader *reader);
/* What a route's hosts must show before they are told a secret; the login it names. */
void finish_routes(struct reader *reader);

/* config_rules.c */

void read_rules(struct reader *reader);
