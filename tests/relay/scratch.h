/* A directory of a test's own, and text files in it. */
#pragma once

#include "base/must.h"
#include "base/span.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_MAX 256
#define SCRATCH_FILE_MAX (SCRATCH_MAX + 64)

struct scratch {
    char path[SCRATCH_MAX];
};

static inline struct scratch scratch_make(void)
{
    struct scratch scratch;
    const char *parent = getenv("TMPDIR");
    snprintf(scratch.path, sizeof(scratch.path), "%s/millrace-test-XXXXXX",
             parent ? parent : "/tmp");
    must(mkdtemp(scratch.path) != NULL);
    return scratch;
}

static inline int scratch_remove_one(const char *path, const struct stat *facts, int type,
                                     struct FTW *place)
{
    (void)facts;
    (void)type;
    (void)place;
    return remove(path);
}

static inline void scratch_remove(struct scratch *scratch)
{
    nftw(scratch->path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline char *scratch_name(const struct scratch *scratch, const char *name,
                                 char path[SCRATCH_FILE_MAX])
{
    snprintf(path, SCRATCH_FILE_MAX, "%s/%s", scratch->path, name);
    return path;
}

static inline void scratch_write(const struct scratch *scratch, const char *name, struct span text)
{
    char path[SCRATCH_FILE_MAX];
    FILE *file = fopen(scratch_name(scratch, name, path), "we");
    must(file != NULL && fwrite(text.data, 1, text.length, file) == text.length);
    must(fclose(file) == 0);
}
