#include "tests/sim/server.h"

#include "tests/sim/ledger.h"
#include "tests/sim/scenario.h"
#include "tlspolicy/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RCPTS_MAX 100

enum state { COMMANDS, DATA, CHUNK, HANDSHAKE, STALLED };

struct server {
    struct actor actor;
    uint64_t number;
    struct host *host;
    enum state state;
    struct tls *tls;
    bool secured, greeted, mail;
    struct buffer plain; /* what came, in clear or out of TLS */
    unsigned rcpts[RCPTS_MAX][2];
    int notices[RCPTS_MAX];
    unsigned rcpt_count, mails;
    struct buffer body;
    size_t chunk_left;
    bool chunk_last;
    /* 2xx for these are on their way to the relay: known as heard once all before is read. */
    size_t unheard_at;
    unsigned heard[RCPTS_MAX][2], heard_count;
    struct action look;
};

/* ---- saying something ---- */

static void say(struct server *server, struct span bytes)
{
    if (server->tls == NULL || !server->secured) {
        sim_send(&server->actor, bytes);
        return;
    }
    tls_write(server->tls, bytes);
    sim_send(&server->actor, buffer_span(tls_outgoing(server->tls)));
    buffer_clear(tls_outgoing(server->tls));
}

/* For whoever replays a run: the dialogue, a line each. */
static void tell(const struct server *server, char sign, struct span line)
{
    if (!sim_talks)
        return;
    while (line.length > 0 && line.data[line.length - 1] <= ' ')
        line.length--;
    printf("%12.6f h%u #%llu %c %.*s\n", (double)sim_now_us() / 1e6, server->host->number,
           (unsigned long long)server->number, sign, SPAN_FORMAT(line));
}

static void reply(struct server *server, const char *text)
{
    tell(server, '>', span_of(text));
    say(server, span_of(text));
}

static void bury(struct server *server)
{
    sim_cancel(&server->look);
    tls_free(&server->tls);
    buffer_free(&server->plain);
    buffer_free(&server->body);
    buffer_free(&server->actor.in);
    free(server);
}

static void hang_up(struct server *server)
{
    tell(server, '.', SPAN("ends"));
    sim_end(&server->actor);
}

/* ---- what the relay has heard ---- */

static void mark_heard(struct server *server)
{
    tell(server, '.', SPAN("has been heard"));
    for (unsigned i = 0; i < server->heard_count; i++)
        ledger_recipient(server->heard[i][0], (int)server->heard[i][1])->heard = 1;
    server->heard_count = 0;
}

/* The reply was not read: the relay cannot know, and may come again. */
static void mark_unheard(struct server *server)
{
    tell(server, '.', SPAN("is over"));
    for (unsigned i = 0; i < server->heard_count; i++)
        ledger_recipient(server->heard[i][0], (int)server->heard[i][1])->excused++;
    server->heard_count = 0;
}

static void look(struct action *action)
{
    struct server *server = container_of(action, struct server, look);
    if (server->heard_count == 0)
        return;
    if (server->actor.wire != NULL && sim_unread(&server->actor) == 0)
        mark_heard(server);
    else
        sim_after(&server->look, 1000);
}

/* ---- faults ---- */

static bool goes_wrong(const struct server *server)
{
    return !servers_healed() && sim_chance(server->host->plan.trouble);
}

/* The reply is taken care of, in some bad way. `permanent`: a 5xx makes sense. `no`: it must not be
 * a yes; nor what could be taken for the reply to what was sent along with this. */
static void fail(struct server *server, bool permanent, bool no)
{
    unsigned how = (unsigned)sim_below(permanent ? 9 : 8);
    if (no &&
        how == 5) /* who answers more than he was asked decides himself what becomes of mail */
        how = 6;
    switch (how) {
    case 0:
        sim_count(FAULT_421);
        reply(server, "421 4.3.2 going down\r\n");
        hang_up(server);
        return;
    case 1:
        sim_count(FAULT_RESET);
        mark_unheard(server);
        sim_reset(&server->actor);
        return;
    case 2:
        sim_count(FAULT_STALL);
        server->state = STALLED;
        return;
    case 3:
        sim_count(FAULT_GARBAGE);
        reply(server, "what?\r\n");
        return;
    case 4:
        sim_count(FAULT_ENDLESS);
        for (int i = 0; i < 200; i++)
            reply(server, "250-and on\r\n");
        return;
    case 5:
        sim_count(FAULT_EARLY_BYTES);
        reply(server, "250 2.0.0 Ok\r\n250 and one more\r\n");
        return;
    case 8:
        sim_count(FAULT_5XX);
        reply(server, "550 5.1.1 nobody\r\n");
        return;
    default:
        sim_count(FAULT_4XX);
        reply(server, "451 4.3.0 not now\r\n");
        return;
    }
}

