/* Certificates and keys in files: loading them, and making a pair for a machine that has
 * none (the sink, the demo, first steps). */
#include "tlspolicy/openssl.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define VALID_BEFORE_SECONDS (24L * 3600) /* for peers whose clocks are behind */
#define VALID_SECONDS (3650L * 24 * 3600)
#define COMMON_NAME_MAX 64 /* RFC 5280, ub-common-name-length */

static void key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void certificate_free(X509 **certificate)
{
    X509_free(*certificate);
}

static void bio_free(BIO **bio)
{
    BIO_free(*bio);
}

/* ---- loading ---- */

int openssl_no_passphrase(char *to, int size, int for_writing, void *asked)
{
    (void)to, (void)size, (void)for_writing;
    if (asked != NULL)
        *(bool *)asked = true;
    return -1;
}

/* One line: what, which file, why, what to do. */
static bool load_fault(char why[TLS_WHY_MAX], const char *what, const char *path,
                       const char *advice)
{
    char reason[96];
    int library = ERR_GET_LIB(ERR_peek_error());
    if (library == ERR_LIB_SYS || library == ERR_LIB_SSL)
        openssl_reason(reason, sizeof(reason));
    else /* the decoders' own words only puzzle */
        snprintf(reason, sizeof(reason), "no PEM %s in it", what);
    ERR_clear_error();
    why_print(why, "%s %s: %s: %s", what, path, reason, advice);
    return false;
}

static bool load_key(SSL_CTX *context, const struct tls_server_options *options,
                     char why[TLS_WHY_MAX])
{
    bool asked = false;
    const char *advice = "name a PEM file with the certificate's private key";
    CLEANUP(bio_free) BIO *file = BIO_new_file(options->key, "re");
    CLEANUP(key_free)
    EVP_PKEY *key =
        file ? PEM_read_bio_PrivateKey(file, NULL, openssl_no_passphrase, &asked) : NULL;
    if (asked)
        advice = "it has a passphrase: store it without one (openssl pkey -in OLD -out NEW)";
    if (key == NULL)
        return load_fault(why, "key", options->key, advice);
    if (!X509_check_private_key(SSL_CTX_get0_certificate(context), key)) {
        ERR_clear_error();
        why_print(why, "key %s: does not match the certificate %s: name the key it was made for",
                  options->key, options->certificate);
        return false;
    }
    return SSL_CTX_use_PrivateKey(context, key) == 1 ||
           load_fault(why, "key", options->key, "name one that TLS can use");
}

bool certificate_load(SSL_CTX *context, const struct tls_server_options *options,
                      char why[TLS_WHY_MAX])
{
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1)
        return load_fault(why, "certificate", options->certificate,
                          "name a PEM file: the leaf first, then its chain");
    return load_key(context, options, why);
}

/* ---- making ---- */

static bool fault(char why[TLS_WHY_MAX], const char *path, int error, const char *advice)
{
    ERR_clear_error();
    why_print(why, "self-signed certificate: %s: %s: %s", path, strerror(error), advice);
    return false;
}

static bool fault_of_openssl(char why[TLS_WHY_MAX], const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    why_print(why, "self-signed certificate: %s: %s", what,
              reason ? reason : "OpenSSL does not say why");
    ERR_clear_error();
    return false;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool write_all(int file, struct span bytes)
{
    while (bytes.length > 0) {
        ssize_t count = write(file, bytes.data, bytes.length);
        if (count <= 0)
            return false;
        bytes = span_skip(bytes, (size_t)count);
    }
    return fsync(file) == 0;
}

/* Writes a file whole or not at all; one that has come to be there meanwhile stays. */
static bool put_file(const char *path, BIO *content, char why[TLS_WHY_MAX])
{
    char *bytes;
    long length = BIO_get_mem_data(content, &bytes);
    char scratch[PATH_MAX];
    if (snprintf(scratch, sizeof(scratch), "%s.XXXXXX", path) >= (int)sizeof(scratch))
        return fault(why, path, ENAMETOOLONG, "choose a shorter one");
    int file = mkostemp(scratch, O_CLOEXEC); /* 0600 */
    if (file < 0)
        return fault(why, path, errno, "choose a directory that can be written to");
    bool written = write_all(file, (struct span){bytes, (size_t)length});
    if (close(file) != 0 || !written || (link(scratch, path) != 0 && errno != EEXIST)) {
        fault(why, path, errno, "the file could not be written");
        written = false;
    }
    unlink(scratch);
    return written;
}

static bool make_key(const char *path, char why[TLS_WHY_MAX])
{
    CLEANUP(key_free) EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(bio_free) BIO *text = BIO_new(BIO_s_secmem());
    if (key == NULL || text == NULL ||
        !PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL))
        return fault_of_openssl(why, "no key could be made");
    return put_file(path, text, why);
}

