/* Reply patterns: what the operator, or our built-in set, makes of a reply. Pure, but for the
 * memory that compiled patterns take.
 *
 * A rule is a `reply "NAME" { }` section. Of all rules the first one counts whose pattern is found
 * in "550 5.1.1 No such user" (code, enhanced code if there was one, text on one line; any case)
 * and whose destination and stage fit. The built-in ones are written in the same syntax and come
 * last. Looking is bounded, whatever the pattern and the reply: one that takes too long does not
 * match. */
#pragma once

#include "queue/message.h"

#define RULE_FOR_MOST_MS (4 * 3600000ll) /* what a reply may ask for by naming a time */
#define RULE_NAME_MAX 64
#define RULE_PATTERN_MAX 1000 /* bytes */

enum rule_action {
    RULE_DEFER,     /* tried again after `for`, and not at another host before */
    RULE_RETRY,     /* deferred as any other, whatever the code */
    RULE_BACK_OFF,  /* deferred, and nothing goes to the site meanwhile */
    RULE_SUSPEND,   /* deferred, and nothing goes to the destination meanwhile, restarts included */
    RULE_BOUNCE,    /* for good, whatever the code */
    RULE_NEXT_HOST, /* another host is tried at once, whatever the code, while there is one */
};
#define RULE_ACTIONS 6

struct pattern; /* compiled */

struct rule { /* a `reply "NAME"` section */
    const char *name;
    const char *match;
    const char *destination; /* a domain, ".parent" or "*"; NULL: any */
    enum stage at;           /* STAGE_NONE: any */
    enum rule_action action;
    int64_t for_ms; /* 0: see rule_for_ms() */
    struct pattern *pattern;
};

/* NULL with `why` when it is no regular expression (PCRE2): what is wrong, and at which byte. */
#define PATTERN_WHY_MAX 200
struct pattern *pattern_compile(const char *text, char why[PATTERN_WHY_MAX]);
void pattern_free(struct pattern **pattern);

/* How long the action lasts where the rule does not say: ms. */
int64_t rule_for_ms(const struct rule *rule);

struct ruling {
    const struct rule *rule; /* NULL: none applies */
    int64_t for_ms; /* the rule's; or what the reply named, in a group called `seconds`, `minutes`
                       or `hours`, within bounds */
};

/* For a verdict of a host: deferred or bounced, by a reply or because it could not be reached. */
struct ruling rules_find(const struct rule *rules, unsigned count, struct span destination,
                         const struct verdict *verdict);

/* The built-in set, in the configuration's syntax. */
extern const char rules_builtin[];
#define RULES_BUILTIN_NAME "built-in rules"
