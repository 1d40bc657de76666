/* Reply patterns: the `reply` sections, of the file and of the built-in set. */
#include "relay/config_read_inside.h"

#include <string.h>

static bool rule_name_is_valid(struct span name)
{
    static const char others[] = "-_.";
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return name.length > 0 && name.length <= RULE_NAME_MAX;
}

static bool is_there(const struct config *config, const char *name)
{
    for (unsigned i = 0; i < config->rule_count; i++)
        if (strcmp(config->rules[i].name, name) == 0)
            return true;
    return false;
}

static void compile(struct reader *reader, size_t section, struct rule *rule)
{
    char why[PATTERN_WHY_MAX];
    rule->pattern = pattern_compile(rule->match, why);
    if (rule->pattern == NULL)
        report_add(&reader->report, place_of(reader, section, "match"),
                   "match: not a regular expression: %s", why);
}

static void check_rule(struct reader *reader, const struct walk *walk, struct rule *rule)
{
    struct report *report = &reader->report;
    if (!rule_name_is_valid(span_of(rule->name)))
        report_add(report, walk->place,
                   "reply \"%.80s\": a name is letters, digits, \"-\", \"_\" and \".\", %d at most",
                   rule->name, RULE_NAME_MAX);
    if (rule->destination != NULL && !name_is_valid(span_of(rule->destination)))
        report_add(report, place_of(reader, walk->section, "destination"),
                   "destination: \"%.80s\" is not a domain, as in example.com, .example.com (all "
                   "below it) or *",
                   rule->destination);
    if (!is_set(reader, walk->section, "match"))
        report_add(report, walk->place,
                   "reply \"%.80s\" matches nothing: match = '^550 5\\.7\\.1 '", rule->name);
    if (!is_set(reader, walk->section, "action"))
        report_add(report, walk->place, "reply \"%.80s\" does nothing: action = \"defer\"",
                   rule->name);
}

static void read_rule(struct reader *reader, const struct walk *walk)
{
    struct config *config = reader->config;
    struct rule *rule = &config->rules[config->rule_count];
    const char *title = cfg_getstr(walk->cfg, CONFIG_TITLE);
    bool builtin = strcmp(walk->place->file, RULES_BUILTIN_NAME) == 0;
    *rule = (struct rule){.name = arena_copy(&config->arena, span_of(title ? title : ""))};
    if (builtin && (!config->builtin_rules || is_there(config, rule->name)))
        return;
    read_keys(reader, walk->section, walk->cfg, rule);
    if (!reader->scan.broken)
        check_rule(reader, walk, rule);
    if (is_there(config, rule->name))
        report_add(&reader->report, walk->place, "reply \"%.80s\" is there twice", rule->name);
    rule->for_ms = rule_for_ms(rule);
    if (rule->match == NULL)
        return;
    compile(reader, walk->section, rule);
    config->rule_count += rule->pattern != NULL;
}

void read_rules(struct reader *reader)
{
    struct config *config = reader->config;
    size_t room = cfg_size(reader->root, "reply") + 1;
    config->rules = arena_take(&config->arena, room * sizeof(*config->rules));
    for (struct walk walk = {0}; walk_next(reader, SECTION_REPLY, &walk);)
        read_rule(reader, &walk);
}
