#include "relay/sendmail/headers.h"

#include "base/must.h"

#include <string.h>

static enum field_kind kind_of(struct span name)
{
    static const struct {
        const char *name;
        enum field_kind kind;
    } fields[] = {
        {"From", FIELD_FROM},
        {"Date", FIELD_DATE},
        {"Message-ID", FIELD_MESSAGE_ID},
        {"To", FIELD_TO},
        {"Cc", FIELD_TO},
        {"Bcc", FIELD_BCC},
        {"Resent-To", FIELD_RESENT_TO},
        {"Resent-Cc", FIELD_RESENT_TO},
        {"Resent-Bcc", FIELD_RESENT_BCC},
        {"Return-Path", FIELD_RETURN_PATH},
    };
    for (size_t i = 0; i < countof(fields); i++)
        if (span_equal_nocase(name, span_of(fields[i].name)))
            return fields[i].kind;
    return span_starts_nocase(name, SPAN("Resent-")) ? FIELD_RESENT : FIELD_OTHER;
}

/* ftext (RFC 5322 3.6.8); blanks before the colon are obsolete, and met. */
static size_t name_length(struct span line)
{
    size_t length = 0;
    while (length < line.length && line.data[length] > ' ' && line.data[length] < 0x7f &&
           line.data[length] != ':')
        length++;
    return length;
}

static bool is_folded(struct span rest)
{
    return rest.length > 0 && (rest.data[0] == ' ' || rest.data[0] == '\t');
}

bool field_next(struct span *rest, struct field *field)
{
    struct span after = *rest, line;
    if (!span_line(&after, &line))
        return false;
    field->name = (struct span){line.data, name_length(line)};
    struct span behind = span_trim(span_skip(line, field->name.length));
    if (field->name.length == 0 || behind.length == 0 || behind.data[0] != ':')
        return false;
    while (is_folded(after))
        span_line(&after, &line);
    field->kind = kind_of(field->name);
    field->whole = (struct span){rest->data, rest->length - after.length};
    field->value = span_skip(field->whole, (size_t)(behind.data + 1 - rest->data));
    *rest = after;
    return true;
}

void mailbox_line_skip(struct span *rest)
{
    struct span after = *rest, line;
    while (span_line(&after, &line)) {
        while (line.length > 0 && line.data[0] == '>')
            line = span_skip(line, 1);
        if (line.length < 5 || memcmp(line.data, "From ", 5) != 0)
            return;
        *rest = after;
    }
}