/* ---- a message ---- */

static void forget_mail(struct server *server)
{
    server->mail = false;
    server->rcpt_count = 0;
    buffer_clear(&server->body);
}

/* The body as it was handed in is the end of what came. */
static bool is_whole(const struct server *server, unsigned message)
{
    char line[64];
    size_t length = ledger->message[message].length;
    struct span body = buffer_span(&server->body);
    if (body.length < length)
        return false;
    body = span_skip(body, body.length - length);
    int count = snprintf(line, sizeof(line), "Subject: m%u\r\n", message);
    return body.length >= (size_t)count && memcmp(body.data, line, (size_t)count) == 0;
}

static void arrives(struct server *server, unsigned at)
{
    unsigned message = server->rcpts[at][0];
    int recipient = (int)server->rcpts[at][1];
    if (server->notices[at]) {
        if (ledger->message[message].notices < UINT8_MAX)
            ledger->message[message].notices++;
        ledger->notices++;
        return;
    }
    struct ledger_recipient *to = ledger_recipient(message, recipient);
    keeps(PROMISE_NOT_AGAIN, !to->heard, "m%ur%d arrives again, though its 250 was heard", message,
          recipient);
    keeps(PROMISE_WHOLE, is_whole(server, message), "m%ur%d arrives changed", message, recipient);
    to->arrived++;
    ledger->arrived++;
    server->heard[server->heard_count][0] = message;
    server->heard[server->heard_count++][1] = (unsigned)recipient;
}

/* The end of the data: taken, or not. */
static void content_ended(struct server *server)
{
    bool wrong = goes_wrong(server);
    server->state = COMMANDS;
    if (wrong && sim_chance(500)) { /* not taken */
        forget_mail(server);
        fail(server, true, true);
        return;
    }
    mark_heard(server); /* whoever sends the next one has read the last reply */
    for (unsigned i = 0; i < server->rcpt_count; i++)
        arrives(server, i);
    forget_mail(server);
    if (wrong) { /* taken, and nobody is told */
        sim_count(FAULT_RESET_AFTER_DOT);
        mark_unheard(server);
        sim_reset(&server->actor);
        return;
    }
    reply(server, "250 2.0.0 Ok: taken\r\n");
    sim_after(&server->look, 1000);
}

static void rcpt(struct server *server, struct span line)
{
    unsigned message;
    int recipient;
    const char *open = memchr(line.data, '<', line.length);
    struct span path = open ? span_skip(line, (size_t)(open + 1 - line.data)) : line;
    if (!server->mail) {
        reply(server, "503 5.5.1 MAIL first\r\n");
        return;
    }
    if (!ledger_parse(path, &message, &recipient) || server->rcpt_count == RCPTS_MAX) {
        reply(server, "550 5.1.1 who is that\r\n");
        return;
    }
    keeps(PROMISE_CLEAR,
          server->secured || recipient < 0 ||
              !scenario_encrypts(ledger_recipient(message, recipient)->destination),
          "m%ur%d goes in clear", message, recipient);
    if (recipient >= 0)
        keeps(PROMISE_NOT_AGAIN, !ledger_has_ended(ledger_recipient(message, recipient)),
              "m%ur%d is offered again, and has ended", message, recipient);
    server->rcpts[server->rcpt_count][0] = message;
    server->rcpts[server->rcpt_count][1] = recipient < 0 ? 0 : (unsigned)recipient;
    server->notices[server->rcpt_count++] = recipient < 0;
    reply(server, "250 2.1.5 Ok\r\n");
}

/* ---- commands ---- */

