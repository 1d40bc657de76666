#include "tlspolicy/tlsrpt_record.h"

#include "base/ip.h"

#include <ctype.h>
#include <string.h>

#define HTTPS_PORT 443
#define HOST_MAX 255
#define VERSION SPAN("v=TLSRPTv1;")

static bool starts(struct span whole, struct span prefix)
{
    return whole.length >= prefix.length && memcmp(whole.data, prefix.data, prefix.length) == 0;
}

/* Cuts off what stands before the next `end`, without blanks around it. False when nothing is
 * left. */
static bool cut(struct span *rest, char end, struct span *part)
{
    if (rest->length == 0)
        return false;
    const char *at = memchr(rest->data, end, rest->length);
    size_t length = at ? (size_t)(at - rest->data) : rest->length;
    *part = span_trim((struct span){rest->data, length});
    *rest = span_skip(*rest, at ? length + 1 : length);
    return true;
}

/* Printable ASCII in one piece. */
static bool is_one_word(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
    return text.length > 0;
}

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* RFC 3986 2.1. False for a '%' that begins no such thing. */
static bool percent_decode(struct span text, char *to, size_t *length)
{
    *length = 0;
    for (size_t i = 0; i < text.length; i++) {
        int high = i + 2 < text.length ? digit_of(text.data[i + 1]) : -1;
        int low = i + 2 < text.length ? digit_of(text.data[i + 2]) : -1;
        if (text.data[i] != '%') {
            to[(*length)++] = text.data[i];
            continue;
        }
        if (high < 0 || low < 0)
            return false;
        to[(*length)++] = (char)(high * 16 + low);
        i += 2;
    }
    return true;
}

/* RFC 6068. What stands behind a '?' (a subject, say) is not for us. */
static bool read_mailto(struct span text, struct arena *arena, const char **target)
{
    char decoded[TLSRPT_URI_MAX];
    struct span mailbox = {decoded, 0};
    const char *query = memchr(text.data, '?', text.length);
    if (query != NULL)
        text.length = (size_t)(query - text.data);
    if (!percent_decode(text, decoded, &mailbox.length) || !is_one_word(mailbox) ||
        memchr(decoded, '@', mailbox.length) == NULL)
        return false;
    *target = arena_copy(arena, mailbox);
    return true;
}

static bool is_domain(struct span text)
{
    struct ip ip;
    for (size_t i = 0; i < text.length; i++)
        if (!isalnum((unsigned char)text.data[i]) && strchr("-._", text.data[i]) == NULL)
            return false;
    return text.length > 0 && text.length <= HOST_MAX && text.data[0] != '.' &&
           !ip_parse(text, &ip);
}

static bool cut_port(struct span *host, uint16_t *port)
{
    const char *colon = memchr(host->data, ':', host->length);
    uint64_t number = HTTPS_PORT;
    if (colon != NULL) {
        size_t length = (size_t)(colon - host->data);
        if (!span_number(span_skip(*host, length + 1), &number))
            return false;
        host->length = length;
    }
    *port = (uint16_t)number;
    return number >= 1 && number <= UINT16_MAX;
}

/* What stands behind "https://": a domain, without credentials, and perhaps a port; a path, and
 * perhaps a query. */
static bool read_https(struct span rest, struct arena *arena, struct tlsrpt_uri *uri)
{
    const char *fragment = memchr(rest.data, '#', rest.length);
    if (fragment != NULL)
        rest.length = (size_t)(fragment - rest.data);
    struct span host = {rest.data, 0};
    while (host.length < rest.length && strchr("/?", rest.data[host.length]) == NULL)
        host.length++;
    rest = span_skip(rest, host.length);
    if (!cut_port(&host, &uri->port) || !is_domain(host))
        return false;
    bool rooted = rest.length > 0 && rest.data[0] == '/';
    char *name = arena_copy(arena, host);
    text_lower(name);
    uri->host = name;
    uri->path = arena_print(arena, "%s%.*s", rooted ? "" : "/", SPAN_FORMAT(rest));
    return true;
}

static bool read_uri(struct span text, struct arena *arena, struct tlsrpt_uri *uri)
{
    static const struct span mailto = {"mailto:", 7}, https = {"https://", 8};
    if (text.length > TLSRPT_URI_MAX || !is_one_word(text))
        return false;
    if (span_starts_nocase(text, mailto)) {
        uri->scheme = TLSRPT_MAILTO;
        return read_mailto(span_skip(text, mailto.length), arena, &uri->target);
    }
    uri->scheme = TLSRPT_HTTPS;
    uri->target = arena_copy(arena, text);
    return span_starts_nocase(text, https) && read_https(span_skip(text, https.length), arena, uri);
}

/* Its grammar has nothing but printable ASCII and blanks. */
static bool is_readable(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] >= 0x7f)
            return false;
    return text.length <= TLSRPT_RECORD_MAX;
}

bool tlsrpt_record_choose(const struct span *texts, unsigned count, struct span *record)
{
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++)
        if (starts(texts[i], VERSION)) {
            *record = texts[i];
            found++;
        }
    return found == 1;
}

bool tlsrpt_record_read(struct span text, struct arena *arena, struct tlsrpt_record *record)
{
    static const struct span rua = {"rua=", 4};
    struct span field, uri, list = SPAN("");
    bool found = false;
    *record = (struct tlsrpt_record){0};
    if (!is_readable(text) || !starts(text, VERSION))
        return false;
    text = span_skip(text, VERSION.length);
    while (!found && cut(&text, ';', &field))
        if ((found = starts(field, rua)))
            list = span_skip(field, rua.length);
    while (record->count < TLSRPT_URIS_MAX && cut(&list, ',', &uri))
        if (read_uri(uri, arena, &record->uris[record->count]))
            record->count++;
    return record->count > 0;
}
