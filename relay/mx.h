/* A domain's mail hosts as its MX records name them (RFC 5321 5.1, RFC 7505). Pure. */
#pragma once

#include "base/span.h"

#define MX_NAME_MAX 256 /* with NUL; RFC 1035 2.3.4 */
#define MX_RECORDS_MAX 100

struct mx {
    uint16_t preference;
    char name[MX_NAME_MAX]; /* lower case, without the final dot */
};

struct mx_list {
    unsigned count; /* by preference, equals in the order they came, each name once */
    bool null;      /* the root was named: "no mail here", if nothing else was named */
    struct mx hosts[MX_RECORDS_MAX];
};

/* Puts in what a record's data say: preference and uncompressed name (RFC 1035 3.3.9). One
 * whose name cannot be a host's is passed over. */
void mx_add(struct mx_list *list, struct span data);
