/* What a certificate says of itself, as text that is safe anywhere: printable ASCII, bounded. It
 * is the peer's word, whether or not anybody vouches for it. */
#pragma once

#include "base/arena.h"
#include "tlspolicy/tls.h"

#define PEER_NAMES_MAX 100 /* further ones are not told */
#define PEER_CHAIN_MAX 20

struct tls_certificate {
    const char *subject, *issuer; /* "CN=mx.example,O=Example" (RFC 4514), cut when it is long */
    const char *const *names;     /* subjectAltName: DNS names and addresses */
    unsigned name_count;
    const char *not_before, *not_after;        /* "2026-11-21T13:00:05Z"; "?" when unreadable */
    const char *key;                           /* "RSA 2048", "EC 256", "ED25519 256" */
    const char *fingerprint, *key_fingerprint; /* SHA-256 in hex; of the SubjectPublicKeyInfo */
};

/* The certificate at `depth` of the chain as the server sent it, its own at 0. False when there
 * is none: behind the last, and on a resumed connection, where none was sent. */
bool tls_peer_certificate(const struct tls *tls, unsigned depth, struct arena *arena,
                          struct tls_certificate *certificate);
