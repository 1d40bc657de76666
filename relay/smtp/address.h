/* Addresses: forward- and reverse-paths without their brackets (RFC 5321 4.1.2). Pure.
 *
 * An accepted path holds no CR, LF, NUL, other control character, or unquoted space, so it
 * may be put into a command, a header or a log line. */
#pragma once

#include "base/ip.h"

/* Whether this is Local-part "@" ( Domain / address-literal ), within the limits of RFC 5321
 * 4.5.3.1 (local part 64, domain 255). ASCII only. */
bool address_is_valid(struct span path);

/* What is behind the last '@'; empty when there is none. */
struct span address_domain(struct span path);

/* A host name or domain: letters, digits, '-' (not at a label's ends), '_' and dots, labels of
 * at most 63, no dot at the end. */
bool domain_is_valid(struct span domain);

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). */
bool address_literal_parse(struct span literal, struct ip *ip);
