/* Sessions against an honest server that offers, refuses and limits at random, over a wire that
 * breaks at random: whatever happens, what the server took is told as delivered or in doubt, and
 * what it did not take is neither, unless the whole body was out. */
#include "base/random.h"
#include "relay/outbound/session.h"
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 3000
#define RECIPIENTS 6
#define DELIVERIES 3

/* ---- the server ---- */

struct server {
    struct random_state *random;
    struct buffer in, out;
    unsigned offered; /* enum extension bits */
    unsigned refuses; /* one in so many commands; 0: none */
    unsigned most;    /* recipients at a time; 0: any number */
    bool mail, failed, ended;
    bool data;        /* a body ends with a dot */
    uint64_t chunk;   /* bytes of a chunk still to come */
    bool last, unfit; /* of that chunk: LAST; its reply is an error */
    bool in_chunk;
    unsigned count;
    unsigned to[RECIPIENTS]; /* of the transaction */
    unsigned took[RECIPIENTS];
};

static bool refused(struct server *server)
{
    return server->refuses > 0 && random_below(server->random, server->refuses) == 0;
}

static void say(struct server *server, const char *reply)
{
    buffer_print(&server->out, "%s\r\n", reply);
}

static const char *a_refusal(struct server *server)
{
    static const char *const replies[] = {"450 4.2.0 grey", "451 later", "550 5.1.1 no",  "554 no",
                                          "452 4.5.3 many", "552 many",  "452 4.2.2 full"};
    return replies[random_below(server->random, countof(replies))];
}

static void reset(struct server *server)
{
    server->mail = server->failed = false;
    server->count = 0;
}

static void take(struct server *server)
{
    if (server->count == 0 || refused(server)) {
        say(server, server->count == 0 ? "554 5.5.1 nobody" : a_refusal(server));
        server->failed = true; /* RSET clears it */
        return;
    }
    for (unsigned i = 0; i < server->count; i++)
        server->took[server->to[i]]++;
    say(server, "250 2.0.0 taken");
    reset(server);
}

static void on_ehlo(struct server *server)
{
    buffer_print(&server->out, "250-mx.test\r\n");
    for (unsigned bit = 1; bit < 1u << EXTENSIONS; bit <<= 1)
        if ((server->offered & bit) && bit == EXTENSION_LIMITS)
            buffer_print(&server->out, "250-LIMITS RCPTMAX=%u\r\n", server->most);
        else if (server->offered & bit)
            buffer_print(&server->out, "250-%s\r\n", extension_name(bit));
    say(server, "250 HELP");
}

static void on_mail(struct server *server)
{
    ck_assert_msg(!server->mail, "MAIL within a transaction");
    if (refused(server)) {
        say(server, a_refusal(server));
        return;
    }
    server->mail = true;
    say(server, "250 2.1.0 ok");
}

static void on_rcpt(struct server *server, struct span line)
{
    unsigned recipient = (unsigned)(line.data[strlen("RCPT TO:<r")] - '0');
    ck_assert_uint_lt(recipient, RECIPIENTS);
    if (!server->mail || server->failed) {
        say(server, "503 5.5.1 MAIL first");
    } else if (server->most > 0 && server->count == server->most) {
        ck_assert(!(server->offered & EXTENSION_LIMITS)); /* it was told */
        say(server, "452 4.5.3 too many");
    } else if (refused(server)) {
        say(server, a_refusal(server));
    } else {
        server->to[server->count++] = recipient;
        say(server, "250 2.1.5 ok");
    }
}

static void on_data(struct server *server)
{
    ck_assert(!(server->offered & EXTENSION_CHUNKING));
    if (server->count == 0) {
        say(server, "503 5.5.1 RCPT first");
    } else if (refused(server)) {
        say(server, a_refusal(server));
    } else {
        server->data = true;
        say(server, "354 go");
    }
}

static void chunk_ended(struct server *server)
{
    server->in_chunk = false;
    if (server->unfit) {
        say(server, "503 5.5.1 not now");
    } else if (server->last) {
        take(server);
    } else if (refused(server)) {
        server->failed = true;
        say(server, a_refusal(server));
    } else {
        say(server, "250 2.0.0 chunk");
    }
}

static void on_bdat(struct server *server, struct span line)
{
    char text[64];
    ck_assert(server->offered & EXTENSION_CHUNKING);
    snprintf(text, sizeof(text), "%.*s", SPAN_FORMAT(line));
    server->chunk = strtoull(text + strlen("BDAT "), NULL, 10);
    server->last = strstr(text, " LAST") != NULL;
    server->unfit = !server->mail || server->failed || server->count == 0;
    server->in_chunk = true;
}

