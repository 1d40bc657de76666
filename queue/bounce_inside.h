/* The inside of a notification, for its own three files: bounce.c (its header and parts),
 * bounce_text.c (what a person reads) and bounce_status.c (what a machine reads). */
#pragma once

#include "queue/bounce.h"

#define BOUNDARY_MAX 48

struct writing {
    const struct bounce *bounce;
    struct buffer *to;
    bool utf8;      /* addresses and words may be UTF-8 (RFC 6533) */
    bool full;      /* all of the original comes back, not only its header */
    bool eight_bit; /* some part of it may be 8-bit */
    char boundary[BOUNDARY_MAX];
};

/* ---- foreign text: printable, on one line, whatever came; UTF-8 only where it may be ---- */

void put_clean(const struct writing *writing, struct span text);
/* Broken at blanks once a line is long; each further line begins with `indent`. */
void put_folded(const struct writing *writing, struct span text, const char *indent);

static inline void put(const struct writing *writing, struct span ours)
{
    buffer_append(writing->to, ours);
}

/* "550 5.1.1 No such user", or our own words without codes; folded. */
void put_reply(const struct writing *writing, const struct verdict *verdict, const char *indent);

/* ---- the parts ---- */

/* The status that fits what is told: the one that was given if its class does. */
struct status status_told(enum notice notice, const struct verdict *verdict);
/* The gravest of all that is told. */
enum notice notice_gravest(const struct bounce *bounce);

void put_text_part(const struct writing *writing);
void put_status_part(const struct writing *writing);
