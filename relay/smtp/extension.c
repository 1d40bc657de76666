#include "relay/smtp/extension.h"

#include "base/must.h"
#include "relay/smtp/auth.h"

#include <string.h>

#define LIMIT_MOST 999999 /* RFC 9422 4: six digits */

typedef void parameter_reader(struct extensions *extensions, struct span parameters);

static parameter_reader read_size, read_least_by, read_limits, read_auth;

static const struct {
    const char *keyword;
    enum extension extension;
    parameter_reader *read; /* what stands behind it; NULL: nothing that matters */
} known[] = {
    {"PIPELINING", EXTENSION_PIPELINING, NULL},
    {"SIZE", EXTENSION_SIZE, read_size},
    {"8BITMIME", EXTENSION_8BITMIME, NULL},
    {"STARTTLS", EXTENSION_STARTTLS, NULL},
    {"ENHANCEDSTATUSCODES", EXTENSION_ENHANCEDSTATUSCODES, NULL},
    {"DSN", EXTENSION_DSN, NULL},
    {"CHUNKING", EXTENSION_CHUNKING, NULL},
    {"BINARYMIME", EXTENSION_BINARYMIME, NULL},
    {"SMTPUTF8", EXTENSION_SMTPUTF8, NULL},
    {"DELIVERBY", EXTENSION_DELIVERBY, read_least_by},
    {"LIMITS", EXTENSION_LIMITS, read_limits},
    {"FUTURERELEASE", EXTENSION_FUTURERELEASE, NULL},
    {"AUTH", EXTENSION_AUTH, read_auth},
    {"REQUIRETLS", EXTENSION_REQUIRETLS, NULL},
};
_Static_assert(countof(known) == EXTENSIONS, "each extension has its row");

/* A number that is none, or too large for us, is as good as no limit. */
static void read_size(struct extensions *extensions, struct span parameters)
{
    uint64_t size;
    extensions->size = span_number(span_word(&parameters), &size) ? size : 0;
}

/* min-by-time, alone or first in a list (RFC 2852 2). */
static void read_least_by(struct extensions *extensions, struct span parameters)
{
    struct span word = span_word(&parameters);
    const char *comma = word.length > 0 ? memchr(word.data, ',', word.length) : NULL;
    uint64_t seconds;
    if (comma != NULL)
        word.length = (size_t)(comma - word.data);
    bool fits = span_number(word, &seconds) && seconds <= UINT32_MAX;
    extensions->least_by = fits ? (unsigned)seconds : 0;
}

/* RFC 9422 3: names in any case; what is not known, or malformed, is passed over. */
static void read_limits(struct extensions *extensions, struct span parameters)
{
    const struct {
        struct span name;
        unsigned *limit;
    } limits[] = {
        {SPAN("MAILMAX="), &extensions->mail_max},
        {SPAN("RCPTMAX="), &extensions->rcpt_max},
        {SPAN("RCPTDOMAINMAX="), &extensions->rcpt_domain_max},
    };
    for (struct span word; (word = span_word(&parameters)).length > 0;) {
        for (size_t i = 0; i < countof(limits); i++) {
            uint64_t value;
            if (span_starts_nocase(word, limits[i].name) &&
                span_number(span_skip(word, limits[i].name.length), &value) && value >= 1 &&
                value <= LIMIT_MOST)
                *limits[i].limit = (unsigned)value;
        }
    }
}

/* RFC 4954 3; of several AUTH lines all count. */
static void read_auth(struct extensions *extensions, struct span parameters)
{
    for (struct span word; (word = span_word(&parameters)).length > 0;)
        extensions->auth |= auth_find(word);
}

unsigned extension_find(struct span keyword)
{
    for (size_t i = 0; i < countof(known); i++)
        if (span_equal_nocase(keyword, span_of(known[i].keyword)))
            return known[i].extension;
    return 0;
}

const char *extension_name(unsigned bit)
{
    for (size_t i = 0; i < countof(known); i++)
        if (known[i].extension == bit)
            return known[i].keyword;
    must_not_reach();
}

struct extensions extensions_read(struct span reply_text, unsigned discarded)
{
    struct extensions extensions = {0};
    struct span line;
    span_line(&reply_text, &line); /* the greeting */
    while (span_line(&reply_text, &line)) {
        unsigned found = extension_find(span_word(&line)) & ~discarded;
        extensions.offered |= found;
        for (size_t i = 0; i < countof(known); i++)
            if (found == known[i].extension && known[i].read != NULL)
                known[i].read(&extensions, line);
    }
    return extensions;
}
