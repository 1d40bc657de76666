/* Which hosts have offered STARTTLS the last time: remembered beyond the life of their sites, so
 * that one that no longer does is noticed although mail for it is rare (RFC 3207 6). That and no
 * more: what TLS must be is for the policy to say.
 *
 * Pure bookkeeping; the dispatch owns it, under its lock. */
#pragma once

#include "base/list.h"
#include "base/map.h"

#include <stdint.h>

#define OFFERS_MAX 10000 /* hosts; those not seen for longest are forgotten */

struct offers {
    struct map hosts;
    struct list by_age; /* the one seen last is at the end */
};

void offers_init(struct offers *offers);
void offers_free(struct offers *offers);

void offers_note(struct offers *offers, const char *host, uint16_t port, bool offered);
bool offers_know(const struct offers *offers, const char *host, uint16_t port);