static void on_line(struct server *server, struct span line)
{
    if (server->data) {
        if (span_equal(line, SPAN("."))) {
            server->data = false;
            take(server);
            reset(server); /* the dot ends it, for good or bad */
        }
    } else if (span_starts_nocase(line, SPAN("EHLO"))) {
        on_ehlo(server);
    } else if (span_starts_nocase(line, SPAN("MAIL"))) {
        on_mail(server);
    } else if (span_starts_nocase(line, SPAN("RCPT"))) {
        on_rcpt(server, line);
    } else if (span_starts_nocase(line, SPAN("DATA"))) {
        on_data(server);
    } else if (span_starts_nocase(line, SPAN("BDAT"))) {
        on_bdat(server, line);
    } else if (span_starts_nocase(line, SPAN("RSET"))) {
        reset(server);
        say(server, "250 2.0.0 ok");
    } else if (span_starts_nocase(line, SPAN("QUIT"))) {
        say(server, "221 2.0.0 bye");
    } else {
        ck_abort_msg("a command that is none: %.*s", SPAN_FORMAT(line));
    }
}

/* Takes what has come, as far as it goes. */
static void serve(struct server *server)
{
    for (;;) {
        struct span rest = buffer_span(&server->in), line;
        if (server->in_chunk) {
            size_t part = rest.length < server->chunk ? rest.length : (size_t)server->chunk;
            buffer_consume(&server->in, part);
            server->chunk -= part;
            if (server->chunk > 0)
                return;
            chunk_ended(server);
        } else {
            const char *newline = rest.length ? memchr(rest.data, '\n', rest.length) : NULL;
            if (newline == NULL)
                return;
            size_t used = (size_t)(newline - rest.data) + 1;
            span_line(&rest, &line);
            on_line(server, line);
            buffer_consume(&server->in, used);
        }
    }
}

/* ---- the wire, and the connection on it ---- */

struct world {
    struct random_state random;
    struct server server;
    struct session session;
    struct buffer out, in; /* the client's */
    struct buffer wire;    /* has left for the socket */
    struct buffer answers; /* on their way back */
    enum session_ask ask;  /* what is being done */
    bool sending;          /* a piece is in `out` */
    bool whole;            /* in this delivery it once was out as a whole */
    bool may_break;
};

/* Moves a part of one buffer to the other. */
static void move(struct world *world, struct buffer *from, struct buffer *to)
{
    struct span rest = buffer_span(from);
    if (rest.length == 0)
        return;
    bool little = random_below(&world->random, 2) == 0 && rest.length < 1000;
    size_t some = 1 + (size_t)random_below(&world->random, little ? 40 : rest.length);
    if (some > rest.length)
        some = rest.length;
    buffer_append(to, (struct span){rest.data, some});
    buffer_consume(from, some);
}

static void put_piece(struct world *world)
{
    static const char zeros[4096];
    struct chunk chunk = session_chunk(&world->session);
    if (world->ask == ASK_BODY)
        buffer_append(&world->out, SPAN("body\r\n.\r\n"));
    for (size_t left = world->ask == ASK_CHUNK ? chunk.length : 0; left > 0;) {
        size_t part = left < sizeof(zeros) ? left : sizeof(zeros);
        buffer_append(&world->out, (struct span){zeros, part});
        left -= part;
    }
    session_body_written(&world->session);
}

static void piece_left(struct world *world)
{
    struct chunk chunk = session_chunk(&world->session);
    uint64_t length = world->session.delivery->envelope->message->place.length;
    world->whole |= world->ask == ASK_BODY || chunk.offset + chunk.length == length;
    world->sending = false;
    world->ask = session_body_sent(&world->session);
}

static void receive(struct world *world)
{
    size_t used;
    if (buffer_length(&world->in) == 0)
        return;
    enum session_ask ask = session_receive(&world->session, buffer_span(&world->in), &used);
    buffer_consume(&world->in, used);
    if (world->sending && ask != ASK_CLOSE)
        ck_assert_int_eq(ask, ASK_BYTES);
    else
        world->ask = ask;
}

/* One thing happens. */
static void step(struct world *world)
{
    if ((world->ask == ASK_BODY || world->ask == ASK_CHUNK) && !world->sending) {
        put_piece(world);
        world->sending = true;
    }
    switch (random_below(&world->random, 5)) {
    case 0: move(world, &world->out, &world->wire); break;
    case 1: move(world, &world->wire, &world->server.in); break;
    case 2: serve(&world->server); break;
    case 3: move(world, &world->server.out, &world->answers); break;
    case 4: move(world, &world->answers, &world->in); break;
    }
    if (world->sending && buffer_length(&world->out) == 0)
        piece_left(world);
    if (world->ask == ASK_BYTES || world->sending)
        receive(world);
}

/* The wire breaks: what is on it may arrive all the same. */
static void break_wire(struct world *world)
{
    world->ask = session_lost(&world->session, "broken");
    world->sending = false;
    if (random_below(&world->random, 2) == 0) {
        buffer_append(&world->server.in, buffer_span(&world->wire));
        serve(&world->server);
    }
}

