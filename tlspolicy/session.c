/* A TLS session as the ticket store holds it: until when it may be used and whether its server was
 * who it should be, then OpenSSL's DER without the peer's certificate, or a session that has none.
 *
 * To decode a certificate costs as much as the rest of a resumed handshake, and nobody looks
 * at it; and it is many times as large as all else. What was found when it was checked is in the
 * DER too, but as something that stands there only when it was bad: that it was good is said by us.
 *
 * So what a full handshake makes goes in as bytes, and what comes of resuming that as it is: a
 * copy, for the connection that it came on holds on to its own. */
#include "tlspolicy/openssl.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/ssl.h>

#define UNSAID_LIFE_MS INT64_C(7200000)
#define PEER_TAG 3 /* peer [3], in the ASN.1 of OpenSSL's sessions since they have one */

#define FORMAT 2 /* of the head: sessions lie on disk, for the next version to find */

struct head {
    uint32_t format;
    uint32_t verified;
    int64_t until_ms, last_ms;
};

/* One element at `*at`, which is set behind it; false at the end or when there is none. */
static bool next_element(const unsigned char **at, const unsigned char *end, int *tag, int *class)
{
    long length;
    if (*at >= end || (ASN1_get_object(at, &length, tag, class, end - *at) & 0x80))
        return false;
    *at += length;
    return true;
}

/* Cuts the certificate out of a session in DER. Where the rest now begins. */
static unsigned char *cut_certificate(unsigned char *der, size_t *length)
{
    const unsigned char *content = der, *end = der + *length;
    long content_length;
    int tag, class;
    must(!(ASN1_get_object(&content, &content_length, &tag, &class, end - content) & 0x80));
    for (const unsigned char *at = content, *start = at; next_element(&at, end, &tag, &class);
         start = at) {
        if (tag != PEER_TAG || class != V_ASN1_CONTEXT_SPECIFIC)
            continue;
        memmove(der + (start - der), at, (size_t)(end - at));
        content_length -= at - start;
        break;
    }
    int whole = ASN1_object_size(1, (int)content_length, V_ASN1_SEQUENCE);
    unsigned char *begin = der + (content - der) - (whole - (int)content_length);
    unsigned char *to = begin;
    ASN1_put_object(&to, 1, (int)content_length, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    *length = (size_t)whole;
    return begin;
}

static size_t pack(const SSL_SESSION *session, const struct session_head *head,
                   char to[TICKET_BYTES_MAX])
{
    struct head packed = {FORMAT, head->verified, head->until_ms, head->last_ms};
    unsigned char *der = NULL;
    int whole = i2d_SSL_SESSION(session, &der);
    if (whole <= 0)
        return 0;
    size_t length = (size_t)whole;
    unsigned char *rest = cut_certificate(der, &length);
    bool fits = sizeof(packed) + length <= TICKET_BYTES_MAX;
    if (fits) {
        memcpy(to, &packed, sizeof(packed));
        memcpy(to + sizeof(packed), rest, length);
    }
    OPENSSL_clear_free(der, (size_t)whole);
    return fits ? sizeof(packed) + length : 0;
}

static SSL_SESSION *unpack(struct span ticket, struct session_head *head)
{
    struct head packed;
    if (ticket.length <= sizeof(packed))
        return NULL;
    memcpy(&packed, ticket.data, sizeof(packed));
    if (packed.format != FORMAT || packed.verified > 1)
        return NULL;
    *head = (struct session_head){packed.until_ms, packed.last_ms, packed.verified == 1};
    struct span der = span_skip(ticket, sizeof(packed));
    const unsigned char *at = (const unsigned char *)der.data;
    return d2i_SSL_SESSION(NULL, &at, (long)der.length);
}

/* ---- as it is ---- */

#define SESSION_SIZE 1280 /* of one in memory, without ticket and name */

struct kept {
    struct ticket_session ticket;
    struct session_head head;
    SSL_SESSION *session;
};

static size_t kept_pack(struct ticket_session *ticket, char to[TICKET_BYTES_MAX])
{
    struct kept *kept = container_of(ticket, struct kept, ticket);
    return pack(kept->session, &kept->head, to);
}

static void kept_free(struct ticket_session **ticket)
{
    struct kept *kept = container_of(*ticket, struct kept, ticket);
    SSL_SESSION_free(kept->session);
    free(kept);
    *ticket = NULL;
}

static struct ticket_session *keep(const SSL_SESSION *session, const struct session_head *head)
{
    const unsigned char *ticket;
    size_t length;
    const char *name = SSL_SESSION_get0_hostname(session);
    SSL_SESSION_get0_ticket(session, &ticket, &length);
    struct kept *kept = must_calloc(1, sizeof(*kept));
    kept->ticket.size = SESSION_SIZE + length + (name ? strlen(name) : 0);
    kept->ticket.pack = kept_pack;
    kept->ticket.free = kept_free;
    kept->head = *head;
    kept->session = SSL_SESSION_dup(session);
    must(kept->session != NULL);
    return &kept->ticket;
}

/* ---- to the store and back ---- */

void session_store(struct tickets *tickets, struct span key, SSL_SESSION *session,
                   const struct session_head *head, int64_t now_ms)
{
    int64_t life_ms = head->until_ms - now_ms;
    if (SSL_SESSION_get0_peer(session) == NULL) {
        tickets_put_session(tickets, key, keep(session, head), life_ms, now_ms);
        return;
    }
    char bytes[TICKET_BYTES_MAX];
    struct span ticket = {bytes, pack(session, head, bytes)};
    tickets_put(tickets, key, ticket, life_ms, now_ms);
    explicit_bzero(bytes, ticket.length);
}

SSL_SESSION *session_of(struct ticket_taken *taken, struct session_head *head)
{
    if (taken->session == NULL)
        return unpack((struct span){taken->bytes, taken->length}, head);
    struct kept *kept = container_of(taken->session, struct kept, ticket);
    *head = kept->head;
    SSL_SESSION_up_ref(kept->session);
    return kept->session;
}

bool session_is_single_use(const SSL_SESSION *session)
{
    return SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
}

int64_t session_until_ms(const SSL_SESSION *session, int64_t last_ms, int64_t now_ms)
{
    int64_t life_ms = (int64_t)SSL_SESSION_get_ticket_lifetime_hint(session) * 1000;
    if (life_ms == 0 && !session_is_single_use(session))
        life_ms = UNSAID_LIFE_MS; /* RFC 5077 3.3: as long as we like */
    return life_ms < last_ms - now_ms ? now_ms + life_ms : last_ms;
}
