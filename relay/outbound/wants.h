/* From what a host must show to what a handshake with it looks for. Pure. */
#pragma once

#include "relay/config.h"
#include "tlspolicy/terms.h"

/* Without a ticket key: that is whoever keeps tickets to say. Points into the terms and the
 * configuration. */
struct tls_wants wants_of(const struct tls_terms *terms, const struct tls_config *tls);

/* Appends what else than the terms must be the same for a ticket to be used again: the versions and
 * ciphers that are offered, and who may vouch for a name. */
void wants_key(const struct tls_wants *wants, struct buffer *key);
