/* A distant client, on loopback: with --round-trip what the sink says stays on its way for so many
 * milliseconds, and the replies to one flight of commands arrive together. Held back is what is
 * said, not what is done: a client that waits less often for replies is faster, as it would be from
 * afar. The handshakes of TCP and TLS are not delayed. */
#pragma once

#include "bench/sink.h"

struct sink_session;

/* Takes what the session has to say on its way; nothing happens where there is no round trip. */
void sink_distance_hold(struct sink_session *session);

/* Hands over to the sockets what has arrived by worker->now. Sessions may be gone afterwards. */
void sink_distance_arrive(struct sink_worker *worker);

/* Until the next arrival: ms, or -1. */
int sink_distance_wait_ms(const struct sink_worker *worker);

/* The session ends: what is on its way is lost. */
void sink_distance_forget(struct sink_session *session);
