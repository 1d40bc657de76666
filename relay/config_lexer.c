#include "relay/config_lexer.h"

#include <string.h>

static bool starts(const struct lexer *lexer, const char *with)
{
    size_t length = strlen(with);
    return lexer->rest.length >= length && memcmp(lexer->rest.data, with, length) == 0;
}

static void skip(struct lexer *lexer, size_t count)
{
    lexer->rest = span_skip(lexer->rest, count);
}

static void bad(struct lexer *lexer, unsigned line, const char *what, struct span shown)
{
    struct place place = {lexer->file, line, *lexer->order};
    report_add(lexer->report, &place, "%s%.*s", what, SPAN_FORMAT(shown));
    lexer->token.kind = TOKEN_BAD;
}

static void skip_line(struct lexer *lexer)
{
    const char *newline = memchr(lexer->rest.data, '\n', lexer->rest.length);
    skip(lexer, newline ? (size_t)(newline - lexer->rest.data) : lexer->rest.length);
}

static bool skip_comment(struct lexer *lexer)
{
    unsigned began = lexer->line;
    for (skip(lexer, 2); lexer->rest.length > 0; skip(lexer, 1)) {
        if (starts(lexer, "*/")) {
            skip(lexer, 2);
            return true;
        }
        lexer->line += lexer->rest.data[0] == '\n';
    }
    bad(lexer, began, "the comment that begins here has no end: \"*/\" is missing", SPAN(""));
    return false;
}

/* False when a comment had no end. */
static bool skip_blanks(struct lexer *lexer)
{
    while (lexer->rest.length > 0) {
        char c = lexer->rest.data[0];
        if (c == '#' || starts(lexer, "//")) {
            skip_line(lexer);
        } else if (starts(lexer, "/*")) {
            if (!skip_comment(lexer))
                return false;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            lexer->line += c == '\n';
            skip(lexer, 1);
        } else {
            return true;
        }
    }
    return true;
}

static void take(struct lexer *lexer, enum token_kind kind, size_t length, size_t quotes)
{
    lexer->token.kind = kind;
    lexer->token.raw = (struct span){lexer->rest.data, length};
    lexer->token.text = (struct span){lexer->rest.data + quotes, length - 2 * quotes};
    skip(lexer, length);
}

static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t' && c != '\r') || c == 0x7f;
}

/* Of "{NAME}" at the beginning of `rest`; 0 when there is none. Quotes in it are libconfuse's. */
static size_t variable_length(struct span rest)
{
    if (rest.length == 0 || rest.data[0] != '{')
        return 0;
    for (size_t i = 0; i < rest.length && rest.data[i] != '\n'; i++)
        if (rest.data[i] == '}')
            return i + 1;
    return 0;
}

static void take_string(struct lexer *lexer)
{
    char quote = lexer->rest.data[0];
    size_t length = 1;
    while (length < lexer->rest.length && lexer->rest.data[length] != '\n') {
        char c = lexer->rest.data[length++];
        if (is_control(c))
            break;
        if (c == quote) {
            take(lexer, TOKEN_STRING, length, 1);
            return;
        }
        if (c == '\\' && length < lexer->rest.length && lexer->rest.data[length] != '\n')
            length++;
        if (c == '$' && quote == '"')
            length += variable_length(span_skip(lexer->rest, length));
    }
    if (is_control(lexer->rest.data[length - 1]))
        bad(lexer, lexer->line, "a control character stands here", SPAN(""));
    else
        bad(lexer, lexer->line, "the closing quote is missing after ",
            (struct span){lexer->rest.data, length});
}

/* ${NAME} or ${NAME:-default}: libconfuse puts the environment's value there. */
static void take_variable(struct lexer *lexer)
{
    size_t length = variable_length(span_skip(lexer->rest, 1));
    if (length > 0)
        take(lexer, TOKEN_WORD, length + 1, 0);
    else
        bad(lexer, lexer->line, "\"}\" is missing after ${", SPAN(""));
}

static bool in_word(const struct lexer *lexer, size_t at)
{
    char c = lexer->rest.data[at];
    char next = at + 1 < lexer->rest.length ? lexer->rest.data[at + 1] : '\0';
    if ((unsigned char)c <= ' ' || c == 0x7f || strchr("#\"'={}()+,*", c) != NULL)
        return false;
    return c != '/' || (next != '/' && next != '*');
}

static void take_word(struct lexer *lexer)
{
    size_t length = 0;
    while (length < lexer->rest.length && in_word(lexer, length))
        length++;
    if (length == 0 && is_control(lexer->rest.data[0]))
        bad(lexer, lexer->line, "a control character stands here", SPAN(""));
    else if (length == 0)
        bad(lexer, lexer->line, "this must stand in quotes: ", (struct span){lexer->rest.data, 1});
    else
        take(lexer, TOKEN_WORD, length, 0);
}

static void take_token(struct lexer *lexer)
{
    char c = lexer->rest.data[0];
    if (starts(lexer, "+=")) {
        lexer->token.mark = '+';
        take(lexer, TOKEN_MARK, 2, 0);
    } else if (c != '\0' && strchr("{}()=,", c) != NULL) {
        lexer->token.mark = c;
        take(lexer, TOKEN_MARK, 1, 0);
    } else if (c == '"' || c == '\'') {
        take_string(lexer);
    } else if (starts(lexer, "${")) {
        take_variable(lexer);
    } else {
        take_word(lexer);
    }
}

void lexer_next(struct lexer *lexer)
{
    if (!skip_blanks(lexer))
        return;
    lexer->token = (struct token){.kind = TOKEN_END, .line = lexer->line};
    if (lexer->rest.length > 0)
        take_token(lexer);
}
