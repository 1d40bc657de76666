#include "queue/scheduler.h"

#include "base/random.h"
#include "tests/suite.h"

#include <stdio.h>

#define NOW 1000000
#define EXPIRY (NOW + 500000)

static struct entry *add_to(struct scheduler *scheduler, const char *name, uint64_t id,
                            int64_t due_ms)
{
    struct destination *destination =
        scheduler_destination(scheduler, span_of(name), SECURITY_USUAL);
    struct entry_facts facts = {.id = id, .due_ms = due_ms, .look_ms = EXPIRY, .recipients = 1};
    struct entry *entry = scheduler_add(scheduler, destination, &facts, NULL, NOW);
    ck_assert_ptr_nonnull(entry);
    return entry;
}

static struct entry *add(struct scheduler *scheduler, uint64_t id, int64_t due_ms)
{
    return add_to(scheduler, "a.test", id, due_ms);
}

static struct envelope *fresh_envelope(void)
{
    struct message *message = message_create(SPAN("s@app.test"), 0, NOW);
    struct envelope *envelope = envelope_create(message, SPAN("a.test"));
    ck_assert(envelope_add(envelope, SPAN("r@a.test"), SPAN("")));
    message_drop(&message);
    return envelope;
}

static void assert_counts(const struct destination *destination, unsigned waiting, unsigned ready,
                          unsigned out)
{
    ck_assert_uint_eq(destination->counts[ENTRY_WAITING], waiting);
    ck_assert_uint_eq(destination->counts[ENTRY_READY], ready);
    ck_assert_uint_eq(destination->counts[ENTRY_OUT], out);
}

/* ---- destination ---- */

START_TEST(states_have_names)
{
    ck_assert_str_eq(entry_state_name(ENTRY_WAITING), "waiting");
    ck_assert_str_eq(entry_state_name(ENTRY_READY), "ready");
    ck_assert_str_eq(entry_state_name(ENTRY_OUT), "out");
    ck_assert_str_eq(entry_state_name(ENTRY_HELD), "held");
}
END_TEST

START_TEST(the_first_come_is_the_first_out)
{
    struct scheduler scheduler;
    scheduler_init(&scheduler);
    struct entry *first = add(&scheduler, 1, NOW);
    struct destination *destination = first->destination;
    add(&scheduler, 2, NOW - 1000); /* due for longer, but later here */
    add(&scheduler, 3, NOW);
    assert_counts(destination, 0, 3, 0);
    for (uint64_t id = 1; id <= 3; id++) {
        struct entry *next = destination_next(destination);
        ck_assert_uint_eq(next->id, id);
        ck_assert_int_eq(next->state, ENTRY_OUT);
    }
    ck_assert_ptr_null(destination_next(destination));
    assert_counts(destination, 0, 0, 3);
    scheduler_free(&scheduler);
}
END_TEST

START_TEST(what_comes_back_untried_is_the_next_again)
{
    struct scheduler scheduler;
    scheduler_init(&scheduler);
    struct destination *destination = add(&scheduler, 1, NOW)->destination;
    add(&scheduler, 2, NOW);
    struct entry *claimed = destination_next(destination);
    ck_assert(!claimed->returned);
    entry_return(claimed);
    assert_counts(destination, 0, 2, 0);
    ck_assert_ptr_eq(destination_next(destination), claimed);
    ck_assert(claimed->returned);
    entry_move(claimed, ENTRY_READY); /* and one that is merely ready again is the last */
    ck_assert_uint_eq(destination_next(destination)->id, 2);
    ck_assert_uint_eq(destination_next(destination)->id, 1);
    scheduler_free(&scheduler);
}
END_TEST

