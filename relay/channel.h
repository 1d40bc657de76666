/* A channel: one TCP connection, in clear or inside TLS, as two byte queues. What SMTP is
 * spoken over, on both sides and in bench/.
 *
 * The owner sets watcher.ready, watches the socket, and on events calls channel_fill and
 * channel_flush; between them it reads and consumes `in` and appends to `out`. Only
 * plaintext is seen here; TLS keeps its own buffers. */
#pragma once

#include "base/buffer.h"
#include "relay/os.h"
#include "tlspolicy/tls.h"

#define CHANNEL_READ_BYTES 32768    /* asked of the socket at a time */
#define CHANNEL_IN_MAX (256u << 10) /* `in` is not filled beyond: the owner must consume */
#define CHANNEL_OUT_MAX (64u << 10) /* writers of bodies wait while `out` holds more */

struct channel {
    struct watcher watcher;
    int socket; /* -1 when closed */
    struct tls *tls;
    struct buffer in, out;
    bool in_stalled; /* filling stopped at CHANNEL_IN_MAX: the socket may hold more */
    bool ended;      /* the peer sends nothing more */
    bool secured;    /* the TLS handshake is over */
    bool abandoned;  /* nothing is sent any more */
    /* The owner will flush at once when it is, as a client does with its EHLO after STARTTLS, and a
     * server with its answer to what may have come along: what ends the handshake goes out along
     * with that. */
    bool speaks_next;
    bool parting;    /* channel_part() was called */
    bool parted;     /* the goodbye of TLS has been said */
    const char *why; /* see channel_why */
};

enum channel_result {
    CHANNEL_OK,
    CHANNEL_ENDED,  /* the peer closed: what is in `in` is all there will be */
    CHANNEL_FAILED, /* reset, or TLS broke: channel_why() tells */
};

/* Takes over the socket. `watcher` is left as it is. */
void channel_open(struct channel *channel, int socket);
/* Nothing of what was to be sent goes any more: for a peer that has been given up, lest it get the
 * rest of something behind our back. */
void channel_abandon(struct channel *channel);

/* Says goodbye in TLS, closes, frees the buffers. May be called twice. */
void channel_close(struct channel *channel);

/* Reads what there is into `in`. Once it returned with in_stalled, call it again after
 * consuming. */
enum channel_result channel_fill(struct channel *channel);

/* Sends as much of `out` as the socket takes; the rest goes with the next writable event. */
enum channel_result channel_flush(struct channel *channel);

/* What lies in `out` is the last: the next channel_flush() says goodbye in TLS along with it. */
void channel_part(struct channel *channel);

/* Says to the peer that nothing more will be sent (close_notify, FIN); it may still talk. `out`
 * must have been flushed. */
void channel_end(struct channel *channel);

/* Bytes of `out` that have not left for the socket, or of what became of them in TLS. */
size_t channel_unsent(const struct channel *channel);
bool channel_flushed(const struct channel *channel); /* there are none */

/* From here on the channel is inside `tls`, which moves in. `in` must be empty: whoever
 * finds residue there must refuse instead (RFC 3207 5). Flush `out` first. */
void channel_start_tls(struct channel *channel, struct tls *take);

/* The same where TLS begins the connection: what lies in `in` already is the handshake's. */
void channel_begin_tls(struct channel *channel, struct tls *take);

/* Goes on with the handshake: call at once and then after every event until it is not
 * TLS_MORE. After TLS_DONE call channel_fill: data may have come behind the handshake. */
enum tls_progress channel_handshake(struct channel *channel);

/* Why the last CHANNEL_FAILED or TLS_FAILED: one printable line, until channel_close. */
const char *channel_why(const struct channel *channel);
