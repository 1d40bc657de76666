/* What is wrong with a configuration, and what was meant. Problems are collected in any order
 * and written in the order of the file. For relay/config*.c only. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"

#define REPORT_PROBLEMS_MAX 100 /* more are counted, not told */

struct place {
    const char *file; /* belongs to the scan */
    unsigned line;    /* 0: the file as a whole */
    unsigned order;   /* of statements, over all files */
};

/* "FILE:LINE" */
const char *place_text(const struct place *place, struct arena *arena);

struct problem {
    struct place place;
    size_t number; /* of those at the same place, the first found comes first */
    char *text;
};

struct report {
    struct problem *problems;
    size_t count;
    size_t left_out;
};

void report_free(struct report *report);
void report_add(struct report *report, const struct place *place, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* A line each: "FILE:LINE: text". */
void report_write(struct report *report, struct buffer *to);
