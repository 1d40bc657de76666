/* Durations, sizes and rates as people write them. */
#pragma once

#include "base/span.h"

/* "250ms", "30s", "5m", "4h", "5d", in ms; "0" needs no unit. False for anything else, and for
 * what does not fit. */
bool units_duration(struct span text, int64_t *ms);

/* "900", "64K", "50M", "2G", "1T", in bytes: powers of 1024, any case. False for anything else,
 * and for what does not fit. */
bool units_size(struct span text, uint64_t *bytes);

struct rate {
    unsigned count; /* at most so many within … 0: any number */
    int64_t per_ms;
};

/* "100/h", "5/s", of s, m, h and d; "0" needs no unit. False for anything else. */
bool units_rate(struct span text, struct rate *rate);

/* The shortest of the forms above that says exactly this: "5m", "50M", "100/h". */
#define UNITS_TEXT_MAX 24
char *units_duration_format(int64_t ms, char text[UNITS_TEXT_MAX]);
char *units_size_format(uint64_t bytes, char text[UNITS_TEXT_MAX]);
char *units_rate_format(struct rate rate, char text[UNITS_TEXT_MAX]);
