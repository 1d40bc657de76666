/* A span: bytes that somebody else owns. Not NUL-terminated, never freed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const char *data;
    size_t length;
};

/* For literals: SPAN("EHLO"). */
#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})

/* "%.*s", SPAN_FORMAT(s) */
#define SPAN_FORMAT(span) (int)(span).length, (span).data

struct span span_of(const char *text);
bool span_equal(struct span a, struct span b);
bool span_equal_nocase(struct span a, struct span b); /* ASCII only, as protocols want it */
bool span_starts_nocase(struct span whole, struct span prefix);

/* The span without its first `count` bytes (all of it when it is shorter). */
struct span span_skip(struct span whole, size_t count);

/* Cuts the next word (up to a space or tab) off `rest`, passing over blanks before it.
 * An empty span when nothing is left. */
struct span span_word(struct span *rest);

/* Cuts the next line off `rest`, without its CRLF or LF; what follows the last one is a line
 * too. False when nothing is left. */
bool span_line(struct span *rest, struct span *line);

bool span_is_ascii(struct span text); /* no byte above 127 */

struct span span_trim(struct span text); /* blanks at both ends removed */

/* A decimal number without sign that fits 64 bits and fills the whole span. */
bool span_number(struct span text, uint64_t *value);

/* A copy with a NUL behind it; the caller frees it. */
char *span_copy(struct span text);

/* FNV-1a, 64 bits; the _nocase form folds ASCII capitals first. Not for hostile keys. */
uint64_t span_hash(struct span text);
uint64_t span_hash_nocase(struct span text);

/* ASCII lower case in place. */
void text_lower(char *text);
