#include "tlspolicy/trust.h"

#include "tlspolicy/openssl.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#define CA_FILE_MAX (16 << 20) /* the system's are 200 KiB */

struct tls_trust {
    X509_STORE *store;
    uint64_t generation;
    atomic_uint references;
};

static void file_close(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
}

static void bio_free(BIO **bio)
{
    BIO_free(*bio);
}

/* ---- loading ---- */

static bool read_file(const char *path, struct buffer *content, char why[TLS_WHY_MAX])
{
    CLEANUP(file_close) FILE *file = fopen(path, "re");
    for (size_t count = 1; file != NULL && count > 0; buffer_grew(content, count)) {
        count = fread(buffer_room(content, 65536), 1, 65536, file);
        if (buffer_length(content) + count > CA_FILE_MAX) {
            why_print(why, "CA file %s: larger than %d MiB: name a PEM file of CA certificates",
                      path, CA_FILE_MAX >> 20);
            return false;
        }
    }
    if (file != NULL && !ferror(file))
        return true;
    why_print(why, "CA file %s: %s: name a PEM file of CA certificates that can be read", path,
              strerror(errno));
    return false;
}

static uint64_t digest_of(struct span content)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    uint64_t number;
    must(EVP_Digest(content.data, content.length, digest, NULL, EVP_sha256(), NULL));
    memcpy(&number, digest, sizeof(number));
    return number | 1; /* 0 is none */
}

/* What stands between the certificates is passed over, as everywhere. */
static bool add_all(X509_STORE *store, BIO *text, const char *path, char why[TLS_WHY_MAX])
{
    unsigned count = 0;
    for (X509 *found; (found = PEM_read_bio_X509_AUX(text, NULL, openssl_no_passphrase, NULL));
         count++) {
        int added = X509_STORE_add_cert(store, found);
        X509_free(found);
        must(added == 1);
    }
    unsigned long code = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (at_end && count > 0)
        return true;
    if (at_end)
        why_print(why, "CA file %s: no PEM certificate in it: name a file of CA certificates",
                  path);
    else
        why_print(why, "CA file %s: certificate %u in it is damaged: put it right, or remove it",
                  path, count + 1);
    return false;
}

static struct tls_trust *load(const char *path, char why[TLS_WHY_MAX])
{
    CLEANUP(buffer_free) struct buffer content = {0};
    if (!read_file(path, &content, why))
        return NULL;
    struct span bytes = buffer_span(&content);
    CLEANUP(bio_free) BIO *text = BIO_new_mem_buf(bytes.data ? bytes.data : "", (int)bytes.length);
    struct tls_trust *trust = must_calloc(1, sizeof(*trust));
    trust->store = X509_STORE_new();
    must(text != NULL && trust->store != NULL);
    trust->references = 1;
    trust->generation = digest_of(bytes);
    /* An intermediate CA or a server's own certificate may be all that is named. */
    must(X509_STORE_set_flags(trust->store, X509_V_FLAG_PARTIAL_CHAIN));
    if (!add_all(trust->store, text, path, why))
        tls_trust_release(&trust);
    return trust;
}

/* What the environment names, or the first that is there, as OpenSSL, Debian and Fedora have it. No
 * directory of hashed names: it would be read in the middle of a handshake. */
static const char *system_file(void)
{
    const char *const candidates[] = {
        X509_get_default_cert_file(),
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
    };
    const char *named = getenv(X509_get_default_cert_file_env());
    if (named != NULL)
        return named;
    for (size_t i = 0; i < countof(candidates); i++)
        if (access(candidates[i], R_OK) == 0)
            return candidates[i];
    return NULL;
}

struct tls_trust *tls_trust_load(const char *ca_file, char why[TLS_WHY_MAX])
{
    ERR_clear_error();
    why[0] = '\0';
    const char *path = ca_file ? ca_file : system_file();
    if (path != NULL)
        return load(path, why);
    why_print(why, "the system has no CA certificates: install the package ca-certificates, or "
                   "name a ca-file");
    return NULL;
}

/* ---- references ---- */

struct tls_trust *tls_trust_share(struct tls_trust *trust)
{
    atomic_fetch_add(&trust->references, 1);
    return trust;
}

void tls_trust_release(struct tls_trust **trust)
{
    struct tls_trust *gone = *trust;
    *trust = NULL;
    if (gone == NULL || atomic_fetch_sub(&gone->references, 1) > 1)
        return;
    X509_STORE_free(gone->store);
    free(gone);
}

X509_STORE *trust_store(const struct tls_trust *trust)
{
    return trust->store;
}

/* ---- the system's ---- */

static pthread_mutex_t system_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls_trust *system_trust;

struct tls_trust *tls_trust_system(char why[TLS_WHY_MAX])
{
    why[0] = '\0';
    pthread_mutex_lock(&system_lock);
    if (system_trust == NULL)
        system_trust = tls_trust_load(NULL, why);
    struct tls_trust *shared = system_trust ? tls_trust_share(system_trust) : NULL;
    pthread_mutex_unlock(&system_lock);
    return shared;
}

bool tls_trust_renew_system(char why[TLS_WHY_MAX])
{
    struct tls_trust *fresh = tls_trust_load(NULL, why); /* not under the lock: it takes a while */
    bool loaded = fresh != NULL;
    pthread_mutex_lock(&system_lock);
    struct tls_trust *old = system_trust;
    system_trust = fresh;
    pthread_mutex_unlock(&system_lock);
    tls_trust_release(&old);
    return loaded;
}

uint64_t tls_trust_generation(const struct tls_trust *trust)
{
    char why[TLS_WHY_MAX];
    if (trust != NULL)
        return trust->generation;
    CLEANUP(tls_trust_release) struct tls_trust *system = tls_trust_system(why);
    return system ? system->generation : 0;
}
