/* Lists of addresses as people and programs write them (RFC 5322 3.4, and the obsolete forms of
 * 4.4): names and comments, groups, source routes, folded lines, addresses without a domain.
 * Pure: text comes in, forward-paths come out, each of them once.
 *
 * What comes out holds no control character, blank or bracket outside of quotes, so it can be put
 * into a command; whether it is valid in every other respect, the relay says. */
#pragma once

#include "base/arena.h"
#include "base/map.h"

#define ADDRESSES_MAX 100000   /* in a list; more is a mistake */
#define ADDRESS_BYTES_MAX 1000 /* more than any relay takes (RFC 5321 4.5.3.1) */

struct address_list {
    const char *origin; /* the domain of addresses that have none */
    const char **items;
    unsigned count;
    struct map known;
    struct arena arena;
};

void addresses_init(struct address_list *addresses, const char *origin);
void addresses_free(struct address_list *addresses);

/* Adds the addresses of this text to those that are there already. NULL, or what is wrong with it,
 * as in "an address without its >"; then some may have been added. */
const char *addresses_read(struct address_list *addresses, struct span text);
