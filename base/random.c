#include "base/random.h"

#include "base/map.h"

uint64_t random_next(struct random_state *random)
{
    uint64_t number = hash_number(random->state); /* SplitMix64's step and mixing */
    random->state += 0x9e3779b97f4a7c15ULL;
    return number;
}

uint64_t random_below(struct random_state *random, uint64_t bound)
{
    return bound ? random_next(random) % bound : 0;
}
