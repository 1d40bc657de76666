/* relay/channel.h. All sockets are edge-triggered: reading goes on until the socket is known
 * to be empty, sending until all is gone or the socket takes no more. */
#include "relay/channel.h"

#include <errno.h>
#include <string.h>

#define ENCRYPT_BYTES 65536 /* of `out` turned into records at a time */

void channel_open(struct channel *channel, int socket)
{
    must(socket >= 0);
    channel->socket = socket;
    channel->tls = NULL;
    channel->in = channel->out = (struct buffer){0};
    channel->in_stalled = channel->ended = channel->secured = channel->abandoned = false;
    channel->speaks_next = channel->parting = channel->parted = false;
    channel->why = NULL;
}

static enum channel_result fail(struct channel *channel, const char *why)
{
    channel->why = why;
    return CHANNEL_FAILED;
}

static enum channel_result fail_errno(struct channel *channel, ssize_t minus_errno)
{
    const char *why = strerrordesc_np((int)-minus_errno);
    return fail(channel, why ? why : "unknown error");
}

const char *channel_why(const struct channel *channel)
{
    return channel->why ? channel->why : "";
}

/* ---- sending ---- */

/* Sends from the buffer until it is empty or the socket takes no more. */
static enum channel_result send_all(struct channel *channel, struct buffer *from)
{
    while (buffer_length(from) > 0) {
        size_t length = buffer_length(from);
        ssize_t sent = os_write(channel->socket, buffer_span(from).data, length);
        if (sent == -EAGAIN)
            return CHANNEL_OK;
        if (sent < 0)
            return fail_errno(channel, sent);
        buffer_consume(from, (size_t)sent);
        if ((size_t)sent < length)
            return CHANNEL_OK; /* full: a writable event follows */
    }
    return CHANNEL_OK;
}

static enum channel_result fail_tls(struct channel *channel)
{
    const char *why = tls_why(channel->tls);
    send_all(channel, tls_outgoing(channel->tls)); /* the alert, if there is room for it */
    return fail(channel, *why ? why : "TLS failed");
}

static bool encrypt_some(struct channel *channel)
{
    struct span plain = buffer_span(&channel->out);
    if (plain.length > ENCRYPT_BYTES)
        plain.length = ENCRYPT_BYTES;
    if (!tls_write(channel->tls, plain))
        return false;
    buffer_consume(&channel->out, plain.length);
    return true;
}

/* Of TLS, once: nothing can follow it. */
static void say_goodbye(struct channel *channel)
{
    if (channel->parted)
        return;
    tls_bye(channel->tls);
    channel->parted = true;
}

static enum channel_result flush_tls(struct channel *channel)
{
    struct buffer *records = tls_outgoing(channel->tls);
    for (;;) {
        if (channel->secured && buffer_length(records) < ENCRYPT_BYTES && !encrypt_some(channel))
            return fail_tls(channel);
        if (channel->parting && channel->secured && buffer_length(&channel->out) == 0)
            say_goodbye(channel);
        if (send_all(channel, records) != CHANNEL_OK)
            return CHANNEL_FAILED;
        if (buffer_length(records) > 0 || buffer_length(&channel->out) == 0 || !channel->secured)
            return CHANNEL_OK;
    }
}

enum channel_result channel_flush(struct channel *channel)
{
    must(channel->socket >= 0);
    return channel->tls ? flush_tls(channel) : send_all(channel, &channel->out);
}

size_t channel_unsent(const struct channel *channel)
{
    return buffer_length(&channel->out) +
           (channel->tls != NULL ? buffer_length(tls_outgoing(channel->tls)) : 0);
}

bool channel_flushed(const struct channel *channel)
{
    return channel_unsent(channel) == 0;
}

/* ---- receiving ---- */

enum taken {
    TAKEN_SOME, /* the socket may hold more */
    TAKEN_ALL,  /* the socket is empty: a readable event follows */
    TAKEN_END,  /* the peer has ended */
    TAKEN_FAILED
};

/* One read of up to `most` bytes from the socket. */
static enum taken receive(struct channel *channel, struct buffer *to, size_t most)
{
    if (most > CHANNEL_READ_BYTES)
        most = CHANNEL_READ_BYTES;
    ssize_t got = os_read(channel->socket, buffer_room(to, most), most);
    if (got == -EAGAIN)
        return TAKEN_ALL;
    if (got < 0) {
        fail_errno(channel, got);
        return TAKEN_FAILED;
    }
    if (got == 0) {
        channel->ended = true;
        return TAKEN_END;
    }
    buffer_grew(to, (size_t)got);
    /* A short read empties the socket, but where the peer has ended no further event tells */
    return (size_t)got < most && !channel->watcher.ended ? TAKEN_ALL : TAKEN_SOME;
}

static enum channel_result result_of(enum taken taken)
{
    switch (taken) {
    case TAKEN_SOME:
    case TAKEN_ALL: return CHANNEL_OK;
    case TAKEN_END: return CHANNEL_ENDED;
    case TAKEN_FAILED: return CHANNEL_FAILED;
    }
    must_not_reach();
}

static size_t room_in(const struct channel *channel)
{
    size_t length = buffer_length(&channel->in);
    return length < CHANNEL_IN_MAX ? CHANNEL_IN_MAX - length : 0;
}

