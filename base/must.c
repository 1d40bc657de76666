#include "base/must.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell_stderr(const char *message)
{
    fputs(message, stderr);
}

static void (*_Atomic tell_by)(const char *message) = tell_stderr;

void must_tell_by(void (*tell)(const char *message))
{
    atomic_store(&tell_by, tell);
}

__attribute__((noreturn)) static void say_and_abort(const char *message)
{
    atomic_load (&tell_by)(message);
    abort();
}

void must_fail(const char *condition, const char *file, int line, const char *function)
{
    char message[512];
    snprintf(message, sizeof(message), "millrace: broken invariant: %s (%s:%d, %s)\n", condition,
             file, line, function);
    say_and_abort(message);
}

static void *must_have(void *memory)
{
    if (memory == NULL)
        say_and_abort("millrace: out of memory\n");
    return memory;
}

void *must_calloc(size_t count, size_t size)
{
    return must_have(calloc(count ? count : 1, size ? size : 1));
}

void *must_realloc(void *take, size_t size)
{
    return must_have(realloc(take, size ? size : 1));
}

char *must_strdup(const char *text)
{
    return must_have(strdup(text));
}

char *must_strndup(const char *text, size_t length)
{
    return must_have(strndup(text, length));
}
