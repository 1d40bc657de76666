/* What an answer of the relay holds, and how people read it: short forms of times and sizes, and
 * fields a line each. */
#pragma once

#include "relay/admin/terminal.h"

#include <jansson.h>

/* "" and 0 when the object has no such key, or null. */
const char *json_text_of(const json_t *object, const char *key);
int64_t json_number_of(const json_t *object, const char *key);

#define SHORT_TEXT_MAX 24
char *short_age(int64_t seconds,
                char text[SHORT_TEXT_MAX]); /* "45s", "12m": what has passed in full */
char *short_size(int64_t bytes, char text[SHORT_TEXT_MAX]);       /* "900", "4.0K", "1.5M" */
char *short_count(int64_t count, char text[SHORT_TEXT_MAX]);      /* "12,345,678" */
char *short_time(const char *rfc3339, char text[SHORT_TEXT_MAX]); /* without the milliseconds */

/* "  name         <value>": the value is made harmless. */
void print_field(const char *name, const char *before, const char *value, const char *after);
/* The text at `key`, unless it is empty. */
void print_optional_field(const json_t *object, const char *name, const char *key);
/* How it is to be protected, unless that is as usual. */
void print_security(const json_t *object);
/* A line of JSON. */
void print_json(const json_t *object);
