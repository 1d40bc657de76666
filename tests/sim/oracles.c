#include "tests/sim/oracles.h"

#include "relay/metrics.h"
#include "tests/sim/disk.h"
#include "tests/sim/ledger.h"
#include "tests/sim/life.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_US INT64_C(30000000)       /* between two looks at all recipients */
#define DUE_US INT64_C(1200000000)      /* in which whatever is due is tried: see `retry` */
#define BACK_OFF_US INT64_C(4000000000) /* the longest of a site: PACE_LONGEST_MS and a tenth */
#define BALANCE_US INT64_C(10000000)    /* in which a change comes back from the spool */
#define AGAIN_US 1000000                /* after which a second look is taken */
#define GLANCES 256
#define DROPS_MAX 1024

static struct spool *the_spool;
static int64_t next_look_us, excused_us, unbalanced_us;

/* ---- what the spool has of a message ---- */

/* Of the envelope's recipients, those of the ledger: `found` is told of each. */
static void each_recipient(const struct envelope *envelope,
                           void (*found)(unsigned message, int recipient))
{
    unsigned message;
    int recipient;
    for (unsigned i = 0; i < envelope->count; i++)
        if (ledger_parse(span_of(envelope->recipients[i].path), &message, &recipient))
            found(message, recipient);
}

/* ---- after a crash ---- */

static uint8_t (*present)[LEDGER_RECIPIENTS_MAX]; /* how often each is in the spool */

static void is_present(unsigned message, int recipient)
{
    if (recipient >= 0)
        present[message][recipient]++;
}

static void read_spool(void)
{
    static struct spool_glance glances[GLANCES];
    uint64_t id = 0;
    uint16_t number = 0;
    size_t count;
    for (bool first = true;; first = false) {
        count = spool_scan(the_spool, &id, &number, first, glances, GLANCES);
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++) {
            struct envelope *envelope = spool_read(the_spool, glances[i].id, glances[i].number);
            if (envelope == NULL) {
                broken("an envelope of the spool cannot be read");
                return;
            }
            each_recipient(envelope, is_present);
            envelope_free(&envelope);
        }
    }
}

static void compare(unsigned message, unsigned recipient)
{
    const struct ledger_message *of = &ledger->message[message];
    struct ledger_recipient *to = ledger_recipient(message, (int)recipient);
    unsigned times = present[message][recipient];
    keeps(PROMISE_KEPT, times < 2, "m%ur%u is in the spool %u times", message, recipient, times);
    if (ledger_has_ended(to))
        keeps(PROMISE_KEPT, times == 0, "m%ur%u has ended, and is in the spool again", message,
              recipient);
    else if (of->handing == HANDING_NOT_YET)
        keeps(PROMISE_KEPT, times == 0, "m%ur%u was refused, and is in the spool", message,
              recipient);
    else if (of->handing == HANDING_TAKEN && times == 0)
        to->vanished = true; /* to be justified in the end: ledger_judge() */
    else
        ledger->checks[PROMISE_KEPT]++;
    if (to->vanished && times > 0)
        broken("m%ur%u was gone, and is in the spool again", message, recipient);
    if (to->vanished && to->arrived == 0 && to->drop_asked)
        to->dropped = true;
    to->touched_us = sim_now_us();
}

void oracles_begin(struct spool *spool)
{
    the_spool = spool;
    next_look_us = excused_us = sim_now_us();
    unbalanced_us = 0;
    present = must_calloc(ledger->messages, sizeof(*present));
    read_spool();
    for (unsigned i = 0; i < ledger->messages; i++)
        for (unsigned r = 0; r < ledger->message[i].recipients; r++)
            compare(i, r);
    free(present);
}

/* ---- 250 ---- */

/* Each of its recipients has left the spool, and somebody knows where to. */
static bool has_ended(unsigned message)
{
    for (unsigned r = 0; r < ledger->message[message].recipients; r++) {
        const struct ledger_recipient *to = ledger_recipient(message, (int)r);
        if (!ledger_has_ended(to) && to->arrived == 0)
            return false;
    }
    return true;
}

