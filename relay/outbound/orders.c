#include "relay/outbound/orders.h"

#include "base/must.h"

#include <stdatomic.h>
#include <stdlib.h>

struct orders {
    atomic_uint references; /* the asker's, and one for each that is under way */
};

struct orders *orders_create(void)
{
    struct orders *orders = must_calloc(1, sizeof(*orders));
    atomic_init(&orders->references, 1);
    return orders;
}

struct orders *orders_keep(struct orders *orders)
{
    if (orders != NULL)
        atomic_fetch_add_explicit(&orders->references, 1, memory_order_relaxed);
    return orders;
}

void orders_drop(struct orders **orders)
{
    struct orders *dropped = *orders;
    *orders = NULL;
    if (dropped == NULL)
        return;
    if (atomic_fetch_sub_explicit(&dropped->references, 1, memory_order_acq_rel) == 1)
        free(dropped);
}

unsigned orders_open(const struct orders *orders)
{
    return atomic_load_explicit(&orders->references, memory_order_acquire) - 1;
}
