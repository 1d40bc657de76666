#include "tests/crash/life.h"

#include "base/crc32c.h"
#include "base/must.h"
#include "queue/committer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POSTS_MAX 24          /* changes a turn */
#define WAITING_WANTED 60     /* envelopes in the spool, about */
#define OWN_FILE_PERMILLE 60  /* of messages */
#define DISK_FULL_PERMILLE 40 /* of turns */

/* A change on its way, with what it borrows and what it makes of the ledger. */
struct post {
    struct change change;
    struct message *message;
    struct envelope *accepted[LETTER_ENVELOPES];
    struct envelope *updated;
    struct own_file *own_file;
    struct hold hold;
    struct suspension suspension;
    struct slot_change effects[LETTER_ENVELOPES + 1];
    unsigned effect_count;
};

struct life {
    const struct life_plan *plan;
    struct ledger *ledger;
    struct random_state *chance;
    struct spool *spool;
    struct committer *committer;
    struct mailbox mailbox;
    struct commit *commit; /* of this turn */
    unsigned out;          /* posts that have not come home */
    bool busy[SLOTS];      /* a post is on its way */
    bool scanned;
};

struct spool_options life_options(const char *directory, enum durability durability)
{
    return (struct spool_options){.directory = directory,
                                  .durability = durability,
                                  .map_bytes = CRASH_MAP_BYTES,
                                  .segment_bytes = CRASH_SEGMENT_BYTES,
                                  .min_free_bytes = 1};
}

/* The clock goes on by being looked at: a run is the same each time. */
int clock_gettime(clockid_t which, struct timespec *now)
{
    static int64_t ms;
    (void)which;
    ms += 20;
    *now = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    return 0;
}

static unsigned draw(struct life *life, unsigned below)
{
    return (unsigned)random_below(life->chance, below);
}

/* ---- mail ---- */

struct message *life_message(const struct letter *letter)
{
    char sender[40];
    snprintf(sender, sizeof(sender), "s%u@app.test", (unsigned)(letter->id % 1000));
    struct message *message = message_create(span_of(sender), MESSAGE_8BITMIME, CRASH_WALL_MS);
    char *body = letter_body(letter);
    message->id = letter->id;
    message->place.length = letter->length;
    message->place.crc = crc32c(0, body, letter->length);
    message_take_body(message, body);
    return message;
}

struct envelope *life_envelope(struct message *message, unsigned number, unsigned recipients)
{
    char text[40];
    snprintf(text, sizeof(text), "d%u.test", number % DESTINATIONS);
    struct envelope *envelope = envelope_create(message, span_of(text));
    envelope->number = (uint16_t)number;
    envelope->due_ms = 1000 + number;
    for (unsigned i = 0; i < recipients; i++) {
        snprintf(text, sizeof(text), "r%u.%llu@d%u.test", i, (unsigned long long)message->id,
                 number % DESTINATIONS);
        must(envelope_add(envelope, span_of(text), SPAN("")) != NULL);
    }
    return envelope;
}

static uint32_t draw_length(struct life *life)
{
    switch (draw(life, 8)) {
    case 0: return draw(life, 3);
    case 1: return 4096;
    case 2: return draw(life, 30000);
    default: return draw(life, 4000);
    }
}

static void write_own_file(struct life *life, struct post *post)
{
    struct span left = {post->message->body, post->message->place.length};
    must(own_file_create(spool_segments(life->spool), post->message->id, &post->own_file) == 0);
    while (left.length > 0) {
        size_t some = 1 + draw(life, 9000);
        some = some < left.length ? some : left.length;
        must(own_file_write(post->own_file, (struct span){left.data, some}) == 0);
        left = span_skip(left, some);
    }
}

static void effect(struct life *life, struct post *post, unsigned slot, struct slot after)
{
    life->busy[slot] = true;
    post->effects[post->effect_count++] = (struct slot_change){slot, after};
}

