#include "relay/outbound/race.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

#define NOW 1000000
#define D RACE_DELAY_MS

/* "64646": IPv6, IPv4, …; the address's number is its place. */
static unsigned addresses_of(const char *families, struct ip addresses[CONFIG_ADDRESSES_MAX])
{
    unsigned count = (unsigned)strlen(families);
    for (unsigned i = 0; i < count; i++)
        addresses[i] = (struct ip){.family = (uint8_t)(families[i] - '0'), .bytes = {[3] = 1}};
    return count;
}

static void begin(struct race *race, const char *families, const struct family_memory *memory,
                  uint64_t seed)
{
    struct ip addresses[CONFIG_ADDRESSES_MAX];
    struct random_state random = {seed};
    unsigned count = addresses_of(families, addresses);
    race_begin(race, addresses, count, memory, NOW, &random);
}

/* ---- the order ---- */

START_TEST(each_place_keeps_its_family)
{
    static const struct {
        const char *families, *order;
        bool down4, down6;
    } rows[] = {
        {"6464", "6464", false, false}, {"64644", "64644", false, false},
        {"4", "4", false, false},       {"666", "666", false, false},
        {"6464", "4466", false, true},  {"64644", "66444", true, false},
        {"66", "66", false, true},      {"6464", "6464", true, true},
        {"", "", true, true},
    };
    for (size_t i = 0; i < countof(rows); i++)
        for (uint64_t seed = 0; seed < 50; seed++) {
            struct family_memory memory = {0};
            struct race race;
            char order[CONFIG_ADDRESSES_MAX + 1] = "";
            unsigned seen = 0;
            if (rows[i].down4)
                family_failed(&memory, 4, NOW);
            if (rows[i].down6)
                family_failed(&memory, 6, NOW);
            begin(&race, rows[i].families, &memory, seed);
            for (unsigned j = 0; j < race.count; j++) {
                order[j] = rows[i].families[race.order[j]];
                seen |= 1u << race.order[j];
            }
            ck_assert_msg(strcmp(order, rows[i].order) == 0, "row %zu: %s", i, order);
            ck_assert_uint_eq(seen, (1u << race.count) - 1); /* each once */
        }
}
END_TEST

START_TEST(each_address_is_first_now_and_then)
{
    static const struct family_memory memory;
    unsigned first[4] = {0};
    struct random_state random = {7};
    struct ip addresses[CONFIG_ADDRESSES_MAX];
    unsigned count = addresses_of("4444", addresses);
    for (int i = 0; i < 4000; i++) {
        struct race race;
        race_begin(&race, addresses, count, &memory, NOW, &random);
        first[race.order[0]]++;
    }
    for (unsigned i = 0; i < 4; i++)
        ck_assert_msg(first[i] > 800 && first[i] < 1200, "%u: %u times", i, first[i]);
}
END_TEST

START_TEST(a_family_is_down_for_a_while)
{
    struct family_memory memory = {0};
    ck_assert(!family_is_down(&memory, 6, NOW));
    family_failed(&memory, 6, NOW);
    ck_assert(family_is_down(&memory, 6, NOW + FAMILIES_MEMORY_MS - 1));
    ck_assert(!family_is_down(&memory, 4, NOW));
    ck_assert(!family_is_down(&memory, 6, NOW + FAMILIES_MEMORY_MS));
    family_worked(&memory, 6);
    ck_assert(!family_is_down(&memory, 6, NOW));
}
END_TEST

/* ---- the race: what happens, step by step ---- */

enum action {
    END,
    NEXT,    /* race_next at this time gives the address, */
    NONE,    /* or nothing, */
    WAITS,   /* and race_next_ms is so much later than NOW (-1: never) */
    FAILS,   /* the address */
    WINS,    /* the address */
    REPEATS, /* the address */
    LOST,
};

struct step {
    enum action action;
    int64_t after_ms; /* NOW */
    unsigned address;
};

#define NEXT(after, number)                                                                        \
    {                                                                                              \
        .action = NEXT, .after_ms = (after), .address = (number)                                   \
    }
