/* What OpenSSL draws and what time it sees, from the seed as well: no run differs from the one
 * before it. */
#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_METHOD: a provider would be a hundred lines more */
#include "tests/sim/seeded.h"

#include "base/random.h"
#include "tests/sim/world.h"

#include <openssl/rand.h>
#include <time.h>

static struct random_state state;

static int draw(unsigned char *bytes, int count)
{
    for (int i = 0; i < count; i++)
        bytes[i] = (unsigned char)random_below(&state, 256);
    return 1;
}

static int is_ready(void)
{
    return 1;
}

void seeded_begin(uint64_t seed)
{
    static const RAND_METHOD method = {.bytes = draw, .pseudorand = draw, .status = is_ready};
    state.state = seed;
    must(RAND_set_rand_method(&method) == 1);
}

/* In place of the C library's: OpenSSL asks it. */
time_t time(time_t *to)
{
    time_t now = (time_t)(sim_wall_ms() / 1000);
    if (to != NULL)
        *to = now;
    return now;
}
