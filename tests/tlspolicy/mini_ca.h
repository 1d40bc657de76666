/* A certification authority of a test's own: keys and certificates made in memory, written as
 * PEM files into the test's directory. */
#pragma once

#include "tests/tlspolicy/scratch.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define DAY (24L * 3600)

struct issued {
    X509 *certificate;
    EVP_PKEY *key;
};

struct issue {
    const char *cn;    /* NULL: an empty subject */
    const char *names; /* as openssl-x509v3_config(5): "DNS:mx.example,IP:192.0.2.1" */
    const char *usage; /* extended; NULL: serverAuth */
    bool ca;
    long from, until; /* seconds from now; 0, 0: since yesterday, for a month */
};

static inline void issue_extension(X509 *to, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    ck_assert_msg(extension != NULL, "%s", value);
    ck_assert(X509_add_ext(to, extension, -1));
    X509_EXTENSION_free(extension);
}

/* `by` NULL: by itself. */
static inline struct issued issue_certificate(const struct issued *by, const struct issue *what)
{
    static long serial = 1000;
    bool dated = what->from != 0 || what->until != 0;
    struct issued made = {X509_new(), EVP_EC_gen("P-256")};
    ck_assert(made.certificate != NULL && made.key != NULL);
    X509 *to = made.certificate;
    X509_set_version(to, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(to), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(to), dated ? what->from : -DAY);
    X509_gmtime_adj(X509_getm_notAfter(to), dated ? what->until : 30 * DAY);
    if (what->cn != NULL)
        X509_NAME_add_entry_by_NID(X509_get_subject_name(to), NID_commonName, MBSTRING_UTF8,
                                   (const unsigned char *)what->cn, -1, -1, 0);
    X509_set_issuer_name(to, X509_get_subject_name(by ? by->certificate : to));
    X509_set_pubkey(to, made.key);
    if (what->names != NULL)
        issue_extension(to, NID_subject_alt_name, what->names);
    if (what->ca)
        issue_extension(to, NID_basic_constraints, "critical,CA:TRUE");
    else
        issue_extension(to, NID_ext_key_usage, what->usage ? what->usage : "serverAuth");
    ck_assert(X509_sign(to, by ? by->key : made.key, EVP_sha256()));
    return made;
}

static inline void issued_free(struct issued *issued)
{
    X509_free(issued->certificate);
    EVP_PKEY_free(issued->key);
    *issued = (struct issued){NULL, NULL};
}

/* The certificates one behind the other, the first one's key in the other file. */
static inline void issued_write(const struct scratch *scratch, const struct issued *const *chain,
                                size_t count)
{
    FILE *certificates = fopen(scratch->certificate, "w");
    FILE *key = fopen(scratch->key, "w");
    ck_assert(certificates != NULL && key != NULL);
    for (size_t i = 0; i < count; i++)
        ck_assert(PEM_write_X509(certificates, chain[i]->certificate));
    ck_assert(PEM_write_PrivateKey(key, chain[0]->key, NULL, NULL, 0, NULL, NULL));
    fclose(certificates);
    fclose(key);
}

static inline void issued_write_ca(const char *path, const struct issued *ca)
{
    FILE *file = fopen(path, "w");
    ck_assert(file != NULL && PEM_write_X509(file, ca->certificate));
    fclose(file);
}

/* The data of a TLSA record for it; the caller's array holds it. */
static inline struct tlsa issued_tlsa(const struct issued *of, uint8_t usage, uint8_t selector,
                                      uint8_t matching, char data[2048])
{
    unsigned char *der = NULL;
    int length = selector == 0 ? i2d_X509(of->certificate, &der)
                               : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(of->certificate), &der);
    unsigned count = (unsigned)length;
    ck_assert(length > 0 && length <= 2048);
    if (matching == 0)
        memcpy(data, der, count);
    else
        EVP_Digest(der, (size_t)length, (unsigned char *)data, &count,
                   matching == 1 ? EVP_sha256() : EVP_sha512(), NULL);
    OPENSSL_free(der);
    return (struct tlsa){usage, selector, matching, {data, count}};
}
