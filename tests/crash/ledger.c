#include "tests/crash/ledger.h"

#include "base/must.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

char *letter_body(const struct letter *letter)
{
    struct random_state bytes = {letter->id};
    char *body = must_calloc(letter->length + 1, 1);
    for (uint32_t i = 0; i < letter->length; i++)
        body[i] = (char)('a' + random_next(&bytes) % 26);
    return body;
}

unsigned ledger_find(const struct ledger *ledger, uint64_t id)
{
    for (unsigned i = ledger->letter_count; i > 0; i--)
        if (ledger->letters[i - 1].id == id)
            return i - 1;
    return LETTERS_MAX;
}

void ledger_begin(struct ledger *ledger, const struct slot *found)
{
    memcpy(ledger->before, found, sizeof(ledger->before));
    memcpy(ledger->slots, found, sizeof(ledger->slots));
}

void ledger_end(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->commit_count; i++)
        free(ledger->commits[i].changes);
    free(ledger->commits);
    ledger->commits = NULL;
    ledger->commit_count = 0;
}

struct commit *ledger_commit_begun(struct ledger *ledger, size_t position)
{
    ledger->commits =
        must_realloc(ledger->commits, (ledger->commit_count + 1) * sizeof(*ledger->commits));
    struct commit *commit = &ledger->commits[ledger->commit_count++];
    *commit = (struct commit){.begun = position};
    return commit;
}

void ledger_commit_change(struct commit *commit, unsigned slot, struct slot after)
{
    commit->changes = must_realloc(commit->changes, (commit->count + 1) * sizeof(*commit->changes));
    commit->changes[commit->count++] = (struct slot_change){slot, after};
}

static void apply(const struct commit *commit, struct slot *slots)
{
    for (size_t i = 0; i < commit->count; i++)
        slots[commit->changes[i].slot] = commit->changes[i].after;
}

void ledger_commit_home(struct ledger *ledger, struct commit *commit, size_t position)
{
    commit->home = position;
    apply(commit, ledger->slots);
}

uint64_t ledger_highest_id(const struct ledger *ledger, size_t count)
{
    uint64_t highest = ledger->highest_id;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < ledger->commits[i].count; j++) {
            unsigned letter = ledger->commits[i].changes[j].slot / LETTER_ENVELOPES;
            if (letter < LETTERS_MAX && ledger->letters[letter].id > highest)
                highest = ledger->letters[letter].id;
        }
    return highest;
}

size_t ledger_home_at(const struct ledger *ledger, size_t position, bool *under_way)
{
    size_t home = 0;
    while (home < ledger->commit_count && ledger->commits[home].home <= position)
        home++;
    *under_way = home < ledger->commit_count && ledger->commits[home].begun < position;
    return home;
}

void ledger_state(const struct ledger *ledger, size_t count, struct slot slots[SLOTS])
{
    memcpy(slots, ledger->before, sizeof(ledger->before));
    for (size_t i = 0; i < count; i++)
        apply(&ledger->commits[i], slots);
}

static bool is_same(const struct slot *a, const struct slot *b)
{
    if (!a->stored || !b->stored)
        return a->stored == b->stored;
    return a->held == b->held && a->attempts == b->attempts && a->due_ms == b->due_ms &&
           a->recipients == b->recipients;
}

unsigned slots_differ(const struct slot *a, const struct slot *b)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (!is_same(&a[i], &b[i]))
            return i;
    return SLOTS;
}
