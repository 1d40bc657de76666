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
    COMMAND_UNKNOWN,
};
#define COMMAND_VERBS 12

struct command {
    enum command_verb verb;
    struct span argument; /* all behind the verb, blanks at both ends removed */
};

/* `line` without CRLF. Verbs in any case. A line with a CR, LF or NUL in it is unknown,
 * whatever it begins with: it would pass for two lines somewhere else. */
struct command command_read(struct span line);

/* The parameters of MAIL and RCPT. */
struct mail_parameters {
    struct span path; /* reverse-path without brackets and source route; empty: null sender */
    bool has_size;
    uint64_t size;  /* SIZE= (RFC 1870) */
    bool eight_bit; /* BODY=8BITMIME (RFC 6152) */
};

enum parameter_result {
    PARAMETERS_OK,
    PARAMETERS_SYNTAX,      /* 501 5.5.4 */
    PARAMETERS_BAD_ADDRESS, /* 553 5.1.7 for MAIL, 553 5.1.3 for RCPT */
    PARAMETERS_UNKNOWN,     /* 555 5.5.4: a parameter we do not offer */
};

/* "FROM:<path> [parameters]" and "TO:<path> [parameters]"; blanks behind the colon are
 * tolerated. "<postmaster>" without a domain (RFC 5321 4.5.1) is a bad address here: a relay
 * has no mailboxes of its own, so it is nobody's. */
enum parameter_result mail_read(struct span argument, struct mail_parameters *parameters);
enum parameter_result rcpt_read(struct span argument, struct span *path);
