/* spool_fill: puts N messages into a spool by its own writing side, without a relay: what
 * bench/backlog and the tests at scale begin with. Not installed. */
#include "base/crc32c.h"
#include "base/must.h"
#include "bench/arguments.h"
#include "queue/spool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#define BATCH 1000 /* messages a transaction */
#define HEAD "Message-ID: <%" PRIu64 "@fill.test>"
#define HEAD_BYTES 60 /* with all blanks and its CRLF */
#define SIZE_LEAST 100

static const char help[] =
    "Usage: spool_fill --spool DIR --messages N [options]\n"
    "\n"
    "Puts N messages of one recipient each into a spool that no relay has open. Message n is from\n"
    "sK@fill.test to uN@dK.fill.test, with K = n modulo the senders and domains, and has the\n"
    "Message-ID <n@fill.test>.\n"
    "\n"
    "  --spool DIR       made when it is not there\n"
    "  --messages N\n"
    "  --domains N       [1000]\n"
    "  --senders N       [2]\n"
    "  --size BYTES      of each body [512]\n"
    "  --due TIME        the next attempt of all, from now on [1h] ...\n"
    "  --ready N         ... but for the domains below this number: theirs is due now [0]\n"
    "  --tried           as if each had been tried once, and told to come again later\n";

struct fill {
    const char *spool;
    uint64_t messages, domains, senders, size, due_ms, ready;
    bool tried;
    int64_t now_ms;
    char *body;   /* what all have in common */
    char *bodies; /* of a batch */
};

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void put_crlf(char *at)
{
    at[0] = '\r';
    at[1] = '\n';
}

static char *make_body(uint64_t size)
{
    char *body = must_calloc(size + 1, 1);
    memset(body, 'x', size);
    put_crlf(&body[HEAD_BYTES]); /* the header's end */
    for (uint64_t at = HEAD_BYTES + 78; at + 2 <= size; at += 80)
        put_crlf(&body[at]);
    put_crlf(&body[size - 2]);
    return body;
}

static void write_body(const struct fill *fill, uint64_t number, char *body)
{
    memcpy(body, fill->body, fill->size);
    int length = snprintf(body, HEAD_BYTES, HEAD, number);
    must(length > 0 && length < HEAD_BYTES - 2);
    memset(body + length, ' ', (size_t)(HEAD_BYTES - length)); /* a header may end in blanks */
    put_crlf(&body[HEAD_BYTES - 2]);
}

static struct envelope *make_one(const struct fill *fill, struct spool *spool, uint64_t number,
                                 char *body)
{
    char sender[64], path[96], domain[64];
    uint64_t at = number % fill->domains;
    snprintf(sender, sizeof(sender), "s%" PRIu64 "@fill.test", number % fill->senders);
    snprintf(domain, sizeof(domain), "d%" PRIu64 ".fill.test", at);
    snprintf(path, sizeof(path), "u%" PRIu64 "@%s", number, domain);
    struct message *message = message_create(span_of(sender), 0, fill->now_ms);
    message->id = spool_next_id(spool, fill->now_ms);
    message->place.length = fill->size;
    write_body(fill, number, body);
    message->place.crc = crc32c(0, body, fill->size);
    struct envelope *envelope = envelope_create(message, span_of(domain));
    message_drop(&message); /* the envelope keeps it */
    must(envelope_add(envelope, span_of(path), SPAN("")) != NULL);
    envelope->due_ms = fill->now_ms + (at < fill->ready ? 0 : (int64_t)fill->due_ms);
    if (fill->tried) {
        envelope->attempts = 1;
        envelope->last_reply = "The user's mailbox is busy, try again later";
        envelope->last_host = "mx1.fill.test[192.0.2.1]:25";
        envelope->recipients[0].code = 451;
        envelope->recipients[0].status = (struct status){4, 3, 2};
    }
    return envelope;
}

static enum spool_result fill_batch(const struct fill *fill, struct spool *spool, uint64_t from,
                                    size_t count)
{
    struct envelope *envelopes[BATCH];
    struct segment_append bodies[BATCH];
    struct spool_batch batch;
    spool_begin(spool, &batch, true);
    for (size_t i = 0; i < count; i++) {
        char *body = fill->bodies + i * fill->size;
        envelopes[i] = make_one(fill, spool, from + i, body);
        bodies[i] = (struct segment_append){body, &envelopes[i]->message->place};
    }
    spool_append(&batch, bodies, count);
    for (size_t i = 0; i < count; i++)
        spool_accept(&batch, envelopes[i]->message, &envelopes[i], 1);
    enum spool_result result = spool_commit(&batch);
    for (size_t i = 0; i < count; i++)
        envelope_free(&envelopes[i]);
    return result;
}

static int fill_spool(const struct fill *fill)
{
    char why[512];
    int code = EX_OK;
    struct spool_options options = {.directory = fill->spool, .durability = DURABILITY_NONE};
    struct spool *spool = spool_open(&options, why, sizeof(why), &code);
    if (spool == NULL)
        return arguments_fail(code, "spool_fill", "%s", why);
    for (uint64_t at = 0; at < fill->messages && code == EX_OK; at += BATCH) {
        uint64_t left = fill->messages - at;
        if (fill_batch(fill, spool, at, left < BATCH ? (size_t)left : BATCH) != SPOOL_OK)
            code = arguments_fail(EX_IOERR, "spool_fill", "%s", spool_why(spool));
    }
    spool_close(&spool);
    return code;
}

int main(int argc, char **argv)
{
    struct fill fill = {
        .domains = 1000, .senders = 2, .size = 512, .due_ms = 3600000, .now_ms = wall_ms()};
    const struct argument rows[] = {
        {"--spool", ARGUMENT_TEXT, &fill.spool, 0, 0, NULL},
        {"--messages", ARGUMENT_NUMBER, &fill.messages, 1, 100000000, NULL},
        {"--domains", ARGUMENT_NUMBER, &fill.domains, 1, 100000000, NULL},
        {"--senders", ARGUMENT_NUMBER, &fill.senders, 1, 100000000, NULL},
        {"--size", ARGUMENT_SIZE, &fill.size, SIZE_LEAST, SEGMENT_BODY_MAX, NULL},
        {"--due", ARGUMENT_DURATION, &fill.due_ms, 0, 86400000ull * 30, NULL},
        {"--ready", ARGUMENT_NUMBER, &fill.ready, 0, 100000000, NULL},
        {"--tried", ARGUMENT_FLAG, &fill.tried, 0, 0, NULL},
    };
    int code = arguments_read(argc, argv, rows, countof(rows), help);
    if (code != ARGUMENTS_READ)
        return code;
    if (fill.spool == NULL || fill.messages == 0)
        return arguments_fail(EX_USAGE, "spool_fill", "--spool and --messages are needed");
    fill.body = make_body(fill.size);
    fill.bodies = must_calloc(BATCH, fill.size);
    code = fill_spool(&fill);
    free(fill.bodies);
    free(fill.body);
    return code;
}
