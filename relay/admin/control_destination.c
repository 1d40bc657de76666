/* Requests about destinations: what waits for them, by which way it would go, their pauses. */
#include "relay/admin/answer.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_destinations.h"
#include "relay/smtp/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define DURABLE_WAIT_MS 10000 /* for a commit; the disk may be slow */
#define DURABLE_POLL_MS 2

bool destination_name(const char *what, char name[DOMAIN_MAX_BYTES + 1])
{
    struct ip ip;
    struct span text = span_of(what);
    if (text.length > DOMAIN_MAX_BYTES ||
        (!domain_is_valid(text) && !address_literal_parse(text, &ip)))
        return false;
    snprintf(name, DOMAIN_MAX_BYTES + 1, "%s", what);
    text_lower(name);
    return true;
}

/* The name that was given, or a failure. */
static bool read_name(struct answer *answer, const struct request *request,
                      char name[DOMAIN_MAX_BYTES + 1])
{
    if (destination_name(request->what, name))
        return true;
    answer_fail(answer, EX_USAGE,
                "\"%.60s\" is no destination: a domain is meant, in ASCII, or an address literal",
                request->what);
    return false;
}

/* ---- a destination as JSON ---- */

static json_t *hosts_json(const struct destination_look *look)
{
    json_t *hosts = json_array();
    for (unsigned i = 0; i < look->host_count; i++) {
        const struct look_host *seen = &look->hosts[i];
        json_t *host = json_object(), *addresses = json_array();
        for (unsigned j = 0; j < seen->count; j++) {
            char ip[IP_TEXT_MAX];
            json_array_append_new(addresses, json_text(ip_format(&seen->addresses[j], ip)));
        }
        json_put_text(host, "name", seen->name);
        json_put_number(host, "preference", seen->preference);
        json_put_number(host, "port", seen->port);
        json_put(host, "addresses", addresses);
        json_put_text(host, "tls", tls_level_name(seen->level));
        json_put_text(host, "tls_source", tls_source_name(seen->source));
        json_put_text(host, "refused", seen->refused);
        json_array_append_new(hosts, host);
    }
    return hosts;
}

static void put_site(json_t *object, const struct destination_look *look)
{
    json_put_number(object, "connections", look->connections);
    json_put_number(object, "idle", look->idle);
    json_put_number(object, "max_connections", look->max_connections);
    json_put_number(object, "failures", look->failures);
    json_put_text(object, "limit", look->limit);
}

static void put_time_or_null(json_t *object, const char *key, int64_t wall_ms)
{
    if (wall_ms != 0)
        json_put_time(object, key, wall_ms);
    else
        json_put(object, key, json_null());
}

static void put_suspension(json_t *object, const struct destination_look *look)
{
    json_put(object, "paused", json_boolean(look->suspended));
    if (!look->suspended)
        return;
    put_time_or_null(object, "paused_until", look->suspension.until_ms);
    json_put_time(object, "paused_since", look->suspension.since_ms);
    json_put_text(object, "pause_reason", look->suspension.reason);
}

static json_t *destination_json(const struct destination_look *look)
{
    json_t *object = json_object();
    bool backs_off = look->retry_at_ms > os_wall();
    json_put_text(object, "destination", look->name);
    json_put_text(object, "security", security_name(look->security));
    for (int i = 0; i < ENTRY_STATES; i++)
        json_put_number(object, entry_state_name((enum entry_state)i), look->counts[i]);
    put_suspension(object, look);
    put_time_or_null(object, "back_off_until", backs_off ? look->retry_at_ms : 0);
    json_put_text(object, "last_failure", look->failure);
    put_site(object, look);
    return object;
}

/* And how it is configured: for one destination that is looked at closely. */
static json_t *whole_json(struct answer *answer, const struct destination_look *look)
{
    json_t *object = destination_json(look);
    struct config *config CLEANUP(config_drop) = dispatch_config(answer->parts->dispatch);
    struct span name = span_of(look->name);
    char text[DOMAIN_MAX_BYTES + 64];
    const struct route_config *route = config_route(config, name);
    const struct tls_config *tls = config_tls(config, name);
    if (route != NULL)
        snprintf(text, sizeof(text), "route \"%s\"", route->name);
    else
        snprintf(text, sizeof(text), "%s", look->name[0] == '[' ? "address literal" : "MX");
    json_put_text(object, "route", text);
    snprintf(text, sizeof(text), "%s (tls \"%s\")", tls_level_name(tls->policy.level), tls->name);
    json_put_text(object, "tls", text);
    json_put_text(object, "limits", config_destination(config, name)->name);
    json_put(object, "hosts", hosts_json(look));
    return object;
}

/* ---- list and show ---- */

static int compare_names(const void *a, const void *b)
{
    const struct destination_name *one = a, *other = b;
    int names = strcmp(one->name, other->name);
    return names != 0 ? names : (int)one->security - (int)other->security;
}

