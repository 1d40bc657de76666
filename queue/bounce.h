/* Pure: what a sender is told of, and the notification that tells it (a delivery status
 * notification: RFC 3464 in RFC 6522's multipart/report; RFC 6533 for mail that needs SMTPUTF8).
 * Text that a person understands first, then the machine's part, then the original: its header,
 * or all of it. Never for a message with a null sender or one that is a notification itself.
 *
 * Two actions of RFC 3464 are not ours: `delivered`, because we deliver to no mailbox, and
 * `expanded`, because we never turn one recipient into several. */
#pragma once

#include "base/buffer.h"
#include "queue/message.h"

#define BOUNCE_HEADERS_MAX (16u << 10) /* bytes of the original's header that are returned */
#define BOUNCE_FULL_MAX (1u << 20)     /* the most that may be returned of an original */

/* What the sender is told of one recipient: the Action of RFC 3464 2.3.3. */
enum notice {
    NOTICE_NONE,
    NOTICE_FAILED,  /* it bounced or expired */
    NOTICE_DELAYED, /* it still waits */
    NOTICE_RELAYED, /* a host took it that will not tell what becomes of it */
};

/* What the sender is owed (RFC 3461 5.2, RFC 2852 4). `warn`: it has waited for so long that
 * this is told. */
enum notice notice_owed(const struct message *message, const struct recipient *recipient,
                        const struct verdict *verdict, bool warn);

struct bounce {
    const char *hostname;            /* reporting MTA */
    const struct envelope *envelope; /* its message's sender gets the notification */
    const struct verdict *verdicts;  /* one for each recipient of the envelope, and … */
    const enum notice *notices;      /* … what is told of it; not all NOTICE_NONE */
    struct span body;                /* the original from its beginning, as much as is at hand */
    uint64_t full_max;   /* a larger original is not returned whole, whatever RET says */
    uint64_t id;         /* the notification's own message id */
    int64_t now_ms;      /* ms since 1970 */
    int64_t until_ms;    /* until when those delayed are tried; ms since 1970 */
    const char *copy_to; /* not NULL: a copy for this address, with no more than the header */
};

/* Whether the original is to be returned whole: how much of it must be at hand. */
bool bounce_is_full(const struct bounce *bounce);

/* Writes the complete notification: header and body in CRLF lines, 7-bit where the original
 * allows. Nothing that a peer said can add a header, a line or a part. Returns the flags that
 * its message must have. */
uint32_t bounce_write(const struct bounce *bounce, struct buffer *to);

/* A plain message for a sender of whose mail so much came back that most of it was not told one
 * by one. Returns the flags that its message must have. */
struct bounce_summary {
    const char *hostname, *sender;
    uint64_t withheld; /* notifications that were not written */
    int64_t since_ms;  /* from then on; ms since 1970 */
    uint64_t id;
    int64_t now_ms;
};
uint32_t bounce_summary_write(const struct bounce_summary *summary, struct buffer *to);

/* "Fri, 21 Nov 2026 13:00:05 +0000" (RFC 5322 3.3), for this and for trace headers. */
#define MAIL_DATE_MAX 40
char *mail_date(int64_t wall_ms, char text[MAIL_DATE_MAX]);
