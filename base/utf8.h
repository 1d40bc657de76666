/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include "base/span.h"

/* Cuts the next character off `rest`, which must not be empty. False when it does not begin
 * with one: then a single byte has been cut off, and *code is that byte. */
bool utf8_next(struct span *rest, uint32_t *code);

bool utf8_valid(struct span text);

/* Cuts the next character off `rest`, which must not be empty, and writes it as JSON escapes
 * it: "\"", "\u001b", a pair of them beyond U+FFFF, and "\ufffd" for what is not UTF-8. */
#define UTF8_ESCAPE_MAX 16
char *utf8_escape(struct span *rest, char escape[UTF8_ESCAPE_MAX]);