static void world_begin(struct world *world, uint64_t seed)
{
    static const unsigned extras[] = {EXTENSION_PIPELINING, EXTENSION_CHUNKING, EXTENSION_DSN,
                                      EXTENSION_SIZE, EXTENSION_LIMITS};
    const struct tls_policy policy = {.level = TLS_NONE};
    const struct tls_history history = {0};
    *world = (struct world){0};
    world->random.state = seed;
    world->server.random = &world->random;
    for (size_t i = 0; i < countof(extras); i++)
        if (random_below(&world->random, 2) == 0)
            world->server.offered |= extras[i];
    world->server.refuses = (unsigned)random_below(&world->random, 3) * 3;
    world->server.most = 1 + (unsigned)random_below(&world->random, RECIPIENTS);
    world->may_break = random_below(&world->random, 3) == 0;
    session_init(&world->session, "relay.test", "mx", &policy, &history, 0, &world->out);
    say(&world->server, "220 mx.test");
    world->ask = ASK_BYTES;
}

static void world_end(struct world *world)
{
    session_free(&world->session);
    buffer_free(&world->out);
    buffer_free(&world->in);
    buffer_free(&world->wire);
    buffer_free(&world->answers);
    buffer_free(&world->server.in);
    buffer_free(&world->server.out);
}

/* Until the session claims, or closes. */
static void run(struct world *world)
{
    for (unsigned steps = 0; world->ask != ASK_CLAIM && world->ask != ASK_CLOSE; steps++) {
        ck_assert_msg(steps < 200000, "it stands still, waiting for %s",
                      session_awaits(&world->session));
        step(world);
        if (world->may_break && world->session.delivery != NULL &&
            random_below(&world->random, 60) == 0 && world->ask != ASK_CLAIM &&
            world->ask != ASK_CLOSE)
            break_wire(world);
    }
}

/* ---- the play ---- */

static uint64_t some_length(struct random_state *random)
{
    switch (random_below(random, 200)) {
    case 0: return 2 * SESSION_CHUNK_BYTES + random_below(random, 5);
    case 1: return SESSION_FLIGHT_BYTES + random_below(random, 3);
    case 2: return 0;
    default: return 1 + random_below(random, 300);
    }
}

static struct envelope *some_mail(struct world *world)
{
    struct message *message = message_create(SPAN("s@app.test"), 0, 0);
    message->place.length = some_length(&world->random);
    struct envelope *envelope = envelope_create(message, SPAN("test"));
    unsigned count = 1 + (unsigned)random_below(&world->random, RECIPIENTS);
    for (unsigned i = 0; i < count; i++) {
        char path[] = "r0@test";
        path[1] = (char)('0' + i);
        ck_assert_ptr_nonnull(envelope_add(envelope, span_of(path), SPAN("")));
    }
    message_drop(&message);
    return envelope;
}

static void check(const struct world *world, const struct delivery *delivery, uint64_t seed)
{
    for (unsigned i = 0; i < delivery->envelope->count; i++) {
        enum verdict_kind kind = delivery->verdicts[i].kind;
        unsigned took = world->server.took[i];
        const char *name = verdict_name(kind);
        ck_assert_msg(kind != VERDICT_NONE, "seed %ju: no verdict", (uintmax_t)seed);
        ck_assert_msg(took <= 1, "seed %ju: taken twice", (uintmax_t)seed);
        ck_assert_msg(kind != VERDICT_DELIVERED || took == 1, "seed %ju: delivered, but not taken",
                      (uintmax_t)seed);
        ck_assert_msg(took == 0 || kind == VERDICT_DELIVERED || kind == VERDICT_IN_DOUBT,
                      "seed %ju: taken, but %s", (uintmax_t)seed, name);
        ck_assert_msg(kind != VERDICT_IN_DOUBT || world->whole, "seed %ju: a doubt too many",
                      (uintmax_t)seed);
    }
}

static void deliver_one(struct world *world, uint64_t seed)
{
    struct verdict verdicts[RECIPIENTS] = {0};
    struct arena arena = {0};
    struct envelope *envelope = some_mail(world);
    struct delivery delivery = {.envelope = envelope,
                                .verdicts = verdicts,
                                .arena = &arena,
                                .wary = random_below(&world->random, 4) == 0,
                                .last = random_below(&world->random, 4) == 0};
    memset(world->server.took, 0, sizeof(world->server.took));
    world->whole = false;
    world->ask = session_deliver(&world->session, &delivery);
    run(world);
    check(world, &delivery, seed);
    if (delivery.last && world->ask == ASK_CLAIM) {
        world->ask = session_quit(&world->session);
        run(world); /* whether QUIT had gone already or not */
        ck_assert_int_eq(world->ask, ASK_CLOSE);
    }
    envelope_free(&envelope);
    arena_free(&arena);
}

START_TEST(what_is_told_is_what_happened)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct world world;
        world_begin(&world, seed);
        run(&world); /* to ready */
        for (unsigned i = 0; i < DELIVERIES && world.ask == ASK_CLAIM; i++)
            deliver_one(&world, seed);
        world_end(&world);
    }
}
END_TEST

TEST_MAIN("relay/outbound/session_model", what_is_told_is_what_happened)
