/* The flight recorder, under the dispatch's lock. */
#include "relay/outbound/dispatch_destinations.h"
#include "relay/outbound/dispatch_lock.h"

/* Whose mail waits for it: each is told, up to a bound. */
static void record_for_all(struct dispatch *dispatch, const struct site *site,
                           struct failed_session *failed)
{
    struct list_node *node = list_first(&site->turn);
    for (int i = 0; i < RECORDER_SHARED_MAX && node != NULL; i++) {
        const struct route *route = container_of(node, struct route, turn);
        recorder_add(&dispatch->recorder, route->destination->name, failed);
        node = list_next(&site->turn, node);
    }
}

void dispatch_record(struct dispatch *dispatch, const struct site *site, const char *destination,
                     struct failed_session *take)
{
    lock(dispatch);
    if (destination != NULL)
        recorder_add(&dispatch->recorder, destination, take);
    else
        record_for_all(dispatch, site, take);
    unlock(dispatch);
    failed_session_drop(&take);
}

unsigned dispatch_recorded(struct dispatch *dispatch, const char *destination,
                           struct recorded found[RECORDER_SESSIONS_MAX])
{
    lock(dispatch);
    unsigned count = recorder_look(&dispatch->recorder, destination, found);
    unlock(dispatch);
    return count;
}
