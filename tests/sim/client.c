#include "tests/sim/client.h"

#include "tests/sim/disk.h"
#include "tests/sim/ledger.h"
#include "tests/sim/oracles.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX 64
#define TROUBLE 15 /* per thousand steps */

enum step { GREETING, EHLO, MAIL, RCPT, DATA, DOT, QUIT };

struct client {
    struct actor actor;
    struct action again;
    bool busy, dot_sent;
    unsigned message, rcpt, taken; /* recipients that got their 250 */
    enum step step;
};

static struct client clients[CLIENTS_MAX];
static unsigned client_count, next_message;
static struct endpoint relay;
static bool healed;

static void say(struct client *client, const char *text)
{
    sim_send(&client->actor, span_of(text));
}

static void body_of(unsigned message, struct buffer *to)
{
    struct random_state chance = {message};
    unsigned lines = (unsigned)random_below(&chance, message % 50 == 0 ? 3000 : 30);
    buffer_print(
        to, "Subject: m%u\r\nFrom: <m%u@s.test>\r\nDate: x\r\nMessage-ID: <m%u@s.test>\r\n\r\n",
        message, message, message);
    for (unsigned i = 0; i < lines; i++)
        buffer_print(to, "%sline %u of %u\r\n", i % 7 == 3 ? "." : "", i, message);
}

static void send_body(struct client *client)
{
    struct buffer body CLEANUP(buffer_free) = {0}, out CLEANUP(buffer_free) = {0};
    body_of(client->message, &body);
    ledger->message[client->message].length = (uint32_t)buffer_length(&body);
    struct span rest = buffer_span(&body);
    while (rest.length > 0) {
        const char *end = memchr(rest.data, '\n', rest.length);
        size_t length = (size_t)(end - rest.data) + 1;
        if (rest.data[0] == '.')
            buffer_append(&out, SPAN("."));
        buffer_append(&out, (struct span){rest.data, length});
        rest = span_skip(rest, length);
    }
    buffer_append(&out, SPAN(".\r\n"));
    sim_send(&client->actor, buffer_span(&out));
    client->dot_sent = true;
    ledger->message[client->message].handing = HANDING_UNSURE;
}

/* ---- one message after the other ---- */

static void come_again(struct client *client, int64_t us)
{
    sim_after(&client->again, us);
}

static void finish(struct client *client, enum handing handing)
{
    struct ledger_message *message = &ledger->message[client->message];
    message->handing = (uint8_t)handing;
    if (handing == HANDING_TAKEN)
        ledger->handed_in++;
    if (handing == HANDING_UNSURE)
        ledger->unsure++;
    client->busy = handing == HANDING_NOT_YET; /* that one comes again */
}

static bool draw_next(struct client *client)
{
    while (next_message < ledger->messages &&
           ledger->message[next_message].handing != HANDING_NOT_YET)
        next_message++; /* of an earlier life */
    if (next_message == ledger->messages)
        return false;
    client->message = next_message++;
    client->busy = true;
    return true;
}

static void connect_now(struct action *action)
{
    struct client *client = container_of(action, struct client, again);
    if (client->actor.wire != NULL || (!client->busy && !draw_next(client)))
        return;
    buffer_clear(&client->actor.in);
    client->step = GREETING;
    client->rcpt = client->taken = 0;
    client->dot_sent = false;
    if (!sim_connect(&client->actor, &relay))
        come_again(client, 1000000);
}

static void lost(struct client *client)
{
    if (client->busy && client->dot_sent)
        finish(client, HANDING_UNSURE);
    come_again(client, (int64_t)(1000 + sim_below(2000000)));
}

/* ---- dialogue ---- */

static void say_mail(struct client *client)
{
    char line[80];
    if (!client->busy && !draw_next(client)) {
        client->step = QUIT;
        say(client, "QUIT\r\n");
        return;
    }
    client->rcpt = client->taken = 0;
    client->dot_sent = false;
    client->step = MAIL;
    snprintf(line, sizeof(line), "MAIL FROM:<m%u@s.test>\r\n", client->message);
    say(client, line);
}

static void say_rcpt(struct client *client)
{
    char line[80];
    const struct ledger_message *message = &ledger->message[client->message];
    client->step = RCPT;
    if (client->rcpt == message->recipients) {
        client->step = DATA;
        say(client, "DATA\r\n");
        return;
    }
    snprintf(line, sizeof(line), "RCPT TO:<m%ur%u@d%u.test>\r\n", client->message, client->rcpt,
             message->to[client->rcpt].destination);
    client->rcpt++;
    say(client, line);
}

