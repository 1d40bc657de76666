/* A session against whatever a server says. Beside it runs a model (session_model.h) that knows
 * SMTP and nothing of the session, and says who has the mail. What it says and what the verdicts
 * say must agree; nothing may go in clear that must not; nothing a server says reaches a verdict
 * unprintable; and however its words are cut, the same comes of them.
 *
 * The input: a line of letters, each an option (see options_read); then what the server says, a
 * piece at a time, with '|' between two pieces. The session gets the next piece when it waits. */
#include "relay/outbound/session.h"

#include "relay/config.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session_model.h"

#include <stdlib.h>
#include <string.h>

#define HOST "mx.test[192.0.2.1]:25"
#define SECRET "vEryS3cret"
#define DELIVERIES 3
#define NOW 1795266005000 /* ms since 1970 */

/* ---- options ---- */

struct options {
    struct tls_policy policy;
    struct tls_history history;
    unsigned discarded, recipients, piece;
    uint32_t flags;
    uint64_t length; /* of the body */
    bool wary, promises, implicit, tls_fails, doubtful, times_out, breaks, breaks_in_body;
    bool logs_in, in_clear, has_no_secret, last_at_once;
};

static void option_read(struct options *options, char letter)
{
    switch (letter) {
    case 'm': options->policy.level = TLS_MAY; break;
    case 'e': options->policy.level = TLS_ENCRYPT; break;
    case 'v': options->policy.level = TLS_VERIFY; break;
    case 'o': options->history.offered = true; break;
    case 'h': options->history.temporary = 3; break;
    case 'f': options->tls_fails = true; break;
    case 'u': options->doubtful = true; break;
    case 'i': options->implicit = true; break;
    case 'a': options->logs_in = true; break;
    case 'c': options->in_clear = true; break;
    case 'r': options->recipients++; break;
    case 'd': options->discarded |= EXTENSION_CHUNKING; break;
    case 'q': options->last_at_once = true; break;
    case 'w': options->wary = true; break;
    case 'p': options->promises = true; break;
    case 't': options->times_out = true; break;
    case 'k': options->breaks = true; break;
    case 'n': options->has_no_secret = true; break;
    case 'b': options->breaks_in_body = true; break;
    case 'E': options->length = 0; break;
    case 'L': options->length = SESSION_FLIGHT_BYTES + 1; break;
    case 'X': options->length = 2 * SESSION_CHUNK_BYTES + 7; break;
    case '8': options->flags |= MESSAGE_8BITMIME; break;
    case 'U': options->flags |= MESSAGE_SMTPUTF8 | MESSAGE_8BITMIME; break;
    case 'B': options->flags |= MESSAGE_BINARYMIME; break;
    case 'R': options->flags |= MESSAGE_REQUIRETLS; break;
    case 'F': options->flags |= MESSAGE_RET_FULL; break;
    case 'Y': options->flags |= MESSAGE_BY_RETURN; break;
    default: options->piece = (unsigned)letter % 16; break;
    }
}

static struct options options_read(struct span *rest)
{
    struct options options = {.recipients = 1, .length = 100, .piece = 1};
    struct span line = {0};
    span_line(rest, &line);
    for (size_t i = 0; i < line.length; i++)
        option_read(&options, line.data[i]);
    if (options.recipients > RECIPIENTS_MAX)
        options.recipients = RECIPIENTS_MAX;
    if (options.piece == 0)
        options.piece = 1;
    return options;
}

/* ---- one play ---- */

struct play {
    const struct options *options;
    struct session session;
    struct model model;
    struct login_config login;
    struct buffer in, out;
    struct buffer told; /* all that was written, asked and decided */
    struct message *message;
    struct envelope *envelope;
    struct verdict verdicts[RECIPIENTS_MAX];
    struct arena arena;
    struct delivery delivery;
    unsigned deliveries;
    uint64_t sent; /* of the body, in the transaction */
    bool delivering, quit;
    bool secure;
    bool starting; /* STARTTLS was written, and nothing may follow it */
    bool whole;    /* once, in this delivery, all of the body was out */
    bool uneven;   /* something came before it could be waited for */
};

