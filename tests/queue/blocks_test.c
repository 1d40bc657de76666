#include "queue/blocks.h"

#include "tests/suite.h"

#define BLOCKS 8
#define BYTES (BLOCKS * BLOCK_BYTES)

static void next_is(struct blocks *blocks, uint64_t first, uint64_t count)
{
    struct hole hole = blocks_next_hole(blocks, BYTES);
    ck_assert_uint_eq(hole.length, count * BLOCK_BYTES);
    if (count > 0)
        ck_assert_uint_eq(hole.offset, first * BLOCK_BYTES);
}

START_TEST(what_nobody_keeps_is_one_hole)
{
    struct blocks blocks = {0};
    ck_assert_uint_eq(blocks_dead(&blocks, BYTES), BLOCKS);
    ck_assert_uint_eq(blocks_dead(&blocks, BYTES - 1), BLOCKS); /* the last in part */
    ck_assert_uint_eq(blocks_dead(&blocks, 0), 0);
    next_is(&blocks, 0, BLOCKS);
    next_is(&blocks, 0, 0);
    next_is(&blocks, 0, BLOCKS); /* from the start again: nobody said that it was punched */
    blocks_free(&blocks);
}
END_TEST

START_TEST(a_body_keeps_every_block_that_it_touches)
{
    struct blocks blocks = {0};
    blocks_keep(&blocks, 2 * BLOCK_BYTES - 1, BLOCK_BYTES + 2); /* 1 to 3 */
    blocks_keep(&blocks, 6 * BLOCK_BYTES, BLOCK_BYTES);         /* 6, and no other */
    blocks_keep(&blocks, 5 * BLOCK_BYTES, 0);                   /* nothing */
    ck_assert_uint_eq(blocks_dead(&blocks, BYTES), 4);
    next_is(&blocks, 0, 1);
    next_is(&blocks, 4, 2);
    next_is(&blocks, 7, 1);
    next_is(&blocks, 0, 0);
    blocks_free(&blocks);
}
END_TEST

START_TEST(a_block_dies_with_its_last_body)
{
    struct blocks blocks = {0};
    for (uint64_t at = 0; at + 100 <= BYTES; at += 100)
        blocks_keep(&blocks, at, 100);
    ck_assert_uint_eq(blocks_dead(&blocks, BYTES), 0);
    next_is(&blocks, 0, 0);
    for (uint64_t at = 0; at < 2 * BLOCK_BYTES; at += 100)
        blocks_release(&blocks, at, 100);
    ck_assert_uint_eq(blocks_dead(&blocks, BYTES), 2);
    blocks_keep(&blocks, 17, 1);
    next_is(&blocks, 1, 1);
    blocks_free(&blocks);
}
END_TEST

START_TEST(a_punched_block_is_no_hole_again)
{
    struct blocks blocks = {0};
    blocks_keep(&blocks, 3 * BLOCK_BYTES, 10);
    blocks_keep(&blocks, 4 * BLOCK_BYTES, 10);
    struct hole hole = blocks_next_hole(&blocks, BYTES);
    blocks_punched(&blocks, hole);
    ck_assert_uint_eq(blocks_held(&blocks, BYTES), BLOCKS - 3);
    ck_assert_uint_eq(blocks_dead(&blocks, BYTES), 3);
    blocks_release(&blocks, 3 * BLOCK_BYTES, 10);
    blocks_release(&blocks, 0, BLOCK_BYTES); /* a damaged record's: not there */
    ck_assert_uint_eq(blocks_dead(&blocks, BYTES), 4);
    next_is(&blocks, 3, 1);
    next_is(&blocks, 5, 3);
    next_is(&blocks, 0, 0);
    blocks_free(&blocks);
}
END_TEST

/* What was never kept changes nothing, wherever it is said to lie. */
START_TEST(a_release_too_many)
{
    struct blocks blocks = {0};
    blocks_keep(&blocks, 0, 10);
    blocks_release(&blocks, 0, 10);
    blocks_release(&blocks, 0, 10);
    blocks_release(&blocks, BYTES * 1000, BYTES);
    ck_assert_uint_eq(blocks_dead(&blocks, BYTES), BLOCKS);
    blocks_free(&blocks);
}
END_TEST

START_TEST(too_many_to_count_stay)
{
    struct blocks blocks = {0};
    for (unsigned i = 0; i < 70000; i++)
        blocks_keep(&blocks, 0, 1);
    for (unsigned i = 0; i < 70000; i++)
        blocks_release(&blocks, 0, 1);
    ck_assert_uint_eq(blocks_dead(&blocks, BYTES), BLOCKS - 1);
    blocks_free(&blocks);
}
END_TEST

TEST_MAIN("queue/blocks", what_nobody_keeps_is_one_hole, a_body_keeps_every_block_that_it_touches,
          a_block_dies_with_its_last_body, a_punched_block_is_no_hole_again, a_release_too_many,
          too_many_to_count_stay)
