/* The data of a TXT record (RFC 1035 3.3.14): character-strings, which stand for one text when
 * they are put together without anything between them (RFC 7208 3.3, RFC 8460 3, RFC 8461 3.1).
 * Pure. */
#pragma once

#include "base/arena.h"

/* False when the data are cut off, empty, or longer than `most` as text. */
bool txt_join(struct span data, size_t most, struct arena *arena, struct span *text);
