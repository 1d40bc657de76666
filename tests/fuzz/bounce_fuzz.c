/* Whatever a client and a server said of a message that comes back: its notification has the
 * header, the parts and the recipients that it must have and no others, in lines of a bounded
 * length, without a byte that may not stand there. The input says what they said: numbers, and
 * texts with their length before them; what is left is the original. */
#include "queue/bounce.h"

#include "base/fields.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

#define NOW 1795266005000 /* ms since 1970 */
#define ID 33
#define LINE_MAX 998 /* RFC 5322 2.1.1 */
#define RECIPIENTS_MAX 4

struct sample {
    struct message *message;
    struct envelope *envelope;
    struct verdict verdicts[RECIPIENTS_MAX];
    enum notice notices[RECIPIENTS_MAX];
    unsigned told; /* of how many recipients */
    struct bounce bounce;
    struct arena arena;
};

/* ---- what was said ---- */

static unsigned choose(struct fields *fields, unsigned count)
{
    return (unsigned)field_number(fields, 1) % count;
}

static struct span text_of(struct fields *fields, size_t most)
{
    size_t length = (size_t)field_number(fields, 1);
    struct span text = field_bytes(fields, length);
    return (struct span){text.data, text.length < most ? text.length : most};
}

/* The host as we call it, and the reply's text, which no reader leaves a line break in. */
static struct verdict some_verdict(struct fields *fields)
{
    static const char *const hosts[] = {"", "mx.test[192.0.2.1]:25", "[2001:db8::1]:25", "plain"};
    static const enum verdict_kind kinds[] = {VERDICT_BOUNCED, VERDICT_EXPIRED, VERDICT_DEFERRED,
                                              VERDICT_DELIVERED, VERDICT_IN_DOUBT};
    struct verdict verdict = {.kind = kinds[choose(fields, countof(kinds))]};
    verdict.code = (uint16_t)(field_number(fields, 2) % 1000);
    verdict.status.class = (uint8_t)choose(fields, 10);
    verdict.status.subject = (uint16_t)choose(fields, 256);
    verdict.status.detail = (uint16_t)(field_number(fields, 2) % 1000);
    verdict.host = span_of(hosts[choose(fields, countof(hosts))]);
    verdict.relayed = verdict.untimed = choose(fields, 2);
    verdict.text = text_of(fields, 255);
    return verdict;
}

static void add_recipient(struct sample *sample, struct fields *fields)
{
    struct span path = text_of(fields, 255), orcpt = text_of(fields, 255);
    unsigned at = sample->envelope->count;
    struct recipient *recipient = envelope_add(sample->envelope, path, orcpt);
    if (recipient == NULL)
        return;
    recipient->notify = (uint8_t)choose(fields, 16);
    sample->verdicts[at] = some_verdict(fields);
    sample->notices[at] =
        notice_owed(sample->message, recipient, &sample->verdicts[at], choose(fields, 2));
    sample->told += sample->notices[at] != NOTICE_NONE;
}

static void sample_free(struct sample *sample)
{
    envelope_free(&sample->envelope);
    message_drop(&sample->message);
    arena_free(&sample->arena);
}

static struct sample some_sample(struct fields *fields)
{
    struct sample sample = {0};
    uint32_t flags = (uint32_t)field_number(fields, 2) & ~(uint32_t)MESSAGE_BOUNCE;
    bool copied = choose(fields, 2);
    struct span sender = text_of(fields, 255);
    sample.message = message_create(sender.length ? sender : SPAN("a@b.test"), flags,
                                    NOW - 1000 * (int64_t)field_number(fields, 4));
    struct span envid = text_of(fields, ENVID_MAX_BYTES);
    sample.message->envid = arena_copy(&sample.message->arena, envid);
    sample.message->deliver_by_ms = choose(fields, 2) ? NOW + 1000 : 0;
    sample.envelope = envelope_create(sample.message, SPAN("example.test"));
    for (unsigned left = 1 + choose(fields, RECIPIENTS_MAX); left > 0; left--)
        add_recipient(&sample, fields);
    sample.message->place.length = fields->rest.length;
    sample.bounce = (struct bounce){.hostname = "relay.test",
                                    .envelope = sample.envelope,
                                    .body = fields->rest,
                                    .full_max = 2000,
                                    .id = ID,
                                    .now_ms = NOW,
                                    .until_ms = NOW + 86400000,
                                    .copy_to = copied ? "copy@b.test" : NULL};
    return sample;
}

/* ---- what must hold ---- */

static bool starts_with_any(struct span line, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_starts_nocase(line, span_of(names[i])))
            return true;
    return false;
}

static void must_be_short_lines(struct span text)
{
    struct span line;
    must_be_lines(text);
    while (span_line(&text, &line))
        must(line.length <= LINE_MAX);
}

