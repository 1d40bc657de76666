#include "base/nearest.h"

#include <string.h>

#define BEGINNING_MIN 3

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Damerau's distance without editing a pair twice ("optimal string alignment"); three rows of
 * its table are enough. */
static unsigned slips(struct span a, struct span b)
{
    unsigned rows[3][NEAREST_WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (unsigned j = 0; j <= b.length; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.length; i++) {
        now[0] = i;
        for (unsigned j = 1; j <= b.length; j++) {
            char from = lower(a.data[i - 1]), to = lower(b.data[j - 1]);
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (from != to));
            if (i > 1 && j > 1 && from == lower(b.data[j - 2]) && lower(a.data[i - 2]) == to)
                now[j] = least(now[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b.length];
}

/* How far the candidate is from the word, or UINT32_MAX when it is not near. */
static unsigned distance(struct span word, struct span candidate)
{
    if (candidate.length > NEAREST_WORD_MAX)
        return UINT32_MAX;
    unsigned found = slips(word, candidate);
    size_t longer = word.length > candidate.length ? word.length : candidate.length;
    if (found <= (longer + 1) / 3 && found < longer)
        return found;
    bool begins = word.length >= BEGINNING_MIN && span_starts_nocase(candidate, word);
    return begins ? found : UINT32_MAX;
}

const char *nearest_name(struct span word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    unsigned best_distance = UINT32_MAX;
    if (word.length == 0 || word.length > NEAREST_WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        unsigned found = distance(word, span_of(candidates[i]));
        if (found < best_distance) {
            best = candidates[i];
            best_distance = found;
        }
    }
    return best;
}
