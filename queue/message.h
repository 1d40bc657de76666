/* The nouns of mail at rest: message, recipient, envelope, verdict, attempt.
 *
 * A message is immutable once accepted and is shared by reference count between threads.
 * An envelope is one message for one destination: the unit that is scheduled, claimed and
 * retried. It holds one reference to its message. Whoever has an envelope in hand is its
 * only owner; it passes from thread to thread by mailbox. */
#pragma once

#include "base/arena.h"
#include "base/span.h"

#include <stdatomic.h>

#define PATH_MAX_BYTES 512         /* a forward- or reverse-path; RFC 5321 4.5.3.1.3 asks for 256 */
#define DOMAIN_MAX_BYTES 255       /* RFC 5321 4.5.3.1.2 */
#define ENVID_MAX_BYTES 100        /* RFC 3461 5.4 */
#define ORCPT_MAX_BYTES 500        /* RFC 3461 5.4 */
#define USER_MAX_BYTES 128         /* a name at AUTH; ours */
#define REPLY_KEPT_MAX 300         /* bytes of a remote reply that the spool keeps per envelope */
#define HOLD_REASON_MAX 100        /* bytes of why an envelope is held; ours */
#define ENVELOPE_RECIPIENTS_MAX 74 /* a server takes 100 at once (RFC 5321 4.5.3.1.8) */

/* Where a body lies. Offset and length are bytes. */
struct body_place {
    uint64_t segment; /* a segment's number, or the message's own file when `own_file` */
    uint64_t offset;
    uint64_t length;
    uint32_t crc; /* CRC-32C of all `length` bytes */
    bool own_file;
};

enum message_flag {
    MESSAGE_8BITMIME = 1 << 0,      /* came with BODY=8BITMIME, and is 8-bit indeed */
    MESSAGE_BOUNCE = 1 << 1,        /* a delivery status notification that we wrote */
    MESSAGE_SMTPUTF8 = 1 << 2,      /* came with SMTPUTF8, and needs it (RFC 6531) */
    MESSAGE_BINARYMIME = 1 << 3,    /* came with BODY=BINARYMIME: any bytes, not lines (RFC 3030) */
    MESSAGE_RET_FULL = 1 << 4,      /* RET=FULL (RFC 3461 4.3) */
    MESSAGE_RET_HEADERS = 1 << 5,   /* RET=HDRS */
    MESSAGE_BY_RETURN = 1 << 6,     /* BY=…;R: bounced when deliver_by_ms has passed (RFC 2852) */
    MESSAGE_BY_NOTIFY = 1 << 7,     /* BY=…;N: the sender is told then, and it goes on */
    MESSAGE_BY_TRACE = 1 << 8,      /* BY=…;T: each relaying is told as well */
    MESSAGE_REQUIRETLS = 1 << 9,    /* came with REQUIRETLS, and goes on with it (RFC 8689 4.1) */
    MESSAGE_TLS_OPTIONAL = 1 << 10, /* its header says "TLS-Required: No" (RFC 8689 3) */
};

struct message {
    atomic_uint references;
    uint32_t flags;        /* enum message_flag */
    uint64_t id;           /* time-ordered, unique for ever; 0 until it has one */
    int64_t arrived_ms;    /* ms since 1970 */
    int64_t release_ms;    /* not to be sent before (RFC 4865): ms since 1970; 0: at once */
    int64_t deliver_by_ms; /* see MESSAGE_BY_…: ms since 1970; 0: no such deadline */
    const char *sender;    /* reverse-path without brackets; "" is the null sender */
    const char *envid;     /* ENVID as it came, in xtext (RFC 3461 4.4); "" when there was none */
    const char *user;      /* who authenticated; "" when nobody did */
    struct body_place place;
    char *body;         /* place.length bytes, or NULL: read it from the spool */
    struct arena arena; /* holds this struct's strings */
};

/* One reference, id 0, no body, no envid, no user. The sender is copied; so must the other
 * strings be, into its arena, before anybody else sees it. */
struct message *message_create(struct span sender, uint32_t flags, int64_t arrived_ms);
/* How its sender wants it protected on its way, beyond what the operator and the recipient's domain
 * say (RFC 8689). Envelopes of each kind are scheduled apart: they go to a domain's hosts on other
 * terms. */
enum security {
    SECURITY_USUAL,     /* the sender said nothing of it */
    SECURITY_REQUIRED,  /* never but to an authenticated host that promises the same (4.2.1) */
    SECURITY_PREFERRED, /* so if it can be had: a notification is not lost for it (5) */
    SECURITY_OPTIONAL,  /* delivered, whatever TLS the domain wants (4.2.2) */
};
#define SECURITIES 4

const char *security_name(enum security security); /* "usual", "required", … */
enum security message_security(const struct message *message);
/* When its time in the queue began: its arrival or its release. Back-off and expiry count from
 * here. */
int64_t message_began_ms(const struct message *message);
struct message *message_keep(struct message *message); /* one more reference */
void message_drop(struct message **message);           /* one less; frees at zero */

/* Gives the message its body in memory: place.length bytes, malloc'd, moves in. */
void message_take_body(struct message *message, char *take_body);

/* Bytes of bodies in memory now, in the whole process. */
uint64_t message_memory(void);

/* ---- IDs: 44 bits of ms since 1970, 20 bits of counter; printed in Crockford base 32 ---- */

