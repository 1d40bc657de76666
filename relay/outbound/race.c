#include "relay/outbound/race.h"

#include "base/must.h"

#include <string.h>

/* ---- the order ---- */

static unsigned count_family(const struct ip *addresses, unsigned count, uint8_t family)
{
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++)
        found += addresses[i].family == family;
    return found;
}

/* The `nth` address of its family. */
static uint8_t find_nth(const struct ip *addresses, uint8_t family, unsigned nth)
{
    for (uint8_t i = 0;; i++)
        if (addresses[i].family == family && nth-- == 0)
            return i;
}

/* The places of a family keep their family, and its addresses move round among them. */
static void rotate_family(struct race *race, const struct ip *addresses, uint8_t family,
                          struct random_state *random)
{
    unsigned count = count_family(addresses, race->count, family);
    if (count == 0)
        return;
    unsigned nth = (unsigned)random_below(random, count);
    for (unsigned i = 0; i < race->count; i++)
        if (addresses[i].family == family)
            race->order[i] = find_nth(addresses, family, nth++ % count);
}

static void move_down_last(struct race *race, const struct ip *addresses,
                           const struct family_memory *families, int64_t now_ms)
{
    uint8_t sorted[CONFIG_ADDRESSES_MAX] = {0};
    unsigned used = 0;
    for (int down = 0; down < 2; down++)
        for (unsigned i = 0; i < race->count; i++)
            if (family_is_down(families, addresses[race->order[i]].family, now_ms) == down)
                sorted[used++] = race->order[i];
    memcpy(race->order, sorted, used);
}

void race_begin(struct race *race, const struct ip *addresses, unsigned count,
                const struct family_memory *families, int64_t now_ms, struct random_state *random)
{
    must(count <= CONFIG_ADDRESSES_MAX);
    *race = (struct race){.count = count};
    rotate_family(race, addresses, 4, random);
    rotate_family(race, addresses, 6, random);
    move_down_last(race, addresses, families, now_ms);
}

/* ---- the race ---- */

static const uint8_t *first_untried(const struct race *race)
{
    for (unsigned i = 0; i < race->count; i++)
        if (race->marks[race->order[i]] == RACE_UNTRIED)
            return &race->order[i];
    return NULL;
}

bool race_next(struct race *race, int64_t now_ms, unsigned *address)
{
    const uint8_t *next = first_untried(race);
    bool wait = race->under_way > 0 && now_ms < race->next_at_ms;
    if (next == NULL || wait || race->under_way == RACE_LANES)
        return false;
    *address = *next;
    race->marks[*next] = RACE_UNDER_WAY;
    race->under_way++;
    race->next_at_ms = now_ms + RACE_DELAY_MS;
    return true;
}

void race_repeat(struct race *race, unsigned address)
{
    must(race->under_way == 0 && race->marks[address] == RACE_TRIED);
    race->marks[address] = RACE_UNDER_WAY;
    race->under_way = 1;
    race->next_at_ms = INT64_MAX;
}

void race_failed(struct race *race, unsigned address)
{
    must(race->marks[address] == RACE_UNDER_WAY && race->under_way > 0);
    race->marks[address] = RACE_TRIED;
    race->under_way--;
    race->next_at_ms = 0;
}

void race_won(struct race *race, unsigned address)
{
    must(race->marks[address] == RACE_UNDER_WAY);
    for (unsigned i = 0; i < race->count; i++)
        if (race->marks[i] == RACE_UNDER_WAY)
            race->marks[i] = i == address ? RACE_TRIED : RACE_UNTRIED;
    race->under_way = 0;
}

int64_t race_next_ms(const struct race *race)
{
    if (first_untried(race) == NULL || race->under_way == RACE_LANES)
        return INT64_MAX;
    return race->next_at_ms;
}
