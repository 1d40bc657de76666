#include "tests/crash/judge.h"

#include "base/must.h"
#include "queue/committer.h"
#include "queue/loader.h"
#include "tests/crash/life.h"

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 16
#define NEW_LETTERS 3

struct judge {
    const struct judge_case *of;
    struct judged *judged;
    struct spool *spool;
    struct loader *loader;
    struct mailbox mailbox;
    uint64_t messages, envelopes, own_files;
    uint64_t segments[LETTERS_MAX]; /* in which bodies live */
    size_t segment_count;

    struct committer *committer; /* of the life on the image */
    uint64_t out;
    struct letter fresh[NEW_LETTERS];
};

static bool wrong(struct judge *judge, const char *format, ...) PRINTF_LIKE(2, 3);

static bool wrong(struct judge *judge, const char *format, ...)
{
    va_list arguments;
    if (judge->judged->wrong[0] != '\0')
        return false;
    va_start(arguments, format);
    vsnprintf(judge->judged->wrong, WRONG_MAX, format, arguments);
    va_end(arguments);
    return false;
}

static bool open_spool(struct judge *judge)
{
    struct spool_options options = life_options(judge->of->directory, judge->of->durability);
    char why[300] = "";
    int exit_code = 0;
    judge->spool = spool_open(&options, why, sizeof(why), &exit_code);
    return judge->spool != NULL || wrong(judge, "it does not open: %s", why);
}

/* ---- what is there ---- */

static bool find_envelope(struct judge *judge, const struct spool_glance *glance)
{
    unsigned letter = ledger_find(judge->of->ledger, glance->id);
    if (letter == LETTERS_MAX || glance->number >= LETTER_ENVELOPES)
        return wrong(judge, "envelope %llu.%u: nobody handed it in", (unsigned long long)glance->id,
                     glance->number);
    judge->judged->slots[slot_of(letter, glance->number)] =
        (struct slot){.stored = true,
                      .held = glance->held,
                      .attempts = glance->attempts,
                      .recipients = (uint16_t)glance->recipients,
                      .due_ms = glance->due_ms};
    judge->envelopes++;
    return true;
}

static void find_suspension(const struct suspension *suspension, void *with)
{
    struct judge *judge = with;
    unsigned destination;
    if (sscanf(suspension->destination, "d%u.test", &destination) == 1 &&
        destination < DESTINATIONS)
        judge->judged->slots[slot_of_destination(destination)].stored = true;
    else
        wrong(judge, "destination %s: nobody suspended it", suspension->destination);
}

static bool scan(struct judge *judge)
{
    struct spool_glance glances[PAGE];
    uint64_t id = 0;
    uint16_t number = 0;
    size_t count;
    bool first = true;
    bool good = true;
    while (good && (count = spool_scan(judge->spool, &id, &number, first, glances, PAGE)) > 0) {
        for (size_t i = 0; i < count && good; i++)
            good = find_envelope(judge, &glances[i]);
        first = false;
    }
    spool_suspensions(judge->spool, find_suspension, judge);
    while (spool_scan_bodies(judge->spool, PAGE) > 0)
        ;
    return good && judge->judged->wrong[0] == '\0';
}

/* ---- is it what it must be ---- */

static bool tell_difference(struct judge *judge, unsigned slot, const struct slot *must_be)
{
    const struct ledger *ledger = judge->of->ledger;
    const struct slot *is = &judge->judged->slots[slot];
    if (slot >= slot_of_destination(0))
        return wrong(judge, "the suspension of d%u.test is %sthere", slot - slot_of_destination(0),
                     is->stored ? "" : "not ");
    const char *what = "is not as it was acknowledged";
    if (!is->stored)
        what = "is missing, and was acknowledged";
    else if (!must_be[slot].stored)
        what = "is back, and was done with";
    return wrong(judge, "envelope %llu.%u %s",
                 (unsigned long long)ledger->letters[slot / LETTER_ENVELOPES].id,
                 slot % LETTER_ENVELOPES, what);
}

static void count_slots(struct judge *judge, const struct slot *acknowledged)
{
    struct judged *judged = judge->judged;
    for (unsigned i = 0; i < slot_of_destination(0); i++) {
        judged->acknowledged += acknowledged[i].stored;
        judged->found += judged->slots[i].stored;
        judged->extra += judged->slots[i].stored && !acknowledged[i].stored;
        judged->removed += judge->of->ledger->before[i].stored && !acknowledged[i].stored;
    }
}

/* Whether it is what the first `count` commits made. */
static bool is_state(struct judge *judge, size_t count)
{
    static struct slot state[SLOTS];
    ledger_state(judge->of->ledger, count, state);
    if (slots_differ(judge->judged->slots, state) != SLOTS)
        return false;
    judge->judged->highest_id = ledger_highest_id(judge->of->ledger, count);
    return true;
}

