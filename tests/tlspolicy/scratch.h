/* A directory of a test's own with a certificate and its key in it. */
#pragma once

#include "tlspolicy/tls.h"

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct scratch {
    char directory[PATH_MAX / 2];
    char certificate[PATH_MAX], key[PATH_MAX];
};

static inline void scratch_make_empty(struct scratch *scratch)
{
    const char *parent = getenv("TMPDIR");
    snprintf(scratch->directory, sizeof(scratch->directory), "%s/millrace-test.XXXXXX",
             parent ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scratch->directory));
    snprintf(scratch->certificate, PATH_MAX, "%s/cert.pem", scratch->directory);
    snprintf(scratch->key, PATH_MAX, "%s/key.pem", scratch->directory);
}

static inline void scratch_make(struct scratch *scratch)
{
    char why[TLS_WHY_MAX];
    scratch_make_empty(scratch);
    ck_assert_msg(tls_self_signed(scratch->directory, "mx.example.test", why), "%s", why);
}

static inline void scratch_remove(struct scratch *scratch)
{
    unlink(scratch->certificate);
    unlink(scratch->key);
    ck_assert_int_eq(rmdir(scratch->directory), 0);
}
