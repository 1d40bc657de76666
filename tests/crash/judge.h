/* Opens an image with the spool's own code, as a relay does that starts after a crash, and holds
 * it against the ledger; then lives on it: accepts, updates, removes all, closes, opens again. */
#pragma once

#include "tests/crash/ledger.h"

#define WRONG_MAX 400

struct judged {
    char wrong[WRONG_MAX];    /* the first promise that does not hold; "" */
    uint64_t acknowledged;    /* envelopes that had to be there */
    uint64_t found;           /* that are, with their bodies */
    uint64_t extra;           /* of these, by a commit whose answer the crash forestalled */
    uint64_t removed;         /* acknowledged as done, and gone */
    uint64_t damaged;         /* bodies that are not what they were: relaxed durability only */
    uint64_t highest_id;      /* of all that was ever stored in what is there */
    struct slot slots[SLOTS]; /* what is there */
};

struct judge_case {
    const char *directory;
    const struct ledger *ledger;
    size_t position; /* of the crash */
    enum durability durability;
    bool looks_only; /* the image is left as it was opened */
};

/* True: every promise holds. */
bool judge_image(const struct judge_case *judged_case, struct judged *judged);