static bool is_in_spool(uint64_t id)
{
    for (uint16_t number = 0; number < LEDGER_RECIPIENTS_MAX; number++) {
        struct envelope *envelope = spool_read(the_spool, id, number);
        if (envelope == NULL)
            continue;
        envelope_free(&envelope);
        return true;
    }
    return false;
}

struct second_look {
    struct action action;
    unsigned message;
    uint64_t id;
};

/* It was not in the spool when its client heard 250: it must have left already. */
static void look_again(struct action *action)
{
    struct second_look *look = container_of(action, struct second_look, action);
    keeps(PROMISE_DURABLE, has_ended(look->message) && !is_in_spool(look->id),
          "m%u got its 250 before it was in the spool", look->message);
    free(look);
}

void oracles_taken(unsigned message, struct span id)
{
    uint64_t number;
    for (unsigned r = 0; r < ledger->message[message].recipients; r++)
        ledger_recipient(message, (int)r)->touched_us = sim_now_us();
    if (!message_id_parse(id, &number)) {
        broken("m%u got a 250 without an id: %.*s", message, SPAN_FORMAT(id));
        return;
    }
    ledger->checks[PROMISE_DURABLE]++;
    if (is_in_spool(number))
        return;
    struct second_look *look = must_calloc(1, sizeof(*look));
    *look = (struct second_look){.action.act = look_again, .message = message, .id = number};
    sim_after(&look->action, AGAIN_US);
}

/* ---- the log ---- */

static bool value_of(const char *line, const char *key, char *to, size_t size)
{
    const char *at = strstr(line, key);
    if (at == NULL)
        return false;
    at += strlen(key);
    size_t length = strcspn(at, " >\n");
    snprintf(to, size, "%.*s", (int)(length < size ? length : size - 1), at);
    return true;
}

static bool envelope_of(const char *line, uint64_t *id, uint16_t *number)
{
    char name[ENVELOPE_NAME_MAX + 1];
    bool whole;
    return value_of(line, " id=", name, sizeof(name)) &&
           envelope_name_parse(span_of(name), id, number, &whole);
}

/* Whether the spool still has that path in that envelope. */
static bool has_path(const char *line, const char *path)
{
    uint64_t id;
    uint16_t number;
    struct envelope *envelope =
        envelope_of(line, &id, &number) ? spool_read(the_spool, id, number) : NULL;
    bool found = false;
    for (unsigned i = 0; envelope != NULL && i < envelope->count; i++)
        found |= strcmp(envelope->recipients[i].path, path) == 0;
    if (envelope != NULL)
        envelope_free(&envelope);
    return found;
}

static bool is_event(const char *event, const char *name)
{
    size_t length = strlen(name);
    return strncmp(event, name, length) == 0 && event[length] == ' ';
}

static void ended(const char *line, const char *path, unsigned message, int recipient,
                  bool delivered)
{
    struct ledger_recipient *to = ledger_recipient(message, recipient);
    keeps(PROMISE_VERDICT, !has_path(line, path), "m%ur%d ends by the log, and not in the spool",
          message, recipient);
    if (ledger_has_ended(to))
        broken("m%ur%d has its last verdict twice", message, recipient);
    to->delivered |= delivered;
    to->bounced |= !delivered;
}

/* ---- drops ---- */

static struct drop {
    uint64_t id;
    uint16_t number;
    unsigned message;
    int recipients[LEDGER_RECIPIENTS_MAX];
    unsigned count;
} drops[DROPS_MAX];
static unsigned drop_count;

void oracles_drop_asked(const struct envelope *envelope)
{
    if (drop_count == DROPS_MAX)
        return;
    struct drop *drop = &drops[drop_count++];
    *drop = (struct drop){.id = envelope->id, .number = envelope->number};
    for (unsigned i = 0; i < envelope->count && i < LEDGER_RECIPIENTS_MAX; i++) {
        int recipient;
        if (!ledger_parse(span_of(envelope->recipients[i].path), &drop->message, &recipient))
            continue;
        drop->recipients[drop->count++] = recipient;
        if (recipient >= 0)
            ledger_recipient(drop->message, recipient)->drop_asked = true;
    }
}

