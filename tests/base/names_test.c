#include "base/names.h"

#include "tests/suite.h"

#include <stdio.h>

START_TEST(what_governs_a_name)
{
    static const char *const keys[] = {"example.test", ".Example.test",     ".deep.example.test",
                                       ".test",        "mx.a.example.test", "[192.0.2.1]"};
    static const struct {
        const char *name, *key;
    } rows[] = {
        {"example.test", "example.test"},
        {"EXAMPLE.Test", "example.test"},
        {"a.example.test", ".Example.test"},
        {"b.a.example.test", ".Example.test"},
        {"mx.a.example.test", "mx.a.example.test"},
        {"deep.example.test", ".Example.test"}, /* ".x" is what lies below x, not x */
        {"a.deep.example.test", ".deep.example.test"},
        {"badexample.test", ".test"}, /* a parent ends at a dot */
        {"test", "*"},
        {"example.com", "*"},
        {"[192.0.2.1]", "[192.0.2.1]"},
        {"[192.0.2.2]", "*"},
        {"", "*"},
        {".", "*"},
    };
    static const char anything[] = "*";
    struct names names;
    names_init(&names);
    for (size_t i = 0; i < countof(keys); i++)
        ck_assert(names_add(&names, span_of(keys[i]), (void *)(uintptr_t)keys[i]));
    ck_assert_ptr_null(names_find(&names, SPAN("example.com")));
    ck_assert(names_add(&names, SPAN("*"), (void *)(uintptr_t)anything));
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_str_eq(names_find(&names, span_of(rows[i].name)), rows[i].key);
    ck_assert_str_eq(names_find(&names, (struct span){0}), "*");
    names_free(&names);
}
END_TEST

START_TEST(a_key_is_there_once)
{
    int one = 1, two = 2;
    struct names names;
    names_init(&names);
    ck_assert(names_add(&names, SPAN("Example.test"), &one));
    ck_assert(!names_add(&names, SPAN("eXample.test"), &two));
    ck_assert_ptr_eq(names_exact(&names, SPAN("example.TEST")), &one);
    ck_assert_ptr_null(names_exact(&names, SPAN("a.example.test")));
    names_free(&names);
}
END_TEST

START_TEST(many)
{
    static int values[5000];
    struct names names;
    char key[32];
    names_init(&names);
    for (size_t i = 0; i < countof(values); i++) {
        snprintf(key, sizeof(key), ".d%zu.test", i);
        ck_assert(names_add(&names, span_of(key), &values[i]));
    }
    for (size_t i = 0; i < countof(values); i++) {
        snprintf(key, sizeof(key), "mx.d%zu.test", i);
        ck_assert_ptr_eq(names_find(&names, span_of(key)), &values[i]);
    }
    names_free(&names);
}
END_TEST

TEST_MAIN("base/names", what_governs_a_name, a_key_is_there_once, many)