static void add_letter(struct life *life, struct post *post)
{
    struct ledger *ledger = life->ledger;
    must(ledger->letter_count < LETTERS_MAX);
    unsigned number = ledger->letter_count++;
    struct letter *letter = &ledger->letters[number];
    *letter = (struct letter){.id = spool_next_id(life->spool, CRASH_WALL_MS),
                              .length = draw_length(life),
                              .own_file = draw(life, 1000) < OWN_FILE_PERMILLE};
    must(letter->id > ledger_highest_id(ledger, ledger->commit_count));
    post->message = life_message(letter);
    post->change.accept = post->message;
    post->change.accepted = post->accepted;
    post->change.accepted_count = 1 + draw(life, LETTER_ENVELOPES);
    for (unsigned i = 0; i < post->change.accepted_count; i++) {
        unsigned recipients = 1 + draw(life, 3);
        post->accepted[i] = life_envelope(post->message, i, recipients);
        effect(life, post, slot_of(number, i),
               (struct slot){.stored = true,
                             .recipients = (uint16_t)recipients,
                             .due_ms = post->accepted[i]->due_ms});
    }
    if (letter->own_file)
        write_own_file(life, post);
    post->change.own_file = post->own_file;
}

/* ---- what becomes of it ---- */

static void defer(struct life *life, struct post *post, unsigned slot)
{
    struct slot after = life->ledger->slots[slot];
    post->updated = spool_read(life->spool, post->change.id, post->change.number);
    must(post->updated != NULL);
    post->updated->attempts = ++after.attempts;
    post->updated->due_ms = after.due_ms += 1 + draw(life, 100000);
    if (after.recipients > 1 && draw(life, 2) == 0) /* one of them was delivered */
        post->updated->count = --after.recipients;
    post->change.update = post->updated;
    effect(life, post, slot, after);
}

static void hold(struct life *life, struct post *post, unsigned slot)
{
    struct slot after = life->ledger->slots[slot];
    after.held = !after.held;
    post->hold = (struct hold){.held = after.held, .reason = "a test", .due_ms = draw(life, 1000)};
    if (!after.held)
        after.due_ms = post->hold.due_ms;
    post->change.hold = &post->hold;
    effect(life, post, slot, after);
}

static void suspend(struct life *life, struct post *post)
{
    unsigned destination = draw(life, DESTINATIONS);
    unsigned slot = slot_of_destination(destination);
    if (life->busy[slot])
        return;
    bool stored = !life->ledger->slots[slot].stored;
    snprintf(post->suspension.destination, sizeof(post->suspension.destination), "d%u.test",
             destination);
    if (stored)
        post->change.suspend = &post->suspension;
    else
        post->change.lift = post->suspension.destination;
    effect(life, post, slot, (struct slot){.stored = stored});
}

/* An envelope that waits and about which nothing is on its way, the oldest or any; SLOTS: none. */
static unsigned draw_waiting(struct life *life)
{
    unsigned all = life->ledger->letter_count * LETTER_ENVELOPES;
    unsigned start = all > 0 && draw(life, 2) == 0 ? draw(life, all) : 0;
    for (unsigned i = 0; i < all; i++) {
        unsigned slot = (start + i) % all;
        if (life->ledger->slots[slot].stored && !life->busy[slot])
            return slot;
    }
    return SLOTS;
}

/* Delivered, dropped, bounced (the bounce rides along), deferred, held or released. */
static void add_verdict(struct life *life, struct post *post)
{
    unsigned slot = draw_waiting(life);
    if (slot == SLOTS)
        return;
    post->change.id = life->ledger->letters[slot / LETTER_ENVELOPES].id;
    post->change.number = (uint16_t)(slot % LETTER_ENVELOPES);
    unsigned what = draw(life, 100);
    if (what < 25) {
        defer(life, post, slot);
    } else if (what < 35) {
        hold(life, post, slot);
    } else {
        post->change.remove = true;
        effect(life, post, slot, (struct slot){0});
        if (what < 45)
            add_letter(life, post);
    }
}

