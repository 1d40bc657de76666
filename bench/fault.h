/* Faults of the sink: where in the dialogue something goes wrong, what, and how often. Pure:
 * this parses and draws, the session acts. */
#pragma once

#include "base/random.h"
#include "base/span.h"

enum fault_where {
    FAULT_CONNECT, /* accepted, nothing said yet */
    FAULT_GREETING,
    FAULT_EHLO,
    FAULT_STARTTLS,
    FAULT_HANDSHAKE,
    FAULT_AUTH,
    FAULT_MAIL,
    FAULT_RCPT,
    FAULT_DATA,
    FAULT_BDAT, /* a chunk came: it is not taken */
    FAULT_EOD,  /* the message came, by either: it is not taken */
    FAULT_QUIT,
    FAULT_NOWHERE, /* what no fault strikes, as RSET */
};
#define FAULT_PLACES 12

enum fault_what {
    FAULT_REPLY,     /* this code in place of the right reply; 421 closes */
    FAULT_DROP,      /* the connection is closed */
    FAULT_STALL,     /* no answer, ever */
    FAULT_GARBAGE,   /* bytes that are no reply */
    FAULT_NO_TICKET, /* a handshake without tickets */
    FAULT_RESIDUE,   /* the right reply, and more behind it */
};
#define FAULT_WHATS 6

#define FAULT_WHY_MAX 160
#define FAULT_NAME_MAX 32
#define FAULT_DELAY_MAX_MS 3600000 /* an hour */

struct fault {
    enum fault_where where;
    enum fault_what what;
    uint16_t code; /* of FAULT_REPLY */
    double share;  /* 0 .. 1 of all that come by there */
};

/* "rcpt:450:0.1", "starttls:454:10%". False with one line in `why` for anything that is
 * not a fault, or that cannot happen there. */
bool fault_parse(struct span text, struct fault *fault, char why[FAULT_WHY_MAX]);

/* "rcpt:450" */
char *fault_name(const struct fault *fault, char text[FAULT_NAME_MAX]);

/* ---- all faults and delays of one sink ---- */

#define FAULTS_MAX 64

struct faults {
    struct fault rows[FAULTS_MAX];
    unsigned count;
    unsigned delay_ms[FAULT_PLACES + 1]; /* always 0 at FAULT_NOWHERE */
};

/* Adds a fault. False with `why` also where the shares at one place pass 1. */
bool faults_add(struct faults *faults, struct span text, char why[FAULT_WHY_MAX]);

/* "rcpt:250": whatever happens there waits for that many ms. */
bool faults_add_delay(struct faults *faults, struct span text, char why[FAULT_WHY_MAX]);

/* Which fault strikes now: an index into rows, or -1. At most one does. */
int faults_draw(const struct faults *faults, enum fault_where where, struct random_state *random);
