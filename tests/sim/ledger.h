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
    uint16_t destination;
    uint8_t arrived; /* times that a server took it */
    uint8_t excused; /* of these, what the relay could not know of: it may come again */
    uint8_t heard;   /* the relay has read a 2xx for it, in this life */
    bool delivered;  /* the relay's log says so: it is committed */
    bool bounced;    /* the same */
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
                 FAULT_DNS,
                 FAULT_CLIENT_RESET,
                 FAULT_CLIENT_SLOW,
                 FAULT_CRASH,
};
#define SIM_FAULTS 20

struct ledger {
    uint32_t messages;
    uint32_t lives;
    int64_t clock_us;
    uint64_t handed_in, unsure, arrived, twice, bounced, notices, connections, secured;
    uint64_t faults[SIM_FAULTS];
    char broken[512]; /* the first promise that did not hold; "" */
    struct ledger_message message[LEDGER_MESSAGES_MAX];
};

extern struct ledger *ledger; /* shared between lives */

const char *sim_fault_name(enum sim_fault fault);
void sim_count(enum sim_fault fault);

/* A promise does not hold: the first one is kept, and the run ends. */
void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "m12r0@d3.test" -> message and recipient; "m12@s.test": recipient -1. False: another path. */
bool ledger_parse(struct span path, unsigned *message, int *recipient);
struct ledger_recipient *ledger_recipient(unsigned message, int recipient);

/* A new life begins: what was heard and not committed may come again. */
void ledger_relay_died(void);

/* At the end of all: every promise. */
void ledger_judge(void);
