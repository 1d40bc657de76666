/* The arguments of MAIL and RCPT: a path, and parameters (RFC 5321 4.1.2; each extension's own
 * RFC). Pure; what it finds are spans of the line it was given.
 *
 * What is not offered is not known: 555. Each parameter comes once. */
#pragma once

#include "relay/smtp/extension.h"

enum parameter_result {
    PARAMETERS_OK,
    PARAMETERS_SYNTAX,      /* 501 5.5.4 */
    PARAMETERS_BAD_ADDRESS, /* 553 5.1.7 for MAIL, 553 5.1.3 for RCPT */
    PARAMETERS_NEED_UTF8,   /* 553 5.6.7: outside ASCII, and no SMTPUTF8 (RFC 6531 3.5) */
    PARAMETERS_UNKNOWN,     /* 555 5.5.4: a parameter we do not offer */
};

enum body_type {
    BODY_7BIT,
    BODY_8BITMIME,   /* RFC 6152 */
    BODY_BINARYMIME, /* RFC 3030 */
};

enum dsn_return { /* RET (RFC 3461 4.3) */
                  DSN_RETURN_UNSAID,
                  DSN_RETURN_FULL,
                  DSN_RETURN_HEADERS,
};

enum by_mode { /* BY (RFC 2852 4) */
               BY_UNSAID,
               BY_RETURN, /* bounced when it is too late */
               BY_NOTIFY, /* told then, and tried on */
};

struct mail_parameters {
    const char *wrong; /* with PARAMETERS_SYNTAX: which; NULL: the path, or what is before it */
    struct span path;  /* reverse-path without brackets and source route; empty: null sender */
    bool has_size;
    uint64_t size; /* SIZE= (RFC 1870) */
    enum body_type body;
    bool utf8; /* SMTPUTF8 (RFC 6531) */
    enum dsn_return ret;
    struct span envid;     /* xtext of printable ASCII, as it came; empty: none (RFC 3461 4.4) */
    struct span auth;      /* AUTH= (RFC 4954 5): xtext, or "<>"; empty: none */
    int64_t hold_for_ms;   /* HOLDFOR= (RFC 4865); 0: not held */
    int64_t hold_until_ms; /* HOLDUNTIL=: ms since 1970; 0: not held */
    enum by_mode by;
    bool by_trace;
    int64_t by_ms;     /* from now; negative: so long ago, only with BY_NOTIFY */
    bool requires_tls; /* REQUIRETLS (RFC 8689) */
};

enum dsn_notify { /* NOTIFY (RFC 3461 4.1) */
                  DSN_NOTIFY_NEVER = 1 << 0,
                  DSN_NOTIFY_SUCCESS = 1 << 1,
                  DSN_NOTIFY_FAILURE = 1 << 2,
                  DSN_NOTIFY_DELAY = 1 << 3,
};

struct rcpt_parameters {
    const char *wrong; /* as above */
    bool utf8;         /* MAIL had SMTPUTF8 */
    struct span path;  /* forward-path without brackets and source route */
    unsigned notify;   /* enum dsn_notify bits; 0: not said */
    struct span orcpt; /* addr-type ";" and what its type asks for, as it came; nothing that would
                          decode to control characters; empty: none (RFC 3461 4.2, RFC 6533 3) */
};

/* "FROM:<path> [parameters]" and "TO:<path> [parameters]"; blanks behind the colon are
 * tolerated. "<postmaster>" without a domain (RFC 5321 4.5.1) is a bad address here: a relay
 * has no mailboxes of its own, so it is nobody's. `offered`: enum extension bits; RCPT's paths may
 * be in UTF-8 when MAIL had SMTPUTF8. */
enum parameter_result mail_read(struct span argument, unsigned offered,
                                struct mail_parameters *parameters);
enum parameter_result rcpt_read(struct span argument, unsigned offered, bool utf8,
                                struct rcpt_parameters *parameters);
