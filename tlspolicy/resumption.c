/* How a client's connection comes by a session from the ticket store, and what it puts there. */
#include "tlspolicy/tls_inside.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

static struct span key_of(const struct tls *tls)
{
    return (struct span){tls->ticket_key, tls->ticket_key_length};
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* OpenSSL made a session: after a full handshake, or from a ticket that came with a read. One that
 * comes of a resumed connection lives no longer than the one that was resumed might have: sooner or
 * later a certificate is looked at again (RFC 8446 4.6.1). */
static int session_made(SSL *ssl, SSL_SESSION *session)
{
    struct tls *tls = SSL_get_app_data(ssl);
    if (tls->ticket_key == NULL || tls->tickets_kept >= TICKETS_PER_CONNECTION)
        return 0;
    tls->tickets_kept++;
    int64_t now_ms = tls->client->wall_ms();
    int64_t last_ms = tls->ticket_last_ms;
    if (!SSL_session_reused(ssl))
        last_ms = least(now_ms + TICKET_LIFE_MS, verify_until_ms(tls));
    struct session_head head = {
        .until_ms = session_until_ms(session, last_ms, now_ms),
        .last_ms = last_ms,
        .verified = verify_held(tls),
    };
    session_store(tls->client->tickets, key_of(tls), session, &head, now_ms);
    return 0; /* the reference stays OpenSSL's */
}

void tls_allow_resumption(SSL_CTX *context, const struct tickets *tickets)
{
    if (tickets == NULL) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        return;
    }
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, session_made);
}

/* Gives OpenSSL the session to resume, unless it was made with less proof than is asked for. */
static bool set_session(struct tls *tls, SSL_SESSION *session, const struct session_head *head)
{
    if (session == NULL || !SSL_set_session(tls->ssl, session))
        return false;
    if (!verify_takes(tls, head->verified)) {
        must(SSL_set_session(tls->ssl, NULL));
        return false;
    }
    verify_shows(tls, head->verified);
    return true;
}

static void show_ticket(struct tls *tls, struct ticket_taken *taken, int64_t now_ms)
{
    struct session_head head;
    SSL_SESSION *session = session_of(taken, &head);
    tls->ticket_shown = set_session(tls, session, &head);
    tls->ticket_on_trial = tls->ticket_shown;
    tls->ticket_last_ms = tls->ticket_shown ? head.last_ms : 0;
    /* A session of TLS 1.3 is used once (RFC 8446 C.4). One of 1.2 goes back at once: its
     * server gives no second one, and it is purged if the handshake fails. */
    if (tls->ticket_shown && !session_is_single_use(session))
        session_store(tls->client->tickets, key_of(tls), session, &head, now_ms);
    SSL_SESSION_free(session);
    ERR_clear_error(); /* a session that cannot be read or used is only not resumed */
}

void tls_resume(struct tls *tls, const struct tls_wants *wants)
{
    struct ticket_taken taken;
    struct tickets *tickets = tls->client->tickets;
    if (tickets == NULL || wants->ticket_key.length == 0)
        return;
    tls->ticket_key = span_copy(wants->ticket_key);
    tls->ticket_key_length = wants->ticket_key.length;
    int64_t now_ms = tls->client->wall_ms();
    if (wants->full || !tickets_take(tickets, key_of(tls), now_ms, &taken))
        return;
    show_ticket(tls, &taken, now_ms);
    ticket_taken_free(&taken);
}

void tls_tell_rejected(struct tls *tls)
{
    if (tls->ticket_shown && !SSL_session_reused(tls->ssl))
        tickets_rejected(tls->client->tickets);
}

void tls_condemn_ticket(struct tls *tls)
{
    if (tls->ticket_on_trial)
        tickets_purge(tls->client->tickets, key_of(tls));
    tls->ticket_on_trial = false;
}
