/* xtext (RFC 3461 4): any octets as printable ASCII without blanks, '+' and '='; and its sibling
 * for addresses in UTF-8 (RFC 6533 3). In base because both the SMTP sessions and the bounces
 * need it. What xtext decodes to may be any octets, CR and LF too: look before you print. */
#pragma once

#include "base/buffer.h"

/* Printable ASCII; "+" begins two hexadecimal digits, capitals only. */
bool xtext_valid(struct span text);
/* Appends the octets. False, and nothing is appended, when it is not valid. */
bool xtext_decode(struct span text, struct buffer *to);
void xtext_encode(struct span octets, struct buffer *to);

/* utf-8-addr-xtext, and with `eight_bit` utf-8-addr-unitext too: printable ASCII without '+' and
 * '=', "\x{4E00}" for other characters, and with `eight_bit` UTF-8 as it is. Not empty, and no
 * control characters, which no address has. */
bool utf8_xtext_valid(struct span text, bool eight_bit);
/* Either form to UTF-8. False, and nothing is appended, when it is not valid. */
bool utf8_xtext_decode(struct span text, struct buffer *to);
/* To the ASCII form, which is xtext as well. False, and nothing is appended, when it is not UTF-8.
 */
bool utf8_xtext_encode(struct span utf8, struct buffer *to);
