#include "tlspolicy/sts.h"

#include "base/must.h"

#include <string.h>

#define LABEL_MAX 63
#define EXTENSION_NAME_MAX 32

const char *sts_mode_name(enum sts_mode mode)
{
    switch (mode) {
    case STS_NONE: return "none";
    case STS_TESTING: return "testing";
    case STS_ENFORCE: return "enforce";
    }
    must_not_reach();
}

const char *sts_failure_name(enum sts_failure failure)
{
    switch (failure) {
    case STS_NO_FAILURE: return "";
    case STS_FETCH_ERROR: return "sts-policy-fetch-error";
    case STS_WEBPKI_INVALID: return "sts-webpki-invalid";
    case STS_POLICY_INVALID: return "sts-policy-invalid";
    }
    must_not_reach();
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* sts-ext-name and sts-policy-ext-name; the known names are of this form, too. */
static bool is_field_name(struct span name)
{
    if (name.length == 0 || name.length > EXTENSION_NAME_MAX || !is_alphanumeric(name.data[0]))
        return false;
    for (size_t i = 1; i < name.length; i++)
        if (!is_alphanumeric(name.data[i]) && name.data[i] != '_' && name.data[i] != '-' &&
            name.data[i] != '.')
            return false;
    return true;
}

/* "name", delimiter, "value" in two; the delimiter stays with neither. */
static bool split(struct span field, char delimiter, struct span *name, struct span *value)
{
    const char *at = field.length > 0 ? memchr(field.data, delimiter, field.length) : NULL;
    if (at == NULL)
        return false;
    *name = (struct span){field.data, (size_t)(at - field.data)};
    *value = span_skip(field, name->length + 1);
    return true;
}

/* ---- the TXT record (RFC 8461 3.1) ---- */

static const struct span record_version = SPAN("v=STSv1;");

static bool begins(struct span text, struct span with)
{
    return text.length >= with.length && memcmp(text.data, with.data, with.length) == 0;
}

bool sts_is_id(struct span value)
{
    for (size_t i = 0; i < value.length; i++)
        if (!is_alphanumeric(value.data[i]))
            return false;
    return value.length > 0 && value.length <= STS_ID_MAX;
}

/* sts-ext-value: visible, and neither '=' nor ';' */
static bool is_record_value(struct span value)
{
    for (size_t i = 0; i < value.length; i++)
        if (value.data[i] <= ' ' || value.data[i] > '~' || value.data[i] == '=')
            return false;
    return value.length > 0;
}

/* The next field up to ';', without blanks around it. False at the end. */
static bool next_field(struct span *rest, struct span *field)
{
    if (rest->length == 0)
        return false;
    const char *end = memchr(rest->data, ';', rest->length);
    size_t length = end ? (size_t)(end - rest->data) : rest->length;
    *field = span_trim((struct span){rest->data, length});
    *rest = span_skip(*rest, length + 1);
    return true;
}

/* The first `id` counts, whatever stands behind it; unknown fields are passed over. */
static bool read_record(struct span text, char id[STS_ID_MAX + 1])
{
    struct span rest = span_skip(text, record_version.length), field, name, value;
    bool found = false;
    while (next_field(&rest, &field)) {
        if (field.length == 0 && span_trim(rest).length == 0) /* behind the last ';' */
            break;
        if (!split(field, '=', &name, &value) || !is_field_name(name))
            return false;
        bool is_known = span_equal(name, SPAN("id"));
        if (is_known && found)
            continue;
        if (is_known ? !sts_is_id(value) : !is_record_value(value))
            return false;
        if (is_known)
            memcpy(id, value.data, value.length);
        found |= is_known;
    }
    return found;
}

enum sts_record sts_choose_record(const struct span *texts, unsigned count, char id[STS_ID_MAX + 1])
{
    const struct span *chosen = NULL;
    memset(id, 0, STS_ID_MAX + 1);
    for (unsigned i = 0; i < count; i++) {
        if (!begins(texts[i], record_version))
            continue;
        if (chosen != NULL)
            return STS_RECORD_INVALID;
        chosen = &texts[i];
    }
    if (chosen == NULL)
        return STS_RECORD_NONE;
    if (read_record(*chosen, id))
        return STS_RECORD_FOUND;
    memset(id, 0, STS_ID_MAX + 1);
    return STS_RECORD_INVALID;
}

/* ---- the policy's text (RFC 8461 3.2) ---- */

struct reading {
    struct arena *arena;
    struct sts_policy *policy;
    bool has_version, has_mode, has_max_age;
    const char *patterns[STS_PATTERNS_MAX];
};

static const char *read_version(struct reading *reading, struct span value)
{
    if (reading->has_version)
        return NULL;
    reading->has_version = true;
    return span_equal(value, SPAN("STSv1")) ? NULL : "its version is not STSv1";
}

static const char *read_mode(struct reading *reading, struct span value)
{
    if (reading->has_mode)
        return NULL;
    reading->has_mode = true;
    for (enum sts_mode mode = STS_NONE; mode <= STS_ENFORCE; mode++)
        if (span_equal(value, span_of(sts_mode_name(mode)))) {
            reading->policy->mode = mode;
            return NULL;
        }
    return "its mode is none of enforce, testing and none";
}

static const char *read_max_age(struct reading *reading, struct span value)
{
    uint64_t seconds;
    if (reading->has_max_age)
        return NULL;
    reading->has_max_age = true;
    if (!span_number(value, &seconds) || seconds > STS_AGE_MOST_S)
        return "its max_age is no number of seconds from 0 to 31557600";
    reading->policy->max_age_s = (uint32_t)seconds;
    return NULL;
}

static bool is_label(struct span label)
{
    if (label.length == 0 || label.length > LABEL_MAX || label.data[0] == '-' ||
        label.data[label.length - 1] == '-')
        return false;
    for (size_t i = 0; i < label.length; i++)
        if (!is_alphanumeric(label.data[i]) && label.data[i] != '-' && label.data[i] != '_')
            return false;
    return true;
}

/* ["*."] Domain, as A-labels. */
static bool is_pattern(struct span text)
{
    struct span label;
    if (text.length > STS_PATTERN_BYTES_MAX)
        return false;
    if (begins(text, SPAN("*.")))
        text = span_skip(text, 2);
    while (split(text, '.', &label, &text))
        if (!is_label(label))
            return false;
    return is_label(text);
}

static const char *read_mx(struct reading *reading, struct span value)
{
    struct sts_policy *policy = reading->policy;
    if (!is_pattern(value))
        return "an mx is no host name, nor `*.` and one";
    if (policy->count == STS_PATTERNS_MAX)
        return "it has more than 200 mx";
    char *pattern = arena_copy(reading->arena, value);
    text_lower(pattern);
    reading->patterns[policy->count++] = pattern;
    return NULL;
}

/* Visible, blanks between, UTF-8 as it comes: what is unknown is passed over, so it need only not
 * be something else than text. */
static bool is_extension_value(struct span value)
{
    for (size_t i = 0; i < value.length; i++)
        if ((unsigned char)value.data[i] < ' ' || value.data[i] == 0x7f)
            return false;
    return value.length > 0;
}

static const struct {
    struct span name;
    const char *(*read)(struct reading *reading, struct span value);
} fields[] = {
    {SPAN("version"), read_version},
    {SPAN("mode"), read_mode},
    {SPAN("max_age"), read_max_age},
    {SPAN("mx"), read_mx},
};

static const char *read_field(struct reading *reading, struct span line)
{
    struct span name, value;
    if (!split(line, ':', &name, &value) || !is_field_name(name))
        return "a line of it is no \"name: value\"";
    value = span_trim(value);
    for (size_t i = 0; i < countof(fields); i++)
        if (span_equal(name, fields[i].name))
            return fields[i].read(reading, value);
    return is_extension_value(value) ? NULL : "a value holds control characters, or is missing";
}

static const char *conclude(struct reading *reading)
{
    struct sts_policy *policy = reading->policy;
    if (!reading->has_version)
        return "it has no version";
    if (!reading->has_mode)
        return "it has no mode";
    if (!reading->has_max_age)
        return "it has no max_age";
    if (policy->count == 0 && policy->mode != STS_NONE)
        return "it has no mx";
    const char **patterns = arena_take(reading->arena, policy->count * sizeof(*patterns));
    for (unsigned i = 0; i < policy->count; i++)
        patterns[i] = reading->patterns[i];
    policy->patterns = patterns;
    return NULL;
}

const char *sts_read_policy(struct span text, struct arena *arena, struct sts_policy *policy)
{
    struct reading reading = {.arena = arena, .policy = policy};
    struct span line;
    *policy = (struct sts_policy){0};
    if (text.length > STS_TEXT_MAX)
        return "it is longer than 64 KiB";
    while (span_line(&text, &line)) {
        line = span_trim(line);
        if (line.length == 0) /* not in the grammar, but at the end of many a file */
            continue;
        const char *why = read_field(&reading, line);
        if (why != NULL)
            return why;
    }
    return conclude(&reading);
}

/* ---- the hosts (RFC 8461 4.1) ---- */

static bool pattern_matches(struct span pattern, struct span host)
{
    struct span first;
    if (!begins(pattern, SPAN("*.")))
        return span_equal_nocase(pattern, host);
    return split(host, '.', &first, &host) && first.length > 0 &&
           span_equal_nocase(span_skip(pattern, 2), host);
}

bool sts_matches(const struct sts_policy *policy, struct span host)
{
    for (unsigned i = 0; i < policy->count; i++)
        if (pattern_matches(span_of(policy->patterns[i]), host))
            return true;
    return false;
}
