/* The header of a message as the sendmail command looks at it: which fields there are, and what is
 * done with them (RFC 5322 2.2, 3.6). Pure. Lines end in CRLF. */
#pragma once

#include "base/span.h"

enum field_kind {
    FIELD_OTHER,
    FIELD_FROM,
    FIELD_DATE,
    FIELD_MESSAGE_ID,
    FIELD_TO, /* and Cc: recipients; */
    FIELD_BCC,
    FIELD_RESENT, /* Resent-From and its kin: the message is sent once more; */
    FIELD_RESENT_TO,
    FIELD_RESENT_BCC, /* then these name the recipients, and not the three above */
    FIELD_RETURN_PATH,
};

struct field {
    enum field_kind kind;
    struct span name;  /* without the colon and blanks before it */
    struct span value; /* all behind the colon, folded as it came */
    struct span whole; /* with the last CRLF */
};

/* Cuts the next field off `rest`. False at the empty line that ends the header, at the end, and
 * where something stands that is no field: a body without a header. */
bool field_next(struct span *rest, struct field *field);

/* Cuts off the line or lines "From ann@app.test Sat Nov 21 …" that a mailbox file has in front of
 * a message. */
void mailbox_line_skip(struct span *rest);
