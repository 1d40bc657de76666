/* What holds everywhere: broken invariants abort, and cleanup is declared at birth.
 *
 * must() stays on in release builds: a relay that goes on with a broken
 * invariant loses mail. Expected failures (peers, disks, people) are values,
 * never must(). */
#pragma once

#include <stddef.h>

/* Aborts with the place and the condition on stderr when `condition` is false. */
#define must(condition)                                                                            \
    ((condition) ? (void)0 : must_fail(#condition, __FILE__, __LINE__, __func__))

/* Aborts: a place that no program state can reach. */
#define must_not_reach() must_fail("unreachable", __FILE__, __LINE__, __func__)

/* A variable marked CLEANUP(f) is given to f(&variable) when its scope ends. */
#define CLEANUP(function) __attribute__((cleanup(function)))

#define PRINTF_LIKE(format_at, arguments_at)                                                       \
    __attribute__((format(printf, format_at, arguments_at)))

/* The struct of `type` whose `member` is at `pointer`. */
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define countof(array) (sizeof(array) / sizeof((array)[0]))

__attribute__((noreturn)) void must_fail(const char *condition, const char *file, int line,
                                         const char *function);

/* Has an abort's message given to `tell` instead of written to stderr. It runs on the thread
 * that failed, in whatever state that is. */
void must_tell_by(void (*tell)(const char *message));

/* Allocation that never returns NULL: out of memory aborts, because every large
 * thing is bounded before it is allocated. The caller owns the result; free() it. */
void *must_calloc(size_t count, size_t size);
void *must_realloc(void *take, size_t size);
char *must_strdup(const char *text);
char *must_strndup(const char *text, size_t length);
