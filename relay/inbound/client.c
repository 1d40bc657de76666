/* Who the client is, by its address or by what a proxy says, and what it may follows from that. For
 * the trace header and the log, too. */
#include "relay/inbound/session_inside.h"
#include "relay/smtp/xclient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void inbound_weigh(struct inbound_session *session)
{
    const struct local_user *local = &session->local;
    bool by_place = session->is_local ? config_may_submit(session->config, local->uid, local->name)
                                      : config_may_relay(session->config, &session->client.ip);
    session->may_relay = by_place || session->user != NULL;
}

void inbound_session_client(struct inbound_session *session, const struct endpoint *client)
{
    session->client = *client;
    inbound_weigh(session);
}

void inbound_session_local(struct inbound_session *session, const struct local_user *user)
{
    must(user->name[0] == '\0' || config_is_user(span_of(user->name)));
    session->is_local = true;
    session->local = *user;
    inbound_weigh(session);
}

/* ---- what is told of it ---- */

char *inbound_client_format(const struct inbound_session *session, char text[INBOUND_CLIENT_TEXT])
{
    const struct local_user *local = &session->local;
    if (session->is_local)
        snprintf(text, INBOUND_CLIENT_TEXT, "local:%u%s%s", local->uid, local->name[0] ? ":" : "",
                 local->name);
    else if (session->client.ip.family == 0)
        snprintf(text, INBOUND_CLIENT_TEXT, "unknown");
    else
        endpoint_format(&session->client, text);
    return text;
}

static void write_local(struct inbound_session *session)
{
    const struct local_user *local = &session->local;
    buffer_print(&session->body, "(local user %s%suid %u)", local->name, local->name[0] ? ", " : "",
                 local->uid);
}

/* TCP-info, RFC 5321 4.4 */
static void write_remote(struct inbound_session *session)
{
    char ip[IP_TEXT_MAX];
    const char *name = session->client_name ? session->client_name : "";
    const char *blank = name[0] != '\0' ? " " : "";
    if (session->client.ip.family == 0)
        buffer_print(&session->body, "(%s%sunknown)", name, blank);
    else
        buffer_print(&session->body, "(%s%s[%s%s])", name, blank,
                     session->client.ip.family == 6 ? "IPv6:" : "",
                     ip_format(&session->client.ip, ip));
}

void inbound_write_client(struct inbound_session *session)
{
    buffer_print(&session->body, "Received: from %s ", session->helo);
    if (session->is_local)
        write_local(session);
    else
        write_remote(session);
    buffer_append(&session->body, SPAN("\r\n"));
}

void inbound_write_user(struct inbound_session *session)
{
    if (session->user == NULL)
        return;
    buffer_append(&session->body, SPAN("\t(authenticated: "));
    for (const char *c = session->user; *c != '\0'; c++)
        buffer_print(&session->body, "%s%c", strchr("()\\", *c) ? "\\" : "",
                     *c >= ' ' && *c <= '~' ? *c : '?');
    buffer_append(&session->body, SPAN(")\r\n"));
}

/* ---- XCLIENT ---- */

bool inbound_may_xclient(const struct inbound_session *session)
{
    return networks_hold(&session->listen->xclient_from, &session->client.ip);
}

static void keep_text(char **text, const char *given)
{
    free(*text);
    *text = given[0] != '\0' ? must_strdup(given) : NULL;
}

/* HELO that was passed on counts like one that was said. */
static void keep_hello(struct inbound_session *session, const struct xclient *xclient)
{
    if (!xclient->given[XCLIENT_HELO] || xclient->helo[0] == '\0')
        return;
    snprintf(session->helo, sizeof(session->helo), "%s", xclient->helo);
    session->extended = xclient->extended;
    session->state = INBOUND_READY;
}

static void become(struct inbound_session *session, const struct xclient *xclient)
{
    inbound_start_over(session);
    if (xclient->given[XCLIENT_ADDR])
        session->client = (struct endpoint){.ip = xclient->ip};
    if (xclient->given[XCLIENT_PORT])
        session->client.port = xclient->port;
    if (xclient->given[XCLIENT_NAME] || xclient->given[XCLIENT_ADDR])
        keep_text(&session->client_name, xclient->name);
    keep_text(&session->user, xclient->login);
    keep_hello(session, xclient);
    inbound_weigh(session);
}

enum inbound_ask inbound_xclient(struct inbound_session *session, const struct command *command,
                                 const struct inbound_facts *facts)
{
    struct xclient xclient;
    (void)facts;
    if (!inbound_may_xclient(session))
        return complain(session, "550 5.7.0 XCLIENT is not for you");
    if (session->state != INBOUND_CONNECTED && session->state != INBOUND_READY)
        return complain(session, "503 5.5.1 No XCLIENT within a transaction");
    if (!xclient_read(command->argument, &xclient))
        return complain(session, "501 5.5.4 Syntax: XCLIENT attribute=value, with value in xtext");
    become(session, &xclient);
    session->asked_from = session->state;
    session->state = INBOUND_ASKED;
    return INBOUND_MOVE;
}

enum inbound_ask inbound_moved(struct inbound_session *session, bool room)
{
    must(session->state == INBOUND_ASKED);
    session->state = session->asked_from;
    if (!room) {
        say(session, INBOUND_TOO_MANY);
        return INBOUND_CLOSE;
    }
    inbound_greet(session);
    return INBOUND_MORE;
}
