/* MAIL and RCPT: what a message is to be sent with, and to whom. */
#include "relay/inbound/session_inside.h"
#include "relay/smtp/parameters.h"

#define OFFERED (EXTENSION_SIZE | EXTENSION_8BITMIME)

static enum inbound_ask complain_of_parameters(struct inbound_session *session,
                                               enum parameter_result result, bool sender)
{
    switch (result) {
    case PARAMETERS_SYNTAX:
        return complain(
            session, sender
                         ? "501 5.5.4 Syntax: MAIL FROM:<address> [SIZE=bytes] [BODY=7BIT|8BITMIME]"
                         : "501 5.5.4 Syntax: RCPT TO:<address>");
    case PARAMETERS_BAD_ADDRESS:
        return complain(session, sender ? "553 5.1.7 The sender's address is not valid"
                                        : "553 5.1.3 The recipient's address is not valid");
    case PARAMETERS_NEED_UTF8:
        return complain(session, "553 5.6.7 The address needs SMTPUTF8 in MAIL");
    case PARAMETERS_UNKNOWN: return complain(session, "555 5.5.4 Parameter not recognized");
    case PARAMETERS_OK: break;
    }
    must_not_reach();
}

enum inbound_ask inbound_mail(struct inbound_session *session, const struct command *command,
                              const struct inbound_facts *facts)
{
    struct mail_parameters parameters;
    enum parameter_result result = mail_read(command->argument, OFFERED, &parameters);
    if (result != PARAMETERS_OK)
        return complain_of_parameters(session, result, true);
    if (facts->full)
        return say(session, "452 4.3.1 The queue is full, try again later");
    if (parameters.has_size && parameters.size > session->config->limits.message_bytes)
        return say(session, "552 5.3.4 The message is larger than is taken here");
    session->sender = arena_copy(&session->arena, parameters.path);
    session->eight_bit = parameters.body == BODY_8BITMIME;
    session->eight_bit_seen = false;
    session->state = INBOUND_MAIL;
    return say(session, "250 2.1.0 Ok");
}

static void add_recipient(struct inbound_session *session, struct span path)
{
    unsigned count = session->count;
    if ((count & (count - 1)) == 0) /* 0, 1, 2, 4, …: room for twice as many */
        session->recipients = must_realloc(session->recipients,
                                           (count ? count * 2 : 1) * sizeof(*session->recipients));
    session->recipients[session->count++] = arena_copy(&session->arena, path);
}

enum inbound_ask inbound_rcpt(struct inbound_session *session, const struct command *command,
                              const struct inbound_facts *facts)
{
    struct rcpt_parameters parameters;
    enum parameter_result result = rcpt_read(command->argument, OFFERED, false, &parameters);
    (void)facts;
    if (result != PARAMETERS_OK)
        return complain_of_parameters(session, result, false);
    if (!session->may_relay)
        return complain(session, "550 5.7.1 Relaying is not allowed for you");
    if (session->count >= session->config->limits.recipients)
        return say(session, "452 4.5.3 Too many recipients");
    add_recipient(session, parameters.path);
    session->state = INBOUND_RCPT;
    return say(session, "250 2.1.5 Ok");
}
