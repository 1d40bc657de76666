/* What TLS sessions came to today, for domains that want to know (RFC 8460). */
#include "base/date.h"
#include "relay/admin/answer.h"
#include "relay/os.h"
#include "relay/reports/json.h"

static json_t *tally_json(const struct tlsrpt_tally *tally)
{
    char date[DATE_TEXT_MAX];
    json_t *object = json_object();
    date_format(tally->day * TLSRPT_DAY_MS, date);
    date[sizeof("2026-11-21") - 1] = '\0';
    json_put_text(object, "domain", tally->domain);
    json_put_text(object, "day", date);
    json_put_text(object, "record", tally->record);
    json_put(object, "policies", tally_policies(tally));
    return object;
}

void answer_tlsrpt_show(struct answer *answer, const struct request *request)
{
    struct buffer images CLEANUP(buffer_free) = {0};
    struct tlsrpt *counts = answer->parts->tlsrpt;
    struct tlsrpt_tally tally;
    int64_t count = 0;
    tlsrpt_images(counts, TLSRPT_TODAY, NULL, os_wall(), &images);
    for (struct span rest = buffer_span(&images); tlsrpt_image_next(&rest, &tally, NULL);) {
        bool passes = filter_passes_destination(&request->filter, tally.domain);
        count += passes;
        if (passes)
            answer_object(answer, tally_json(&tally));
        tlsrpt_tally_free(&tally);
    }
    json_t *last = json_object();
    json_put_number(last, "count", count);
    json_put_number(last, "uncounted", (int64_t)tlsrpt_uncounted(counts));
    answer_object(answer, last);
}
