/* A notification to try things on: three recipients, of whom one bounced, one was delivered and
 * one expired. */
#pragma once

#include "queue/bounce.h"
#include "tests/suite.h"

#include <string.h>

#define NOW 1795266005000 /* Sat, 21 Nov 2026 13:00:05 UTC */

struct sample {
    struct message *message;
    struct envelope *envelope;
    struct verdict verdicts[3];
    enum notice notices[3];
    struct bounce bounce;
    struct buffer to;
    uint32_t flags; /* as it was written last */
};

static inline void sample_begin(struct sample *sample)
{
    *sample = (struct sample){0};
    sample->message = message_create(SPAN("sender@app.test"), 0, NOW - 2 * 86400000);
    sample->envelope = envelope_create(sample->message, SPAN("example.test"));
    envelope_add(sample->envelope, SPAN("bounced@example.test"), SPAN(""));
    envelope_add(sample->envelope, SPAN("delivered@example.test"), SPAN(""));
    envelope_add(sample->envelope, SPAN("expired@example.test"), SPAN(""));
    sample->verdicts[0] = (struct verdict){.kind = VERDICT_BOUNCED,
                                           .code = 550,
                                           .status = {5, 1, 1},
                                           .text = SPAN("No such user here"),
                                           .host = SPAN("mx1.example.test[192.0.2.1]:25")};
    sample->verdicts[1] = (struct verdict){.kind = VERDICT_DELIVERED, .code = 250};
    sample->verdicts[2] = (struct verdict){.kind = VERDICT_EXPIRED, .text = SPAN("refused")};
    sample->notices[0] = sample->notices[2] = NOTICE_FAILED;
    sample->bounce = (struct bounce){
        .hostname = "relay.example.com",
        .envelope = sample->envelope,
        .verdicts = sample->verdicts,
        .notices = sample->notices,
        .body = SPAN("Subject: hello\r\nX-Folded: one\r\n two\r\n\r\nThe secret text.\r\n"),
        .full_max = BOUNCE_FULL_MAX,
        .id = 33,
        .now_ms = NOW,
        .until_ms = NOW + 3 * 86400000ll,
    };
    sample->message->place.length = sample->bounce.body.length;
}

/* Writes it and returns it as text; with `eight_bit` it may hold UTF-8. */
static inline const char *sample_text_of(struct sample *sample, bool eight_bit)
{
    buffer_clear(&sample->to);
    sample->flags = bounce_write(&sample->bounce, &sample->to);
    struct span whole = buffer_span(&sample->to);
    for (size_t i = 0; i < whole.length; i++) {
        char c = whole.data[i];
        bool plain = (c >= ' ' && c <= '~') || (eight_bit && (unsigned char)c >= 0x80);
        ck_assert_msg(plain || c == '\r' || c == '\n', "byte %d", c);
        ck_assert(c != '\n' || (i > 0 && whole.data[i - 1] == '\r'));
        ck_assert(c != '\r' || (i + 1 < whole.length && whole.data[i + 1] == '\n'));
    }
    buffer_append(&sample->to, (struct span){"", 1});
    return sample->to.memory;
}

static inline const char *sample_text(struct sample *sample)
{
    const char *text = sample_text_of(sample, false);
    ck_assert_uint_eq(sample->flags, MESSAGE_BOUNCE);
    return text;
}

static inline void sample_end(struct sample *sample)
{
    envelope_free(&sample->envelope);
    message_drop(&sample->message);
    buffer_free(&sample->to);
}

static inline void holds(const char *text, const char *wanted)
{
    ck_assert_msg(strstr(text, wanted) != NULL, "\"%s\" is not in:\n%s", wanted, text);
}

static inline unsigned count_of(const char *text, const char *wanted)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at++)
        count++;
    return count;
}

static inline void lacks(const char *text, const char *unwanted)
{
    ck_assert_msg(strstr(text, unwanted) == NULL, "\"%s\" is in:\n%s", unwanted, text);
}
