/* A race to one host: which of its addresses is tried next, and when (RFC 8305). Pure: its owner
 * connects, tells how each attempt went, and asks again.
 *
 * One attempt is begun; the next one RACE_DELAY_MS later while none has connected, or at once
 * when one fails. The first that connects wins; if the host is of no use there, the race goes on
 * among the addresses that have not had their turn. */
#pragma once

#include "base/random.h"
#include "relay/config.h"
#include "relay/families.h"

#define RACE_DELAY_MS 250     /* RFC 8305 8, Connection Attempt Delay */
#define RACE_TIMEOUT_MS 30000 /* of one attempt: ours; RFC 5321 names none */
#define RACE_LANES 3          /* attempts under way at a time */

enum race_mark {
    RACE_UNTRIED,
    RACE_UNDER_WAY,
    RACE_TRIED, /* it failed, or won and was of no use */
};

struct race {
    unsigned count;
    uint8_t order[CONFIG_ADDRESSES_MAX]; /* of trying */
    uint8_t marks[CONFIG_ADDRESSES_MAX]; /* enum race_mark of each address */
    unsigned under_way;
    int64_t next_at_ms; /* while any is under way, no further one is begun before */
};

/* Addresses are told by their number in this array. They are tried with the families in turn, as
 * they stand; those of one family in random rotation, to spread the load; those of a family that
 * is down last. */
void race_begin(struct race *race, const struct ip *addresses, unsigned count,
                const struct family_memory *families, int64_t now_ms, struct random_state *random);

/* The next attempt, which counts as under way from now on. False when there is none now. */
bool race_next(struct race *race, int64_t now_ms, unsigned *address);

/* Once more this one, which had its turn, and nothing beside it: under way from now on. */
void race_repeat(struct race *race, unsigned address);

void race_failed(struct race *race, unsigned address);
/* The owner ends the other attempts; they may be made again. */
void race_won(struct race *race, unsigned address);

/* When race_next will have something if nothing happens before: INT64_MAX when never. */
int64_t race_next_ms(const struct race *race);