static void make_mail(struct play *play)
{
    char path[] = "r0@test";
    play->message = message_create(SPAN("s@app.test"), play->options->flags, NOW - 1000);
    play->message->place.length = play->options->length;
    play->message->deliver_by_ms = NOW + 3600000;
    play->envelope = envelope_create(play->message, SPAN("test"));
    for (unsigned i = 0; i < play->options->recipients; i++) {
        path[1] = (char)('0' + i);
        must(envelope_add(play->envelope, span_of(path), SPAN("")) != NULL);
    }
}

static void begin(struct play *play, const struct options *options)
{
    *play = (struct play){.options = options};
    make_mail(play);
    play->login = (struct login_config){
        .name = "l",
        .user = "user",
        .mechanisms = AUTH_BIT(AUTH_CRAM_MD5) | AUTH_BIT(AUTH_LOGIN) | AUTH_BIT(AUTH_PLAIN),
        .in_clear = options->in_clear,
    };
    session_init(&play->session, "relay.test", HOST, &options->policy, &options->history,
                 options->discarded, &play->out);
    play->session.promises = options->promises;
    session_log_in(&play->session, options->logs_in ? &play->login : NULL, "mx.test", 25);
    owe(&play->model, GREETING, 0);
}

static void end(struct play *play)
{
    session_free(&play->session);
    envelope_free(&play->envelope);
    message_drop(&play->message);
    arena_free(&play->arena);
    buffer_free(&play->in);
    buffer_free(&play->out);
    buffer_free(&play->told);
}

/* ---- what the session writes ---- */

static void check_mail(const struct play *play)
{
    must(play->delivering && play->session.ready);
    must(play->secure || (play->options->policy.level <= TLS_MAY && !play->options->implicit));
    must(!(play->options->flags & MESSAGE_REQUIRETLS) || play->secure);
}

static void check_auth(const struct play *play)
{
    must(play->options->logs_in && !play->session.ready);
    must(play->secure || play->options->in_clear);
}

static void command_written(struct play *play, struct span line)
{
    struct model *model = &play->model;
    must(line.length < 12288);
    must_be_printable(line);
    must(!play->starting);
    if (span_starts_nocase(line, SPAN("MAIL FROM:<s@app.test>"))) {
        check_mail(play);
        must(!model->begun);
        play->sent = 0;
        owe(model, MAIL, 0);
    } else if (span_starts_nocase(line, SPAN("RCPT TO:<r"))) {
        owe(model, RCPT, (unsigned)(line.data[strlen("RCPT TO:<r")] - '0'));
    } else if (span_equal(line, SPAN("DATA"))) {
        owe(model, DATA, 0);
    } else if (span_starts_nocase(line, SPAN("BDAT "))) {
        bool last = memmem(line.data, line.length, " LAST", 5) != NULL;
        owe(model, last ? CONTENT : BDAT, last);
    } else if (span_equal(line, SPAN("."))) {
        owe(model, CONTENT, 0); /* an empty body, where nobody was taken */
        for (unsigned i = 0; i < RECIPIENTS_MAX; i++)
            must(!model->open[i]);
    } else if (span_equal(line, SPAN("RSET"))) {
        model->begun = false;
        owe(model, RSET, 0);
    } else {
        if (span_starts_nocase(line, SPAN("AUTH ")))
            check_auth(play);
        if (span_equal(line, SPAN("QUIT")) && play->delivering && !play->session.turned_away)
            must(play->delivery.last && play->whole);
        must(!play->secure || !span_starts_nocase(line, SPAN("HELO"))); /* nor STARTTLS */
        must(!play->secure || !span_equal(line, SPAN("STARTTLS")));
        play->starting = span_equal(line, SPAN("STARTTLS"));
        must(!play->starting || play->options->policy.level != TLS_NONE);
        owe(model, OTHER, 0);
    }
}

static void take_written(struct play *play)
{
    struct span rest = buffer_span(&play->out), line;
    if (rest.length == 0)
        return;
    must_be_lines(rest);
    buffer_append(&play->told, rest);
    while (span_line(&rest, &line))
        command_written(play, line);
    buffer_clear(&play->out);
}

/* ---- what it takes ---- */

/* Each but the last, where that ends it (421, or one too many), answers a command that had left
 * before this turn: what was written in it cannot have been answered yet. */
