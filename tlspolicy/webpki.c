#include "tlspolicy/webpki.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

bool webpki_expect(void *ssl_ctx, const char *host)
{
    X509_VERIFY_PARAM *checks = SSL_CTX_get0_param(ssl_ctx);
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return host[0] != '\0' && host[0] != '.' && X509_VERIFY_PARAM_set1_host(checks, host, 0) == 1;
}
