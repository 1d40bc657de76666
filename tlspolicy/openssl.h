/* What the two files here that include OpenSSL share; no concern of anybody else. */
#pragma once

#include "tlspolicy/tls.h"

struct ssl_ctx_st;

/* Sets `why`, cut at TLS_WHY_MAX. */
void why_print(char why[TLS_WHY_MAX], const char *format, ...) PRINTF_LIKE(2, 3);

/* OpenSSL's first complaint as one printable line; clears its queue. */
void openssl_reason(char *to, size_t size);

/* OpenSSL asks for a passphrase: there is none to be had here. Without it the terminal would
 * be asked. `asked` (a bool, may be NULL) becomes true. */
int openssl_no_passphrase(char *to, int size, int for_writing, void *asked);

/* Puts certificate, chain and key into the context. False with one line in `why`. */
bool certificate_load(struct ssl_ctx_st *context, const struct tls_server_options *options,
                      char why[TLS_WHY_MAX]);
