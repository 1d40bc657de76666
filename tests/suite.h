/* A libcheck program in one line: TEST_MAIN("base/span", words, lines, ...); */
#pragma once

#include "base/must.h"

#include <check.h>
#include <stdlib.h>

/* `before` and `after` each test, in its process; NULL: nothing. */
static inline int suite_run_in(const char *name, const TTest *const *tests, size_t count,
                               void (*before)(void), void (*after)(void))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    if (before != NULL)
        tcase_add_checked_fixture(tcase, before, after);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline int suite_run(const char *name, const TTest *const *tests, size_t count)
{
    return suite_run_in(name, tests, count, NULL, NULL);
}

#define TEST_MAIN(name, ...)                                                                       \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return suite_run(name, tests, countof(tests));                                             \
    }