START_TEST(an_entry_of_each_state_makes_a_destination_needed)
{
    struct scheduler scheduler;
    scheduler_init(&scheduler);
    struct entry *entry = add(&scheduler, 1, NOW + 1);
    struct destination *destination = entry->destination;
    for (unsigned state = 0; state < ENTRY_STATES; state++) {
        entry_move(entry, (enum entry_state)state);
        ck_assert(!destination_is_empty(destination));
    }
    scheduler_remove(&scheduler, entry);
    ck_assert(destination_is_empty(destination));
    scheduler_free(&scheduler);
}
END_TEST

/* ---- destinations of a scheduler ---- */

START_TEST(a_name_is_one_destination)
{
    struct scheduler scheduler;
    scheduler_init(&scheduler);
    struct destination *a = scheduler_destination(&scheduler, SPAN("a.test"), SECURITY_USUAL);
    struct destination *b = scheduler_destination(&scheduler, SPAN("b.test"), SECURITY_USUAL);
    ck_assert_ptr_ne(a, b);
    ck_assert_ptr_eq(scheduler_destination(&scheduler, SPAN("a.test"), SECURITY_USUAL), a);
    ck_assert_str_eq(b->name, "b.test");
    ck_assert_uint_eq(scheduler.destinations.count, 2);
    scheduler_forget(&scheduler, a);
    ck_assert_uint_eq(scheduler.destinations.count, 1);
    ck_assert_ptr_eq(scheduler_destination(&scheduler, SPAN("b.test"), SECURITY_USUAL), b);
    scheduler_free(&scheduler);
}
END_TEST

START_TEST(mail_of_each_security_waits_apart)
{
    struct scheduler scheduler;
    struct destination *made[SECURITIES];
    scheduler_init(&scheduler);
    for (unsigned i = 0; i < SECURITIES; i++) {
        enum security security = (enum security)i;
        ck_assert_ptr_null(scheduler_find_destination(&scheduler, SPAN("a.test"), security));
        made[i] = scheduler_destination(&scheduler, SPAN("a.test"), security);
        ck_assert_str_eq(made[i]->name, "a.test");
        ck_assert_int_eq((int)made[i]->security, (int)security);
        ck_assert_uint_eq(scheduler.destinations.count, i + 1);
    }
    scheduler_forget(&scheduler, made[SECURITY_REQUIRED]);
    for (unsigned i = 0; i < SECURITIES; i++)
        ck_assert_ptr_eq(scheduler_find_destination(&scheduler, SPAN("a.test"), (enum security)i),
                         i == SECURITY_REQUIRED ? NULL : made[i]);
    scheduler_free(&scheduler);
}
END_TEST

/* What the scheduler counts of all is what the walk meets. */
START_TEST(a_walk_meets_all_and_the_counts_agree)
{
    struct scheduler scheduler;
    struct random_state random = {5};
    size_t at = 0, met = 0, destinations = 0;
    unsigned counts[ENTRY_STATES] = {0};
    scheduler_init(&scheduler);
    for (uint64_t id = 1; id <= 3000; id++) {
        char name[32];
        snprintf(name, sizeof(name), "d%u.test", (unsigned)random_below(&random, 50));
        struct entry *entry = add_to(&scheduler, name, id, NOW + (id % 2 ? 0 : 1000));
        if (id % 7 == 0)
            entry_move(entry, ENTRY_OUT);
        if (id % 11 == 0)
            scheduler_remove(&scheduler, entry);
    }
    for (const struct entry *entry; (entry = scheduler_walk(&scheduler, &at)) != NULL; met++)
        counts[entry->state]++;
    ck_assert_uint_eq(met, scheduler.entry_pool.count);
    for (unsigned state = 0; state < ENTRY_STATES; state++)
        ck_assert_uint_eq(counts[state], scheduler.counts[state]);
    at = 0;
    for (const struct destination *destination;
         (destination = scheduler_walk_destinations(&scheduler, &at)) != NULL; destinations++)
        for (unsigned state = 0; state < ENTRY_STATES; state++)
            counts[state] -= destination->counts[state];
    ck_assert_uint_eq(destinations, 50);
    for (unsigned state = 0; state < ENTRY_STATES; state++)
        ck_assert_uint_eq(counts[state], 0);
    scheduler_free(&scheduler);
}
END_TEST

