/* The control socket: threads that answer `millrace queue`, `stats` and their kin.
 *
 * A unix stream socket, mode 0600. A client sends one line of JSON, {"command": NAME, …}; lines
 * of JSON come back, an object each, the last with "end": true and on failure "error": TEXT and
 * "exit": sysexits code. CONTROL_CLIENTS are served at a time, more of them wait; none may keep a
 * thread waiting for a line, or for room to write, longer than CONTROL_IDLE_MS. Reads the spool by
 * short transactions, none of them held while a client is written to; acts on it through the
 * dispatch.
 *
 *     queue list   [FILTER] ["limit"]           an object per envelope, then {"count", "more"}
 *     queue show   "ids": [ONE]                 an object per envelope
 *     queue cat    "ids": [ONE]                 {"bytes"}: a character per byte, U+0000 to U+00FF
 *     queue retry  "ids" | FILTER | "all"       {"progress"} now and then, then
 *     queue release, drop: the same               {"count", "loading"}
 *     queue hold, fail: the same, and "reason"
 *     dest list    ["domain"] ["limit"] ["busiest"]  an object per destination, {"count", "more"}
 *     dest show    "what", ["last_failures"]    an object for each security of its mail
 *     dest pause   "what", "reason", ["for_ms"] an object, once it is durable
 *     dest resume  "what"                       the same
 *     explain      "what": ID or NAME           {"what", "explanation": […]} each envelope
 *     stats                                     one object
 *     tlsrpt show  ["domain"]                   an object per domain, {"count", "uncounted"}
 *
 * FILTER is any of "domain", "sender", "recipient" (texts), "older_than_ms" and "state"
 * ("waiting", "ready", "out", "held", "loading": read from the spool at start, not yet scheduled).
 * More than one id needs a filter or "all": true, and a reason. Times are RFC 3339 in UTC. */
#pragma once

#include "queue/spool.h"

#define CONTROL_CLIENTS 8
#define CONTROL_IDLE_MS 30000
#define CONTROL_LINE_MAX 65536 /* bytes of a request, with its newline */

struct dispatch;
struct committer;
struct tlsrpt;

struct control_parts {
    const char *path;
    struct spool *spool;
    struct dispatch *dispatch;
    struct committer *committer;
    struct tlsrpt *tlsrpt;
    int64_t started_ms; /* os_now() at start, for the uptime */
};

struct control;

/* Binds the socket (an abandoned one is replaced, one in use refused) and starts the threads.
 * NULL with one line in `why`. */
struct control *control_start(const struct control_parts *parts, char *why, size_t why_size);
void control_stop(struct control **control); /* removes the socket */