/* All commits that had come home, and the one under way as a whole or not at all. */
static bool compare(struct judge *judge)
{
    static struct slot acknowledged[SLOTS];
    bool under_way;
    size_t home = ledger_home_at(judge->of->ledger, judge->of->position, &under_way);
    ledger_state(judge->of->ledger, home, acknowledged);
    count_slots(judge, acknowledged);
    if (is_state(judge, home) || (under_way && is_state(judge, home + 1)))
        return true;
    if (judge->of->durability == DURABILITY_RELAXED) /* the last commits may be lost, in order */
        for (size_t count = home; count > 0; count--)
            if (is_state(judge, count - 1))
                return true;
    return tell_difference(judge, slots_differ(judge->judged->slots, acknowledged), acknowledged);
}

/* ---- bodies ---- */

static void loaded(struct mail *take, void *taker)
{
    (void)take;
    (void)taker;
}

static void note_place(struct judge *judge, const struct body_place *place)
{
    if (place->own_file) {
        judge->own_files++;
        return;
    }
    if (place->length == 0)
        return;
    for (size_t i = 0; i < judge->segment_count; i++)
        if (judge->segments[i] == place->segment)
            return;
    judge->segments[judge->segment_count++] = place->segment;
}

static bool is_letter(const struct envelope *envelope, const struct letter *letter)
{
    struct message *made = life_message(letter);
    const struct message *message = envelope->message;
    bool same = message->place.length == letter->length &&
                strcmp(message->sender, made->sender) == 0 && message->body != NULL &&
                memcmp(message->body, made->body, letter->length) == 0;
    message_drop(&made);
    return same;
}

static bool load_one(struct judge *judge, const struct letter *letter, unsigned number,
                     bool first_of_letter)
{
    struct load load = {.mail = {.deliver = loaded},
                        .reply_to = &judge->mailbox,
                        .id = letter->id,
                        .number = (uint16_t)number};
    unsigned long long id = letter->id;
    loader_post(judge->loader, &load);
    loader_step(judge->loader, 0);
    mailbox_deliver(&judge->mailbox, NULL);
    if (load.result == LOAD_DAMAGED && judge->of->durability == DURABILITY_RELAXED) {
        judge->judged->damaged++;
        return true;
    }
    if (load.result != LOAD_OK)
        return wrong(judge, "envelope %llu.%u: its body is %s", id, number,
                     load.result == LOAD_GONE ? "gone" : "damaged");
    bool same = is_letter(load.envelope, letter);
    if (same && first_of_letter)
        note_place(judge, &load.envelope->message->place);
    envelope_free(&load.envelope);
    return same || wrong(judge, "envelope %llu.%u: it is another's message", id, number);
}

static bool load_all(struct judge *judge)
{
    const struct ledger *ledger = judge->of->ledger;
    bool good = true;
    for (unsigned letter = 0; good && letter < ledger->letter_count; letter++) {
        bool first = true;
        for (unsigned i = 0; good && i < LETTER_ENVELOPES; i++)
            if (judge->judged->slots[slot_of(letter, i)].stored) {
                good = load_one(judge, &ledger->letters[letter], i, first);
                judge->messages += first;
                first = false;
            }
    }
    return good;
}

static bool count_records(struct judge *judge, uint64_t messages, uint64_t envelopes)
{
    struct spool_facts facts;
    spool_facts(judge->spool, &facts);
    return (facts.messages == messages && facts.envelopes == envelopes) ||
           wrong(judge, "%llu messages and %llu envelopes are stored: %llu and %llu are known",
                 (unsigned long long)facts.messages, (unsigned long long)facts.envelopes,
                 (unsigned long long)messages, (unsigned long long)envelopes);
}

/* Nothing lies there but what a stored body needs. */
static bool count_files(struct judge *judge, uint64_t segments, uint64_t own_files)
{
    char path[PATH_MAX];
    uint64_t seg = 0;
    uint64_t msg = 0;
    snprintf(path, sizeof(path), "%s/bodies", judge->of->directory);
    DIR *listing = opendir(path);
    must(listing != NULL);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        seg += strstr(entry->d_name, ".seg") != NULL;
        msg += strstr(entry->d_name, ".msg") != NULL;
    }
    closedir(listing);
    return (seg == segments && msg == own_files) ||
           wrong(judge, "%llu segments and %llu own files lie there: %llu and %llu hold bodies",
                 (unsigned long long)seg, (unsigned long long)msg, (unsigned long long)segments,
                 (unsigned long long)own_files);
}

/* ---- life goes on ---- */

static void stored(struct mail *take, void *taker)
{
    struct change *change = container_of(take, struct change, mail);
    struct judge *judge = taker;
    judge->out--;
    if (change->result != SPOOL_OK)
        wrong(judge, "a change is refused: %s", committer_why(judge->committer));
}