/* ---- entries ---- */

START_TEST(an_envelope_is_known_once)
{
    struct scheduler scheduler;
    scheduler_init(&scheduler);
    struct entry *entry = add(&scheduler, 7, NOW);
    struct entry_facts facts = {.id = 7, .due_ms = NOW, .look_ms = EXPIRY};
    ck_assert_ptr_null(scheduler_add(&scheduler, entry->destination, &facts, NULL, NOW));
    assert_counts(entry->destination, 0, 1, 0);
    facts.number = 1; /* the same message's next envelope */
    struct entry *other = scheduler_add(&scheduler, entry->destination, &facts, NULL, NOW);
    ck_assert_ptr_nonnull(other);
    ck_assert_ptr_eq(scheduler_find(&scheduler, 7, 0), entry);
    ck_assert_ptr_eq(scheduler_find(&scheduler, 7, 1), other);
    ck_assert_ptr_null(scheduler_find(&scheduler, 7, 2));
    ck_assert_ptr_null(scheduler_find(&scheduler, 8, 0));
    scheduler_free(&scheduler);
}
END_TEST

START_TEST(what_is_not_due_yet_costs_no_envelope)
{
    struct scheduler scheduler;
    scheduler_init(&scheduler);
    struct message *message = message_create(SPAN("a@b.test"), 0, NOW);
    struct destination *destination =
        scheduler_destination(&scheduler, SPAN("a.test"), SECURITY_USUAL);
    for (int64_t later = 0; later < 2; later++) {
        struct entry_facts facts = {
            .id = 1 + (uint64_t)later, .due_ms = NOW + later, .look_ms = EXPIRY};
        struct envelope *envelope = envelope_create(message, SPAN("a.test"));
        struct entry *entry = scheduler_add(&scheduler, destination, &facts, envelope, NOW);
        ck_assert(entry->envelope == (later ? NULL : envelope));
    }
    message_drop(&message);
    scheduler_free(&scheduler);
}
END_TEST

START_TEST(facts_are_kept)
{
    struct scheduler scheduler;
    scheduler_init(&scheduler);
    struct destination *destination =
        scheduler_destination(&scheduler, SPAN("a.test"), SECURITY_USUAL);
    struct entry_facts facts = {.id = 9,
                                .number = 3,
                                .attempts = 4,
                                .recipients = 5,
                                .postponed_s = 6,
                                .due_ms = NOW + 10,
                                .look_ms = EXPIRY};
    struct entry *entry = scheduler_add(&scheduler, destination, &facts, NULL, NOW);
    ck_assert_uint_eq(entry->number, 3);
    ck_assert_uint_eq(entry->attempts, 4);
    ck_assert_uint_eq(entry->recipients, 5);
    ck_assert_uint_eq(entry->postponed_s, 6);
    ck_assert_int_eq(entry->order, ORDER_NONE);
    ck_assert_int_eq(scheduler_due_ms(&scheduler, entry), NOW + 10);
    scheduler_free(&scheduler);
}
END_TEST

START_TEST(what_waits_becomes_ready_when_due)
{
    struct scheduler scheduler;
    bool overdue = true;
    scheduler_init(&scheduler);
    struct entry *entry = add(&scheduler, 1, NOW + 50);
    assert_counts(entry->destination, 1, 0, 0);
    ck_assert_ptr_null(destination_next(entry->destination));
    ck_assert_int_eq(scheduler_next(&scheduler), NOW + 50);
    ck_assert_ptr_null(scheduler_due(&scheduler, NOW + 49, &overdue));
    ck_assert_ptr_eq(scheduler_due(&scheduler, NOW + 50, &overdue), entry);
    ck_assert(!overdue);
    assert_counts(entry->destination, 0, 1, 0);
    scheduler_look_again(&scheduler, entry, EXPIRY);
    ck_assert_ptr_null(scheduler_due(&scheduler, NOW + 50, &overdue));
    ck_assert_int_eq(scheduler_next(&scheduler), EXPIRY);
    scheduler_free(&scheduler);
}
END_TEST

