/* The Message-ID of a message (RFC 5322 3.6.4), by which the bench tells messages apart. Pure. */
#pragma once

#include "base/span.h"

#define MESSAGE_ID_MAX 998 /* as long as a line may be */

/* The value of the first Message-ID field in the header, without <>, as a part of `message`.
 * False when there is none, or one that is no single printable word. */
bool message_id_find(struct span message, struct span *id);
