#include "base/arena.h"

#include "tests/suite.h"

#include <stdalign.h>
#include <string.h>

static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 1008, 1009, 1024, 1025, 5000, 1, 70000, 3};

START_TEST(pieces_are_aligned_zeroed_and_apart)
{
    struct arena arena = {0};
    unsigned char *pieces[countof(sizes)];
    for (size_t i = 0; i < countof(sizes); i++) {
        pieces[i] = arena_take(&arena, sizes[i]);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++)
            ck_assert_uint_eq(pieces[i][j], 0);
        if (sizes[i] > 0)
            memset(pieces[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < countof(sizes); i++)
        for (size_t j = 0; j < sizes[i]; j++)
            ck_assert_uint_eq(pieces[i][j], i + 1);
    arena_free(&arena);
    ck_assert_ptr_null(arena.blocks);
}
END_TEST

START_TEST(texts)
{
    struct arena arena = {0};
    char *copy = arena_copy(&arena, (struct span){"abcdef", 3});
    char *empty = arena_copy(&arena, (struct span){0});
    char *printed = arena_print(&arena, "%s-%d", "x", 7);
    char *wide = arena_print(&arena, "%3000d", 1);
    ck_assert_str_eq(copy, "abc");
    ck_assert_str_eq(empty, "");
    ck_assert_str_eq(printed, "x-7");
    ck_assert_uint_eq(strlen(wide), 3000);
    arena_free(&arena);
}
END_TEST

START_TEST(is_free_to_use_again)
{
    struct arena arena = {0};
    arena_free(&arena);
    ck_assert_str_eq(arena_copy(&arena, SPAN("one")), "one");
    arena_free(&arena);
    ck_assert_str_eq(arena_copy(&arena, SPAN("two")), "two");
    arena_free(&arena);
}
END_TEST

TEST_MAIN("base/arena", pieces_are_aligned_zeroed_and_apart, texts, is_free_to_use_again)
