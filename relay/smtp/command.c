#include "relay/smtp/command.h"

#include "base/must.h"

#include <string.h>

/* ---- the verb ---- */

static const struct span verbs[] = {
    [COMMAND_EHLO] = SPAN("EHLO"),         [COMMAND_HELO] = SPAN("HELO"),
    [COMMAND_MAIL] = SPAN("MAIL"),         [COMMAND_RCPT] = SPAN("RCPT"),
    [COMMAND_DATA] = SPAN("DATA"),         [COMMAND_RSET] = SPAN("RSET"),
    [COMMAND_NOOP] = SPAN("NOOP"),         [COMMAND_QUIT] = SPAN("QUIT"),
    [COMMAND_VRFY] = SPAN("VRFY"),         [COMMAND_HELP] = SPAN("HELP"),
    [COMMAND_STARTTLS] = SPAN("STARTTLS"), [COMMAND_BDAT] = SPAN("BDAT"),
    [COMMAND_AUTH] = SPAN("AUTH"),         [COMMAND_XCLIENT] = SPAN("XCLIENT"),
};
_Static_assert(countof(verbs) == COMMAND_REFUSED, "each verb but the last three has its word");

static const struct span refused[] = {SPAN("EXPN"), SPAN("ETRN"), SPAN("ATRN"), SPAN("TURN"),
                                      SPAN("SEND"), SPAN("SOML"), SPAN("SAML")};

/* CR, LF and NUL have no place in a line: whoever sends one tries to pass for two lines. */
static bool is_one_line(struct span line)
{
    static const char outlaws[] = {'\0', '\r', '\n'};
    for (size_t i = 0; i < sizeof(outlaws); i++)
        if (line.length > 0 && memchr(line.data, outlaws[i], line.length))
            return false;
    return true;
}

static const struct span foreign[] = {SPAN("GET"),   SPAN("HEAD"),    SPAN("POST"),
                                      SPAN("PUT"),   SPAN("DELETE"),  SPAN("CONNECT"),
                                      SPAN("PATCH"), SPAN("OPTIONS"), SPAN("TRACE")};

static bool is_one_of(struct span word, const struct span *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal_nocase(word, words[i]))
            return true;
    return false;
}

static enum command_verb verb_of(struct span word)
{
    for (unsigned verb = 0; verb < countof(verbs); verb++)
        if (span_equal_nocase(word, verbs[verb]))
            return (enum command_verb)verb;
    if (is_one_of(word, refused, countof(refused)))
        return COMMAND_REFUSED;
    return is_one_of(word, foreign, countof(foreign)) ? COMMAND_FOREIGN : COMMAND_UNKNOWN;
}

struct command command_read(struct span line)
{
    struct span rest = line;
    struct span word = span_word(&rest);
    enum command_verb verb = is_one_line(line) ? verb_of(word) : COMMAND_UNKNOWN;
    return (struct command){verb, span_trim(rest)};
}

/* RFC 3030 2: chunk-size, and LAST when there is no more. */
bool bdat_read(struct span argument, uint64_t *size, bool *last)
{
    struct span rest = argument;
    struct span number = span_word(&rest);
    struct span word = span_word(&rest);
    *last = span_equal_nocase(word, SPAN("LAST"));
    return span_number(number, size) && (*last || word.length == 0) && span_word(&rest).length == 0;
}
