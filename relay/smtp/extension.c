#include "relay/smtp/extension.h"

#include "base/must.h"

static const struct {
    struct span keyword;
    enum extension extension;
} known[] = {
    {SPAN("PIPELINING"), EXTENSION_PIPELINING},
    {SPAN("SIZE"), EXTENSION_SIZE},
    {SPAN("8BITMIME"), EXTENSION_8BITMIME},
    {SPAN("STARTTLS"), EXTENSION_STARTTLS},
    {SPAN("ENHANCEDSTATUSCODES"), EXTENSION_ENHANCEDSTATUSCODES},
    {SPAN("DSN"), EXTENSION_DSN},
};

/* A number that is none, or too large for us, is as good as no limit. */
static uint64_t read_size(struct span parameters)
{
    uint64_t size;
    return span_number(span_word(&parameters), &size) ? size : 0;
}

static void read_line(struct extensions *extensions, struct span line)
{
    struct span keyword = span_word(&line);
    for (size_t i = 0; i < countof(known); i++) {
        if (!span_equal_nocase(keyword, known[i].keyword))
            continue;
        extensions->offered |= known[i].extension;
        if (known[i].extension == EXTENSION_SIZE)
            extensions->size = read_size(line);
    }
}

struct extensions extensions_read(struct span reply_text)
{
    struct extensions extensions = {0};
    struct span line;
    span_line(&reply_text, &line); /* the greeting */
    while (span_line(&reply_text, &line))
        read_line(&extensions, line);
    return extensions;
}
