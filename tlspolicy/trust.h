/* Certification authorities: whom to believe that a certificate is what it says. Loaded once,
 * immutable then, counted by reference, shared by all threads. */
#pragma once

#include "tlspolicy/tls.h"

/* The certificates of a PEM file, each of them trusted as it stands; NULL: the system's. NULL
 * with one line in `why` (which file, what is wrong with it, what to do). */
struct tls_trust *tls_trust_load(const char *ca_file, char why[TLS_WHY_MAX]);

struct tls_trust *tls_trust_share(struct tls_trust *trust); /* one reference more */
void tls_trust_release(struct tls_trust **trust);

/* The system's, loaded when it is first asked for, and kept: the caller's reference. NULL with
 * `why` as above, and asked for again the next time. */
struct tls_trust *tls_trust_system(char why[TLS_WHY_MAX]);

/* Loads them now, whatever was there: it takes twenty milliseconds, which no event loop should
 * spend; and the files may have changed. False with `why` when there are none. */
bool tls_trust_renew_system(char why[TLS_WHY_MAX]);

/* A number for the ticket key: the same for the same certificates, after a restart too. NULL is
 * the system's; 0 when there is none. */
uint64_t tls_trust_generation(const struct tls_trust *trust);
