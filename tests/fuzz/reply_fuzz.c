/* Whatever a server says: what is read of it is fit for a log and within its limits; as long as it
 * is not whole it is no reply, and what comes behind changes nothing; and it can be said again. */
#include "relay/smtp/reply.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

#define SAID_MAX                                                                                   \
    1500 /* bytes; said again, with a status on each line, it is still within limits               \
          */

static enum reply_result read_part(struct span from, struct reply *reply)
{
    struct reply_reader reader = {0};
    size_t used;
    enum reply_result result = reply_read(&reader, from, reply, &used);
    must(used <= from.length || result != REPLY_COMPLETE);
    reply_reader_free(&reader);
    return result;
}

/* Before the end of what the whole took it is not known what it is; unless it is known at once. */
static void read_cut(struct span all, enum reply_result whole, size_t used)
{
    struct reply reply;
    size_t end = whole == REPLY_COMPLETE ? used : all.length;
    size_t step = end / 16 + 1;
    for (size_t cut = 0; cut < end; cut += step) {
        enum reply_result result = read_part((struct span){all.data, cut}, &reply);
        must(result == REPLY_PARTIAL || (result == REPLY_MALFORMED && whole == REPLY_MALFORMED));
    }
    if (whole == REPLY_COMPLETE)
        must(read_part((struct span){all.data, used - 1}, &reply) == REPLY_PARTIAL);
}

static void check(const struct reply *reply, size_t used)
{
    struct span rest = reply->text, line;
    unsigned lines = 0;
    must(reply->code >= 200 && reply->code < 600 && used <= REPLY_BYTES_MAX);
    must(reply->text.length <= used);
    must(reply->status_class == 0 || reply->status_class == reply->code / 100);
    must(reply->status_subject < 1000 && reply->status_detail < 1000);
    while (span_line(&rest, &line)) {
        must_be_printable(line);
        lines++;
    }
    must(lines <= REPLY_LINES_MAX);
}

static void print_line(struct buffer *to, const struct reply *reply, struct span line, bool last)
{
    buffer_print(to, "%u%c", reply->code, last ? ' ' : '-');
    if (reply->status_class != 0)
        buffer_print(to, "%u.%u.%u ", reply->status_class, reply->status_subject,
                     reply->status_detail);
    buffer_append(to, line);
    buffer_append(to, SPAN("\r\n"));
}

static void say_again(const struct reply *reply)
{
    struct buffer said CLEANUP(buffer_free) = {0};
    struct reply_reader reader = {0};
    struct reply again;
    struct span rest = reply->text;
    size_t used;
    for (const char *end; (end = rest.length ? memchr(rest.data, '\n', rest.length) : NULL);) {
        print_line(&said, reply, take_piece(&rest, (size_t)(end - rest.data)), false);
        rest = span_skip(rest, 1);
    }
    print_line(&said, reply, rest, true);
    must(reply_read(&reader, buffer_span(&said), &again, &used) == REPLY_COMPLETE);
    must(used == buffer_length(&said) && again.code == reply->code);
    must(again.status_class == reply->status_class && span_equal(again.text, reply->text));
    must(again.status_subject == reply->status_subject);
    must(again.status_detail == reply->status_detail);
    reply_reader_free(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = {(const char *)data, size};
    struct reply_reader reader = {0};
    struct reply reply;
    size_t used;
    enum reply_result result = reply_read(&reader, all, &reply, &used);
    must(result != REPLY_PARTIAL || size < REPLY_BYTES_MAX);
    read_cut(all, result, used);
    if (result == REPLY_COMPLETE) {
        check(&reply, used);
        if (used <= SAID_MAX)
            say_again(&reply);
    }
    reply_reader_free(&reader);
    return 0;
}
