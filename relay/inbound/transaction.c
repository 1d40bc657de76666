/* MAIL and RCPT: what a message is to be sent with, and to whom. */
#include "relay/inbound/session_inside.h"
#include "relay/smtp/address.h"

#include <stdio.h>

_Static_assert((int)DSN_NOTIFY_NEVER == NOTIFY_NEVER && (int)DSN_NOTIFY_SUCCESS == NOTIFY_SUCCESS &&
                   (int)DSN_NOTIFY_FAILURE == NOTIFY_FAILURE &&
                   (int)DSN_NOTIFY_DELAY == NOTIFY_DELAY,
               "as they are read, so they are kept");

/* ---- what is wrong with them ---- */

static enum inbound_ask complain_of_syntax(struct inbound_session *session, const char *parameter,
                                           bool sender)
{
    char reply[80];
    if (parameter == NULL)
        return complain(session, sender ? "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]"
                                        : "501 5.5.4 Syntax: RCPT TO:<address> [parameters]");
    snprintf(reply, sizeof(reply), "501 5.5.4 The parameter %s is wrong, or there twice",
             parameter);
    return complain(session, reply);
}

static enum inbound_ask complain_of_parameters(struct inbound_session *session,
                                               enum parameter_result result, const char *parameter,
                                               bool sender)
{
    switch (result) {
    case PARAMETERS_SYNTAX: return complain_of_syntax(session, parameter, sender);
    case PARAMETERS_BAD_ADDRESS:
        return complain(session, sender ? "553 5.1.7 The sender's address is not valid"
                                        : "553 5.1.3 The recipient's address is not valid");
    case PARAMETERS_NEED_UTF8:
        return complain(session, "553 5.6.7 The address is not ASCII, and MAIL had no SMTPUTF8");
    case PARAMETERS_UNKNOWN: return complain(session, "555 5.5.4 Parameter not recognized");
    case PARAMETERS_OK: break;
    }
    must_not_reach();
}

/* ---- MAIL ---- */

/* When the message may go at the earliest (RFC 4865); 0: at once. */
static int64_t release_of(const struct inbound_session *session, const struct mail_parameters *mail)
{
    if (mail->hold_for_ms > 0)
        return session->wall_ms + mail->hold_for_ms;
    return mail->hold_until_ms > session->wall_ms ? mail->hold_until_ms : 0;
}

/* Times that contradict each other, or what is allowed here: the reply; else NULL. */
static const char *wrong_times(const struct inbound_session *session,
                               const struct mail_parameters *mail)
{
    int64_t release_ms = release_of(session, mail);
    if (release_ms - session->wall_ms > session->config->limits.hold_longest_ms && release_ms != 0)
        return "501 5.5.4 The message would be held for longer than is offered";
    if (mail->by == BY_RETURN && session->wall_ms + mail->by_ms <= release_ms)
        return "501 5.5.4 BY is over before the message is released";
    return NULL;
}

static uint32_t flags_of(const struct mail_parameters *mail)
{
    return (mail->ret == DSN_RETURN_FULL ? MESSAGE_RET_FULL : 0u) |
           (mail->ret == DSN_RETURN_HEADERS ? MESSAGE_RET_HEADERS : 0u) |
           (mail->by == BY_RETURN ? MESSAGE_BY_RETURN : 0u) |
           (mail->by == BY_NOTIFY ? MESSAGE_BY_NOTIFY : 0u) |
           (mail->by_trace ? MESSAGE_BY_TRACE : 0u) |
           (mail->requires_tls ? MESSAGE_REQUIRETLS : 0u);
}

static void begin_transaction(struct inbound_session *session, const struct mail_parameters *mail)
{
    session->sender = arena_copy(&session->arena, mail->path);
    session->envid = mail->envid.length > 0 ? arena_copy(&session->arena, mail->envid) : "";
    session->body_type = mail->body;
    session->utf8 = mail->utf8;
    session->utf8_path = !span_is_ascii(mail->path);
    session->flags = flags_of(mail);
    session->release_ms = release_of(session, mail);
    session->deliver_by_ms = mail->by != BY_UNSAID ? session->wall_ms + mail->by_ms : 0;
    session->state = INBOUND_MAIL;
}

enum inbound_ask inbound_mail(struct inbound_session *session, const struct command *command,
                              const struct inbound_facts *facts)
{
    struct mail_parameters mail;
    enum parameter_result result = mail_read(command->argument, inbound_offers(session), &mail);
    if (result != PARAMETERS_OK)
        return complain_of_parameters(session, result, mail.wrong, true);
    if (facts->full)
        return say(session, "452 4.3.1 The queue is full, try again later");
    if (mail.has_size && mail.size > session->config->limits.message_bytes)
        return say(session, "552 5.3.4 The message is larger than is taken here");
    const char *wrong = wrong_times(session, &mail);
    if (wrong != NULL)
        return complain(session, wrong);
    const char *refusal = inbound_user_refusal(session, mail.path, facts);
    if (refusal != NULL)
        return refusal[0] == '4' ? say(session, refusal) : complain(session, refusal);
    begin_transaction(session, &mail);
    return say(session, "250 2.1.0 Ok");
}

/* ---- RCPT ---- */

static void add_recipient(struct inbound_session *session, const struct rcpt_parameters *rcpt)
{
    unsigned count = session->count;
    if ((count & (count - 1)) == 0) /* 0, 1, 2, 4, …: room for twice as many */
        session->recipients = must_realloc(session->recipients,
                                           (count ? count * 2 : 1) * sizeof(*session->recipients));
    session->recipients[session->count++] = (struct inbound_recipient){
        .path = arena_copy(&session->arena, rcpt->path),
        .orcpt = rcpt->orcpt.length > 0 ? arena_copy(&session->arena, rcpt->orcpt) : "",
        .notify = rcpt->notify,
    };
    session->utf8_path |= !span_is_ascii(rcpt->path);
}

enum inbound_ask inbound_rcpt(struct inbound_session *session, const struct command *command,
                              const struct inbound_facts *facts)
{
    struct rcpt_parameters rcpt;
    enum parameter_result result =
        rcpt_read(command->argument, inbound_offers(session), session->utf8, &rcpt);
    (void)facts;
    if (result != PARAMETERS_OK)
        return complain_of_parameters(session, result, rcpt.wrong, false);
    if (!session->may_relay)
        return complain(session, session->listen->auth != LISTEN_AUTH_OFF
                                     ? AUTH_FIRST
                                     : "550 5.7.1 Relaying is not allowed for you");
    if (session->count >= inbound_recipients_max(session))
        return say(session, "452 4.5.3 Too many recipients");
    add_recipient(session, &rcpt);
    session->state = INBOUND_RCPT;
    return say(session, "250 2.1.5 Ok");
}
