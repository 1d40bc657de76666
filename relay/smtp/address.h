/* Addresses: forward- and reverse-paths without their brackets (RFC 5321 4.1.2). Pure.
 *
 * An accepted path holds no CR, LF, NUL, other control character, or unquoted space, so it
 * may be put into a command, a header or a log line. */
#pragma once

#include "base/ip.h"

/* Whether this is Local-part "@" ( Domain / address-literal ), within the limits of RFC 5321
 * 4.5.3.1 (local part 64, domain 255). ASCII only. */
bool address_is_valid(struct span path);

/* The same, and characters outside ASCII may stand in the local part and, as U-labels, in the
 * domain (RFC 6531 3.3). The limits are in octets. */
bool address_is_valid_utf8(struct span path);

/* What is behind the last '@'; empty when there is none. */
struct span address_domain(struct span path);

/* What mail for a valid path is looked up, routed and kept together by: its domain in lower case,
 * as A-labels, or its literal. A domain that is none any more (it may have been accepted long ago)
 * comes back as it is, and will not be found. */
#define ADDRESS_DOMAIN_MAX 255
char *address_destination(struct span path, char name[ADDRESS_DOMAIN_MAX + 1]);

/* A host name or domain: letters, digits, '-' (not at a label's ends), '_' and dots, labels of
 * at most 63, no dot at the end. */
bool domain_is_valid(struct span domain);

/* "[192.0.2.1]" and "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). */
bool address_literal_parse(struct span literal, struct ip *ip);

/* One word of letters, digits and what else an atom has (RFC 5322 3.2.3). ASCII only. */
bool atom_is_valid(struct span text);
