/* Whatever a client sends, in two pieces: the session answers the same as to the whole, and a
 * message that is to be committed is as it must be. */
#include "relay/inbound/session.h"
#include "relay/smtp/address.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

struct play {
    struct inbound_session session;
    struct buffer in, out, bodies;
    bool over;
};

static struct config config = {
    .hostname = "relay.test",
    .limits = {.errors = 10,
               .recipients = 4,
               .message_bytes = 400,
               .header_bytes = 200,
               .hold_longest_ms = 86400000},
};
static struct listen_config listens[] = {
    {.newlines = NEWLINES_REFUSE, .add_headers = true},
    {.newlines = NEWLINES_NORMALISE},
};

static void begin(struct play *play, const struct listen_config *listen)
{
    static struct network home;
    struct endpoint client = {.port = 40000};
    must(ip_parse(SPAN("192.0.2.7"), &client.ip) && network_parse(SPAN("192.0.2.0/24"), &home));
    config.relay_from = (struct networks){&home, 1};
    *play = (struct play){0};
    inbound_session_init(&play->session, &config, listen, &client, &play->out);
    inbound_greet(&play->session);
}

/* CRLF only, and a whole last line, unless it is binary. */
static void check_body(const struct inbound_session *session)
{
    if (session->body_type != BODY_BINARYMIME)
        must_be_lines(buffer_span(&session->body));
}

static void commit(struct play *play)
{
    struct inbound_session *session = &play->session;
    must(session->count > 0 && session->count <= config.limits.recipients);
    for (unsigned i = 0; i < session->count; i++)
        must(address_is_valid_utf8(span_of(session->recipients[i].path)));
    check_body(session);
    buffer_append(&play->bodies, buffer_span(&session->body));
    buffer_print(&play->bodies, "%x", inbound_flags(session));
    inbound_committed(session, COMMIT_OK);
}

static void receive(struct play *play, struct span piece)
{
    const struct inbound_facts facts = {0};
    bool again = true;
    buffer_append(&play->in, piece);
    while (again && !play->over && buffer_length(&play->in) > 0) {
        size_t used;
        enum inbound_ask ask = inbound_receive(&play->session, buffer_span(&play->in), &used,
                                               &facts, 1, 1795266005000);
        must(used <= buffer_length(&play->in));
        buffer_consume(&play->in, used);
        again = used > 0;
        switch (ask) {
        case INBOUND_MORE: break;
        case INBOUND_COMMIT: commit(play); break;
        case INBOUND_TLS:
        case INBOUND_CHECK:
        case INBOUND_REFUSE:
        case INBOUND_MOVE:
        case INBOUND_CLOSE: play->over = true; break;
        }
    }
}

static void end(struct play *play)
{
    inbound_session_free(&play->session);
    buffer_free(&play->in);
    buffer_free(&play->out);
    buffer_free(&play->bodies);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct listen_config *listen = &listens[data[0] % countof(listens)];
    struct span all = {(const char *)data + 2, size - 2};
    size_t cut = all.length * data[1] / 256;
    struct play whole, pieces;
    begin(&whole, listen);
    begin(&pieces, listen);
    receive(&whole, all);
    receive(&pieces, (struct span){all.data, cut});
    receive(&pieces, span_skip(all, cut));
    must(span_equal(buffer_span(&whole.out), buffer_span(&pieces.out)));
    must(span_equal(buffer_span(&whole.bodies), buffer_span(&pieces.bodies)));
    end(&whole);
    end(&pieces);
    return 0;
}