static void post(struct judge *judge, struct change *change)
{
    change->mail.deliver = stored;
    change->reply_to = &judge->mailbox;
    judge->out++;
    committer_post(judge->committer, change);
}

static bool settle(struct judge *judge)
{
    while (judge->out > 0 && committer_step(judge->committer, 0))
        mailbox_deliver(&judge->mailbox, judge);
    mailbox_deliver(&judge->mailbox, judge);
    return judge->judged->wrong[0] == '\0';
}

static bool accept_fresh(struct judge *judge)
{
    struct change changes[NEW_LETTERS] = {0};
    struct envelope *envelopes[NEW_LETTERS];
    for (unsigned i = 0; i < NEW_LETTERS; i++) {
        struct letter *letter = &judge->fresh[i];
        *letter = (struct letter){.id = spool_next_id(judge->spool, CRASH_WALL_MS),
                                  .length = 700 * i,
                                  .own_file = i == 2};
        if (letter->id <= judge->judged->highest_id)
            return wrong(judge, "id %llu is given out again", (unsigned long long)letter->id);
        changes[i].accept = life_message(letter);
        envelopes[i] = life_envelope(changes[i].accept, 0, 1);
        changes[i].accepted = &envelopes[i];
        changes[i].accepted_count = 1;
        if (letter->own_file) {
            struct span body = {changes[i].accept->body, letter->length};
            must(own_file_create(spool_segments(judge->spool), letter->id, &changes[i].own_file) ==
                     0 &&
                 own_file_write(changes[i].own_file, body) == 0);
        }
        post(judge, &changes[i]);
    }
    bool good = settle(judge);
    for (unsigned i = 0; i < NEW_LETTERS; i++) {
        own_file_close(&changes[i].own_file);
        envelope_free(&envelopes[i]);
        message_drop(&changes[i].accept);
    }
    for (unsigned i = 0; i < NEW_LETTERS && good; i++)
        good = load_one(judge, &judge->fresh[i], 0, false);
    return good;
}

static struct change *post_removal(struct judge *judge, uint64_t id, unsigned number)
{
    struct change *change = must_calloc(1, sizeof(*change));
    change->remove = true;
    change->id = id;
    change->number = (uint16_t)number;
    post(judge, change);
    return change;
}

static bool deliver_all(struct judge *judge)
{
    const struct ledger *ledger = judge->of->ledger;
    struct change **changes = must_calloc(judge->envelopes + NEW_LETTERS, sizeof(*changes));
    size_t count = 0;
    for (unsigned slot = 0; slot < slot_of_destination(0); slot++)
        if (judge->judged->slots[slot].stored)
            changes[count++] = post_removal(judge, ledger->letters[slot / LETTER_ENVELOPES].id,
                                            slot % LETTER_ENVELOPES);
    for (unsigned i = 0; i < NEW_LETTERS; i++)
        changes[count++] = post_removal(judge, judge->fresh[i].id, 0);
    bool good = settle(judge);
    for (size_t i = 0; i < count; i++)
        free(changes[i]);
    free(changes);
    return good && count_records(judge, 0, 0);
}

static bool open_again(struct judge *judge)
{
    if (!open_spool(judge))
        return false;
    while (spool_scan_bodies(judge->spool, PAGE) > 0)
        ;
    uint64_t id = spool_next_id(judge->spool, CRASH_WALL_MS);
    return count_records(judge, 0, 0) &&
           (id > judge->fresh[NEW_LETTERS - 1].id || wrong(judge, "an id is given out again"));
}

static bool live_on(struct judge *judge)
{
    judge->committer = committer_create(judge->spool);
    bool good = accept_fresh(judge) && deliver_all(judge);
    if (good)
        committer_destroy(&judge->committer);
    loader_destroy(&judge->loader);
    spool_close(&judge->spool);
    return good && count_files(judge, 0, 0) && open_again(judge);
}

static void no_wake(void *owner)
{
    (void)owner;
}

bool judge_image(const struct judge_case *judged_case, struct judged *judged)
{
    memset(judged, 0, sizeof(*judged));
    struct judge judge = {.of = judged_case, .judged = judged};
    mailbox_init(&judge.mailbox, no_wake, NULL);
    bool good = open_spool(&judge) && scan(&judge) && compare(&judge);
    if (good) {
        judge.loader = loader_create(judge.spool);
        good = load_all(&judge) && count_records(&judge, judge.messages, judge.envelopes) &&
               (judged_case->durability == DURABILITY_RELAXED ||
                count_files(&judge, judge.segment_count, judge.own_files));
    }
    if (good && !judged_case->looks_only)
        good = live_on(&judge);
    loader_destroy(&judge.loader);
    spool_close(&judge.spool);
    return good;
}
