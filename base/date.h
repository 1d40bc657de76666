/* Moments as the Internet writes them (RFC 3339): "2026-11-21T13:00:05Z". */
#pragma once

#include "base/span.h"

/* date-time, with or without a fraction of a second, in UTC or with its offset; a leap second is
 * the one before. In ms since 1970. False for anything else. */
bool date_read(struct span text, int64_t *ms);

/* In UTC, to the second. */
#define DATE_TEXT_MAX 24
char *date_format(int64_t ms, char text[DATE_TEXT_MAX]);
