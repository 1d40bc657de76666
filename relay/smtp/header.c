#include "relay/smtp/header.h"

#include "base/must.h"

#include <string.h>

#define BEFORE_COLON_MAX 998 /* bytes: a line has no more (RFC 5322 2.1.1) */

enum line_state {
    AT_START,
    AFTER_CR,   /* its first byte: the empty line, if LF follows */
    IN_NAME,    /* of a field */
    AFTER_NAME, /* blanks before the colon, as old mail has them */
    IN_VALUE,   /* or in a line that goes on with a field */
};

static const struct {
    struct span name;
    enum header_field field;
} known[] = {
    {SPAN("date"), HEADER_DATE},
    {SPAN("from"), HEADER_FROM},
    {SPAN("message-id"), HEADER_MESSAGE_ID},
    {SPAN("received"), HEADER_RECEIVED},
    {SPAN("tls-required"), HEADER_TLS_REQUIRED},
};

static struct span name_of(const struct header_watch *watch)
{
    return (struct span){watch->name, watch->name_length};
}

static void become(struct header_watch *watch, enum line_state state)
{
    watch->state = (uint8_t)state;
}

static void line_begins(struct header_watch *watch)
{
    watch->bytes += watch->line_bytes;
    watch->line_bytes = 0;
    watch->name_length = 0;
    become(watch, AT_START);
}

static void note_field(struct header_watch *watch)
{
    unsigned field = 0;
    for (size_t i = 0; i < countof(known); i++)
        if (span_equal_nocase(name_of(watch), known[i].name))
            field = known[i].field;
    watch->fields |= field;
    watch->received += field == HEADER_RECEIVED;
    watch->in_tls_required = field == HEADER_TLS_REQUIRED;
    watch->tls_required += watch->in_tls_required;
    become(watch, IN_VALUE);
}

/* The line is no field: the body begins with it. */
static void no_field(struct header_watch *watch)
{
    bool mailbox =
        watch->bytes == 0 && watch->state == AFTER_NAME &&
        (span_equal(name_of(watch), SPAN("From")) || span_equal(name_of(watch), SPAN(">From")));
    watch->over = watch->cut = !mailbox;
    become(watch, IN_VALUE);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ftext (RFC 5322 2.2) */
static bool is_name(char c)
{
    return c > ' ' && c <= '~' && c != ':';
}

static void in_name(struct header_watch *watch, char c)
{
    if (c == ':' && watch->name_length > 0)
        note_field(watch);
    else if (is_blank(c))
        become(watch, AFTER_NAME);
    else if (!is_name(c))
        no_field(watch);
    else if (watch->name_length <= HEADER_NAME_MAX) /* one more than matters: then it does not */
        watch->name[watch->name_length++] = c;
}

static void at_start(struct header_watch *watch, char c)
{
    if (c == '\r')
        become(watch, AFTER_CR);
    else if (is_blank(c) && watch->bytes > 0)
        become(watch, IN_VALUE);
    else if (!is_name(c))
        no_field(watch);
    else {
        become(watch, IN_NAME);
        in_name(watch, c);
    }
}

static void after_name(struct header_watch *watch, char c)
{
    if (c == ':')
        note_field(watch);
    else if (!is_blank(c))
        no_field(watch);
}

static void take_byte(struct header_watch *watch, char c)
{
    watch->line_bytes++;
    watch->last = c;
    if (watch->line_bytes > BEFORE_COLON_MAX) {
        no_field(watch);
        return;
    }
    switch ((enum line_state)watch->state) {
    case AT_START: at_start(watch, c); break;
    case AFTER_CR:
        watch->over = true;
        watch->cut = c != '\n';
        break;
    case IN_NAME: in_name(watch, c); break;
    case AFTER_NAME: after_name(watch, c); break;
    case IN_VALUE: must_not_reach();
    }
}

/* Blanks around it, and where it is folded, do not matter. */
static void keep_said(struct header_watch *watch, struct span value)
{
    for (size_t i = 0; i < value.length && watch->said_length < sizeof(watch->said); i++) {
        char c = value.data[i];
        bool blank = is_blank(c) || c == '\r' || c == '\n';
        if (!blank && watch->blank_since && watch->said_length > 0) /* a second word */
            watch->said_length = sizeof(watch->said);
        else if (!blank)
            watch->said[watch->said_length++] = c;
        watch->blank_since = blank;
    }
}

bool header_says_tls_optional(const struct header_watch *watch)
{
    struct span said = {watch->said, watch->said_length};
    return watch->tls_required == 1 && span_equal_nocase(said, SPAN("no"));
}

/* Takes from the piece up to its CRLF, or all of it. How much. */
static size_t take_value(struct header_watch *watch, struct span piece)
{
    const char *newline = memchr(piece.data, '\n', piece.length);
    size_t length = newline ? (size_t)(newline - piece.data) + 1 : piece.length;
    watch->eight_bit |= !span_is_ascii((struct span){piece.data, length});
    if (watch->in_tls_required)
        keep_said(watch, (struct span){piece.data, length});
    char before = length > 1 ? piece.data[length - 2] : watch->last;
    watch->line_bytes += length;
    watch->last = piece.data[length - 1];
    if (newline != NULL && before == '\r')
        line_begins(watch);
    return length;
}

uint64_t header_bytes(const struct header_watch *watch)
{
    return watch->bytes + (!watch->over && watch->state == IN_VALUE ? watch->line_bytes : 0);
}

void header_watch(struct header_watch *watch, struct span piece)
{
    size_t at = 0;
    while (at < piece.length && !watch->over) {
        if (watch->state == IN_VALUE)
            at += take_value(watch, (struct span){piece.data + at, piece.length - at});
        else
            take_byte(watch, piece.data[at++]);
    }
}

void header_end(struct header_watch *watch)
{
    if (!watch->over)
        watch->cut = watch->line_bytes > 0 && watch->state != IN_VALUE;
    watch->over = true;
}
