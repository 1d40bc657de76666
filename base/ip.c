#include "base/ip.h"

#include "base/must.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static size_t ip_length(const struct ip *ip)
{
    return ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0;
}

struct ip ip_of_bytes(uint8_t family, const uint8_t *bytes)
{
    struct ip ip = {.family = family};
    must(family == 4 || family == 6);
    if (family == 6 && memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        ip.family = 4; /* RFC 4291 2.5.5.2 */
        bytes += sizeof(mapped_prefix);
    }
    memcpy(ip.bytes, bytes, ip_length(&ip));
    return ip;
}

bool ip_parse(struct span text, struct ip *ip)
{
    char copy[IP_TEXT_MAX];
    uint8_t bytes[16];
    if (text.length == 0 || text.length >= sizeof(copy) || memchr(text.data, 0, text.length))
        return false;
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    uint8_t family = strchr(copy, ':') ? 6 : 4;
    if (inet_pton(family == 6 ? AF_INET6 : AF_INET, copy, bytes) != 1)
        return false;
    *ip = ip_of_bytes(family, bytes);
    return true;
}

char *ip_format(const struct ip *ip, char text[IP_TEXT_MAX])
{
    if (ip->family == 0)
        snprintf(text, IP_TEXT_MAX, "none");
    else
        must(inet_ntop(ip->family == 6 ? AF_INET6 : AF_INET, ip->bytes, text, IP_TEXT_MAX));
    return text;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, ip_length(a)) == 0;
}

uint64_t ip_hash(const struct ip *ip)
{
    return span_hash((struct span){(const char *)ip->bytes, ip_length(ip)});
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    if (ip->family == 4)
        return ip->bytes[0] == 127;
    return ip->family == 6 && memcmp(ip->bytes, loopback6, 16) == 0;
}

bool ip_is_unspecified(const struct ip *ip)
{
    static const uint8_t zero[16];
    if (ip->family == 4)
        return ip->bytes[0] == 0; /* 0.0.0.0/8 is "this host", RFC 1122 3.2.1.3 */
    return memcmp(ip->bytes, zero, 16) == 0;
}

static bool starts_with(const struct ip *ip, uint8_t first, uint8_t second, uint8_t second_mask)
{
    return ip->bytes[0] == first && (ip->bytes[1] & second_mask) == second;
}

bool ip_is_private(const struct ip *ip)
{
    if (ip->family == 4)
        return ip->bytes[0] == 10 || starts_with(ip, 172, 16, 0xf0) ||
               starts_with(ip, 192, 168, 0xff) || starts_with(ip, 100, 64, 0xc0);
    return ip->family == 6 && (ip->bytes[0] & 0xfe) == 0xfc;
}

static bool is_ipv4_compatible(const struct ip *ip) /* ::192.0.2.1, RFC 4291 2.5.5.1 */
{
    static const uint8_t zero[12];
    return memcmp(ip->bytes, zero, sizeof(zero)) == 0;
}

bool ip_is_reachable(const struct ip *ip)
{
    if (ip->family == 0)
        return false;
    if (ip->family == 4) /* RFC 3927; RFC 1112 4: class D and E */
        return !starts_with(ip, 169, 254, 0xff) && ip->bytes[0] < 224;
    if (ip_is_loopback(ip) || ip_is_unspecified(ip))
        return true;
    return !starts_with(ip, 0xfe, 0x80, 0xc0) && ip->bytes[0] != 0xff && !is_ipv4_compatible(ip);
}

static bool parse_port(struct span text, uint16_t *port)
{
    uint64_t number;
    if (!span_number(text, &number) || number > 65535)
        return false;
    *port = (uint16_t)number;
    return true;
}

bool endpoint_parse(struct span text, struct endpoint *endpoint)
{
    struct span host, port;
    if (text.length == 0)
        return false;
    if (text.data[0] == '[') {
        const char *close = memchr(text.data, ']', text.length);
        if (close == NULL)
            return false;
        host = (struct span){text.data + 1, (size_t)(close - text.data) - 1};
        port = span_skip(text, host.length + 2);
    } else {
        const char *colon = memchr(text.data, ':', text.length);
        if (colon == NULL)
            return false;
        host = (struct span){text.data, (size_t)(colon - text.data)};
        port = span_skip(text, host.length);
    }
    if (port.length < 2 || port.data[0] != ':')
        return false;
    return ip_parse(host, &endpoint->ip) && parse_port(span_skip(port, 1), &endpoint->port);
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_MAX])
{
    char ip[IP_TEXT_MAX];
    ip_format(&endpoint->ip, ip);
    bool brackets = endpoint->ip.family == 6;
    snprintf(text, ENDPOINT_TEXT_MAX, "%s%s%s:%u", brackets ? "[" : "", ip, brackets ? "]" : "",
             endpoint->port);
    return text;
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    if (bits % 8 == 0)
        return true;
    uint8_t mask = (uint8_t)(0xff << (8 - bits % 8));
    return (a[bits / 8] & mask) == (b[bits / 8] & mask);
}

static bool zero_beyond(const struct ip *ip, unsigned bits)
{
    for (unsigned bit = bits; bit < ip_length(ip) * 8; bit++)
        if (ip->bytes[bit / 8] & (0x80 >> (bit % 8)))
            return false;
    return true;
}

bool network_parse(struct span text, struct network *network)
{
    const char *slash = text.length > 0 ? memchr(text.data, '/', text.length) : NULL;
    struct span address = {text.data, slash ? (size_t)(slash - text.data) : text.length};
    if (!ip_parse(address, &network->ip))
        return false;
    uint64_t bits = ip_length(&network->ip) * 8;
    if (slash && (!span_number(span_skip(text, address.length + 1), &bits) ||
                  bits > ip_length(&network->ip) * 8))
        return false;
    network->bits = (uint8_t)bits;
    return zero_beyond(&network->ip, network->bits);
}

bool network_holds(const struct network *network, const struct ip *ip)
{
    return network->ip.family == ip->family &&
           bits_equal(network->ip.bytes, ip->bytes, network->bits);
}

bool networks_hold(const struct networks *networks, const struct ip *ip)
{
    for (unsigned i = 0; i < networks->count; i++)
        if (network_holds(&networks->list[i], ip))
            return true;
    return false;
}
