/* What was probably meant: the known name that a mistyped word is nearest to. */
#pragma once

#include "base/span.h"

#define NEAREST_WORD_MAX 64 /* bytes; a longer word is near to nothing */

/* The candidate that the fewest slips (a letter too many, missing, wrong, or two swapped) turn
 * into `word`, in any case; of equals the first. A word of three letters or more is also near
 * to a name that it begins. NULL when more than a third of the letters would be wrong. */
const char *nearest_name(struct span word, const char *const *candidates, size_t count);