/* What is held is never due: it is looked at now and then, and is ready when it is released. */
START_TEST(what_is_held_stays_until_released)
{
    struct scheduler scheduler;
    bool overdue = false;
    scheduler_init(&scheduler);
    struct entry *entry = add(&scheduler, 1, NOW);
    struct destination *destination = entry->destination;
    entry->envelope = fresh_envelope();
    scheduler_hold(&scheduler, entry, NOW);
    ck_assert_ptr_null(entry->envelope);
    ck_assert_uint_eq(destination->counts[ENTRY_HELD], 1);
    ck_assert_ptr_null(destination_next(destination));
    scheduler_hurry(&scheduler, entry, EXPIRY); /* retry does not release */
    ck_assert_int_eq(entry->state, ENTRY_HELD);
    ck_assert_ptr_null(scheduler_due(&scheduler, EXPIRY, &overdue));
    ck_assert_ptr_eq(scheduler_due(&scheduler, NOW + SCHEDULER_HELD_LOOK_MS, &overdue), entry);
    ck_assert(overdue && entry->state == ENTRY_HELD);
    scheduler_release(&scheduler, entry, EXPIRY);
    ck_assert_int_eq(scheduler_next(&scheduler), EXPIRY);
    ck_assert_ptr_eq(destination_next(destination), entry);
    struct entry_facts facts = {.id = 2, .held = true, .due_ms = NOW, .look_ms = EXPIRY};
    entry = scheduler_add(&scheduler, destination, &facts, NULL, NOW);
    ck_assert_int_eq(entry->state, ENTRY_HELD);
    ck_assert_ptr_null(destination_next(destination));
    scheduler_free(&scheduler);
}
END_TEST

START_TEST(due_comes_in_order_of_time)
{
    static const int64_t due[] = {NOW + 30, NOW + 10, NOW + 20, NOW + 10};
    struct scheduler scheduler;
    bool overdue;
    int64_t last = 0;
    unsigned seen = 0;
    scheduler_init(&scheduler);
    for (size_t i = 0; i < countof(due); i++)
        add(&scheduler, i, due[i]);
    for (size_t i = 0; i < countof(due); i++) {
        struct entry *entry = scheduler_due(&scheduler, NOW + 100, &overdue);
        ck_assert_int_ge(due[entry->id], last);
        last = due[entry->id];
        seen |= 1u << entry->id;
        scheduler_look_again(&scheduler, entry, EXPIRY);
    }
    ck_assert_uint_eq(seen, 15);
    ck_assert_ptr_null(scheduler_due(&scheduler, NOW + 100, &overdue));
    scheduler_free(&scheduler);
}
END_TEST

/* Nothing is forgotten: what is READY or OUT shows up at its expiry, as it is. */
START_TEST(what_never_left_is_overdue)
{
    for (unsigned state = ENTRY_READY; state <= ENTRY_OUT; state++) {
        struct scheduler scheduler;
        bool overdue = false;
        scheduler_init(&scheduler);
        struct entry *entry = add(&scheduler, 1, NOW);
        entry_move(entry, (enum entry_state)state);
        ck_assert_ptr_null(scheduler_due(&scheduler, EXPIRY - 1, &overdue));
        ck_assert_ptr_eq(scheduler_due(&scheduler, EXPIRY, &overdue), entry);
        ck_assert(overdue);
        ck_assert_int_eq(entry->state, state);
        scheduler_look_again(&scheduler, entry, EXPIRY + 10);
        ck_assert_ptr_null(scheduler_due(&scheduler, EXPIRY + 9, &overdue));
        ck_assert_ptr_eq(scheduler_due(&scheduler, EXPIRY + 10, &overdue), entry);
        scheduler_free(&scheduler);
    }
}
END_TEST

