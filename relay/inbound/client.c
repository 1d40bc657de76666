/* Who the client is, for the trace header and for the log. */
#include "relay/inbound/session_inside.h"

#include <stdio.h>

static bool is_local(const struct inbound_session *session)
{
    return session->client.ip.family == 0;
}

void inbound_session_client(struct inbound_session *session, const struct endpoint *client)
{
    session->client = *client;
    session->may_relay = config_may_relay(session->config, &client->ip);
}

void inbound_session_local(struct inbound_session *session, const struct local_user *user)
{
    must(is_local(session) && (user->name[0] == '\0' || config_is_user(span_of(user->name))));
    session->local = *user;
    session->may_relay = config_may_submit(session->config, user->uid, user->name);
}

char *inbound_client_format(const struct inbound_session *session, char text[INBOUND_CLIENT_TEXT])
{
    const struct local_user *local = &session->local;
    if (is_local(session))
        snprintf(text, INBOUND_CLIENT_TEXT, "local:%u%s%s", local->uid, local->name[0] ? ":" : "",
                 local->name);
    else
        endpoint_format(&session->client, text);
    return text;
}

void inbound_write_client(struct inbound_session *session)
{
    char ip[IP_TEXT_MAX];
    const struct local_user *local = &session->local;
    if (is_local(session))
        buffer_print(&session->body, "Received: from %s (local user %s%suid %u)\r\n", session->helo,
                     local->name, local->name[0] ? ", " : "", local->uid);
    else
        buffer_print(&session->body, "Received: from %s ([%s%s])\r\n", session->helo,
                     session->client.ip.family == 6 ? "IPv6:" : "",
                     ip_format(&session->client.ip, ip));
}
