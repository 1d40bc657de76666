/* What the certificate of an HTTPS server must show beyond what libcurl asks of it: its name as a
 * DNS-ID (RFC 8461 3.3, RFC 6125 6.4). Never the CN, and `*` only for a whole left-most label. */
#pragma once

#include <stdbool.h>

/* `ssl_ctx` is an OpenSSL SSL_CTX, as libcurl hands it to CURLOPT_SSL_CTX_FUNCTION. False: the
 * connection must not be made. */
bool webpki_expect(void *ssl_ctx, const char *host);