static enum channel_result fill_clear(struct channel *channel)
{
    enum taken taken = TAKEN_SOME;
    while (taken == TAKEN_SOME) {
        size_t room = room_in(channel);
        if (room == 0) {
            channel->in_stalled = true;
            return CHANNEL_OK;
        }
        taken = receive(channel, &channel->in, room);
    }
    return result_of(taken);
}

/* Decrypts what came in. TAKEN_ALL: all of it; TAKEN_SOME: stalled at CHANNEL_IN_MAX. */
static enum taken decrypt(struct channel *channel)
{
    size_t room = room_in(channel);
    if (room == 0)
        return TAKEN_SOME;
    switch (tls_read(channel->tls, &channel->in, room)) {
    case TLS_DONE: return TAKEN_SOME;
    case TLS_MORE: return TAKEN_ALL;
    case TLS_CLOSED: channel->ended = true; return TAKEN_END;
    case TLS_FAILED: fail_tls(channel); return TAKEN_FAILED;
    }
    must_not_reach();
}

static enum channel_result fill_tls(struct channel *channel)
{
    enum taken taken = TAKEN_SOME;
    for (;;) {
        enum taken decrypted = decrypt(channel);
        if (decrypted == TAKEN_SOME)
            channel->in_stalled = true;
        if (decrypted != TAKEN_ALL)
            return result_of(decrypted);
        if (taken != TAKEN_SOME)
            return result_of(taken);
        taken = receive(channel, tls_incoming(channel->tls), CHANNEL_READ_BYTES);
    }
}

enum channel_result channel_fill(struct channel *channel)
{
    must(channel->socket >= 0);
    channel->in_stalled = false;
    if (channel->ended)
        return CHANNEL_ENDED;
    if (channel->tls == NULL)
        return fill_clear(channel);
    return channel->secured ? fill_tls(channel) : CHANNEL_OK;
}

/* ---- TLS ---- */

void channel_start_tls(struct channel *channel, struct tls *take)
{
    must(channel->tls == NULL && take != NULL);
    must(buffer_length(&channel->in) == 0 && buffer_length(&channel->out) == 0);
    channel->tls = take;
}

void channel_begin_tls(struct channel *channel, struct tls *take)
{
    buffer_append(tls_incoming(take), buffer_span(&channel->in));
    buffer_clear(&channel->in);
    channel_start_tls(channel, take);
}

static enum tls_progress handshake_lost(struct channel *channel, enum taken taken)
{
    if (taken == TAKEN_END)
        fail(channel, "the peer closed in the TLS handshake");
    return TLS_FAILED;
}

/* Takes the handshake a step on. `*spoke`: something is to be said, and was not before. */
static enum tls_progress step_handshake(struct channel *channel, bool *spoke)
{
    const struct buffer *records = tls_outgoing(channel->tls);
    bool silent = buffer_length(records) == 0;
    enum tls_progress progress = tls_handshake(channel->tls);
    *spoke = silent && buffer_length(records) > 0;
    return progress;
}

/* The first word, which nobody can have answered: a readable event follows. */
static bool awaits_answer(const struct channel *channel, bool spoke)
{
    return spoke && !channel->ended && !channel->watcher.ended;
}

enum tls_progress channel_handshake(struct channel *channel)
{
    must(channel->tls != NULL && !channel->secured);
    enum taken taken = TAKEN_SOME;
    for (bool spoke, first = true;; first = false) {
        enum tls_progress progress = step_handshake(channel, &spoke);
        if (progress == TLS_FAILED)
            fail_tls(channel);
        else if (!(progress == TLS_DONE && channel->speaks_next) &&
                 send_all(channel, tls_outgoing(channel->tls)) != CHANNEL_OK)
            progress = TLS_FAILED;
        channel->secured = progress == TLS_DONE;
        if (progress != TLS_MORE)
            return progress;
        if (taken == TAKEN_END || taken == TAKEN_FAILED)
            return handshake_lost(channel, taken);
        if (taken == TAKEN_ALL || (first && awaits_answer(channel, spoke)))
            return TLS_MORE;
        taken = receive(channel, tls_incoming(channel->tls), CHANNEL_READ_BYTES);
    }
}

void channel_part(struct channel *channel)
{
    channel->parting = true;
}

void channel_end(struct channel *channel)
{
    if (channel->secured) {
        say_goodbye(channel);
        send_all(channel, tls_outgoing(channel->tls));
    }
    os_end(channel->socket);
}

void channel_abandon(struct channel *channel)
{
    buffer_clear(&channel->out);
    if (channel->tls != NULL)
        buffer_clear(tls_outgoing(channel->tls));
    channel->abandoned = true;
}

void channel_close(struct channel *channel)
{
    if (channel->socket < 0)
        return;
    if (channel->secured && !channel->ended && !channel->abandoned && channel->why == NULL) {
        say_goodbye(channel);
        send_all(channel, tls_outgoing(channel->tls));
    }
    if (channel->tls)
        tls_free(&channel->tls);
    os_close(channel->socket);
    channel->socket = -1;
    channel->why = NULL; /* it may have lain in what is freed here */
    buffer_free(&channel->in);
    buffer_free(&channel->out);
}
