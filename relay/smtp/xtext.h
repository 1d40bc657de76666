/* xtext (RFC 3461 4): any text as the value of an ESMTP parameter. "+", "=" and all that is not
 * printable ASCII is written "+XX". Pure. */
#pragma once

#include "base/buffer.h"

/* Appends the text that `xtext` stands for: any bytes, NUL among them, so it is the caller's to
 * say which may be in it. False, and nothing appended, when it is no xtext. */
bool xtext_read(struct span xtext, struct buffer *to);

void xtext_write(struct span text, struct buffer *to);