static void take_replies(struct play *play, struct span taken, bool over)
{
    struct reply_reader reader = {0};
    while (taken.length > 0) {
        struct reply reply;
        size_t used;
        must(reply_read(&reader, taken, &reply, &used) == REPLY_COMPLETE);
        taken = span_skip(taken, used);
        if (play->model.count > 0 && reply.code != 421)
            replied(&play->model, reply.code);
        else
            must(over && taken.length == 0);
    }
    play->starting &= play->model.count > 0;
    reply_reader_free(&reader);
}

static enum session_ask receive(struct play *play, struct span piece)
{
    size_t used;
    buffer_append(&play->in, piece);
    enum session_ask ask = session_receive(&play->session, buffer_span(&play->in), &used);
    must(used <= buffer_length(&play->in));
    struct span taken = {buffer_span(&play->in).data, used};
    take_replies(play, taken, ask == ASK_CLOSE || play->quit);
    take_written(play);
    buffer_consume(&play->in, used);
    return ask;
}

/* ---- verdicts ---- */

static void must_be_clean(struct span text)
{
    must_be_printable(text);
    must(text.length < REPLY_BYTES_MAX + 100);
}

static void check_verdict(const struct play *play, unsigned i)
{
    const struct verdict *verdict = &play->verdicts[i];
    must_be_clean(verdict->text);
    must(span_equal(verdict->host, SPAN(HOST)));
    must(verdict->kind != VERDICT_DELIVERED || (play->model.has[i] && verdict->code / 100 == 2));
    must(!play->model.sure[i] || verdict->kind == VERDICT_DELIVERED);
    must(verdict->kind != VERDICT_IN_DOUBT || (play->whole && verdict->code == 0));
    must(verdict->kind != VERDICT_BOUNCED || verdict->code == 0 || verdict->code / 100 == 5);
    must(verdict->kind != VERDICT_EXPIRED && verdict->kind != VERDICT_DROPPED);
}

static void tell(struct play *play, const struct verdict *verdict)
{
    buffer_print(&play->told, "%s %u %u.%u.%u %.*s\n", verdict_name(verdict->kind), verdict->code,
                 verdict->status.class, verdict->status.subject, verdict->status.detail,
                 SPAN_FORMAT(verdict->text));
}

/* Whatever asks for the next, or for an end, has decided all that was under way. */
static void delivery_over(struct play *play)
{
    if (!play->delivering)
        return;
    for (unsigned i = 0; i < play->options->recipients; i++) {
        must(play->verdicts[i].kind != VERDICT_NONE);
        check_verdict(play, i);
        tell(play, &play->verdicts[i]);
    }
    play->delivering = false;
}

static bool holds(struct span text, const char *part)
{
    return text.length > 0 && memmem(text.data, text.length, part, strlen(part)) != NULL;
}

static void check_failure(struct play *play)
{
    const struct session *session = &play->session;
    if (session->failure.kind == VERDICT_NONE)
        return;
    must(session->failure.kind == VERDICT_DEFERRED && !session->ready);
    must_be_clean(session->failure.text);
    if (session->login.begun)
        must(!holds(session->failure.text, SECRET));
    tell(play, &session->failure);
}

/* ---- the turns ---- */

static enum session_ask deliver_next(struct play *play)
{
    bool last = play->options->last_at_once && play->deliveries == DELIVERIES - 1;
    if (play->deliveries++ == DELIVERIES || play->session.quit_said ||
        session_spent(&play->session)) {
        play->quit = true;
        return session_quit(&play->session);
    }
    memset(play->verdicts, 0, sizeof(play->verdicts));
    memset(play->model.has, 0, sizeof(play->model.has));
    memset(play->model.sure, 0, sizeof(play->model.sure));
    play->delivering = true;
    play->whole = false;
    play->delivery = (struct delivery){.envelope = play->envelope,
                                       .verdicts = play->verdicts,
                                       .arena = &play->arena,
                                       .now_ms = NOW,
                                       .wary = play->options->wary,
                                       .last = last};
    return session_deliver(&play->session, &play->delivery);
}

