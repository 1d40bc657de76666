#include "relay/smtp/xclient.h"

#include "base/must.h"
#include "base/utf8.h"
#include "base/xtext.h"
#include "relay/smtp/address.h"

#include <stdio.h>
#include <string.h>

static void keep(struct span value, char text[XCLIENT_TEXT_MAX + 1])
{
    snprintf(text, XCLIENT_TEXT_MAX + 1, "%.*s", SPAN_FORMAT(value));
}

static bool read_name(struct span value, struct xclient *xclient)
{
    keep(value, xclient->name);
    return domain_is_valid(value);
}

static bool read_address(struct span value, struct xclient *xclient)
{
    static const struct span tag = SPAN("IPV6:");
    bool tagged = span_starts_nocase(value, tag);
    if (tagged)
        value = span_skip(value, tag.length);
    bool has_colon = value.length > 0 && memchr(value.data, ':', value.length) != NULL;
    return tagged == has_colon && ip_parse(value, &xclient->ip);
}

static bool read_port(struct span value, struct xclient *xclient)
{
    uint64_t number;
    if (!span_number(value, &number) || number > UINT16_MAX)
        return false;
    xclient->port = (uint16_t)number;
    return true;
}

static bool read_protocol(struct span value, struct xclient *xclient)
{
    xclient->extended = span_equal_nocase(value, SPAN("ESMTP"));
    return xclient->extended || span_equal_nocase(value, SPAN("SMTP"));
}

static bool read_helo(struct span value, struct xclient *xclient)
{
    struct ip ip;
    keep(value, xclient->helo);
    return domain_is_valid(value) || address_literal_parse(value, &ip);
}

static bool read_login(struct span value, struct xclient *xclient)
{
    keep(value, xclient->login);
    for (struct span rest = value; rest.length > 0;) {
        uint32_t code;
        if (!utf8_next(&rest, &code) || code < ' ' || (code >= 0x7f && code < 0xa0))
            return false;
    }
    return value.length > 0;
}

static const struct attribute {
    struct span name;
    bool (*read)(struct span value, struct xclient *xclient);
} attributes[] = {
    [XCLIENT_NAME] = {SPAN("NAME"), read_name}, [XCLIENT_ADDR] = {SPAN("ADDR"), read_address},
    [XCLIENT_PORT] = {SPAN("PORT"), read_port}, [XCLIENT_PROTO] = {SPAN("PROTO"), read_protocol},
    [XCLIENT_HELO] = {SPAN("HELO"), read_helo}, [XCLIENT_LOGIN] = {SPAN("LOGIN"), read_login},
};
_Static_assert(countof(attributes) == XCLIENT_COUNT, "a row for each attribute");

static bool read_value(const struct attribute *attribute, struct span xtext,
                       struct xclient *xclient)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    if (!xtext_decode(xtext, &text))
        return false;
    struct span value = buffer_span(&text);
    if (span_equal_nocase(value, SPAN("[UNAVAILABLE]")) ||
        span_equal_nocase(value, SPAN("[TEMPUNAVAIL]")))
        return true;
    if (value.length == 0 || value.length > XCLIENT_TEXT_MAX ||
        memchr(value.data, '\0', value.length))
        return false;
    return attribute->read(value, xclient);
}

/* "NAME=value" */
static bool read_attribute(struct span word, struct xclient *xclient)
{
    const char *equals = memchr(word.data, '=', word.length);
    size_t length = equals ? (size_t)(equals - word.data) : word.length;
    struct span name = {word.data, length};
    for (size_t i = 0; equals != NULL && i < countof(attributes); i++) {
        if (!span_equal_nocase(name, attributes[i].name))
            continue;
        if (xclient->given[i])
            return false;
        xclient->given[i] = true;
        return read_value(&attributes[i], span_skip(word, length + 1), xclient);
    }
    return false;
}

bool xclient_read(struct span argument, struct xclient *xclient)
{
    *xclient = (struct xclient){0};
    struct span word = span_word(&argument);
    if (word.length == 0)
        return false;
    for (; word.length > 0; word = span_word(&argument))
        if (!read_attribute(word, xclient))
            return false;
    return true;
}
