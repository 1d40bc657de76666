/* Counts as JSON values, for reports and for the operator. */
#pragma once

#include "tlspolicy/tlsrpt.h"

#include <jansson.h>

/* The "policies" of RFC 8460 4.4. The caller gets the reference. */
json_t *tally_policies(const struct tlsrpt_tally *tally);
