#define PCRE2_CODE_UNIT_WIDTH 8

#include "relay/outbound/rules.h"

#include "base/must.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1200   /* of a reply that are looked at */
#define MATCH_STEPS 100000    /* a pattern that needs more does not match */
#define MATCH_KIB 1024        /* nor one that needs more memory */
#define NAMED_TIME_LEAST 1000 /* ms */

struct pattern {
    pcre2_code *code;
};

/* ---- patterns ---- */

struct pattern *pattern_compile(const char *text, char why[PATTERN_WHY_MAX])
{
    int error;
    size_t at;
    uint32_t options = PCRE2_CASELESS | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C;
    if (strlen(text) > RULE_PATTERN_MAX) {
        snprintf(why, PATTERN_WHY_MAX, "it has %zu bytes, %d at most", strlen(text),
                 RULE_PATTERN_MAX);
        return NULL;
    }
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &error, &at, NULL);
    if (code == NULL) {
        PCRE2_UCHAR words[PATTERN_WHY_MAX - 40];
        pcre2_get_error_message(error, words, sizeof(words));
        snprintf(why, PATTERN_WHY_MAX, "%s, at byte %zu", (const char *)words, at + 1);
        return NULL;
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where that fails it is interpreted */
    struct pattern *pattern = must_calloc(1, sizeof(*pattern));
    pattern->code = code;
    return pattern;
}

void pattern_free(struct pattern **pattern)
{
    struct pattern *freed = *pattern;
    *pattern = NULL;
    if (freed == NULL)
        return;
    pcre2_code_free(freed->code);
    free(freed);
}

/* ---- looking ---- */

/* What all rules are held against, made once. */
struct subject {
    char line[LINE_MAX_BYTES];
    size_t length;
    pcre2_match_data *found;
    pcre2_match_context *limits;
};

static void subject_init(struct subject *subject, const struct verdict *verdict)
{
    char codes[STATUS_TEXT_MAX + 8] = "", status[STATUS_TEXT_MAX];
    if (verdict->code != 0 && status_belongs(verdict->status, verdict->code))
        snprintf(codes, sizeof(codes), "%03u %s ", verdict->code % 1000u,
                 status_format(verdict->status, status));
    else if (verdict->code != 0)
        snprintf(codes, sizeof(codes), "%03u ", verdict->code % 1000u);
    snprintf(subject->line, sizeof(subject->line), "%s%.*s", codes, SPAN_FORMAT(verdict->text));
    subject->length = strlen(subject->line);
    subject->found = pcre2_match_data_create(16, NULL);
    subject->limits = pcre2_match_context_create(NULL);
    must(subject->found != NULL && subject->limits != NULL);
    pcre2_set_match_limit(subject->limits, MATCH_STEPS);
    pcre2_set_heap_limit(subject->limits, MATCH_KIB);
}

static void subject_free(struct subject *subject)
{
    pcre2_match_data_free(subject->found);
    pcre2_match_context_free(subject->limits);
}

static bool is_found(const struct subject *subject, const struct pattern *pattern)
{
    return pcre2_match(pattern->code, (PCRE2_SPTR)subject->line, subject->length, 0, 0,
                       subject->found, subject->limits) >= 0;
}

/* "example.test", ".example.test" (all below it), "*" */
static bool covers(const char *name, struct span destination)
{
    struct span wanted = span_of(name);
    if (span_equal(wanted, SPAN("*")))
        return true;
    if (name[0] != '.')
        return span_equal_nocase(wanted, destination);
    return destination.length > wanted.length &&
           span_equal_nocase(wanted, span_skip(destination, destination.length - wanted.length));
}

static bool fits(const struct rule *rule, struct span destination, const struct verdict *verdict)
{
    return (rule->destination == NULL || covers(rule->destination, destination)) &&
           (rule->at == STAGE_NONE || rule->at == verdict->stage);
}

/* ---- how long ---- */

int64_t rule_for_ms(const struct rule *rule)
{
    static const int64_t defaults[] = {
        [RULE_DEFER] = 300000,    [RULE_RETRY] = 0,  [RULE_BACK_OFF] = 300000,
        [RULE_SUSPEND] = 3600000, [RULE_BOUNCE] = 0, [RULE_NEXT_HOST] = 0,
    };
    _Static_assert(countof(defaults) == RULE_ACTIONS, "one for each");
    return rule->for_ms > 0 ? rule->for_ms : defaults[rule->action];
}

/* The number in that group of the match, if it took part in it. */
static bool named_number(const struct subject *subject, const char *group, int64_t *number)
{
    PCRE2_UCHAR *text;
    PCRE2_SIZE length;
    uint64_t value;
    if (pcre2_substring_get_byname(subject->found, (PCRE2_SPTR)group, &text, &length) != 0)
        return false;
    bool fine = span_number((struct span){(const char *)text, length}, &value) && value < INT32_MAX;
    pcre2_substring_free(text);
    if (fine)
        *number = (int64_t)value;
    return fine;
}

static int64_t how_long(const struct subject *subject, const struct rule *rule)
{
    static const struct {
        const char *group;
        int64_t ms;
    } units[] = {{"seconds", 1000}, {"minutes", 60000}, {"hours", 3600000}};
    int64_t number;
    for (size_t i = 0; i < countof(units); i++) {
        if (!named_number(subject, units[i].group, &number))
            continue;
        int64_t ms = number * units[i].ms;
        if (ms < NAMED_TIME_LEAST)
            return NAMED_TIME_LEAST;
        return ms < RULE_FOR_MOST_MS ? ms : RULE_FOR_MOST_MS;
    }
    return rule_for_ms(rule);
}

struct ruling rules_find(const struct rule *rules, unsigned count, struct span destination,
                         const struct verdict *verdict)
{
    struct ruling ruling = {0};
    struct subject subject = {0};
    bool of_a_host = verdict->stage != STAGE_NONE;
    bool decided = verdict->kind == VERDICT_DEFERRED || verdict->kind == VERDICT_BOUNCED;
    if (count == 0 || !of_a_host || !decided || verdict->untried)
        return ruling;
    subject_init(&subject, verdict);
    for (unsigned i = 0; i < count && ruling.rule == NULL; i++) {
        if (!fits(&rules[i], destination, verdict) || !is_found(&subject, rules[i].pattern))
            continue;
        ruling.rule = &rules[i];
        ruling.for_ms = how_long(&subject, &rules[i]);
    }
    subject_free(&subject);
    return ruling;
}
