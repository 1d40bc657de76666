/* The operator's table of TLS policies outside of the configuration (`tls-policy-map`): where it
 * is, and how it is spoken to. Pure; policy_asker.h asks it. Two protocols, both Postfix's:
 *
 *     socketmap   netstrings (socketmap_table(5)): "NAME key" -> "OK value", "NOTFOUND ", "TEMP …"
 *     tcp         lines (tcp_table(5)): "get key" -> "200 value", "500 …" not found, "400 …" */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/ip.h"

#define POLICY_MAP_REPLY_MAX 16384 /* bytes; more is no reply */
#define POLICY_MAP_TEXT_MAX 108    /* of a path or a name, with its NUL */
#define POLICY_MAP_TTL_MS 60000    /* how long an answer holds */

struct policy_map {
    enum policy_protocol { POLICY_SOCKETMAP, POLICY_TCP } protocol;
    char path[POLICY_MAP_TEXT_MAX]; /* of a unix socket; "": it is at `at` */
    struct endpoint at;
    char name[POLICY_MAP_TEXT_MAX]; /* of the map within a socketmap server */
};

/* "socketmap:inet:127.0.0.1:8461:postfix", "socketmap:unix:/run/x.sock:postfix",
 * "tcp:127.0.0.1:1234". NULL when it is one; else what is wrong with it. */
const char *policy_map_parse(const char *text, struct policy_map *map);

/* Appends the question for a next hop: a domain, or an address literal. */
void policy_map_ask(const struct policy_map *map, const char *next_hop, struct buffer *to);

enum policy_answer {
    POLICY_FOUND,      /* the text is a line for policy_line_read() */
    POLICY_NOT_FOUND,  /* the `tls` sections hold */
    POLICY_FAILED,     /* nobody knows: the text says why, and nothing may go there */
    POLICY_UNFINISHED, /* more bytes are needed */
};
/* What came so far. The text lies in the arena. */
enum policy_answer policy_map_read(const struct policy_map *map, struct span came,
                                   struct arena *arena, struct span *text);