static void ehlo(struct server *server)
{
    const struct host_plan *plan = &server->host->plan;
    bool gone = plan->tls && !server->secured && !servers_healed() && sim_chance(plan->trouble / 4);
    reply(server, "250-host.test\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n");
    if (plan->pipelining)
        reply(server, "250-PIPELINING\r\n");
    if (plan->chunking)
        reply(server, "250-CHUNKING\r\n");
    if (gone)
        sim_count(FAULT_TLS_GONE);
    if (plan->tls && !server->secured && !gone)
        reply(server, "250-STARTTLS\r\n");
    reply(server, "250 SIZE 10000000\r\n");
}

static void starttls(struct server *server)
{
    if (!servers_healed() && sim_chance(server->host->plan.trouble)) {
        static const char *const words[] = {"454 4.7.0 not now\r\n", "502 5.5.1 what\r\n",
                                            "220 go\r\n250 injected\r\n"};
        static const enum sim_fault faults[] = {FAULT_454, FAULT_502_STARTTLS, FAULT_RESIDUE};
        unsigned which = (unsigned)sim_below(3);
        sim_count(faults[which]);
        reply(server, words[which]);
        return;
    }
    reply(server, "220 go\r\n");
    server->state = HANDSHAKE;
    server->tls = tls_accept(server->host->tls);
}

static bool is_verb(struct span line, const char *verb)
{
    size_t length = strlen(verb);
    return line.length >= length && strncasecmp(line.data, verb, length) == 0;
}

static void bdat(struct server *server, struct span line)
{
    char text[64];
    snprintf(text, sizeof(text), "%.*s", SPAN_FORMAT(span_skip(line, 5)));
    server->chunk_left = strtoul(text, NULL, 10);
    server->chunk_last = strstr(text, "LAST") != NULL;
    server->state = CHUNK;
}

static void mail_begins(struct server *server)
{
    keeps(PROMISE_CLEAR, server->secured || !server->host->plan.wants_tls,
          "MAIL for host %u goes in clear", server->host->number);
    forget_mail(server);
    server->mail = true;
    server->mails++;
    host_gets_mail(server->host);
    keeps(PROMISE_SESSION_LIMIT, scenario.per_session == 0 || server->mails <= scenario.per_session,
          "%u messages on one connection to host %u, and %u may be", server->mails,
          server->host->number, scenario.per_session);
    reply(server, "250 2.1.0 Ok\r\n");
}

static void command(struct server *server, struct span line)
{
    tell(server, '<', line);
    bool starttls_now = is_verb(line, "STARTTLS");
    if (is_verb(line, "BDAT")) { /* its octets come, whatever is thought of it: see take_chunk */
        bdat(server, line);
        return;
    }
    if (!starttls_now && !is_verb(line, "QUIT") && goes_wrong(server)) {
        fail(server, is_verb(line, "RCPT") || is_verb(line, "MAIL"), !is_verb(line, "EHLO"));
        return;
    }
    if (is_verb(line, "EHLO"))
        ehlo(server);
    else if (is_verb(line, "HELO") || is_verb(line, "NOOP"))
        reply(server, "250 Ok\r\n");
    else if (is_verb(line, "RSET"))
        forget_mail(server), reply(server, "250 Ok\r\n");
    else if (starttls_now)
        starttls(server);
    else if (is_verb(line, "MAIL"))
        mail_begins(server);
    else if (is_verb(line, "RCPT"))
        rcpt(server, line);
    else if (is_verb(line, "DATA") && server->rcpt_count > 0)
        server->state = DATA, reply(server, "354 go\r\n");
    else if (is_verb(line, "DATA"))
        reply(server, "503 5.5.1 to whom\r\n");
    else if (is_verb(line, "QUIT"))
        reply(server, "221 bye\r\n"), hang_up(server);
    else
        reply(server, "500 5.5.2 what\r\n");
}

/* ---- bytes ---- */

static bool take_line(struct server *server)
{
    struct span in = buffer_span(&server->plain);
    const char *end = in.length ? memchr(in.data, '\n', in.length) : NULL;
    if (end == NULL)
        return false;
    char *line = span_copy((struct span){in.data, (size_t)(end - in.data) + 1});
    struct span text = span_of(line);
    buffer_consume(&server->plain, text.length);
    command(server, text);
    free(line);
    return true;
}

