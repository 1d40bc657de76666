/* What rules make of an attempt: which verdicts another host may better, what a verdict becomes,
 * and what is to rest because of it. */
#include "relay/outbound/attempt_inside.h"
#include "relay/outbound/dispatch_destinations.h"

#include <stdio.h>

void attempt_rule(struct attempt *attempt)
{
    const struct config *config = attempt->worker->config;
    const struct envelope *envelope = attempt->envelope;
    if (attempt->rulings == NULL)
        attempt->rulings = arena_take(&attempt->arena, envelope->count * sizeof(*attempt->rulings));
    for (unsigned i = 0; i < envelope->count; i++) {
        struct ruling found =
            rules_find(config->rules, config->rule_count, span_of(envelope->destination),
                       &attempt->delivery.verdicts[i]);
        attempt->rulings[i] = (struct applied_rule){.for_ms = found.for_ms};
        if (found.rule == NULL)
            continue;
        attempt->rulings[i].name = arena_copy(&attempt->arena, span_of(found.rule->name));
        attempt->rulings[i].action = found.rule->action;
    }
}

bool attempt_lets_go_on(const struct attempt *attempt, unsigned recipient, bool without_rule)
{
    const struct applied_rule *ruling = &attempt->rulings[recipient];
    if (ruling->name == NULL)
        return without_rule;
    switch (ruling->action) {
    case RULE_RETRY:
    case RULE_NEXT_HOST: return true;
    case RULE_DEFER:
    case RULE_BACK_OFF:
    case RULE_SUSPEND:
    case RULE_BOUNCE: return false;
    }
    must_not_reach();
}

/* ---- what a verdict becomes ---- */

/* A class that fits what it has become; where the server said otherwise its own status stands
 * before its words. */
static void become(struct attempt *attempt, struct verdict *verdict, enum verdict_kind kind,
                   uint8_t class)
{
    char said[STATUS_TEXT_MAX];
    verdict->kind = kind;
    if (verdict->status.class == 0 || verdict->status.class == class)
        return;
    if (status_belongs(verdict->status, verdict->code)) {
        status_format(verdict->status, said);
        verdict->text =
            span_of(arena_print(&attempt->arena, "%s %.*s", said, SPAN_FORMAT(verdict->text)));
    }
    verdict->status.class = class;
}

static void apply(struct attempt *attempt, unsigned recipient)
{
    struct verdict *verdict = &attempt->delivery.verdicts[recipient];
    if (attempt->rulings[recipient].name == NULL)
        return;
    switch (attempt->rulings[recipient].action) {
    case RULE_DEFER:
    case RULE_RETRY:
    case RULE_BACK_OFF:
    case RULE_SUSPEND: become(attempt, verdict, VERDICT_DEFERRED, 4); return;
    case RULE_BOUNCE: become(attempt, verdict, VERDICT_BOUNCED, 5); return;
    case RULE_NEXT_HOST: return; /* no other host did better */
    }
    must_not_reach();
}

void attempt_apply_rules(struct attempt *attempt)
{
    attempt_rule(attempt);
    for (unsigned i = 0; i < attempt->envelope->count; i++)
        apply(attempt, i);
}

/* ---- what is to rest ---- */

int64_t attempt_rests_ms(const struct attempt *attempt)
{
    int64_t longest = 0;
    for (unsigned i = 0; i < attempt->envelope->count; i++)
        if (attempt->rulings[i].name != NULL && attempt->rulings[i].for_ms > longest)
            longest = attempt->rulings[i].for_ms;
    return longest;
}

static void suspend(const struct attempt *attempt, const struct applied_rule *ruling,
                    const struct verdict *verdict)
{
    struct suspension suspension = {.since_ms = attempt->worker->wall_ms,
                                    .until_ms = attempt->worker->wall_ms + ruling->for_ms};
    snprintf(suspension.destination, sizeof(suspension.destination), "%s",
             attempt->envelope->destination);
    snprintf(suspension.reason, sizeof(suspension.reason), "rule %s: %u %.*s", ruling->name,
             verdict->code, SPAN_FORMAT(verdict->text));
    dispatch_suspend_further(attempt->worker->relay->dispatch, &suspension);
}

static void back_off(const struct attempt *attempt, const struct applied_rule *ruling,
                     const struct verdict *verdict)
{
    char why[256];
    snprintf(why, sizeof(why), "rule %s: %u %.*s", ruling->name, verdict->code,
             SPAN_FORMAT(verdict->text));
    dispatch_back_off(attempt->worker->relay->dispatch, attempt->entry,
                      attempt->worker->wall_ms + ruling->for_ms, why);
}

void attempt_rest(const struct attempt *attempt)
{
    for (unsigned i = 0; i < attempt->envelope->count; i++) {
        const struct applied_rule *ruling = &attempt->rulings[i];
        const struct verdict *verdict = &attempt->delivery.verdicts[i];
        if (ruling->name == NULL)
            continue;
        if (ruling->action == RULE_SUSPEND)
            suspend(attempt, ruling, verdict);
        else if (ruling->action == RULE_BACK_OFF)
            back_off(attempt, ruling, verdict);
        else
            continue;
        return; /* the first recipient's says it for all */
    }
}
