/* Whatever a client sends, in two pieces: the session answers the same as to the whole, a message
 * that is to be committed is as it must be, and who is neither from one of our networks nor has
 * authenticated hands in none. The first byte chooses the listener and who the client is, the
 * second where it is cut. */
#include "relay/inbound/session.h"
#include "relay/inbound/sasl.h"
#include "relay/smtp/address.h"
#include "relay/users.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define KEYS                                                                                       \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"   \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

struct play {
    struct inbound_session session;
    struct buffer in, out, bodies;
    bool stranger;
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
    {.auth = LISTEN_AUTH_OFFERED, .auth_in_clear = true, .tls = LISTEN_TLS_OFFERED},
};

static void prepare(void)
{
    static struct user_config anybody = {.name = "*"};
    static struct network home, proxy;
    struct buffer errors CLEANUP(buffer_free) = {0};
    if (config.users != NULL)
        return;
    must(network_parse(SPAN("192.0.2.0/24"), &home) && network_parse(SPAN("192.0.2.8"), &proxy));
    config.relay_from = (struct networks){&home, 1};
    listens[2].xclient_from = (struct networks){&proxy, 1};
    names_init(&config.user_names);
    names_add(&config.user_names, SPAN("*"), &anybody);
    config.users = users_parse("u", SPAN("user:" KEYS "\n"), &errors);
    must(config.users != NULL);
}

/* A client of ours, one who may say by XCLIENT who he is, or a stranger. */
static void begin(struct play *play, const struct listen_config *listen, unsigned who)
{
    static const char *const clients[] = {"192.0.2.7", "192.0.2.8", "198.51.100.1"};
    struct endpoint client = {.port = 40000};
    must(ip_parse(span_of(clients[who]), &client.ip));
    *play = (struct play){.stranger = who == 2};
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
    must(!play->stranger || session->user != NULL);
    for (unsigned i = 0; i < session->count; i++)
        must(address_is_valid_utf8(span_of(session->recipients[i].path)));
    check_body(session);
    buffer_append(&play->bodies, buffer_span(&session->body));
    buffer_print(&play->bodies, "%x", inbound_flags(session));
    inbound_committed(session, COMMIT_OK);
}

/* In place of the derivation, which takes too long here. */
static enum inbound_ask check_password(struct play *play)
{
    const struct sasl *sasl = play->session.sasl;
    bool fits =
        strcmp(sasl_password(sasl), "pencil") == 0 && users_have(config.users, sasl_name(sasl));
    return inbound_checked(&play->session, fits ? CHECK_FITS : CHECK_WRONG);
}

static void act(struct play *play, enum inbound_ask ask)
{
    while (ask != INBOUND_MORE && !play->over) {
        switch (ask) {
        case INBOUND_MORE: break;
        case INBOUND_COMMIT:
            commit(play);
            ask = INBOUND_MORE;
            break;
        case INBOUND_CHECK: ask = check_password(play); break;
        case INBOUND_REFUSE: ask = inbound_refused(&play->session, false); break;
        case INBOUND_MOVE: ask = inbound_moved(&play->session, true); break;
        case INBOUND_TLS: /* what lies behind it is residue, or not yet there */
        case INBOUND_CLOSE: play->over = true; break;
        }
    }
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
        act(play, ask);
    }
}

static void end(struct play *play)
{
    inbound_session_free(&play->session);
    buffer_free(&play->in);
    buffer_free(&play->out);
    buffer_free(&play->bodies);
}

/* A challenge with something random in it is another each time. */
static bool is_repeatable(struct span out)
{
    return memmem(out.data, out.length, "\r\n334 ", 6) == NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = {(const char *)data, size};
    unsigned choice = take_choice(&all, 9), at = take_choice(&all, 256);
    const struct listen_config *listen = &listens[choice % countof(listens)];
    size_t cut = all.length * at / 256;
    struct play whole, pieces;
    prepare();
    begin(&whole, listen, choice / 3);
    begin(&pieces, listen, choice / 3);
    receive(&whole, all);
    receive(&pieces, take_piece(&all, cut));
    receive(&pieces, all);
    if (is_repeatable(buffer_span(&whole.out)))
        must(span_equal(buffer_span(&whole.out), buffer_span(&pieces.out)));
    must(span_equal(buffer_span(&whole.bodies), buffer_span(&pieces.bodies)));
    end(&whole);
    end(&pieces);
    return 0;
}
