/* One configuration file as tokens. Lexical rules are libconfuse's, but stricter where it
 * would silently pass over something. For relay/config*.c only. */
#pragma once

#include "base/span.h"
#include "relay/config_report.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* bare, or ${NAME} */
    TOKEN_STRING, /* in quotes; never longer than its line */
    TOKEN_MARK,   /* one of { } ( ) = , or += as '+' */
    TOKEN_BAD,    /* was reported */
};

struct token {
    enum token_kind kind;
    char mark;
    unsigned line;
    struct span raw;  /* as it stands in the file */
    struct span text; /* without its quotes; escapes as they are */
};

struct lexer {
    const char *file;
    struct span rest;
    unsigned line;
    struct token token; /* the one in hand */
    struct report *report;
    unsigned *order; /* for places: the current statement's */
};

/* Takes the next token in hand. */
void lexer_next(struct lexer *lexer);

static inline bool lexer_at_mark(const struct lexer *lexer, char mark)
{
    return lexer->token.kind == TOKEN_MARK && lexer->token.mark == mark;
}

static inline bool lexer_at_text(const struct lexer *lexer)
{
    return lexer->token.kind == TOKEN_WORD || lexer->token.kind == TOKEN_STRING;
}
