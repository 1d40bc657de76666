/* Pure: writes the delivery status notification (RFC 3464 in RFC 6522's multipart/report)
 * for recipients that bounced or expired. Text that a person understands first, then the
 * machine's part, then the original's header. Never for a message with a null sender or one
 * that is a bounce itself: bounce_is_owed() says so. */
#pragma once

#include "base/buffer.h"
#include "queue/message.h"

#define BOUNCE_HEADERS_MAX (16u << 10) /* bytes of the original's header that are returned */

struct bounce {
    const char *hostname;            /* reporting MTA */
    const struct envelope *envelope; /* its message's sender gets the notification */
    const struct verdict *verdicts;  /* one per recipient of the envelope; only VERDICT_BOUNCED
                                        and VERDICT_EXPIRED ones are reported */
    struct span body;                /* the original from its beginning, as much as is at hand */
    uint64_t id;                     /* the notification's own message id */
    int64_t now_ms;                  /* ms since 1970 */
};

/* Whether the sender must be told anything at all. */
bool bounce_is_owed(const struct message *message, const struct verdict *verdicts, unsigned count);

/* The complete notification: header and body, CRLF lines, 7-bit. Nothing that a peer said
 * can add a header or a line. */
void bounce_write(const struct bounce *bounce, struct buffer *to);

/* "Fri, 21 Nov 2026 13:00:05 +0000" (RFC 5322 3.3), for this and for trace headers. */
#define MAIL_DATE_MAX 40
char *mail_date(int64_t wall_ms, char text[MAIL_DATE_MAX]);