static void dropped(const char *line)
{
    uint64_t id;
    uint16_t number;
    if (!envelope_of(line, &id, &number))
        return;
    for (unsigned i = drop_count; i-- > 0;) {
        const struct drop *drop = &drops[i];
        if (drop->id != id || drop->number != number)
            continue;
        for (unsigned r = 0; r < drop->count; r++)
            if (drop->recipients[r] < 0)
                ledger->message[drop->message].notices++; /* the operator did not want it told */
            else if (!ledger_has_ended(ledger_recipient(drop->message, drop->recipients[r])))
                ledger_recipient(drop->message, drop->recipients[r])->dropped = true;
        return;
    }
    broken("an envelope is dropped that nobody wanted dropped");
}

void oracles_log(const char *line)
{
    char path[128];
    unsigned message;
    int recipient;
    const char *event = strchr(line, ' ');
    if (event++ == NULL)
        return;
    if (is_event(event, "dropped")) {
        dropped(line);
        return;
    }
    if (!value_of(line, " to=<", path, sizeof(path)) ||
        !ledger_parse(span_of(path), &message, &recipient))
        return;
    if (is_event(event, "double-bounce")) /* its sender could not be told, and that was told */
        ledger->message[message].notices++;
    if (recipient < 0)
        return;
    bool delivered = is_event(event, "delivered");
    ledger_recipient(message, recipient)->touched_us = sim_now_us();
    if (delivered || is_event(event, "bounced") || is_event(event, "expired"))
        ended(line, path, message, recipient, delivered);
}

/* ---- now and then ---- */

void oracles_excuse(void)
{
    excused_us = sim_now_us();
}

/* A change may be under way for as long as a commit takes, or until the disk has room again. */
static void look_at_books(void)
{
    int64_t now_us = sim_now_us();
    ledger->checks[PROMISE_BOOKS]++;
    if (metrics_balanced() || disk_is_full() || disk_is_broken())
        unbalanced_us = 0;
    else if (unbalanced_us == 0)
        unbalanced_us = now_us;
    else if (now_us - unbalanced_us > BALANCE_US)
        broken("the books do not balance: %lld queued", (long long)metric_read(METRIC_QUEUED));
}

/* What was there when the limit was reached, and what was on its way then: notifications too. */
static void look_at_queue(void)
{
    int64_t queued = metric_read(METRIC_QUEUED);
    int64_t most = scenario.queue + LIFE_CLIENTS * LEDGER_RECIPIENTS_MAX +
                   metric_read(METRIC_BOUNCED) + metric_read(METRIC_EXPIRED) +
                   metric_read(METRIC_RESTORED);
    keeps(PROMISE_QUEUE_LIMIT, queued <= most, "%lld recipients are queued, of %u that may be",
          (long long)queued, scenario.queue);
}

/* A relay without descriptors backs off from hosts with which nothing is the matter. */
static int64_t longest_us(void)
{
    bool lacks = scenario.no_descriptor > 0 || scenario.descriptors < 1u << 16;
    return DUE_US + (lacks ? BACK_OFF_US : 0);
}

static void look_at_recipients(void)
{
    int64_t now_us = sim_now_us(), most_us = longest_us();
    if (scenario.operator_acts && !servers_healed())
        return; /* what he holds waits */
    for (unsigned i = 0; i < ledger->messages; i++)
        for (unsigned r = 0; r < ledger->message[i].recipients; r++) {
            const struct ledger_recipient *to = ledger_recipient(i, (int)r);
            if (ledger->message[i].handing != HANDING_TAKEN || ledger_has_ended(to) ||
                to->vanished || to->drop_asked || !scenario_is_calm(to->destination))
                continue;
            int64_t since = to->touched_us > excused_us ? to->touched_us : excused_us;
            keeps(PROMISE_DUE, now_us - since < most_us,
                  "m%ur%u waits for d%u.test, where all is well, since %lld s: now is %lld s", i, r,
                  to->destination, (long long)(since / 1000000), (long long)(now_us / 1000000));
        }
}

void oracles_look(void)
{
    look_at_books();
    look_at_queue();
    if (sim_now_us() < next_look_us)
        return;
    next_look_us = sim_now_us() + LOOK_US;
    look_at_recipients();
}
