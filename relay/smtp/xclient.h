/* The argument of XCLIENT, as Postfix's XCLIENT_README has it: by it a proxy says whose session it
 * passes on. Pure; what comes out is fit for a header or a log line. */
#pragma once

#include "base/ip.h"

#define XCLIENT_ATTRIBUTES "NAME ADDR PORT PROTO HELO LOGIN" /* as EHLO offers them */
#define XCLIENT_TEXT_MAX 255                                 /* bytes of a name, decoded */

enum xclient_attribute {
    XCLIENT_NAME,
    XCLIENT_ADDR,
    XCLIENT_PORT,
    XCLIENT_PROTO,
    XCLIENT_HELO,
    XCLIENT_LOGIN,
};
#define XCLIENT_COUNT 6

struct xclient {
    bool given[XCLIENT_COUNT];
    /* Empty (no address, 0) when given as [UNAVAILABLE] or [TEMPUNAVAIL]. */
    char name[XCLIENT_TEXT_MAX + 1]; /* a valid domain name */
    struct ip ip;
    uint16_t port;
    bool extended;                    /* PROTO=ESMTP */
    char helo[XCLIENT_TEXT_MAX + 1];  /* a valid domain name or address literal */
    char login[XCLIENT_TEXT_MAX + 1]; /* UTF-8 without control characters */
};

/* False when it is none: 501 5.5.4. An attribute must not come twice. */
bool xclient_read(struct span argument, struct xclient *xclient);
