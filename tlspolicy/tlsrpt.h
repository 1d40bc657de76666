/* TLSRPT (RFC 8460): what became of our TLS sessions, counted for each UTC day, each domain that
 * wants to know, and each policy that was in force.
 *
 * The counts live in memory. Any thread counts, under a short lock and without I/O. One thread (the
 * relay's `reports`) writes what has changed to disk, brings it back at start, and asks which day
 * of which domain is to be reported now. It learns of counts by images: a tally as bytes, the same
 * on disk and between threads.
 *
 * Everything is bounded. Of a day's failures that differ in too many ways, those beyond
 * TLSRPT_DETAILS_MAX are summed by their result type; sessions that have no place at all are
 * counted by tlsrpt_uncounted(). */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/ip.h"

#include <stdatomic.h>

#define TLSRPT_DAY_MS INT64_C(86400000)
#define TLSRPT_DELAY_MAX_MS INT64_C(14400000) /* of a report: 4 h (RFC 8460 4.1) */
#define TLSRPT_TALLIES_MAX 10000              /* domains, of all days together */
#define TLSRPT_POLICIES_MAX 32                /* of a tally */
#define TLSRPT_DETAILS_MAX 50                 /* of a policy */
#define TLSRPT_STRINGS_MAX 210                /* policy strings, and as many mx patterns */
#define TLSRPT_TEXT_MAX 4096                  /* bytes of one of them, or of a record */
#define TLSRPT_REASON_MAX 200                 /* bytes of a reason that are kept */
#define TLSRPT_BYTES_MAX (64u << 20)          /* of memory, for all of it; roughly */
#define TLSRPT_IMAGES_MAX (1u << 20)          /* bytes of changed images at a time; roughly */

enum tlsrpt_policy_type { /* RFC 8460 4.4 */
                          TLSRPT_POLICY_NONE,
                          TLSRPT_POLICY_TLSA,
                          TLSRPT_POLICY_STS,
};
#define TLSRPT_POLICY_TYPES 3
const char *tlsrpt_policy_name(enum tlsrpt_policy_type type); /* "no-policy-found" */

enum tlsrpt_result { /* RFC 8460 4.3 */
                     TLSRPT_SUCCESS,
                     TLSRPT_STARTTLS_NOT_SUPPORTED,
                     TLSRPT_CERTIFICATE_HOST_MISMATCH,
                     TLSRPT_CERTIFICATE_EXPIRED,
                     TLSRPT_CERTIFICATE_NOT_TRUSTED,
                     TLSRPT_VALIDATION_FAILURE,
                     TLSRPT_TLSA_INVALID,
                     TLSRPT_DNSSEC_INVALID,
                     TLSRPT_DANE_REQUIRED,
                     TLSRPT_STS_POLICY_FETCH_ERROR,
                     TLSRPT_STS_POLICY_INVALID,
                     TLSRPT_STS_WEBPKI_INVALID,
};
#define TLSRPT_RESULTS 12
const char *tlsrpt_result_name(enum tlsrpt_result result); /* "certificate-expired"; success: "" */

struct tlsrpt_policy { /* as a report shows it */
    enum tlsrpt_policy_type type;
    const char *domain; /* that it is of; for TLSA the TLSA base domain (RFC 8460 1.1) */
    const char *const *strings;
    const char *const *mx; /* patterns, of MTA-STS only */
    unsigned string_count, mx_count;
};

/* A session that we tried, whatever came of it. */
struct tlsrpt_session {
    const char *domain; /* who gets the report: an A-label domain in lower case */
    const char *record; /* its TLSRPT record */
    struct tlsrpt_policy policy;
    enum tlsrpt_result result;
    /* Of a failure, as far as known: "", family 0. */
    const char *mx_host, *helo, *reason;
    struct ip sending, receiving;
};

struct tlsrpt_detail {
    struct tlsrpt_detail *next;
    enum tlsrpt_result result;
    uint64_t sessions;
    const char *mx_host, *helo, *reason;
    struct ip sending, receiving;
};

struct tlsrpt_count { /* under one policy */
    struct tlsrpt_count *next;
    struct tlsrpt_policy policy;
    uint64_t successes, failures;
    struct tlsrpt_detail *details; /* their sessions make up the failures */
};

struct tlsrpt_tally {            /* a domain on a day */
    int64_t day;                 /* since 1970-01-01 */
    const char *domain, *record; /* the record as it was last seen */
    uint32_t sent;               /* bit n: the record's nth URI has its report */
    struct tlsrpt_count *counts; /* in the order in which they came up */
    struct arena arena;          /* holds all of it: */
    size_t bytes;
};

struct tlsrpt;

struct tlsrpt *tlsrpt_create(void);
void tlsrpt_destroy(struct tlsrpt **tlsrpt);

/* Any thread. `wall_ms` since 1970 says which day. */
void tlsrpt_count(struct tlsrpt *tlsrpt, const struct tlsrpt_session *session, int64_t wall_ms);

/* Sessions for which there was no place. */
uint64_t tlsrpt_uncounted(const struct tlsrpt *tlsrpt);

/* ---- images ---- */

enum tlsrpt_which {
    TLSRPT_TODAY,   /* of this day, */
    TLSRPT_CHANGED, /* or that have changed since they were asked for by this */
};

/* Appends images of tallies: `domain` NULL for all of them. True when there are more of the
 * changed: ask again. */
bool tlsrpt_images(struct tlsrpt *tlsrpt, enum tlsrpt_which which, const char *domain,
                   int64_t wall_ms, struct buffer *images);

/* Its image could not be written: it has changed still. */
void tlsrpt_not_written(struct tlsrpt *tlsrpt, int64_t day, const char *domain);

/* The next tally of a row of images; tlsrpt_tally_free() it. False at the end, or when what follows
 * is none (then *images is not empty). `image` may be NULL: the bytes of just this one. */
bool tlsrpt_image_next(struct span *images, struct tlsrpt_tally *tally, struct span *image);
void tlsrpt_tally_free(struct tlsrpt_tally *tally);

/* A tally that is kept on disk. False when it is none, or there is no place for it. */
bool tlsrpt_restore(struct tlsrpt *tlsrpt, struct span image);

/* ---- what is to be reported ---- */

/* When the report of that day is due: up to four hours after its end, ever the same for the domain
 * and day (RFC 8460 4.1). ms since 1970. */
int64_t tlsrpt_due_ms(int64_t day, const char *domain);

/* The image of one that is to be reported now. False when there is none. */
bool tlsrpt_next_due(struct tlsrpt *tlsrpt, int64_t wall_ms, struct buffer *image);

/* It is tried again then; the URIs of which a bit is set have theirs. */
void tlsrpt_postpone(struct tlsrpt *tlsrpt, int64_t day, const char *domain, uint32_t sent,
                     int64_t until_ms);

/* It is done with. */
void tlsrpt_remove(struct tlsrpt *tlsrpt, int64_t day, const char *domain);
