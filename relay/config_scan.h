/* What libconfuse cannot do for us: it stops at the first unknown key and keeps no lines. So
 * the scan goes over the files first, reports what is not known or not allowed where it
 * stands, and leaves one text that holds only what is known, includes put in place; where each
 * statement of it came from is kept. For relay/config*.c only.
 *
 * A section of that text has no title but an option CONFIG_TITLE, so that libconfuse keeps
 * sections of equal title apart. */
#pragma once

#include "base/arena.h"
#include "relay/config_keys.h"
#include "relay/config_report.h"

#define CONFIG_BYTES_MAX (4u << 20) /* of one file */
#define CONFIG_FILES_MAX 100        /* includes, nested ones counted too */
#define CONFIG_DEPTH_MAX 10
#define CONFIG_TITLE "title"

struct scan_section {
    struct place place;
    enum section_kind kind;
    size_t first_entry; /* where its entries begin */
    bool muted;         /* was reported and is not in the text */
};

struct scan_entry { /* a key that is set */
    struct place place;
    size_t section;
    const struct key *key;
};

struct scan {
    struct buffer text;  /* with a NUL behind it */
    struct place *lines; /* where each line of the text came from */
    size_t line_count;
    struct scan_section *sections; /* in order; the first is the top level */
    size_t section_count;
    struct scan_entry *entries;
    size_t entry_count;
    bool broken; /* a syntax error ended the scan: the last section may be incomplete */
    struct arena arena;
};

struct builtin { /* a text of ours, read behind the file as if that included it */
    const char *name, *text;
};

/* Problems go into `report`; the scan must outlive it. `path` NULL: as if the file were empty. */
void scan_read(struct scan *scan, const char *path, const struct builtin *builtin,
               struct report *report);
void scan_free(struct scan *scan);

/* Where the key was set in that section, or NULL. */
const struct place *scan_entry_place(const struct scan *scan, size_t section,
                                     const struct key *key);
