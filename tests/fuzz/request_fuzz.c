/* Whatever comes over the control socket: what is refused is told why, and what is done to more
 * than one envelope has a reason and a filter, or says `all`. Its filter judges whatever it is
 * shown. */
#include "relay/admin/request.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

static bool is_about_one(const struct request *request)
{
    return request->target_count == 1 || request->what != NULL;
}

static void check(const struct request *request)
{
    enum request_command command;
    must(request_command_find(request->name, &command) && command == request->command);
    must(request->for_ms >= 0 && request->filter.older_than_ms >= 0);
    if (!request_acts(request->command) || is_about_one(request))
        return;
    must(request->all || !filter_is_empty(&request->filter));
    must(request->reason != NULL && request->reason[0] != '\0');
}

static struct envelope *some_envelope(void)
{
    struct message *message = message_create(SPAN("s@app.test"), 0, 1000);
    struct envelope *envelope = envelope_create(message, SPAN("example.test"));
    must(envelope_add(envelope, SPAN("r@example.test"), SPAN("")) != NULL);
    message_drop(&message);
    return envelope;
}

static void judge(const struct filter *filter)
{
    struct envelope *envelope = some_envelope();
    bool all = filter_passes_envelope(filter, envelope, 5000);
    must(all || filter_needs_envelope(filter));
    must(filter_passes_destination(filter, "example.test") || filter->domain != NULL);
    must(filter_passes_state(filter, "waiting") || filter->state != NULL);
    envelope_free(&envelope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[256] = "";
    struct request request;
    json_t *from = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (from == NULL)
        return 0;
    if (request_read(from, &request, why, sizeof(why))) {
        check(&request);
        judge(&request.filter);
    } else {
        must(why[0] != '\0');
    }
    request_free(&request);
    json_decref(from);
    return 0;
}
