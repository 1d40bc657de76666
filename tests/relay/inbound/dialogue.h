/* Dialogues of an inbound session as tables: what the client sends, what is replied, what is
 * asked for, and the message that came of it. Each is played whole, and again with the client's
 * words cut in two at every byte, and in pieces of every small size. */
#pragma once

#include "relay/inbound/session.h"
#include "relay/users.h"
#include "tests/suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#define STEPS_MAX 20
#define WHOLE SIZE_MAX
#define NEXT_ID 0x0123456789abcdULL
#define NEXT_ID_TEXT "000938NKRKAYD"
#define WALL_MS 1795266005000 /* Sat, 21 Nov 2026 13:00:05 +0000 */
#define GREETING "220 relay.test ESMTP Millrace\r\n"

enum action {
    NOTHING, /* ends the table */
    CLIENT,  /* `text` comes */
    COMMITTED,
    NO_ROOM, /* inbound_committed(COMMIT_FULL) */
    BROKEN,
    SECURED,
    CAN_TLS, /* inbound_answer_tls() */
    NO_TLS,
    FITS, /* inbound_checked() */
    WRONG,
    BUSY,
    REFUSED, /* inbound_refused(), */
    BARRED,  /* and no more of it */
    MOVED,   /* inbound_moved() */
    NO_PLACE,
    LATE,  /* inbound_timed_out() */
    FULL,  /* from here facts.full; */
    DRAIN, /* and facts.draining, */
    BAR,   /* and facts.barred */
};

/* What a message is to be noted with. */
struct noted {
    uint32_t flags;
    int64_t release_ms, deliver_by_ms;
    const char *envid, *orcpt; /* NULL: "" */
    unsigned notify;           /* these two: of its first recipient */
};

struct step {
    enum action action;
    const char *text;
    const char *replies; /* NULL: none */
    enum inbound_ask ask;
    const char *message; /* "SENDER > RECIPIENT RECIPIENT: BODY" when it is to be committed */
    const struct noted *noted;
};

struct dialogue {
    const char *name;
    struct listen_config listen;
    const char *users;              /* of the file; NULL: none */
    const struct user_config *user; /* `user "*"`; NULL: without limits */
    bool stranger;                  /* may not relay */
    struct limits limits;           /* 0: one of play_begin's */
    struct step steps[STEPS_MAX];
};

#define SENDS(words, says, asks)                                                                   \
    {                                                                                              \
        .action = CLIENT, .text = (words), .replies = (says), .ask = (asks)                        \
    }
#define HANDS_IN(words, says, what)                                                                \
    {                                                                                              \
        .action = CLIENT, .text = (words), .replies = (says), .ask = INBOUND_COMMIT,               \
        .message = (what)                                                                          \
    }
#define DOES(what, says)                                                                           \
    {                                                                                              \
        .action = (what), .replies = (says)                                                        \
    }

/* ---- one play ---- */

