/* A report of TLSRPT as text (RFC 8460 4 and 5): its JSON, that as gzip, and the mail around it;
 * and a session as a datagram for a collector. Pure: who sends it is reports.h.
 *
 * What stands in it of strangers has been made printable when it was counted. */
#pragma once

#include "tlspolicy/tlsrpt.h"

#define REPORT_ID_MAX 600

struct reporter { /* who reports */
    const char *organization;
    const char *contact;  /* a mailbox: whom to ask */
    const char *from;     /* a mailbox: the From of mails; its domain is the submitter */
    const char *hostname; /* this relay: makes report ids unique */
};

/* "20261121.example.test@relay.example": the same whenever the day is reported. */
char *report_id(const struct reporter *reporter, const struct tlsrpt_tally *tally,
                char id[REPORT_ID_MAX]);

/* RFC 8460 4.4. */
void report_json(const struct reporter *reporter, const struct tlsrpt_tally *tally,
                 struct buffer *to);

/* RFC 1952. */
void report_gzip(struct span bytes, struct buffer *to);

/* A whole message for `address`, 7-bit, in CRLF lines: multipart/report with the gzip in it
 * (RFC 8460 5.3). `now_ms` since 1970. */
void report_mail(const struct reporter *reporter, const struct tlsrpt_tally *tally,
                 const char *address, struct span gzip, int64_t now_ms, struct buffer *to);

/* What libtlsrpt 0.5.0 sends to tlsrpt-collectd: version 1 of the datagrams. */
void report_datagram(const struct tlsrpt_session *session, struct buffer *to);