/* Any no is a no to the whole message: it comes again later, on another connection. */
static void refused(struct client *client, char digit)
{
    if (client->step == DOT) /* whose commit failed may be in the spool all the same */
        finish(client, disk_is_broken() ? HANDING_UNSURE : HANDING_NOT_YET);
    if (digit == '5' && client->step > EHLO && client->step < QUIT)
        broken("the relay refuses m%u for good", client->message);
    sim_end(&client->actor);
    come_again(client, (int64_t)(1000000 + sim_below(5000000)));
}

/* Of those that the relay has greeted and not closed. */
static void look_at_limit(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < client_count; i++)
        count += clients[i].step > GREETING && sim_is_held(&clients[i].actor);
    keeps(PROMISE_CLIENT_LIMIT, count <= scenario.per_client,
          "%u connections of one client, and %u may be", count, scenario.per_client);
}

/* "250 2.0.0 Ok: queued as ID" */
static struct span id_in(struct span line)
{
    while (line.length > 0 && line.data[line.length - 1] <= ' ')
        line.length--;
    const char *blank = line.length > 0 ? memrchr(line.data, ' ', line.length) : NULL;
    return blank != NULL ? span_skip(line, (size_t)(blank + 1 - line.data)) : line;
}

static void replied(struct client *client, struct span line)
{
    char digit = line.data[0];
    if (client->step == QUIT) {
        sim_end(&client->actor);
        return;
    }
    if (digit != '2' && digit != '3') {
        refused(client, digit);
        return;
    }
    switch (client->step) {
    case GREETING:
        client->step = EHLO;
        look_at_limit();
        say(client, "EHLO client.test\r\n");
        break;
    case EHLO: say_mail(client); break;
    case MAIL:
    case RCPT: say_rcpt(client); break;
    case DATA:
        client->step = DOT;
        send_body(client);
        break;
    case DOT:
        finish(client, HANDING_TAKEN);
        oracles_taken(client->message, id_in(line));
        say_mail(client);
        break;
    case QUIT: break;
    }
}

static bool take_reply(struct client *client)
{
    struct span in = buffer_span(&client->actor.in);
    for (;;) {
        const char *end = in.length ? memchr(in.data, '\n', in.length) : NULL;
        if (end == NULL)
            return false;
        size_t length = (size_t)(end - in.data) + 1;
        bool last = length < 5 || in.data[3] != '-';
        char text[128];
        snprintf(text, sizeof(text), "%.*s", (int)length, in.data);
        buffer_consume(&client->actor.in, length);
        if (last) {
            replied(client, span_of(text));
            return client->actor.wire != NULL;
        }
        in = buffer_span(&client->actor.in);
    }
}

static bool misbehaves(struct client *client)
{
    if (healed || !sim_chance(TROUBLE))
        return false;
    if (sim_chance(500)) {
        sim_count(FAULT_CLIENT_RESET);
        sim_reset(&client->actor);
    } else {
        sim_count(FAULT_CLIENT_SLOW);
        sim_end(&client->actor);
    }
    lost(client);
    return true;
}

static void heard(struct actor *actor, bool ended)
{
    struct client *client = container_of(actor, struct client, actor);
    if (actor->wire == NULL) { /* the listener is gone */
        lost(client);
        return;
    }
    while (take_reply(client))
        if (misbehaves(client))
            return;
    if (actor->wire == NULL || !ended)
        return;
    sim_end(actor);
    lost(client);
}

/* ---- all of them ---- */

void clients_open(unsigned count, const struct endpoint *to)
{
    must(count <= CLIENTS_MAX);
    relay = *to;
    client_count = count;
    next_message = 0;
    for (unsigned i = 0; i < count; i++) {
        clients[i] = (struct client){.actor.heard = heard, .again.act = connect_now};
        come_again(&clients[i], (int64_t)sim_below(1000000));
    }
}

bool clients_are_done(void)
{
    for (unsigned i = 0; i < client_count; i++)
        if (clients[i].busy)
            return false;
    for (unsigned i = next_message; i < ledger->messages; i++)
        if (ledger->message[i].handing == HANDING_NOT_YET)
            return false;
    return true;
}

void clients_heal(void)
{
    healed = true;
}