static int compare_envelopes(const void *a, const void *b)
{
    const struct destination_name *one = a, *other = b;
    if (one->envelopes != other->envelopes)
        return one->envelopes > other->envelopes ? -1 : 1;
    return compare_names(a, b);
}

void answer_dest_list(struct answer *answer, const struct request *request)
{
    struct destination_names names CLEANUP(destination_names_free);
    struct destination_look *look CLEANUP(look_free) = must_calloc(1, sizeof(*look));
    struct dispatch *dispatch = answer->parts->dispatch;
    uint64_t count = 0;
    bool more = false;
    dispatch_destinations(dispatch, &names);
    if (names.count > 0)
        qsort(names.items, names.count, sizeof(*names.items),
              request->busiest ? compare_envelopes : compare_names);
    for (size_t i = 0; i < names.count && !more && answer_is_awaited(answer); i++) {
        const struct destination_name *item = &names.items[i];
        if (!filter_passes_destination(&request->filter, item->name) ||
            !dispatch_look_at(dispatch, item->name, item->security, look))
            continue;
        more = request->limit > 0 && count == request->limit;
        if (!more)
            answer_object(answer, destination_json(look));
        count += !more;
    }
    json_t *summary = json_object();
    json_put_number(summary, "count", (int64_t)count);
    json_put(summary, "more", json_boolean(more));
    answer_object(answer, summary);
}

/* What of its mail goes there on other terms than usual (RFC 8689); NULL: none. */
static json_t *others_json(struct answer *answer, const char *name)
{
    struct destination_look *look CLEANUP(look_free) = must_calloc(1, sizeof(*look));
    json_t *others = NULL;
    for (unsigned i = SECURITY_USUAL + 1; i < SECURITIES; i++) {
        dispatch_look_at(answer->parts->dispatch, name, (enum security)i, look);
        if (!look->known)
            continue;
        if (others == NULL)
            others = json_array();
        json_array_append_new(others, whole_json(answer, look));
    }
    return others;
}

/* What nothing is known of is shown as well: how it would be treated. */
void answer_dest_show(struct answer *answer, const struct request *request)
{
    struct destination_look *look CLEANUP(look_free) = must_calloc(1, sizeof(*look));
    char name[DOMAIN_MAX_BYTES + 1];
    if (!read_name(answer, request, name))
        return;
    dispatch_look_at(answer->parts->dispatch, name, SECURITY_USUAL, look);
    json_t *object = whole_json(answer, look), *others = others_json(answer, name);
    if (others != NULL)
        json_put(object, "others", others);
    if (request->last_failures)
        json_put(object, "last_failures", failures_json(answer->parts->dispatch, name));
    answer_object(answer, object);
}

/* ---- pause and resume ---- */

/* True once the spool has what was said. */
static bool wait_until_durable(struct answer *answer, struct destination_look *look)
{
    char name[DOMAIN_MAX_BYTES + 1];
    int64_t deadline_ms = os_now() + DURABLE_WAIT_MS;
    snprintf(name, sizeof(name), "%s", look->name);
    do {
        dispatch_look_at(answer->parts->dispatch, name, SECURITY_USUAL, look);
        if (!look->suspension_pending)
            return true;
    } while (os_now() < deadline_ms && answer_pause(answer, os_now() + DURABLE_POLL_MS));
    return false;
}

static bool begin(struct answer *answer, const struct request *request, const char *name)
{
    struct dispatch *dispatch = answer->parts->dispatch;
    struct suspension suspension = {.since_ms = os_wall()};
    if (request->command == REQUEST_DEST_RESUME) {
        if (dispatch_lift(dispatch, name))
            return true;
        answer_fail(answer, EX_DATAERR, "%s is not paused", name);
        return false;
    }
    snprintf(suspension.destination, sizeof(suspension.destination), "%s", name);
    snprintf(suspension.reason, sizeof(suspension.reason), "%s", request->reason);
    if (request->for_ms > 0)
        suspension.until_ms = suspension.since_ms + request->for_ms;
    if (dispatch_suspend(dispatch, &suspension))
        return true;
    answer_fail(answer, EX_UNAVAILABLE, "%d destinations are paused already: resume some",
                SUSPENSIONS_MAX);
    return false;
}

void answer_dest_pause(struct answer *answer, const struct request *request)
{
    struct destination_look *look CLEANUP(look_free) = must_calloc(1, sizeof(*look));
    if (!read_name(answer, request, look->name) || !begin(answer, request, look->name))
        return;
    if (wait_until_durable(answer, look))
        answer_object(answer, whole_json(answer, look));
    else
        answer_fail(answer, EX_TEMPFAIL,
                    "it is in effect, but the spool has not stored it yet: see `dest show`");
}
