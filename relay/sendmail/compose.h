/* What is handed in of a message that came on standard input: its recipients, its sender, its text
 * without Bcc: and with the fields that were missing. Pure: who calls and what time it is are
 * told. */
#pragma once

#include "base/buffer.h"
#include "relay/sendmail/addresses.h"
#include "relay/sendmail/options.h"

struct caller {
    const char *login;     /* the user's name on this machine */
    const char *full_name; /* as /etc/passwd has it; "" for none */
    const char *hostname;
    const char *origin;
    int64_t wall_ms;
    uint64_t random; /* makes the Message-ID unique */
};

struct submission {
    const char *sender; /* "": the null sender */
    struct address_list recipients;
    struct buffer text; /* lines end in CRLF */
    bool eight_bit;     /* in the text */
    bool utf8;          /* in an address */
    struct arena arena;
};

void submission_free(struct submission *submission);

/* 0, or a sysexits code with one line in `why`. `text`: as input_read() wrote it. */
#define COMPOSE_WHY_MAX 400
int compose(struct submission *submission, const struct sendmail_options *options,
            const struct caller *caller, struct span text, char why[COMPOSE_WHY_MAX]);

/* A name before an address, as RFC 5322 3.2.5 and RFC 2047 5 want it: "Ann Lee", "\"A. Lee\"",
 * "=?UTF-8?Q?Z=C3=BC?=". Nothing when it is no UTF-8. Control characters become blanks. */
void write_phrase(struct span name, struct buffer *to);