struct play {
    const struct dialogue *dialogue;
    size_t cut_step, cut_at;
    size_t piece;
    size_t at;
    struct config config;
    struct network home;
    struct rates *rates;
    struct user_config any_user;
    const char *may_submit;
    struct inbound_session session;
    struct inbound_facts facts;
    struct buffer in, out;
    char name[128]; /* of a play without a table */
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

static inline void play_begin(struct play *play)
{
    struct limits *limits = &play->config.limits;
    struct endpoint client = {.port = 40000};
    ck_assert(ip_parse(SPAN("192.0.2.7"), &client.ip));
    ck_assert(network_parse(SPAN("192.0.2.0/24"), &play->home));
    play->config.hostname = "relay.test";
    play->config.relay_from = (struct networks){&play->home, !play->dialogue->stranger};
    *limits = play->dialogue->limits;
    if (limits->errors == 0)
        limits->errors = 20;
    if (limits->recipients == 0)
        limits->recipients = 5;
    if (limits->message_bytes == 0)
        limits->message_bytes = 1000;
    if (limits->header_bytes == 0)
        limits->header_bytes = 500;
    if (play->dialogue->users != NULL) {
        struct buffer errors = {0};
        play->config.users = users_parse("u", span_of(play->dialogue->users), &errors);
        ck_assert(play->config.users != NULL);
    }
    names_init(&play->config.user_names);
    if (play->dialogue->user != NULL)
        play->any_user = *play->dialogue->user;
    names_add(&play->config.user_names, SPAN("*"), &play->any_user);
    play->rates = rates_create();
    inbound_session_init(&play->session, &play->config, &play->dialogue->listen, &client,
                         &play->out);
    play->session.rates = play->rates;
    if (play->dialogue->listen.tls == LISTEN_TLS_IMPLICIT)
        inbound_secured(&play->session, "TLSv1.3");
    inbound_greet(&play->session);
}

/* The client is a user of this machine, and `may` is who may relay. */
static inline void play_local(struct play *play, const char *may, const struct local_user *user)
{
    play->may_submit = may;
    play->config.submit_users = &play->may_submit;
    play->config.submit_user_count = 1;
    play->session.client = (struct endpoint){0};
    inbound_session_local(&play->session, user);
}

static inline void play_end(struct play *play)
{
    inbound_session_free(&play->session);
    users_drop(&play->config.users);
    names_free(&play->config.user_names);
    rates_destroy(&play->rates);
    buffer_free(&play->in);
    buffer_free(&play->out);
}

/* As a connection does it: what was not used stays for the next call. */
static inline enum inbound_ask play_receive(struct play *play, struct span piece)
{
    enum inbound_ask ask = INBOUND_MORE;
    size_t used = 1;
    buffer_append(&play->in, piece);
    while (ask == INBOUND_MORE && used > 0 && buffer_length(&play->in) > 0) {
        ask = inbound_receive(&play->session, buffer_span(&play->in), &used, &play->facts, NEXT_ID,
                              WALL_MS);
        if (used > buffer_length(&play->in))
            play_fail(play, "used more than there was");
        buffer_consume(&play->in, used);
    }
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

/* What comes behind a closing or a commit is for nobody, or for later. */
static inline enum inbound_ask play_client(struct play *play, struct span rest)
{
    enum inbound_ask ask = INBOUND_MORE;
    for (size_t sent = 0; rest.length > 0 && ask == INBOUND_MORE;) {
        size_t length = play_piece(play, sent, rest.length);
        ask = play_receive(play, (struct span){rest.data, length});
        rest = span_skip(rest, length);
        sent += length;
    }
    buffer_append(&play->in, rest);
    return ask;
}

static inline enum inbound_ask play_commit(struct play *play, enum commit_result result)
{
    inbound_committed(&play->session, result);
    return play_receive(play, (struct span){0}); /* what was pipelined behind it */
}

static inline enum inbound_ask play_act(struct play *play, const struct step *step)
{
    switch (step->action) {
    case CLIENT: return play_client(play, span_of(step->text));
    case COMMITTED: return play_commit(play, COMMIT_OK);
    case NO_ROOM: return play_commit(play, COMMIT_FULL);
    case BROKEN: return play_commit(play, COMMIT_BROKEN);
    case SECURED: inbound_secured(&play->session, "TLSv1.3"); return INBOUND_MORE;
    case CAN_TLS: inbound_answer_tls(&play->session, true); return INBOUND_MORE;
    case NO_TLS: inbound_answer_tls(&play->session, false); return INBOUND_MORE;
    case FITS: return inbound_checked(&play->session, CHECK_FITS);
    case WRONG: return inbound_checked(&play->session, CHECK_WRONG);
    case BUSY: return inbound_checked(&play->session, CHECK_BUSY);
    case REFUSED: return inbound_refused(&play->session, false);
    case BARRED: return inbound_refused(&play->session, true);
    case MOVED: return inbound_moved(&play->session, true);
    case NO_PLACE: return inbound_moved(&play->session, false);
    case BAR: play->facts.barred = true; return INBOUND_MORE;
    case LATE: inbound_timed_out(&play->session); return INBOUND_MORE;
    case FULL: play->facts.full = true; return INBOUND_MORE;
    case DRAIN: play->facts.draining = true; return INBOUND_MORE;
    case NOTHING: break;
    }
    must_not_reach();
}

/* ---- what must have come of it ---- */

static inline void play_expect_text(struct play *play, const char *what, struct span got,
                                    const char *wanted)
{
    if (!span_equal(got, span_of(wanted)))
        play_fail(play, "%s:\n%.*s--- but should be:\n%s", what, SPAN_FORMAT(got), wanted);
}

/* The body behind the trace header, which ends with the line of the date. */
static inline struct span play_body(struct play *play)
{
    struct span body = buffer_span(&play->session.body), line;
    if (!span_starts_nocase(body, SPAN("Received: from ")))
        play_fail(play, "no trace header: %.*s", SPAN_FORMAT(body));
    while (span_line(&body, &line) && line.length > 0)
        if (span_equal(line, SPAN("\tSat, 21 Nov 2026 13:00:05 +0000")))
            return body;
    play_fail(play, "no end of the trace header");
    return body;
}

static inline void play_expect_message(struct play *play, const char *wanted)
{
    struct buffer got = {0};
    const struct inbound_session *session = &play->session;
    buffer_print(&got, "%s >", session->sender);
    for (unsigned i = 0; i < session->count; i++)
        buffer_print(&got, " %s", session->recipients[i].path);
    buffer_print(&got, ": %.*s", SPAN_FORMAT(play_body(play)));
    play_expect_text(play, "the message", buffer_span(&got), wanted);
    if (session->id != NEXT_ID || session->state != INBOUND_COMMITTING)
        play_fail(play, "id or state");
    buffer_free(&got);
}

static inline void play_expect_noted(struct play *play, const struct noted *wanted)
{
    const struct inbound_session *session = &play->session;
    const struct inbound_recipient *first = &session->recipients[0];
    if (inbound_flags(session) != wanted->flags)
        play_fail(play, "flags %x, not %x", inbound_flags(session), wanted->flags);
    if (session->release_ms != wanted->release_ms ||
        session->deliver_by_ms != wanted->deliver_by_ms)
        play_fail(play, "released at %lld, to be delivered by %lld", (long long)session->release_ms,
                  (long long)session->deliver_by_ms);
    play_expect_text(play, "ENVID", span_of(session->envid), wanted->envid ? wanted->envid : "");
    play_expect_text(play, "ORCPT", span_of(first->orcpt), wanted->orcpt ? wanted->orcpt : "");
    if (first->notify != wanted->notify)
        play_fail(play, "notify %x, not %x", first->notify, wanted->notify);
}

static inline void play_expect(struct play *play, const struct step *step, enum inbound_ask ask)
{
    play_expect_text(play, "replies", buffer_span(&play->out), step->replies ? step->replies : "");
    if (ask != step->ask)
        play_fail(play, "asks for %d, not %d", (int)ask, (int)step->ask);
    if (step->message != NULL)
        play_expect_message(play, step->message);
    if (step->noted != NULL)
        play_expect_noted(play, step->noted);
    buffer_clear(&play->out);
}

static inline void play_once(const struct dialogue *dialogue, size_t cut_step, size_t cut_at,
                             size_t piece)
{
    struct play play = {
        .dialogue = dialogue, .cut_step = cut_step, .cut_at = cut_at, .piece = piece, .at = WHOLE};
    play_begin(&play);
    play_expect_text(&play, "greeting", buffer_span(&play.out), GREETING);
    buffer_clear(&play.out);
    for (play.at = 0; dialogue->steps[play.at].action != NOTHING; play.at++) {
        const struct step *step = &dialogue->steps[play.at];
        play_expect(&play, step, play_act(&play, step));
    }
    play_end(&play);
}

static inline void play_all(const struct dialogue *dialogues, size_t count)
{
    for (const struct dialogue *dialogue = dialogues; dialogue < dialogues + count; dialogue++) {
        play_once(dialogue, WHOLE, 0, 0);
        for (size_t i = 0; dialogue->steps[i].action != NOTHING; i++)
            for (size_t at = 1;
                 dialogue->steps[i].action == CLIENT && at < strlen(dialogue->steps[i].text); at++)
                play_once(dialogue, i, at, 0);
        for (size_t piece = 1; piece <= 7; piece++)
            play_once(dialogue, WHOLE, 0, piece);
    }
}

/* A play without a table, as far as the greeting. */
static inline void play_open(struct play *play, const struct dialogue *dialogue)
{
    *play = (struct play){.dialogue = dialogue, .cut_step = WHOLE};
    play_begin(play);
    buffer_clear(&play->out);
}

static inline enum inbound_ask play_say(struct play *play, const char *text)
{
    buffer_clear(&play->out);
    return play_client(play, span_of(text));
}

static inline void play_expect_reply(struct play *play, const char *beginning)
{
    if (!span_starts_nocase(buffer_span(&play->out), span_of(beginning)))
        play_fail(play, "replied %.*s, not %s", SPAN_FORMAT(buffer_span(&play->out)), beginning);
}
