/* Dialogues of an outbound session as tables: what happens, what the client must have written
 * then, what it asks for, and which verdicts stand. Each is played whole, and again with the
 * server's words cut in two at every byte, and in pieces of every small size. */
#pragma once

#include "relay/outbound/session.h"
#include "tests/suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#define HOST "mx.test[192.0.2.1]:25"
#define STEPS_MAX 16
#define WHOLE SIZE_MAX
#define PLAY_NOW 1000000000000 /* when a delivery begins: ms since 1970 */

enum action {
    NOTHING, /* ends the table */
    SERVER,  /* `text` comes */
    DELIVER, /* the envelope is handed over */
    BODY,    /* the body or the chunk has left; stands in for the connection */
    SECURED,
    TLS_BAD,   /* session_tls_failed(outcome, text) */
    LOST,      /* session_lost(text) */
    LATE,      /* session_timed_out() */
    GIVE,      /* session_give_secret(text) */
    NO_SECRET, /* session_no_secret(text) */
    QUIT,
};

struct step {
    enum action action;
    const char *text;
    const char *client; /* all that it wrote; NULL: nothing */
    enum session_ask ask;
    const char
        *verdicts; /* "KIND CODE STATUS TEXT" of each recipient, a line each; NULL: no look */
    enum tls_outcome outcome;
};

struct dialogue {
    const char *name;
    const char *ehlo; /* its reply; NULL: the table begins with the greeting */
    unsigned recipients;
    uint32_t flags;     /* of the message */
    uint64_t length;    /* of its body */
    bool wary, last;    /* of the delivery */
    unsigned discarded; /* extensions */
    void (*prepare)(struct message *message, struct envelope *envelope);
    struct tls_policy policy; /* level 0: TLS_NONE */
    struct tls_history history;
    bool promises;                    /* the server is authenticated, and one of the next hop's */
    const struct login_config *login; /* NULL: none */
    bool implicit;                    /* TLS comes first */
    bool only_whole;                  /* what comes behind a reply must come with it */
    struct step steps[STEPS_MAX];
    const char *failure; /* at the end; NULL: none */
};

/* A step of each kind: words that come (or go wrong), what is written then, what is asked for,
 * and the verdicts, where they are looked at. */
#define SAYS(words, writes, asks)                                                                  \
    {                                                                                              \
        .action = SERVER, .text = (words), .client = (writes), .ask = (asks)                       \
    }
#define ENDS(words, writes, asks, stand)                                                           \
    {                                                                                              \
        .action = SERVER, .text = (words), .client = (writes), .ask = (asks), .verdicts = (stand)  \
    }
#define DELIVERS(writes, asks)                                                                     \
    {                                                                                              \
        .action = DELIVER, .client = (writes), .ask = (asks)                                       \
    }
#define REFUSES(stand)                                                                             \
    {                                                                                              \
        .action = DELIVER, .ask = ASK_CLAIM, .verdicts = (stand)                                   \
    }
#define SENDS_BODY                                                                                 \
    {                                                                                              \
        .action = BODY, .ask = ASK_BYTES                                                           \
    }
#define SENDS_CHUNK(writes, asks)                                                                  \
    {                                                                                              \
        .action = BODY, .client = (writes), .ask = (asks)                                          \
    }
#define BREAKS(how, words, stand)                                                                  \
    {                                                                                              \
        .action = (how), .text = (words), .ask = ASK_CLOSE, .verdicts = (stand)                    \
    }

/* ---- one play ---- */

struct play {
    const struct dialogue *dialogue;
    size_t cut_step, cut_at; /* this step's text comes in two pieces, */
    size_t piece;            /* or all in pieces of so many bytes; 0: whole */
    size_t at;               /* the step being played */
    struct session session;
    struct buffer in, out;
    struct message *message;
    struct envelope *envelope;
    struct verdict verdicts[ENVELOPE_RECIPIENTS_MAX];
    struct arena arena;
    struct delivery delivery;
};

PRINTF_LIKE(2, 3)
static inline void play_fail(const struct play *play, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ck_abort_msg("%s, step %zd (cut %zd of step %zd, pieces of %zu): %s", play->dialogue->name,
                 (ssize_t)play->at, (ssize_t)play->cut_at, (ssize_t)play->cut_step, play->piece,
                 text);
}