static enum session_ask send_content(struct play *play, enum session_ask ask)
{
    must(play->delivering);
    if (play->options->breaks_in_body && play->deliveries == 2)
        return session_lost(&play->session, "broken");
    if (ask == ASK_CHUNK) {
        struct chunk chunk = session_chunk(&play->session);
        must(chunk.offset == play->sent);
        play->sent += chunk.length;
        must(play->sent <= play->options->length);
        play->whole |= play->sent == play->options->length;
    } else {
        play->whole = true;
        owe(&play->model, CONTENT, 0);
    }
    session_body_written(&play->session);
    take_written(play);
    return session_body_sent(&play->session);
}

static enum session_ask handshake(struct play *play)
{
    play->starting = false;
    if (buffer_length(&play->in) > 0)
        return session_tls_failed(&play->session, TLS_RESIDUE, "residue");
    if (play->options->tls_fails)
        return session_tls_failed(&play->session, TLS_HANDSHAKE_FAILED, "failed");
    bool first = play->session.replies == 0;
    const char *doubt =
        play->options->doubtful && !tls_level_authenticates(play->options->policy.level)
            ? "it is another's"
            : NULL;
    play->secure = true;
    play->model.count = 0;
    if (first)
        owe(&play->model, GREETING, 0);
    return session_secured(&play->session, doubt);
}

static enum session_ask give_secret(struct play *play)
{
    if (play->options->has_no_secret)
        return session_no_secret(&play->session, "the file is gone");
    return session_give_secret(&play->session, SECRET);
}

/* The server says no more. */
static enum session_ask fall_silent(struct play *play)
{
    if (play->options->times_out)
        return session_timed_out(&play->session);
    if (play->options->breaks)
        return session_broke(&play->session, TLS_ALERT, "broke");
    return session_lost(&play->session, "lost");
}

static enum session_ask act(struct play *play, enum session_ask ask)
{
    switch (ask) {
    case ASK_TLS: return handshake(play);
    case ASK_SECRET: return give_secret(play);
    case ASK_CLAIM: delivery_over(play); return deliver_next(play);
    case ASK_BODY:
    case ASK_CHUNK: return send_content(play, ask);
    case ASK_BYTES:
    case ASK_CLOSE: break;
    }
    must_not_reach();
}

/* All that needs no word of the server. */
static enum session_ask act_on(struct play *play, enum session_ask ask)
{
    while (ask != ASK_BYTES && ask != ASK_CLOSE) {
        play->uneven |= buffer_length(&play->in) > 0;
        buffer_print(&play->told, "[%d]", (int)ask);
        ask = act(play, ask);
        take_written(play);
    }
    must(play->session.expected_count > 0 || ask == ASK_CLOSE);
    must(session_timeout_ms(&play->session) > 0);
    return ask;
}

/* One piece of the server's words, in pieces of so many bytes. */
static enum session_ask hear(struct play *play, struct span words, size_t piece)
{
    enum session_ask ask = ASK_BYTES;
    while (words.length > 0 && ask == ASK_BYTES) {
        ask = receive(play, take_piece(&words, piece));
        play->uneven |= ask != ASK_BYTES && words.length > 0;
        play->uneven |= ask == ASK_CLOSE && buffer_length(&play->in) > 0;
        ask = act_on(play, ask);
    }
    return ask;
}

static struct span next_words(struct span *rest)
{
    const char *bar = memchr(rest->data, '|', rest->length);
    struct span words = take_piece(rest, bar ? (size_t)(bar - rest->data) : rest->length);
    *rest = span_skip(*rest, 1);
    return words;
}

static void run(struct play *play, const struct options *options, struct span said, size_t piece)
{
    enum session_ask ask = ASK_BYTES;
    begin(play, options);
    if (options->implicit)
        ask = act_on(play, session_begin_secure(&play->session));
    while (ask == ASK_BYTES && said.length > 0)
        ask = hear(play, next_words(&said), piece);
    if (ask == ASK_BYTES)
        ask = fall_silent(play);
    take_written(play);
    must(ask == ASK_CLOSE);
    delivery_over(play);
    check_failure(play);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span said = {(const char *)data, size};
    const struct options options = options_read(&said);
    struct play whole, pieces;
    run(&whole, &options, said, SIZE_MAX);
    run(&pieces, &options, said, options.piece);
    if (!whole.uneven && !pieces.uneven)
        must(span_equal(buffer_span(&whole.told), buffer_span(&pieces.told)));
    end(&whole);
    end(&pieces);
    return 0;
}
