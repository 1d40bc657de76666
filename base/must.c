#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void must_fail(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "millrace: broken invariant: %s (%s:%d, %s)\n", condition, file, line,
            function);
    abort();
}

static void *must_have(void *memory)
{
    if (memory == NULL) {
        fputs("millrace: out of memory\n", stderr);
        abort();
    }
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