START_TEST(a_deferred_entry_waits_without_its_envelope)
{
    struct scheduler scheduler;
    bool overdue;
    scheduler_init(&scheduler);
    struct destination *destination =
        scheduler_destination(&scheduler, SPAN("a.test"), SECURITY_USUAL);
    struct entry_facts facts = {.id = 1, .due_ms = NOW, .look_ms = EXPIRY, .recipients = 1};
    struct envelope *envelope = fresh_envelope();
    struct entry *entry = scheduler_add(&scheduler, destination, &facts, envelope, NOW);
    ck_assert_ptr_eq(entry->envelope, envelope);
    ck_assert_ptr_eq(destination_next(destination), entry);
    entry_return(entry);
    ck_assert_ptr_eq(destination_next(destination), entry);
    scheduler_defer(&scheduler, entry, NOW + 300);
    ck_assert(!entry->returned); /* a new attempt, a new chance */
    ck_assert_ptr_null(entry->envelope);
    assert_counts(destination, 1, 0, 0);
    ck_assert_int_eq(scheduler_due_ms(&scheduler, entry), NOW + 300);
    ck_assert_ptr_eq(scheduler_due(&scheduler, NOW + 300, &overdue), entry);
    ck_assert(!overdue);
    scheduler_free(&scheduler);
}
END_TEST

START_TEST(hurry_moves_only_what_waits)
{
    struct scheduler scheduler;
    scheduler_init(&scheduler);
    struct entry *ready = add(&scheduler, 1, NOW);
    struct entry *behind = add(&scheduler, 2, NOW);
    struct entry *waiting = add(&scheduler, 3, NOW + 100);
    struct destination *destination = ready->destination;
    scheduler_hurry(&scheduler, ready, EXPIRY); /* keeps its place */
    scheduler_hurry(&scheduler, waiting, EXPIRY + 7);
    assert_counts(destination, 0, 3, 0);
    ck_assert_int_eq(heap_key(&scheduler.deadlines, &waiting->deadline), EXPIRY + 7);
    ck_assert_ptr_eq(destination_next(destination), ready);
    scheduler_hurry(&scheduler, ready, EXPIRY); /* OUT: stays so */
    ck_assert_int_eq(ready->state, ENTRY_OUT);
    ck_assert_ptr_eq(destination_next(destination), behind);
    ck_assert_ptr_eq(destination_next(destination), waiting);
    ck_assert_ptr_null(destination_next(destination));
    scheduler_free(&scheduler);
}
END_TEST

START_TEST(an_entry_goes_from_any_state)
{
    for (unsigned state = 0; state < ENTRY_STATES; state++) {
        struct scheduler scheduler;
        scheduler_init(&scheduler);
        struct entry *entry = add(&scheduler, 1, NOW);
        struct destination *destination = entry->destination;
        struct entry *stays = add(&scheduler, 2, NOW);
        entry->envelope = fresh_envelope();
        entry_move(entry, (enum entry_state)state);
        scheduler_remove(&scheduler, entry);
        assert_counts(destination, 0, 1, 0);
        ck_assert_ptr_null(scheduler_find(&scheduler, 1, 0));
        ck_assert_ptr_eq(destination_next(destination), stays);
        ck_assert_ptr_null(destination_next(destination));
        scheduler_remove(&scheduler, stays);
        ck_assert_int_eq(scheduler_next(&scheduler), -1);
        scheduler_free(&scheduler);
    }
}
END_TEST

/* ---- any order of events ---- */

#define IDS 40

struct books {
    struct scheduler scheduler;
    struct entry *entries[IDS];
    unsigned alive;
};

