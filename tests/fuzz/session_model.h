/* Who has the mail: what RFC 5321 says of the commands that were written and the replies that came,
 * one for each, and nothing else. Beside a session it says what must be true of its verdicts. */
#pragma once

#include "base/must.h"

#include <stdbool.h>
#include <string.h>

#define RECIPIENTS_MAX 6
#define OWED_MAX 128

enum command { GREETING, OTHER, MAIL, RCPT, DATA, RSET, BDAT, CONTENT };

struct owed {
    enum command command;
    unsigned of; /* RCPT: which recipient; CONTENT: whether it came by BDAT */
};

struct model {
    struct owed owed[OWED_MAX]; /* commands without a reply, oldest first */
    unsigned count;
    bool mail;                 /* was taken */
    bool begun;                /* a transaction that RSET must end before the next */
    bool chunk_failed;         /* and what comes of the content then, the server alone knows */
    bool open[RECIPIENTS_MAX]; /* RCPT was taken, in the transaction */
    bool has[RECIPIENTS_MAX];  /* of this delivery: the server said so, */
    bool sure[RECIPIENTS_MAX]; /* and had taken each chunk as well */
};

static inline void owe(struct model *model, enum command command, unsigned of)
{
    must(model->count < OWED_MAX);
    model->owed[model->count++] = (struct owed){command, of};
}

static inline void forget_transaction(struct model *model)
{
    model->mail = model->chunk_failed = false;
    memset(model->open, 0, sizeof(model->open));
}

static inline void content_ended(struct model *model, bool yes)
{
    for (unsigned i = 0; i < RECIPIENTS_MAX && yes; i++) {
        must(!model->open[i] || !model->has[i]); /* nobody gets it twice */
        model->has[i] |= model->open[i];
        model->sure[i] |= model->open[i] && !model->chunk_failed;
    }
    forget_transaction(model);
}

static inline void replied(struct model *model, unsigned code)
{
    bool yes = code >= 200 && code < 300;
    must(model->count > 0); /* each reply that counts is to a command */
    struct owed to = model->owed[0];
    memmove(model->owed, model->owed + 1, --model->count * sizeof(*model->owed));
    switch (to.command) {
    case GREETING:
    case OTHER:
    case DATA: break;
    case MAIL:
        forget_transaction(model);
        model->mail = yes;
        model->begun |= yes;
        break;
    case RCPT: model->open[to.of] = model->mail && yes; break;
    case RSET: forget_transaction(model); break;
    case BDAT: model->chunk_failed |= !yes; break;
    case CONTENT:
        content_ended(model, yes);
        model->begun &= to.of && !yes; /* after a BDAT that failed nobody knows (RFC 3030 2) */
        break;
    }
}
