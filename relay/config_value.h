/* Values of the configuration: text -> value in its place, and back. Pure. For
 * relay/config*.c only. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "relay/config.h"
#include "relay/config_keys.h"

#define VALUE_WHY_MAX 256

/* For "%.*s": as much of a text as an error shows. */
#define VALUE_SHOWN(text) (int)((text).length < 80 ? (text).length : 80), (text).data

/* Puts one value where the key says within `item`; strings go to the arena. False with `why`:
 * what is wrong, and what was meant. Not for lists. */
bool value_read(const struct key *key, struct span text, void *item, struct arena *arena,
                char why[VALUE_WHY_MAX]);

/* Writes the value so that value_read reads the same. False when there is none (NULL). */
bool value_print(const struct key *key, const void *item, struct buffer *to);

/* "mail.example:587", "[192.0.2.1]:25"; without a port it is `port`. */
bool value_read_host(struct span text, uint16_t port, struct arena *arena,
                     struct next_hop_host *host, char why[VALUE_WHY_MAX]);
void value_print_host(const struct next_hop_host *host, struct buffer *to);

/* In double quotes, escaped. */
void value_print_text(struct buffer *to, const char *text);

/* "hostname", "nexthop", "dot-nexthop", "mx.example", ".example". */
bool value_read_match(struct span text, struct tls_match *match, struct arena *arena,
                      char why[VALUE_WHY_MAX]);
const char *value_match_text(const struct tls_match *match);
/* The same for SNI: one name. False when none is set. */
bool value_read_server_name(struct span text, const struct tls_match **value, struct arena *arena,
                            char why[VALUE_WHY_MAX]);
bool value_print_server_name(const struct tls_match *match, struct buffer *to);

/* "sha256:…" */
bool value_read_print(struct span text, struct fingerprint *print, char why[VALUE_WHY_MAX]);
void value_print_print(const struct fingerprint *print, struct buffer *to);
