/* The keys of the configuration, one row each: names, units, limits and where the value goes.
 * Reading, "did you mean", the dump and the test of the manual all go by these tables. For
 * relay/config*.c only. */
#pragma once

#include "base/span.h"

enum key_kind {
    KEY_PATH,       /* const char *: a file or directory */
    KEY_HOSTNAME,   /* const char * */
    KEY_ENDPOINT,   /* const char *: "ADDRESS:PORT", kept as it was written */
    KEY_POLICY_MAP, /* const char *: as policy_map.h has it */
    KEY_NUMBER,     /* unsigned */
    KEY_PORT,       /* uint16_t */
    KEY_SIZE,       /* uint64_t bytes: "64K" */
    KEY_DURATION,   /* int64_t ms: "250ms" */
    KEY_FACTOR,     /* double */
    KEY_RATE,       /* struct rate: "100/h" */
    KEY_ADDRESS,    /* const char *: a mailbox */
    KEY_TEXT,       /* const char *: printable */
    KEY_FLAG,       /* bool */
    KEY_WORD,       /* an enum: one of `words` */
    KEY_HOSTS,      /* list: the hosts of a route */
    KEY_NETWORKS,   /* list: networks */
    KEY_ADDRESSES,  /* list: struct addresses */
    KEY_EXTENSIONS, /* list: unsigned, enum extension bits */
    KEY_SCHEDULE,   /* list: struct schedule, durations */
    KEY_USERS,      /* list: users of this machine, by name or number; "*" for all */
    KEY_SENDERS,    /* list: struct senders */
    KEY_MATCH,      /* const struct tls_match *: a name for a certificate */
    KEY_MATCHES,    /* list: struct tls_policy's matches */
    KEY_PRINTS,     /* list: struct tls_policy's fingerprints */
    KEY_MECHANISMS, /* list: unsigned, of relay/smtp/auth.h */
};

struct key {
    const char *name;
    enum key_kind kind;
    size_t offset;            /* of the value in its section's struct */
    int64_t least, most;      /* of what is counted; the unit is the value's */
    const char *const *words; /* by enum value, NULL at the end */
};

enum section_kind {
    SECTION_TOP, /* struct config */
    SECTION_LISTEN,
    SECTION_ROUTE,
    SECTION_TLS,
    SECTION_DESTINATION,
    SECTION_RETRY,
    SECTION_LIMITS,
    SECTION_BOUNCE,
    SECTION_REPLY,
    SECTION_ADMIN,
    SECTION_USER,
    SECTION_TLSRPT,
    SECTION_LOGIN,
};
#define SECTIONS 13

struct section {
    const char *name; /* "" for the top level */
    bool titled;
    const struct key *keys;
    size_t count;
};

const struct section *config_section(enum section_kind kind);

/* SECTION_TOP when there is no section of that name. */
enum section_kind config_section_find(struct span name);

/* NULL when the section has no such key. */
const struct key *config_key_find(enum section_kind kind, struct span name);

/* What to say of a name that the section does not know. */
#define CONFIG_UNKNOWN_MAX 640
void config_unknown(enum section_kind kind, struct span name, bool is_key,
                    char text[CONFIG_UNKNOWN_MAX]);

static inline bool key_is_list(const struct key *key)
{
    return key->kind == KEY_HOSTS || key->kind == KEY_NETWORKS || key->kind == KEY_USERS ||
           key->kind == KEY_SCHEDULE || key->kind == KEY_ADDRESSES || key->kind == KEY_EXTENSIONS ||
           key->kind == KEY_SENDERS || key->kind == KEY_MATCHES || key->kind == KEY_PRINTS ||
           key->kind == KEY_MECHANISMS;
}
