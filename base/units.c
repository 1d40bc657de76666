#include "base/units.h"

#include "base/must.h"

#include <inttypes.h>
#include <stdio.h>

struct unit {
    const char *name;
    uint64_t worth;
};

/* Largest first: the way back takes the first that divides. */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct unit sizes[] = {
    {"T", 1ull << 40}, {"G", 1ull << 30}, {"M", 1ull << 20}, {"K", 1ull << 10}, {"", 1},
};

static size_t count_digits(struct span text)
{
    size_t count = 0;
    while (count < text.length && text.data[count] >= '0' && text.data[count] <= '9')
        count++;
    return count;
}

static const struct unit *find_unit(const struct unit *units, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal_nocase(span_of(units[i].name), name))
            return &units[i];
    return NULL;
}

/* NUMBER UNIT without anything between, not above `most`. */
static bool parse(struct span text, const struct unit *units, size_t count, uint64_t most,
                  uint64_t *value)
{
    uint64_t number;
    size_t digits = count_digits(text);
    if (!span_number((struct span){text.data, digits}, &number))
        return false;
    const struct unit *unit = find_unit(units, count, span_skip(text, digits));
    if (unit == NULL || number > most / unit->worth)
        return false;
    *value = number * unit->worth;
    return true;
}

bool units_duration(struct span text, int64_t *ms)
{
    uint64_t value;
    if (span_equal(text, SPAN("0"))) {
        *ms = 0;
        return true;
    }
    if (!parse(text, durations, countof(durations), INT64_MAX, &value))
        return false;
    *ms = (int64_t)value;
    return true;
}

bool units_size(struct span text, uint64_t *bytes)
{
    return parse(text, sizes, countof(sizes), UINT64_MAX, bytes);
}

/* The units of a duration that a rate may be per: all but ms. */
#define RATE_UNITS (countof(durations) - 1)

bool units_rate(struct span text, struct rate *rate)
{
    uint64_t number;
    size_t digits = count_digits(text);
    struct span unit_name = span_skip(text, digits);
    if (!span_number((struct span){text.data, digits}, &number) || number > UINT32_MAX)
        return false;
    *rate = (struct rate){(unsigned)number, 1000};
    if (unit_name.length == 0)
        return number == 0;
    const struct unit *unit = find_unit(durations, RATE_UNITS, span_skip(unit_name, 1));
    if (unit_name.data[0] != '/' || unit == NULL)
        return false;
    rate->per_ms = (int64_t)unit->worth;
    return true;
}

static char *format(uint64_t value, const struct unit *units, char text[UNITS_TEXT_MAX])
{
    while (value % units->worth != 0) /* ends: the last unit is worth 1 */
        units++;
    snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 "%s", value / units->worth, units->name);
    return text;
}

char *units_duration_format(int64_t ms, char text[UNITS_TEXT_MAX])
{
    must(ms >= 0);
    if (ms == 0)
        snprintf(text, UNITS_TEXT_MAX, "0");
    else
        format((uint64_t)ms, durations, text);
    return text;
}

char *units_size_format(uint64_t bytes, char text[UNITS_TEXT_MAX])
{
    if (bytes == 0)
        snprintf(text, UNITS_TEXT_MAX, "0");
    else
        format(bytes, sizes, text);
    return text;
}

char *units_rate_format(struct rate rate, char text[UNITS_TEXT_MAX])
{
    const struct unit *unit = durations;
    while ((int64_t)unit->worth > rate.per_ms && unit->worth > 1000)
        unit++;
    if (rate.count == 0)
        snprintf(text, UNITS_TEXT_MAX, "0");
    else
        snprintf(text, UNITS_TEXT_MAX, "%u/%s", rate.count, unit->name);
    return text;
}
