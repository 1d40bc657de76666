/* Lets Debian 12's OpenSMTPD 6.8 serve TLS; a preloaded library, for tests only.
 *
 * That OpenSMTPD keeps private keys in a process of its own and reaches them through an OpenSSL
 * engine, which OpenSSL 3 no longer asks: every handshake ends with "EVP lib" (OpenSMTPD issues
 * 1171 and 1239). Here each process reads the key named by MILLRACE_PEER_KEY as it starts, while
 * it may still open files, and uses it where OpenSMTPD would use its stand-in. The handshake and
 * all of SMTP stay OpenSMTPD's own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

static EVP_PKEY *key;

__attribute__((constructor)) static void read_key(void)
{
    const char *path = getenv("MILLRACE_PEER_KEY");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file)
        return;
    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
}

int SSL_CTX_use_PrivateKey(SSL_CTX *ctx, EVP_PKEY *stand_in)
{
    int (*use)(SSL_CTX *, EVP_PKEY *) =
        (int (*)(SSL_CTX *, EVP_PKEY *))dlsym(RTLD_NEXT, "SSL_CTX_use_PrivateKey");
    return use(ctx, key ? key : stand_in);
}

/* The engine is not to become the default: it would be asked about the true key, too. */
int ENGINE_set_default_RSA(void *engine)
{
    (void)engine;
    return 1;
}
int ENGINE_set_default_EC(void *engine)
{
    (void)engine;
    return 1;
}
