#include "bench/fault.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const places[] = {
    [FAULT_CONNECT] = "connect",     [FAULT_GREETING] = "greeting", [FAULT_EHLO] = "ehlo",
    [FAULT_STARTTLS] = "starttls",   [FAULT_AUTH] = "auth",         [FAULT_MAIL] = "mail",
    [FAULT_HANDSHAKE] = "handshake", [FAULT_RCPT] = "rcpt",         [FAULT_DATA] = "data",
    [FAULT_BDAT] = "bdat",           [FAULT_EOD] = "eod",           [FAULT_QUIT] = "quit",
};
_Static_assert(countof(places) == FAULT_PLACES, "each place has its word");

static const char *const whats[] = {
    [FAULT_REPLY] = "a reply code", [FAULT_DROP] = "drop",           [FAULT_STALL] = "stall",
    [FAULT_GARBAGE] = "garbage",    [FAULT_NO_TICKET] = "no-ticket", [FAULT_RESIDUE] = "residue",
};
_Static_assert(countof(whats) == FAULT_WHATS, "each fault has its word");

/* Cuts what stands before the next ':' off `rest`. */
static struct span cut(struct span *rest)
{
    const char *colon = memchr(rest->data, ':', rest->length);
    struct span part = {rest->data, colon ? (size_t)(colon - rest->data) : rest->length};
    *rest = span_skip(*rest, part.length + 1);
    return part;
}

static bool parse_where(struct span word, enum fault_where *where, char why[FAULT_WHY_MAX])
{
    for (unsigned i = 0; i < FAULT_PLACES; i++)
        if (span_equal(word, span_of(places[i]))) {
            *where = (enum fault_where)i;
            return true;
        }
    snprintf(why, FAULT_WHY_MAX,
             "no place '%.*s': connect, greeting, ehlo, starttls, handshake, auth, mail, rcpt, "
             "data, bdat, eod or quit",
             SPAN_FORMAT(word));
    return false;
}

static bool parse_what(struct span word, struct fault *fault, char why[FAULT_WHY_MAX])
{
    uint64_t code;
    for (unsigned i = FAULT_DROP; i < FAULT_WHATS; i++)
        if (span_equal(word, span_of(whats[i]))) {
            fault->what = (enum fault_what)i;
            return true;
        }
    if (word.length == 3 && span_number(word, &code) && code >= 200 && code <= 599) {
        fault->what = FAULT_REPLY;
        fault->code = (uint16_t)code;
        return true;
    }
    snprintf(why, FAULT_WHY_MAX,
             "no fault '%.*s': a reply code (200 to 599), drop, stall, garbage, no-ticket or "
             "residue",
             SPAN_FORMAT(word));
    return false;
}

static bool parse_share(struct span word, double *share, char why[FAULT_WHY_MAX])
{
    char text[32] = "";
    char *end = text;
    double most = 1;
    if (word.length > 0 && word.data[word.length - 1] == '%') {
        most = 100;
        word.length--;
    }
    if (word.length < sizeof(text) && strspn(word.data, "0123456789.") >= word.length) {
        memcpy(text, word.data, word.length);
        *share = strtod(text, &end) / most;
    }
    if (end != text && *end == '\0' && *share <= 1)
        return true;
    snprintf(why, FAULT_WHY_MAX, "no share '%.*s': 0 to 1, or 0%% to 100%%", SPAN_FORMAT(word));
    return false;
}

static bool can_happen(const struct fault *fault)
{
    bool says_something = fault->where != FAULT_CONNECT && fault->where != FAULT_HANDSHAKE;
    bool takes_mail = fault->where == FAULT_EOD || fault->where == FAULT_BDAT;
    switch (fault->what) {
    case FAULT_REPLY: /* a message that is not taken is not told 250 */
        return fault->where != FAULT_HANDSHAKE && (!takes_mail || fault->code >= 300);
    case FAULT_NO_TICKET: return fault->where == FAULT_HANDSHAKE;
    case FAULT_RESIDUE: return says_something;
    case FAULT_DROP:
    case FAULT_STALL:
    case FAULT_GARBAGE: return true;
    }
    must_not_reach();
}

bool fault_parse(struct span text, struct fault *fault, char why[FAULT_WHY_MAX])
{
    struct span rest = text;
    *fault = (struct fault){0};
    if (!parse_where(cut(&rest), &fault->where, why) || !parse_what(cut(&rest), fault, why) ||
        !parse_share(rest, &fault->share, why))
        return false;
    if (can_happen(fault))
        return true;
    char name[FAULT_NAME_MAX];
    snprintf(why, FAULT_WHY_MAX, "%s cannot happen", fault_name(fault, name));
    return false;
}

char *fault_name(const struct fault *fault, char text[FAULT_NAME_MAX])
{
    if (fault->what == FAULT_REPLY)
        snprintf(text, FAULT_NAME_MAX, "%s:%u", places[fault->where], fault->code);
    else
        snprintf(text, FAULT_NAME_MAX, "%s:%s", places[fault->where], whats[fault->what]);
    return text;
}

static double share_at(const struct faults *faults, enum fault_where where)
{
    double sum = 0;
    for (unsigned i = 0; i < faults->count; i++)
        if (faults->rows[i].where == where)
            sum += faults->rows[i].share;
    return sum;
}

static bool is_there(const struct faults *faults, const struct fault *fault)
{
    for (unsigned i = 0; i < faults->count; i++) {
        const struct fault *row = &faults->rows[i];
        if (row->where == fault->where && row->what == fault->what && row->code == fault->code)
            return true;
    }
    return false;
}

bool faults_add(struct faults *faults, struct span text, char why[FAULT_WHY_MAX])
{
    struct fault fault;
    char name[FAULT_NAME_MAX];
    if (!fault_parse(text, &fault, why))
        return false;
    if (faults->count == FAULTS_MAX) {
        snprintf(why, FAULT_WHY_MAX, "more than %d faults", FAULTS_MAX);
        return false;
    }
    if (is_there(faults, &fault)) {
        snprintf(why, FAULT_WHY_MAX, "%s is there already", fault_name(&fault, name));
        return false;
    }
    if (share_at(faults, fault.where) + fault.share > 1.000001) { /* sums of tenths are not exact */
        snprintf(why, FAULT_WHY_MAX, "the shares at %s pass 1", places[fault.where]);
        return false;
    }
    faults->rows[faults->count++] = fault;
    return true;
}

bool faults_add_delay(struct faults *faults, struct span text, char why[FAULT_WHY_MAX])
{
    struct span rest = text;
    enum fault_where where;
    uint64_t ms;
    if (!parse_where(cut(&rest), &where, why))
        return false;
    if (!span_number(rest, &ms) || ms > FAULT_DELAY_MAX_MS) {
        snprintf(why, FAULT_WHY_MAX, "no delay '%.*s': ms, up to %d", SPAN_FORMAT(rest),
                 FAULT_DELAY_MAX_MS);
        return false;
    }
    faults->delay_ms[where] = (unsigned)ms;
    return true;
}

int faults_draw(const struct faults *faults, enum fault_where where, struct random_state *random)
{
    if (faults->count == 0)
        return -1;
    double drawn = (double)(random_next(random) >> 11) * 0x1p-53; /* 0 <= drawn < 1 */
    double sum = 0;
    for (unsigned i = 0; i < faults->count; i++) {
        if (faults->rows[i].where != where)
            continue;
        sum += faults->rows[i].share;
        if (drawn < sum)
            return (int)i;
    }
    return -1;
}
