#include "relay/smtp/proxy.h"

#include "base/must.h"

#include <string.h>

static enum proxy_result malformed(struct proxy_header *header, const char *why)
{
    header->why = why;
    return PROXY_MALFORMED;
}

/* How `from` begins: PROXY_COMPLETE when it is all there. */
static enum proxy_result begins_with(struct span from, struct span beginning)
{
    size_t length = from.length < beginning.length ? from.length : beginning.length;
    if (memcmp(from.data, beginning.data, length) != 0)
        return PROXY_MALFORMED;
    return length == beginning.length ? PROXY_COMPLETE : PROXY_PARTIAL;
}

/* ---- version 1: a line of text ---- */

#define LINE_MAX_1 107 /* bytes with CRLF */

/* Fields are parted by one blank, no more. */
static struct span cut_field(struct span *rest)
{
    const char *blank = rest->length > 0 ? memchr(rest->data, ' ', rest->length) : NULL;
    size_t length = blank ? (size_t)(blank - rest->data) : rest->length;
    struct span field = {rest->data, length};
    *rest = span_skip(*rest, blank ? length + 1 : length);
    return field;
}

static bool read_address(struct span text, bool ipv6, struct ip *ip)
{
    bool has_colon = text.length > 0 && memchr(text.data, ':', text.length) != NULL;
    return has_colon == ipv6 && ip_parse(text, ip);
}

static bool read_port(struct span text, uint16_t *port)
{
    uint64_t number;
    bool padded = text.length > 1 && text.data[0] == '0';
    if (padded || !span_number(text, &number) || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* What stands behind "PROXY ". */
static enum proxy_result read_fields(struct span rest, struct proxy_header *header)
{
    struct endpoint server;
    struct span family = cut_field(&rest);
    if (span_equal(family, SPAN("UNKNOWN")))
        return PROXY_COMPLETE; /* whatever else is on the line */
    bool ipv6 = span_equal(family, SPAN("TCP6"));
    if (!ipv6 && !span_equal(family, SPAN("TCP4")))
        return malformed(header, "unknown address family");
    if (!read_address(cut_field(&rest), ipv6, &header->client.ip) ||
        !read_address(cut_field(&rest), ipv6, &server.ip))
        return malformed(header, "bad address");
    if (!read_port(cut_field(&rest), &header->client.port) ||
        !read_port(cut_field(&rest), &server.port) || rest.length > 0)
        return malformed(header, "bad port");
    header->has_client = true;
    return PROXY_COMPLETE;
}

static enum proxy_result read_text(struct span from, struct proxy_header *header, size_t *used)
{
    static const struct span keyword = SPAN("PROXY ");
    enum proxy_result begins = begins_with(from, keyword);
    if (begins != PROXY_COMPLETE)
        return begins == PROXY_PARTIAL ? begins : malformed(header, "no PROXY header");
    size_t most = from.length < LINE_MAX_1 ? from.length : LINE_MAX_1;
    const char *newline = memchr(from.data, '\n', most);
    if (newline == NULL)
        return most < LINE_MAX_1 ? PROXY_PARTIAL : malformed(header, "line too long");
    size_t length = (size_t)(newline - from.data);
    if (from.data[length - 1] != '\r')
        return malformed(header, "line without CRLF");
    *used = length + 1;
    return read_fields(span_skip((struct span){from.data, length - 1}, keyword.length), header);
}

/* ---- version 2: bytes ---- */

#define SIGNATURE SPAN("\r\n\r\n\0\r\nQUIT\n")
#define HEAD_BYTES 16 /* signature, version and command, family, length */

enum family {
    FAMILY_UNSPECIFIED = 0x00,
    FAMILY_TCP4 = 0x11,
    FAMILY_TCP6 = 0x21,
    FAMILY_UNIX = 0x31,
};

static uint16_t read_16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Source and destination address, then source and destination port. */
static enum proxy_result read_addresses(const uint8_t *bytes, size_t length, uint8_t family,
                                        struct proxy_header *header)
{
    size_t each = family == 4 ? 4 : 16;
    if (length < 2 * each + 4)
        return malformed(header, "addresses cut short");
    header->client.ip = ip_of_bytes(family, bytes);
    header->client.port = read_16(bytes + 2 * each);
    header->has_client = true;
    return PROXY_COMPLETE;
}

static enum proxy_result read_command(const uint8_t *head, size_t length,
                                      struct proxy_header *header)
{
    enum { LOCAL = 0x20, PROXY = 0x21 };
    if (head[12] == LOCAL)
        return PROXY_COMPLETE;
    if (head[12] != PROXY)
        return malformed(header, "unknown version or command");
    switch (head[13]) {
    case FAMILY_UNSPECIFIED:
    case FAMILY_UNIX: return PROXY_COMPLETE;
    case FAMILY_TCP4: return read_addresses(head + HEAD_BYTES, length, 4, header);
    case FAMILY_TCP6: return read_addresses(head + HEAD_BYTES, length, 6, header);
    }
    return malformed(header, "unknown address family");
}

static enum proxy_result read_bytes(struct span from, struct proxy_header *header, size_t *used)
{
    const uint8_t *head = (const uint8_t *)from.data;
    enum proxy_result begins = begins_with(from, SIGNATURE);
    if (begins != PROXY_COMPLETE)
        return begins == PROXY_PARTIAL ? begins : malformed(header, "no PROXY header");
    if (from.length < HEAD_BYTES)
        return PROXY_PARTIAL;
    size_t length = read_16(head + 14);
    if (HEAD_BYTES + length > PROXY_BYTES_MAX)
        return malformed(header, "header too long");
    if (from.length < HEAD_BYTES + length)
        return PROXY_PARTIAL;
    *used = HEAD_BYTES + length;
    return read_command(head, length, header);
}

enum proxy_result proxy_read(struct span from, struct proxy_header *header, size_t *used)
{
    *header = (struct proxy_header){0};
    *used = 0;
    if (from.length == 0)
        return PROXY_PARTIAL;
    return from.data[0] == '\r' ? read_bytes(from, header, used) : read_text(from, header, used);
}