static EVP_PKEY *read_key(const char *path, char why[TLS_WHY_MAX])
{
    CLEANUP(bio_free) BIO *file = BIO_new_file(path, "re");
    if (file == NULL) {
        fault(why, path, errno, "make it readable, or remove it to have a new one made");
        return NULL;
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, openssl_no_passphrase, NULL);
    if (key == NULL) {
        ERR_clear_error();
        why_print(why,
                  "self-signed certificate: %s: no PEM key in it: remove it to have a new one made",
                  path);
    }
    return key;
}

static bool add_dns_name(GENERAL_NAMES *names, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();
    if (name == NULL || value == NULL || !ASN1_STRING_set(value, text, -1) ||
        !sk_GENERAL_NAME_push(names, name)) {
        GENERAL_NAME_free(name);
        ASN1_IA5STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, GEN_DNS, value);
    return true;
}

static bool add_names(X509 *certificate, const char *name)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool added = names != NULL && add_dns_name(names, name) &&
                 (strcmp(name, "localhost") == 0 || add_dns_name(names, "localhost")) &&
                 X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0);
    GENERAL_NAMES_free(names);
    if (!added || strlen(name) > COMMON_NAME_MAX)
        return added;
    X509_NAME *subject = X509_get_subject_name(certificate);
    const unsigned char *text = (const unsigned char *)name;
    return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, text, -1, -1, 0);
}

static bool add_usage(X509 *certificate)
{
    X509_EXTENSION *usage =
        X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, "serverAuth,clientAuth");
    bool added = usage != NULL && X509_add_ext(certificate, usage, -1);
    X509_EXTENSION_free(usage);
    return added;
}

static bool set_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    bool set = number != NULL && BN_rand(number, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return set;
}

static bool fill(X509 *certificate, EVP_PKEY *key, const char *name)
{
    return X509_set_version(certificate, X509_VERSION_3) && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -VALID_BEFORE_SECONDS) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_SECONDS) &&
           X509_set_pubkey(certificate, key) && add_names(certificate, name) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) &&
           add_usage(certificate) && X509_sign(certificate, key, EVP_sha256());
}

static bool make_certificate(const char *path, const char *key_path, const char *name,
                             char why[TLS_WHY_MAX])
{
    CLEANUP(key_free) EVP_PKEY *key = read_key(key_path, why);
    if (key == NULL)
        return false;
    CLEANUP(certificate_free) X509 *certificate = X509_new();
    CLEANUP(bio_free) BIO *text = BIO_new(BIO_s_mem());
    if (certificate == NULL || text == NULL || !fill(certificate, key, name) ||
        !PEM_write_bio_X509(text, certificate))
        return fault_of_openssl(why, "no certificate could be made");
    return put_file(path, text, why);
}

/* The key comes first, and the certificate is made for whatever key is there: two processes
 * that do this at once, or one that was stopped half-way, leave a pair that fits. */
bool tls_self_signed(const char *directory, const char *name, char why[TLS_WHY_MAX])
{
    char certificate[PATH_MAX], key[PATH_MAX];
    why[0] = '\0';
    if (snprintf(certificate, sizeof(certificate), "%s/cert.pem", directory) >= PATH_MAX ||
        snprintf(key, sizeof(key), "%s/key.pem", directory) >= PATH_MAX)
        return fault(why, directory, ENAMETOOLONG, "choose a shorter one");
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return fault(why, directory, errno, "choose a directory that can be made");
    bool has_certificate = exists(certificate), has_key = exists(key);
    if (has_certificate && !has_key)
        return fault(why, key, ENOENT, "put the key of cert.pem there, or remove cert.pem");
    if (!has_key && !make_key(key, why))
        return false;
    return has_certificate || make_certificate(certificate, key, name, why);
}