static bool take_data(struct server *server)
{
    struct span in = buffer_span(&server->plain);
    const char *end = in.length ? memchr(in.data, '\n', in.length) : NULL;
    if (end == NULL)
        return false;
    struct span line = {in.data, (size_t)(end - in.data) + 1};
    bool last = span_equal(line, SPAN(".\r\n"));
    if (!last) {
        struct span kept = line.data[0] == '.' ? span_skip(line, 1) : line;
        buffer_append(&server->body, kept);
    }
    buffer_consume(&server->plain, line.length);
    if (last)
        content_ended(server);
    return true;
}

static bool take_chunk(struct server *server)
{
    struct span in = buffer_span(&server->plain);
    size_t count = in.length < server->chunk_left ? in.length : server->chunk_left;
    if (count > 0)
        buffer_append(&server->body, (struct span){in.data, count});
    buffer_consume(&server->plain, count);
    server->chunk_left -= count;
    if (server->chunk_left > 0)
        return false;
    server->state = COMMANDS;
    if (server->rcpt_count == 0)
        reply(server, "503 5.5.1 to whom\r\n");
    else if (server->chunk_last)
        content_ended(server);
    else if (goes_wrong(server))
        forget_mail(server), fail(server, true, true);
    else
        reply(server, "250 2.0.0 Ok\r\n");
    return count > 0 || server->chunk_last;
}

static bool shake(struct server *server)
{
    if (!servers_healed() && sim_chance(server->host->plan.trouble / 4)) {
        sim_count(FAULT_BROKEN_HANDSHAKE);
        sim_reset(&server->actor);
        return false;
    }
    enum tls_progress progress = tls_handshake(server->tls);
    sim_send(&server->actor, buffer_span(tls_outgoing(server->tls)));
    buffer_clear(tls_outgoing(server->tls));
    if (progress == TLS_FAILED)
        hang_up(server);
    if (progress != TLS_DONE)
        return false;
    server->secured = true;
    server->state = COMMANDS;
    ledger->secured++;
    return true;
}

static void decrypt(struct server *server)
{
    struct actor *actor = &server->actor;
    if (server->tls != NULL) {
        buffer_append(tls_incoming(server->tls), buffer_span(&actor->in));
        buffer_clear(&actor->in);
        if (server->secured && tls_read(server->tls, &server->plain, 1u << 20) == TLS_FAILED)
            hang_up(server);
    } else if (server->state != HANDSHAKE) {
        buffer_append(&server->plain, buffer_span(&actor->in));
        buffer_clear(&actor->in);
    }
}

static bool go_on(struct server *server)
{
    switch (server->state) {
    case COMMANDS: return take_line(server);
    case DATA: return take_data(server);
    case CHUNK: return take_chunk(server);
    case HANDSHAKE: return shake(server);
    case STALLED: buffer_clear(&server->plain); return false;
    }
    return false;
}

static void heard(struct actor *actor, bool ended)
{
    struct server *server = container_of(actor, struct server, actor);
    if (!server->greeted && actor->wire != NULL) {
        server->greeted = true;
        if (!goes_wrong(server))
            reply(server, "220 host.test ready\r\n");
        else
            fail(server, false, false);
    }
    decrypt(server);
    while (actor->wire != NULL && go_on(server))
        decrypt(server);
    if (ended && actor->wire != NULL)
        hang_up(server);
    if (actor->wire == NULL) {
        mark_unheard(server);
        bury(server);
    }
}

struct actor *server_met(struct place *place)
{
    struct host *host = container_of(place, struct host, place);
    if (host->plan.refuses && !servers_healed()) {
        sim_count(FAULT_REFUSED_CONNECTION);
        return NULL;
    }
    struct server *server = must_calloc(1, sizeof(*server));
    server->actor.heard = heard;
    server->host = host;
    server->look.act = look;
    server->number = ++ledger->connections;
    keeps(PROMISE_HOST_LIMIT, place->open <= host->plan.most,
          "host %u: %u connections at a time, and %u may be", host->number, place->open,
          host->plan.most);
    if (!host->plan.tls && host->plan.per_sites > 0) /* inside TLS nobody sees that it says QUIT */
        keeps(PROMISE_SITE_LIMIT, place->open - place->parting <= host->plan.per_sites,
              "host %u: %u connections of its sites at a time, and %u may be", host->number,
              place->open - place->parting, host->plan.per_sites);
    return &server->actor;
}
