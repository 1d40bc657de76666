/* Failed attempts to authenticate, counted for each client over all its connections: who guesses
 * waits longer and longer, and is sent away in the end. Shared by all workers; thread-safe. */
#pragma once

#include "base/ip.h"

#define FAILURES_FORGIVEN_MS 60000 /* one of them, each time that this has passed */
#define FAILURES_CLIENTS_MAX 65536 /* with more, the one that failed longest ago is forgotten */
#define FAILURES_DELAY_FACTOR_MAX 16

struct failures;

struct failures *failures_create(void);
void failures_destroy(struct failures **failures);

/* One more. How many count now, this one too. */
unsigned failures_add(struct failures *failures, const struct ip *client, int64_t now_ms);
unsigned failures_count(struct failures *failures, const struct ip *client, int64_t now_ms);

/* How long to hold back the reply to the `count`th: `first_ms`, then twice that, and so on. */
int64_t failures_delay_ms(unsigned count, int64_t first_ms);
