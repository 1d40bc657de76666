/* SMTP commands as a server reads them (RFC 5321 4.1). Pure. */
#pragma once

#include "base/span.h"

#define COMMAND_LINE_MAX                                                                           \
    2048 /* bytes with CRLF; RFC 5321 4.5.3.1.4 asks for 512 and more for extensions */

enum command_verb {
    COMMAND_EHLO,
    COMMAND_HELO,
    COMMAND_MAIL,
    COMMAND_RCPT,
    COMMAND_DATA,
    COMMAND_RSET,
    COMMAND_NOOP,
    COMMAND_QUIT,
    COMMAND_VRFY,
    COMMAND_HELP,
    COMMAND_STARTTLS,
    COMMAND_BDAT,    /* RFC 3030 */
    COMMAND_AUTH,    /* RFC 4954 */
    COMMAND_XCLIENT, /* Postfix's XCLIENT_README */
    COMMAND_REFUSED, /* one of an RFC that is not for a relay: EXPN, ETRN, TURN, … */
    COMMAND_FOREIGN, /* a request of HTTP: what follows may be somebody's mail in a form's clothes
                      */
    COMMAND_UNKNOWN,
};
#define COMMAND_VERBS 17

struct command {
    enum command_verb verb;
    struct span argument; /* all behind the verb, blanks at both ends removed */
};

/* `line` without CRLF. Verbs in any case. A line with a CR, LF or NUL in it is unknown,
 * whatever it begins with: it would pass for two lines somewhere else. */
struct command command_read(struct span line);

/* BDAT's argument (RFC 3030 2): the octets that follow, and whether they are the last. False when
 * it is none, or the number does not fit: then nobody knows where the next command begins. */
bool bdat_read(struct span argument, uint64_t *size, bool *last);
