/* How many messages each user has handed in, over all workers, against so many an hour: any hour,
 * not one by the clock. What a user did not use is there for a burst of up to an hour's worth.
 * Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RATES_USERS_MAX 65536 /* with more, the one that was here longest ago is forgotten */

struct rates;

struct rates *rates_create(void);
void rates_destroy(struct rates **rates);

/* One more, if that is within the limit (0: there is none). */
bool rates_take(struct rates *rates, const char *user, unsigned per_hour, int64_t now_ms);