static unsigned queue_length(const struct destination *destination)
{
    unsigned length = 0;
    for (struct list_node *node = list_first(&destination->queue); node != NULL;
         node = list_next(&destination->queue, node))
        length++;
    return length;
}

static void assert_books(const struct books *books)
{
    size_t at = 0;
    unsigned sum = 0;
    struct destination *destination;
    while ((destination = map_walk(&books->scheduler.destinations, &at)) != NULL) {
        ck_assert_uint_eq(queue_length(destination), destination->counts[ENTRY_READY]);
        for (unsigned i = 0; i < ENTRY_STATES; i++)
            sum += destination->counts[i];
    }
    ck_assert_uint_eq(sum, books->alive);
    ck_assert_uint_eq(books->scheduler.entry_pool.count, books->alive);
    ck_assert_uint_eq(books->scheduler.deadlines.count, books->alive);
}

static void happen(struct books *books, unsigned what, unsigned id, int64_t now_ms)
{
    static const char *const names[] = {"a.test", "b.test", "c.test"};
    struct entry *entry = books->entries[id];
    bool overdue;
    if (entry == NULL) {
        books->entries[id] =
            add_to(&books->scheduler, names[id % 3], id, what % 2 ? NOW : now_ms + what * 100);
        books->alive++;
    } else if (what == 0) {
        scheduler_remove(&books->scheduler, entry);
        books->entries[id] = NULL;
        books->alive--;
    } else if (what == 1 && entry->state == ENTRY_OUT) {
        scheduler_defer(&books->scheduler, entry, now_ms + 500);
    } else if (what == 2 && entry->state == ENTRY_OUT) {
        entry_return(entry);
    } else if (what == 3) {
        scheduler_hurry(&books->scheduler, entry, now_ms + 900);
    } else if (what == 4) {
        destination_next(entry->destination);
    } else if (what == 5) {
        struct entry *due = scheduler_due(&books->scheduler, now_ms, &overdue);
        if (due != NULL)
            scheduler_look_again(&books->scheduler, due, now_ms + 300);
    }
}

START_TEST(the_books_hold_whatever_happens)
{
    struct random_state random = {42};
    struct books books = {0};
    scheduler_init(&books.scheduler);
    for (int i = 0; i < 20000; i++) {
        happen(&books, (unsigned)random_below(&random, 6), (unsigned)random_below(&random, IDS),
               NOW + i);
        assert_books(&books);
    }
    ck_assert_uint_gt(books.alive, 0);
    scheduler_free(&books.scheduler);
}
END_TEST

START_TEST(free_takes_all_with_it) /* the leak checker is the judge */
{
    struct scheduler scheduler;
    scheduler_init(&scheduler);
    add(&scheduler, 1, NOW + 5)->envelope = fresh_envelope();
    add(&scheduler, 2, NOW)->envelope = fresh_envelope();
    entry_move(add_to(&scheduler, "b.test", 3, NOW), ENTRY_OUT);
    scheduler_destination(&scheduler, SPAN("empty.test"), SECURITY_USUAL);
    scheduler_free(&scheduler);
    ck_assert_uint_eq(scheduler.entry_pool.count, 0);
}
END_TEST

TEST_MAIN("queue/scheduler", states_have_names, the_first_come_is_the_first_out,
          what_comes_back_untried_is_the_next_again,
          an_entry_of_each_state_makes_a_destination_needed, a_name_is_one_destination,
          mail_of_each_security_waits_apart, a_walk_meets_all_and_the_counts_agree,
          an_envelope_is_known_once, what_is_not_due_yet_costs_no_envelope, facts_are_kept,
          what_waits_becomes_ready_when_due, what_is_held_stays_until_released,
          due_comes_in_order_of_time, what_never_left_is_overdue,
          a_deferred_entry_waits_without_its_envelope, hurry_moves_only_what_waits,
          an_entry_goes_from_any_state, the_books_hold_whatever_happens, free_takes_all_with_it)