static inline void play_make_mail(struct play *play)
{
    const struct dialogue *dialogue = play->dialogue;
    char path[32];
    play->message = message_create(SPAN("s@app.test"), dialogue->flags, 0);
    play->message->place.length = dialogue->length;
    play->envelope = envelope_create(play->message, SPAN("test"));
    for (unsigned i = 0; i < dialogue->recipients; i++) {
        snprintf(path, sizeof(path), "r%u@test", i);
        if (dialogue->recipients > 10) /* so many fit only when they are short */
            path[1] = '\0';
        ck_assert(envelope_add(play->envelope, span_of(path), SPAN("")));
    }
    if (dialogue->prepare != NULL)
        dialogue->prepare(play->message, play->envelope);
}

static inline void play_begin(struct play *play)
{
    play_make_mail(play);
    session_init(&play->session, "relay.test", HOST, &play->dialogue->policy,
                 &play->dialogue->history, play->dialogue->discarded, &play->out);
    play->session.promises = play->dialogue->promises;
    session_log_in(&play->session, play->dialogue->login, "mx.test", 25);
    if (play->dialogue->implicit)
        ck_assert_int_eq(session_begin_secure(&play->session), ASK_TLS);
}

static inline void play_end(struct play *play)
{
    session_free(&play->session);
    envelope_free(&play->envelope);
    message_drop(&play->message);
    arena_free(&play->arena);
    buffer_free(&play->in);
    buffer_free(&play->out);
}

/* As a connection does it: what was not used stays for the next call. */
static inline enum session_ask play_receive(struct play *play, struct span piece)
{
    size_t used;
    buffer_append(&play->in, piece);
    enum session_ask ask = session_receive(&play->session, buffer_span(&play->in), &used);
    if (used > buffer_length(&play->in))
        play_fail(play, "used more than there was");
    buffer_consume(&play->in, used);
    return ask;
}

static inline size_t play_piece(const struct play *play, size_t sent, size_t left)
{
    if (play->piece > 0)
        return play->piece < left ? play->piece : left;
    if (play->at == play->cut_step && sent < play->cut_at && play->cut_at - sent < left)
        return play->cut_at - sent;
    return left;
}

static inline enum session_ask play_server(struct play *play, const char *text)
{
    struct span rest = span_of(text);
    enum session_ask ask = ASK_BYTES;
    for (size_t sent = 0; rest.length > 0;) {
        size_t length = play_piece(play, sent, rest.length);
        ask = play_receive(play, (struct span){rest.data, length});
        rest = span_skip(rest, length);
        sent += length;
        if (rest.length > 0 && ask != ASK_BYTES)
            play_fail(play, "asks for %d with \"%.*s\" still to come", (int)ask, SPAN_FORMAT(rest));
    }
    return ask;
}

static inline enum session_ask play_deliver(struct play *play)
{
    memset(play->verdicts, 0, sizeof(play->verdicts));
    play->delivery = (struct delivery){.envelope = play->envelope,
                                       .verdicts = play->verdicts,
                                       .arena = &play->arena,
                                       .now_ms = PLAY_NOW,
                                       .wary = play->dialogue->wary,
                                       .last = play->dialogue->last};
    return session_deliver(&play->session, &play->delivery);
}

static inline enum session_ask play_act(struct play *play, const struct step *step)
{
    switch (step->action) {
    case SERVER: return play_server(play, step->text);
    case DELIVER: return play_deliver(play);
    case BODY: session_body_written(&play->session); return session_body_sent(&play->session);
    case SECURED: return session_secured(&play->session, NULL);
    case TLS_BAD: return session_tls_failed(&play->session, step->outcome, step->text);
    case LOST: return session_lost(&play->session, step->text);
    case LATE: return session_timed_out(&play->session);
    case GIVE: return session_give_secret(&play->session, step->text);
    case NO_SECRET: return session_no_secret(&play->session, step->text);
    case QUIT: return session_quit(&play->session);
    case NOTHING: break;
    }
    must_not_reach();
}

/* ---- what must have come of it ---- */

