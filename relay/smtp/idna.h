/* Domains with characters outside ASCII (RFC 5890), as libidn2 knows them: the one place that
 * includes it. Pure. */
#pragma once

#include "base/span.h"

#define IDNA_DOMAIN_MAX 255

/* A domain in UTF-8 to its A-labels ("xn--…"), in lower case: IDNA2008 with the mapping of UTS 46,
 * non-transitional. False when it is no domain. */
bool idna_to_ascii(struct span domain, char ascii[IDNA_DOMAIN_MAX + 1]);
