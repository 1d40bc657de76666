/* Nouns <-> bytes on disk. Pure; what it reads may be anything (fuzzed).
 *
 * Every record begins with a version byte. Numbers are little-endian, except in keys, which
 * are big-endian so that LMDB's order is the order of ids. A value never exceeds
 * RECORD_MAX, so that LMDB never puts one on an overflow page. */
#pragma once

#include "base/buffer.h"
#include "queue/message.h"
#include "queue/suspension.h"

#define RECORD_MAX 1900 /* under half a 4,096-byte page with LMDB's own header */
#define RECORD_VERSION 2

#define MESSAGE_KEY_BYTES 8
#define ENVELOPE_KEY_BYTES 10

void message_key_write(uint64_t id, uint8_t key[MESSAGE_KEY_BYTES]);
bool message_key_read(struct span key, uint64_t *id);
void envelope_key_write(uint64_t id, uint16_t number, uint8_t key[ENVELOPE_KEY_BYTES]);
bool envelope_key_read(struct span key, uint64_t *id, uint16_t *number);

/* The message's record, with how many of its envelopes are left. */
void message_record_write(struct buffer *to, const struct message *message, unsigned left);
/* A new message with one reference and no body in memory; NULL when the bytes are not a
 * record of ours. The id comes from the key. */
struct message *message_record_read(struct span from, uint64_t id, unsigned *left);

/* The record's fields without making a message (removal, the scan); texts lie in `from`. */
struct message_head {
    unsigned left;
    uint32_t flags;
    int64_t arrived_ms, release_ms, deliver_by_ms;
    struct body_place place;
    struct span sender, envid, user;
};
bool message_record_head(struct span from, struct message_head *head);
/* Changes the count within a good record. */
void message_record_set_left(char *record, unsigned left);

void envelope_record_write(struct buffer *to, const struct envelope *envelope);
/* A new envelope without message; NULL when the bytes are not a record of ours. */
struct envelope *envelope_record_read(struct span from, uint64_t id, uint16_t number);

/* The same without making an envelope; the recipients are not looked at. */
struct envelope_head {
    uint16_t attempts;
    int64_t due_ms;
    uint32_t postponed_s;
    unsigned count;
    bool warned, timed, held;
    enum security security;
    struct span destination, last_reply, last_host, hold_reason; /* lie in `from` */
};
bool envelope_record_head(struct span from, struct envelope_head *head);

/* How many bytes of record a recipient with these texts takes. */
size_t recipient_record_bytes(size_t path_length, size_t orcpt_length);
/* What all recipients of an envelope may take together, leaving room for everything else. */
#define RECIPIENTS_RECORD_MAX                                                                      \
    (RECORD_MAX - DOMAIN_MAX_BYTES - REPLY_KEPT_MAX - HOLD_REASON_MAX - 200)