static void check_header(struct span header)
{
    static const char *const names[] = {"Subject: ",
                                        "Date: ",
                                        "From: Mail Delivery System <MAILER-DAEMON@relay.test>",
                                        "To: <",
                                        "Message-ID: <0000000000011@relay.test>",
                                        "Auto-Submitted: ",
                                        "MIME-Version: 1.0",
                                        "TLS-Required: No",
                                        "Content-Transfer-Encoding: 8bit",
                                        "Content-Type: multipart/report;",
                                        "    boundary="};
    struct span line;
    unsigned lines = 0;
    while (span_line(&header, &line)) {
        must(starts_with_any(line, names, countof(names)));
        lines++;
    }
    must(lines >= 8 && lines <= countof(names));
}

/* What a machine reads: a block of its own, then one for each recipient that is told of. */
static void check_status(const struct sample *sample, struct span part)
{
    static const char *const names[] = {"Original-Envelope-Id: ",
                                        "Reporting-MTA: dns; relay.test",
                                        "Arrival-Date: ",
                                        "Deliver-By-Date: ",
                                        "Original-Recipient: ",
                                        "Final-Recipient: ",
                                        "Action: ",
                                        "Status: ",
                                        "Remote-MTA: dns; ",
                                        "Diagnostic-Code: ",
                                        "Last-Attempt-Date: ",
                                        "Will-Retry-Until: ",
                                        "    "};
    struct span line;
    unsigned recipients = 0, actions = 0;
    while (span_line(&part, &line)) {
        must(line.length == 0 || starts_with_any(line, names, countof(names)));
        recipients += span_starts_nocase(line, SPAN("Final-Recipient:"));
        actions += span_starts_nocase(line, SPAN("Action:"));
    }
    must(recipients == sample->told && actions == sample->told);
}

/* Cuts off what stands before `mark`, and the mark. */
static struct span cut_at(struct span *rest, struct span mark)
{
    const char *at = memmem(rest->data, rest->length, mark.data, mark.length);
    must(at != NULL);
    struct span before = take_piece(rest, (size_t)(at - rest->data));
    *rest = span_skip(*rest, mark.length);
    return before;
}

/* The line that stands between parts, with the CRLF before it. */
static struct span boundary_of(struct span header, char mark[64])
{
    cut_at(&header, SPAN("\r\n    boundary=\""));
    struct span boundary = cut_at(&header, SPAN("\""));
    must(boundary.length < 40);
    snprintf(mark, 64, "\r\n--%.*s", SPAN_FORMAT(boundary));
    return span_of(mark);
}

/* From behind a boundary to the next. */
static struct span cut_part(struct span *rest, struct span mark)
{
    must(cut_at(rest, SPAN("\r\n")).length == 0);
    cut_at(rest, SPAN("\r\n\r\n"));
    return cut_at(rest, mark);
}

static void check_original(const struct sample *sample, struct span rest, struct span mark)
{
    if (bounce_is_full(&sample->bounce)) { /* as it came, whatever it is */
        cut_at(&rest, SPAN("\r\n\r\n"));
        must(rest.length > sample->bounce.body.length && mark.length > 0);
        must(span_equal(take_piece(&rest, sample->bounce.body.length), sample->bounce.body));
        must(span_equal(take_piece(&rest, mark.length), mark));
    } else {
        must(cut_part(&rest, mark).length <= BOUNCE_HEADERS_MAX);
    }
    must(span_equal(rest, SPAN("--\r\n")));
}

static void check(const struct sample *sample, struct span text, uint32_t flags)
{
    char memory[64];
    uint32_t came = sample->message->flags;
    struct span rest = text;
    struct span header = cut_at(&rest, SPAN("\r\n\r\n"));
    struct span mark = boundary_of(header, memory);
    check_header(header);
    cut_at(&rest, mark);
    must(cut_part(&rest, mark).length > 0);
    check_status(sample, cut_part(&rest, mark));
    struct span ours = {text.data, (size_t)(rest.data - text.data) + 2};
    must_be_short_lines(ours);
    must(came & MESSAGE_SMTPUTF8 ? utf8_valid(ours) : span_is_ascii(ours));
    must(memchr(ours.data, '\0', ours.length) == NULL);
    check_original(sample, rest, mark);
    must((flags & MESSAGE_BOUNCE) && (span_is_ascii(text) || (flags & MESSAGE_8BITMIME)));
    must(!(came & MESSAGE_REQUIRETLS) || (flags & MESSAGE_REQUIRETLS));
}

static void write_summary(const struct sample *sample)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    const struct bounce_summary summary = {.hostname = "relay.test",
                                           .sender = sample->message->sender,
                                           .withheld = sample->told,
                                           .since_ms = sample->message->arrived_ms,
                                           .id = ID,
                                           .now_ms = NOW};
    uint32_t flags = bounce_summary_write(&summary, &text);
    must_be_short_lines(buffer_span(&text));
    must((flags & MESSAGE_BOUNCE) && utf8_valid(buffer_span(&text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fields fields = {.rest = {(const char *)data, size}};
    struct buffer text CLEANUP(buffer_free) = {0};
    struct sample sample CLEANUP(sample_free) = some_sample(&fields);
    sample.bounce.verdicts = sample.verdicts;
    sample.bounce.notices = sample.notices;
    if (fields.bad || sample.told == 0)
        return 0;
    uint32_t flags = bounce_write(&sample.bounce, &text);
    check(&sample, buffer_span(&text), flags);
    write_summary(&sample);
    return 0;
}
