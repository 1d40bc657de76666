/* What the world knows of every message, whatever becomes of the relay: in memory that outlives its
 * process. Written by clients, servers and the reader of the log; judged at the end.
 *
 * A recipient's path tells who it is: "m12r0@d3.test"; its sender is "m12@s.test". */
#pragma once

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_MESSAGES_MAX 20000
#define LEDGER_RECIPIENTS_MAX 3

enum handing { /* in, as its client knows it */
               HANDING_NOT_YET,
               HANDING_UNSURE, /* the final dot was sent, and no reply came: it may have been taken
                                */
               HANDING_TAKEN,  /* 250 */
};

struct ledger_recipient {
    uint16_t destination; /* the number of its domain */
    uint8_t arrived;      /* times that a server took it */
    uint8_t excused;      /* of these, what the relay could not know of: it may come again */
    uint8_t heard;        /* the relay has read a 2xx for it, in this life */
    bool delivered;       /* the relay's log says so: it is committed */
    bool bounced;         /* the same */
    bool dropped;         /* the same: the operator wanted it */
    bool drop_asked;      /* the operator does */
    bool vanished;        /* a crash fell between the commit of its end and its line in the log */
    int64_t touched_us;   /* when it was accepted, or tried last */
};

struct ledger_message {
    uint8_t handing; /* enum handing */
    uint8_t recipients;
    uint8_t notices; /* notifications that its sender got */
    uint32_t length; /* of the body, as it was handed in */
    struct ledger_recipient to[LEDGER_RECIPIENTS_MAX];
};

enum sim_fault { /* what is done to the relay, or before it */
                 FAULT_REFUSED_CONNECTION,
                 FAULT_SILENT_HOST,
                 FAULT_RESET,
                 FAULT_RESET_AFTER_DOT,
                 FAULT_4XX,
                 FAULT_5XX,
                 FAULT_421,
                 FAULT_STALL,
                 FAULT_GARBAGE,
                 FAULT_ENDLESS,
                 FAULT_EARLY_BYTES,
                 FAULT_454,
                 FAULT_502_STARTTLS,
                 FAULT_RESIDUE,
                 FAULT_BROKEN_HANDSHAKE,
                 FAULT_TLS_GONE,
                 FAULT_DNS_TEMPORARY,
                 FAULT_DNS_LATE,
                 FAULT_DNS_NO_DOMAIN,
                 FAULT_DNS_NULL_MX,
                 FAULT_DNS_NO_ADDRESS,
                 FAULT_DNS_PARTIAL,
                 FAULT_NO_DESCRIPTOR,
                 FAULT_CLIENT_RESET,
                 FAULT_CLIENT_SLOW,
                 FAULT_CLOCK_FORWARD,
                 FAULT_CLOCK_BACK,
                 FAULT_DISK_FULL,
                 FAULT_WRITE_ENOSPC,
                 FAULT_SHORT_WRITE,
                 FAULT_WRITE_EIO,
                 FAULT_SYNC_EIO,
                 FAULT_CRASH,
                 FAULT_CRASH_IN_COMMIT,
                 FAULT_LOST_WRITE,
                 FAULT_OPERATOR,
};
#define SIM_FAULTS (FAULT_OPERATOR + 1)

enum sim_promise {                  /* what is looked after, and how often */
                   PROMISE_DURABLE, /* a 250 is said when the spool has the message */
                   PROMISE_VERDICT, /* the end of a recipient is told when the spool has it no more
                                     */
                   PROMISE_ONE_END, /* delivered, bounced or dropped, and nothing else */
                   PROMISE_KEPT, /* after a crash: all that was taken and has no end is in the spool
                                  */
                   PROMISE_NOT_AGAIN,   /* nothing is offered again after a committed end, or a 2xx
                                           heard */
                   PROMISE_WHOLE,       /* the body arrives as it was handed in */
                   PROMISE_SENDER_TOLD, /* of a bounce */
                   PROMISE_CLEAR,       /* nothing in clear where policy forbids */
                   PROMISE_HOST_LIMIT,  /* connections to one address */
                   PROMISE_SITE_LIMIT,  /* connections to one site */
                   PROMISE_SESSION_LIMIT, /* messages on one connection */
                   PROMISE_RATE_LIMIT,    /* messages to one site in a while */
                   PROMISE_CLIENT_LIMIT,  /* connections of one client */
                   PROMISE_QUEUE_LIMIT,   /* recipients in the queue */
                   PROMISE_DUE,           /* what is due is tried within a bound */
                   PROMISE_BOOKS, /* received + restored = delivered + bounced + dropped + queued */
                   PROMISE_BROKEN_ENDS, /* a relay whose disk fails ends, and says yes to nobody */
};
#define SIM_PROMISES (PROMISE_BROKEN_ENDS + 1)

struct ledger {
    uint32_t messages;
    uint32_t lives;
    int64_t clock_us;
    uint64_t handed_in, unsure, arrived, twice, bounced, notices, connections, secured;
    uint64_t faults[SIM_FAULTS], checks[SIM_PROMISES];
    uint64_t trace;   /* a hash over all that went over the network and into the log */
    int64_t skew_ms;  /* of the wall clock */
    int64_t back_us;  /* how far the wall was set back, in all */
    char broken[512]; /* the first promise that did not hold; "" */
    struct ledger_message message[LEDGER_MESSAGES_MAX];
};

extern struct ledger *ledger; /* shared between lives */

const char *sim_fault_name(enum sim_fault fault);
void sim_count(enum sim_fault fault);
const char *sim_promise_name(enum sim_promise promise);

/* A promise was looked after: what does not hold is told. */
#define keeps(promise, condition, ...)                                                             \
    do {                                                                                           \
        ledger->checks[promise]++;                                                                 \
        if (!(condition))                                                                          \
            broken(__VA_ARGS__);                                                                   \
    } while (0)

/* A promise does not hold: the first one is kept, and the run ends. */
void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "m12r0@d3.test" -> message and recipient; "m12@s.test": recipient -1. False: another path. */
bool ledger_parse(struct span path, unsigned *message, int *recipient);
struct ledger_recipient *ledger_recipient(unsigned message, int recipient);
/* Delivered, bounced or dropped: the relay has said so. */
bool ledger_has_ended(const struct ledger_recipient *recipient);

/* A new life begins: what was heard and not committed may come again. */
void ledger_relay_died(void);

/* At the end of all: every promise. */
void ledger_judge(void);