#define MESSAGE_ID_TEXT 14 /* 13 digits and a NUL */
char *message_id_format(uint64_t id, char text[MESSAGE_ID_TEXT]);
bool message_id_parse(struct span text, uint64_t *id); /* any case */
int64_t message_id_ms(uint64_t id);                    /* when it was given out: ms since 1970 */

/* ---- verdicts ---- */

enum verdict_kind {
    VERDICT_NONE,      /* nothing is known yet */
    VERDICT_DELIVERED, /* the next hop took responsibility */
    VERDICT_DEFERRED,  /* try again later */
    VERDICT_BOUNCED,   /* permanent: the sender is told */
    VERDICT_IN_DOUBT,  /* the final dot was sent and no reply came: it may arrive twice */
    VERDICT_EXPIRED,   /* deferred for too long: the sender is told */
    VERDICT_DROPPED,   /* the operator removed it */
};

const char *verdict_name(enum verdict_kind kind); /* "delivered", "in-doubt", … */

struct status { /* enhanced status code, RFC 3463; class 0: none was given */
    uint8_t class;
    uint16_t subject, detail;
};

/* How far a host let us come, for the verdict that it gave. */
enum stage {
    STAGE_NONE, /* no host gave it: no route, or our own decision */
    STAGE_CONNECT,
    STAGE_GREETING,
    STAGE_EHLO,
    STAGE_STARTTLS, /* or TLS that comes first */
    STAGE_AUTH,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_DATA,
    STAGE_END_OF_DATA, /* the content: the final dot, or BDAT */
};
#define STAGES 10

/* What became of one recipient in one attempt. Local failures (no DNS, refused, timeout,
 * TLS) have code 0 and our own words. Spans belong to the attempt's arena. */
struct verdict {
    enum verdict_kind kind;
    uint16_t code; /* reply code, 0 for a local verdict */
    enum stage stage;
    struct status status;
    struct span text; /* the reply's text without codes, one line, printable */
    struct span host; /* "mx1.example.test[192.0.2.1]:25", empty when none was reached */
    bool untried;     /* DEFERRED before the host was asked: it had taken all it takes at a time */
    bool relayed;     /* DELIVERED to a host without DSN: of success it tells nobody, so whoever
                         asked for that is told by us (RFC 3461 5.2.2) */
    bool untimed;     /* DELIVERED to a host without DELIVERBY: nobody keeps its time from here */
};

/* A copy whose spans lie in `arena`. */
struct verdict verdict_copy(const struct verdict *verdict, struct arena *arena);

#define STATUS_TEXT_MAX 16
char *status_format(struct status status, char text[STATUS_TEXT_MAX]); /* "4.4.1" */

/* Whether it may be shown as a part of that reply: one that we made of another class is not what
 * the server said. Code 0, our own words: all of it is ours. */
static inline bool status_belongs(struct status status, uint16_t code)
{
    return status.class != 0 && (code == 0 || status.class == code / 100);
}

/* ---- recipients and envelopes ---- */

/* NOTIFY (RFC 3461 4.1). None of them: the parameter was not given. */
enum notify_flag {
    NOTIFY_NEVER = 1 << 0,
    NOTIFY_SUCCESS = 1 << 1,
    NOTIFY_FAILURE = 1 << 2,
    NOTIFY_DELAY = 1 << 3,
};

struct recipient {
    const char *path;     /* forward-path without brackets */
    const char *orcpt;    /* ORCPT as it came: addr-type ";" xtext (RFC 3461 4.2); "" for none */
    uint16_t code;        /* of the last deferral; 0: none, or a local one */
    struct status status; /* of the last deferral */
    uint8_t notify;       /* enum notify_flag */
};

struct envelope {
    struct message *message; /* one reference; NULL only inside queue/record */
    uint64_t id;             /* the message's */
    uint16_t number;         /* 0, 1, … within the message */
    uint16_t attempts;       /* made so far */
    int64_t due_ms;          /* ms since 1970 */
    const char *destination; /* the recipients' domain (or address literal), lower case */
    const char *last_reply;  /* text of the last deferral; "" when there was none */
    const char *last_host;   /* who said it; "" when local */
    uint32_t postponed_s;    /* its time in the queue began so long after its arrival (RFC 4865) */
    bool warned;             /* its sender was told of the delay */
    bool timed;              /* its message has a deadline of its own */
    enum security security;  /* its message's */
    bool held;               /* by the operator or a rule: not tried until released */
    const char *hold_reason; /* "" unless held */
    unsigned count;
    struct recipient *recipients;
    struct arena arena; /* holds this envelope's strings and recipients */
};

/* An envelope without recipients; keeps a reference of `message` (which may be NULL). */
struct envelope *envelope_create(struct message *message, struct span destination);
void envelope_free(struct envelope **envelope); /* drops its message reference */

/* Puts a recipient in, for the caller to complete (notify, code, status) before the next one. NULL
 * when the envelope is full: by count, or because its record would outgrow one spool value. The
 * caller then opens another envelope. `orcpt` may be empty. */
struct recipient *envelope_add(struct envelope *envelope, struct span path, struct span orcpt);

/* "1M2X…" for number 0, "1M2X….3" otherwise: the name an operator sees. */
#define ENVELOPE_NAME_MAX 24
char *envelope_name(uint64_t id, uint16_t number, char text[ENVELOPE_NAME_MAX]);
bool envelope_name_parse(struct span text, uint64_t *id, uint16_t *number, bool *whole_message);
