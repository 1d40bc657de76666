/* IP addresses, endpoints and networks as values. IPv4-mapped IPv6 addresses become IPv4
 * when parsed or made, so that one network list serves dual-stack listeners. */
#pragma once

#include "base/span.h"

struct ip {
    uint8_t family; /* 4, 6, or 0 for none */
    uint8_t bytes[16];
};

struct endpoint {
    struct ip ip;
    uint16_t port; /* host byte order */
};

struct network {
    struct ip ip;
    uint8_t bits;
};

#define IP_TEXT_MAX 46       /* longest text of an address, with NUL (RFC 4291 2.2) */
#define ENDPOINT_TEXT_MAX 54 /* "[address]:port" with NUL */

struct ip ip_of_bytes(uint8_t family, const uint8_t *bytes);
bool ip_parse(struct span text, struct ip *ip);
/* "192.0.2.1" or "2001:db8::1" into `text`, which is also returned. */
char *ip_format(const struct ip *ip, char text[IP_TEXT_MAX]);
bool ip_equal(const struct ip *a, const struct ip *b);
uint64_t ip_hash(const struct ip *ip);
bool ip_is_loopback(const struct ip *ip);
bool ip_is_unspecified(const struct ip *ip);
/* Of somebody's own network: RFC 1918, RFC 4193, and RFC 6598. */
bool ip_is_private(const struct ip *ip);
/* Whether one can connect to it: not to link-local (which says nothing without an interface),
 * multicast, broadcast or reserved addresses; private ones and those above are. */
bool ip_is_reachable(const struct ip *ip);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* "192.0.2.1:25" and "[2001:db8::1]:25"; brackets around IPv4 are allowed. */
bool endpoint_parse(struct span text, struct endpoint *endpoint);
char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_MAX]);

/* "192.0.2.0/24", or an address alone for that address only. Bits beyond the mask are refused. */
bool network_parse(struct span text, struct network *network);
bool network_holds(const struct network *network, const struct ip *ip);

struct networks {
    struct network *list; /* somebody else's */
    unsigned count;
};
bool networks_hold(const struct networks *networks, const struct ip *ip); /* one of them */