#define NONE(after)                                                                                \
    {                                                                                              \
        .action = NONE, .after_ms = (after)                                                        \
    }
#define WAITS(after)                                                                               \
    {                                                                                              \
        .action = WAITS, .after_ms = (after)                                                       \
    }
#define FAILS(number)                                                                              \
    {                                                                                              \
        .action = FAILS, .address = (number)                                                       \
    }
#define WINS(number)                                                                               \
    {                                                                                              \
        .action = WINS, .address = (number)                                                        \
    }
#define REPEATS(number)                                                                            \
    {                                                                                              \
        .action = REPEATS, .address = (number)                                                     \
    }
#define IS_LOST                                                                                    \
    {                                                                                              \
        .action = LOST                                                                             \
    }

static const struct {
    const char *name, *families;
    struct step steps[20];
} races[] = {
    {"one by one, each a little later",
     "646",
     {NEXT(0, 0), NONE(0), WAITS(D), NONE(D - 1), NEXT(D, 1), NONE(D), WAITS(2 * D),
      NEXT(2 * D + 5, 2), NONE(9 * D), WAITS(-1)}},
    {"who fails makes room at once",
     "646",
     {NEXT(0, 0), FAILS(0), NEXT(1, 1), NONE(2), FAILS(1), NEXT(2, 2), FAILS(2), NONE(2), WAITS(-1),
      IS_LOST}},
    {"so many beside each other and no more",
     "64646",
     {NEXT(0, 0), NEXT(D, 1), NEXT(2 * D, 2), NONE(3 * D), WAITS(-1), FAILS(1), NEXT(3 * D, 3),
      NONE(4 * D), FAILS(0), FAILS(2), NEXT(4 * D, 4), FAILS(4), FAILS(3), IS_LOST}},
    {"the winner was of no use: the others have their turn",
     "646",
     {NEXT(0, 0), NEXT(D, 1), WINS(1), NEXT(5 * D, 0), NONE(5 * D), NEXT(6 * D, 2), WINS(2),
      NEXT(7 * D, 0), FAILS(0), IS_LOST}},
    {"the only one was of no use", "4", {NEXT(0, 0), WAITS(-1), WINS(0), NONE(1), IS_LOST}},
    {"once more, and alone",
     "64",
     {NEXT(0, 0), WINS(0), REPEATS(0), NONE(9 * D), FAILS(0), NEXT(9 * D, 1), WINS(1), REPEATS(1),
      WINS(1), IS_LOST}},
    {"nobody takes part", "", {IS_LOST}},
};

static void take_step(struct race *race, const struct step *step, const char *name, size_t at)
{
    unsigned address = 99;
    int64_t now_ms = NOW + step->after_ms;
    bool holds = true;
    switch (step->action) {
    case NEXT: holds = race_next(race, now_ms, &address) && address == step->address; break;
    case NONE: holds = !race_next(race, now_ms, &address); break;
    case WAITS: holds = race_next_ms(race) == (step->after_ms < 0 ? INT64_MAX : now_ms); break;
    case FAILS: race_failed(race, step->address); break;
    case WINS: race_won(race, step->address); break;
    case REPEATS: race_repeat(race, step->address); break;
    case LOST: holds = race->under_way == 0 && !race_next(race, NOW + 99 * D, &address); break;
    case END: must_not_reach();
    }
    ck_assert_msg(holds, "%s, step %zu: address %u", name, at, address);
}

START_TEST(who_is_next_and_when)
{
    for (size_t i = 0; i < countof(races); i++) {
        struct race race = {.count = (unsigned)strlen(races[i].families)};
        for (unsigned j = 0; j < race.count; j++)
            race.order[j] = (uint8_t)j; /* as it stands, for once */
        for (size_t j = 0; races[i].steps[j].action != END; j++)
            take_step(&race, &races[i].steps[j], races[i].name, j);
    }
}
END_TEST

TEST_MAIN("relay/outbound/race", each_place_keeps_its_family, each_address_is_first_now_and_then,
          a_family_is_down_for_a_while, who_is_next_and_when)