static inline void print_verdict(const struct verdict *verdict, struct buffer *to)
{
    char status[STATUS_TEXT_MAX] = "-";
    if (verdict->status.class != 0)
        status_format(verdict->status, status);
    buffer_print(to, "%s %u %s %.*s\n", verdict_name(verdict->kind), verdict->code, status,
                 SPAN_FORMAT(verdict->text));
}

static inline void play_expect_text(struct play *play, const char *what, struct span got,
                                    const char *wanted)
{
    if (!span_equal(got, span_of(wanted)))
        play_fail(play, "%s:\n%.*s--- but should be:\n%s", what, SPAN_FORMAT(got), wanted);
}

static inline void play_expect_verdicts(struct play *play, const char *wanted)
{
    struct buffer got = {0};
    for (unsigned i = 0; i < play->dialogue->recipients; i++) {
        const struct verdict *verdict = &play->verdicts[i];
        print_verdict(verdict, &got);
        if (verdict->kind != VERDICT_NONE && !span_equal(verdict->host, SPAN(HOST)))
            play_fail(play, "host of recipient %u: %.*s", i, SPAN_FORMAT(verdict->host));
    }
    play_expect_text(play, "verdicts", buffer_span(&got), wanted);
    buffer_free(&got);
}

static inline void play_expect(struct play *play, const struct step *step, enum session_ask ask)
{
    play_expect_text(play, "the client wrote", buffer_span(&play->out),
                     step->client ? step->client : "");
    if (ask != step->ask)
        play_fail(play, "asks for %d, not %d", (int)ask, (int)step->ask);
    if (step->verdicts != NULL)
        play_expect_verdicts(play, step->verdicts);
    if (ask == ASK_CLOSE || step->action == DELIVER) /* what is left is nobody's */
        buffer_clear(&play->in);
    else if (!play->dialogue->only_whole && buffer_length(&play->in) > 0)
        play_fail(play, "left \"%.*s\" lying", SPAN_FORMAT(buffer_span(&play->in)));
    buffer_clear(&play->out);
}

static inline void play_expect_failure(struct play *play)
{
    struct buffer got = {0};
    if (play->session.failure.kind != VERDICT_NONE)
        print_verdict(&play->session.failure, &got);
    play_expect_text(play, "failure", buffer_span(&got),
                     play->dialogue->failure ? play->dialogue->failure : "");
    buffer_free(&got);
}

static inline void play_hello(struct play *play)
{
    static const struct step greeting = {
        SERVER, "220 mx.test ready\r\n", "EHLO relay.test\r\n", ASK_BYTES, NULL, 0};
    const struct step ehlo = {SERVER, play->dialogue->ehlo, NULL, ASK_CLAIM, NULL, 0};
    play_expect(play, &greeting, play_act(play, &greeting));
    play_expect(play, &ehlo, play_act(play, &ehlo));
}

static inline void play_once(const struct dialogue *dialogue, size_t cut_step, size_t cut_at,
                             size_t piece)
{
    struct play play = {
        .dialogue = dialogue, .cut_step = cut_step, .cut_at = cut_at, .piece = piece, .at = WHOLE};
    play_begin(&play);
    if (dialogue->ehlo != NULL)
        play_hello(&play);
    for (play.at = 0; dialogue->steps[play.at].action != NOTHING; play.at++) {
        const struct step *step = &dialogue->steps[play.at];
        play_expect(&play, step, play_act(&play, step));
    }
    play_expect_failure(&play);
    play_end(&play);
}

static inline void play_all(const struct dialogue *dialogues, size_t count)
{
    for (const struct dialogue *dialogue = dialogues; dialogue < dialogues + count; dialogue++) {
        play_once(dialogue, WHOLE, 0, 0);
        if (dialogue->only_whole)
            continue;
        for (size_t i = 0; dialogue->steps[i].action != NOTHING; i++)
            for (size_t at = 1;
                 dialogue->steps[i].action == SERVER && at < strlen(dialogue->steps[i].text); at++)
                play_once(dialogue, i, at, 0);
        for (size_t piece = 1; piece <= 7; piece++)
            play_once(dialogue, WHOLE, 0, piece);
    }
}
