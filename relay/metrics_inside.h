/* What metrics.c counts and metrics_print.c prints. */
#pragma once

#include "relay/metrics.h"

struct metric_row {
    const char *name;   /* in `stats` and the statistics of SIGUSR1 */
    const char *family; /* the Prometheus name, less "millrace_"; rows of one are neighbours */
    const char *labels; /* "result=\"delivered\"", or NULL */
};
const struct metric_row *metric_row(enum metric metric);

int64_t metric_tls_policies(enum tls_source source, enum tls_level level, enum tls_outcome outcome);

#define REFUSAL_CLASSES 2  /* 4yz and 5yz */
#define REFUSAL_SUBJECTS 8 /* RFC 3463 2: 0 to 7 */
int64_t metric_refusals(unsigned class, unsigned subject);