/* ---- a turn ---- */

static void free_post(struct post *post)
{
    for (unsigned i = 0; i < LETTER_ENVELOPES; i++)
        envelope_free(&post->accepted[i]);
    envelope_free(&post->updated);
    message_drop(&post->message);
    free(post);
}

static void came_home(struct mail *take, void *taker)
{
    struct post *post = container_of(take, struct post, change.mail);
    struct life *life = taker;
    bool stored = post->change.result == SPOOL_OK;
    must(post->change.result != SPOOL_BROKEN);
    life->out--;
    for (unsigned i = 0; i < post->effect_count; i++) {
        life->busy[post->effects[i].slot] = false;
        if (stored)
            ledger_commit_change(life->commit, post->effects[i].slot, post->effects[i].after);
    }
    if (stored)
        own_file_close(&post->own_file);
    else
        own_file_unlink(&post->own_file);
    free_post(post);
}

static void post_one(struct life *life, unsigned waiting)
{
    struct post *post = must_calloc(1, sizeof(*post));
    unsigned what = draw(life, 100);
    post->change.mail.deliver = came_home;
    post->change.reply_to = &life->mailbox;
    if (what < 3)
        suspend(life, post);
    else if (what < (waiting < WAITING_WANTED ? 60 : 30))
        add_letter(life, post);
    else
        add_verdict(life, post);
    if (post->effect_count == 0) {
        free_post(post);
        return;
    }
    life->out++;
    committer_post(life->committer, &post->change);
}

/* A client that goes away in the middle of a large message. */
static void abandon_one(struct life *life)
{
    struct letter letter = {.id = spool_next_id(life->spool, CRASH_WALL_MS), .length = 5000};
    struct post post = {.message = life_message(&letter)};
    write_own_file(life, &post);
    own_file_unlink(&post.own_file);
    message_drop(&post.message);
}

static unsigned count_waiting(const struct ledger *ledger)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ledger->letter_count * LETTER_ENVELOPES; i++)
        count += ledger->slots[i].stored;
    return count;
}

static void commit(struct life *life)
{
    life->commit = ledger_commit_begun(life->ledger, disk_position());
    must(committer_step(life->committer, 0));
    mailbox_deliver(&life->mailbox, life);
    size_t home = life->plan->answers_early ? life->commit->begun : disk_position();
    ledger_commit_home(life->ledger, life->commit, home);
}

static void turn(struct life *life)
{
    unsigned posts = 1 + draw(life, POSTS_MAX);
    unsigned waiting = count_waiting(life->ledger);
    bool fills = draw(life, 1000) < DISK_FULL_PERMILLE;
    if (draw(life, 8) == 0)
        abandon_one(life);
    for (unsigned i = 0; i < posts; i++)
        post_one(life, waiting);
    if (fills)
        disk_fills((int)draw(life, 4));
    commit(life);
    disk_fills(-1);
    if (!life->scanned && draw(life, 2) == 0)
        life->scanned = spool_scan_bodies(life->spool, 1 + draw(life, 4)) == 0;
}

static void no_wake(void *owner)
{
    (void)owner;
}

void life_run(const struct life_plan *plan, struct ledger *ledger, struct random_state *chance)
{
    struct life *life = must_calloc(1, sizeof(*life));
    struct spool_options options = life_options(plan->directory, plan->durability);
    char why[300] = "";
    int exit_code;
    *life = (struct life){.plan = plan, .ledger = ledger, .chance = chance};
    mailbox_init(&life->mailbox, no_wake, NULL);
    life->spool = spool_open(&options, why, sizeof(why), &exit_code);
    if (life->spool == NULL)
        fprintf(stderr, "crash: %s\n", why);
    must(life->spool != NULL);
    life->committer = committer_create(life->spool);
    for (unsigned i = 0; i < plan->turns; i++)
        turn(life);
    while (life->out > 0)
        commit(life);
    committer_destroy(&life->committer);
    spool_close(&life->spool);
    free(life);
}
