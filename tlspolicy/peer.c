#include "tlspolicy/peer.h"

#include "base/date.h"
#include "base/ip.h"
#include "tlspolicy/tls_inside.h"

#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define TEXT_MAX 256

static void bio_free(BIO **bio)
{
    BIO_free(*bio);
}

static void names_free(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

/* A copy, cut at TEXT_MAX, with '?' for what is not printable or has a blank's look. */
static char *safe(struct arena *arena, const void *data, size_t length)
{
    char *text = arena_copy(arena, (struct span){data, length < TEXT_MAX ? length : TEXT_MAX});
    size_t kept = length < TEXT_MAX ? length : TEXT_MAX;
    for (size_t i = 0; i < kept; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    return text;
}

/* ---- its parts ---- */

static const char *name_text(const X509_NAME *name, struct arena *arena)
{
    CLEANUP(bio_free) BIO *text = BIO_new(BIO_s_mem());
    char *bytes;
    must(text != NULL);
    X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253);
    long length = BIO_get_mem_data(text, &bytes);
    return length > 0 ? safe(arena, bytes, (size_t)length) : "";
}

static const char *time_text(const ASN1_TIME *time, struct arena *arena)
{
    struct tm parts;
    char text[DATE_TEXT_MAX];
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return "?";
    return arena_copy(arena, span_of(date_format((int64_t)timegm(&parts) * 1000, text)));
}

static const char *general_name_text(const GENERAL_NAME *name, struct arena *arena)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_DNS)
        return safe(arena, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    if (type != GEN_IPADD)
        return NULL;
    char text[IP_TEXT_MAX];
    int length = ASN1_STRING_length(value);
    if (length != 4 && length != 16)
        return NULL;
    struct ip ip = ip_of_bytes(length == 4 ? 4 : 6, ASN1_STRING_get0_data(value));
    return arena_copy(arena, span_of(ip_format(&ip, text)));
}

static void read_names(const X509 *from, struct arena *arena, struct tls_certificate *certificate)
{
    CLEANUP(names_free)
    GENERAL_NAMES *names = X509_get_ext_d2i(from, NID_subject_alt_name, NULL, NULL);
    int count = names ? sk_GENERAL_NAME_num(names) : 0;
    if (count == 0)
        return;
    const char **texts = arena_take(arena, PEER_NAMES_MAX * sizeof(*texts));
    for (int i = 0; i < count && certificate->name_count < PEER_NAMES_MAX; i++) {
        const char *text = general_name_text(sk_GENERAL_NAME_value(names, i), arena);
        if (text != NULL)
            texts[certificate->name_count++] = text;
    }
    certificate->names = texts;
}

static const char *hex(const uint8_t digest[FINGERPRINT_BYTES], struct arena *arena)
{
    char *text = arena_take(arena, 2 * FINGERPRINT_BYTES + 1);
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    return text;
}

bool certificate_digest(const X509 *certificate, struct fingerprint *digest)
{
    return X509_digest(certificate, EVP_sha256(), digest->sha256, NULL) == 1;
}

bool certificate_key_digest(const X509 *certificate, struct fingerprint *digest)
{
    unsigned char *der = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    bool made = length > 0 &&
                EVP_Digest(der, (size_t)length, digest->sha256, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return made;
}

static const char *key_text(const X509 *certificate, struct arena *arena)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
    return type ? arena_print(arena, "%s %d", type, EVP_PKEY_get_bits(key)) : "unknown";
}

/* ---- all of it ---- */

void certificate_describe(const X509 *from, struct arena *arena, struct tls_certificate *to)
{
    struct fingerprint whole, key;
    bool has_whole = certificate_digest(from, &whole);
    bool has_key = certificate_key_digest(from, &key);
    *to = (struct tls_certificate){
        .subject = name_text(X509_get_subject_name(from), arena),
        .issuer = name_text(X509_get_issuer_name(from), arena),
        .not_before = time_text(X509_get0_notBefore(from), arena),
        .not_after = time_text(X509_get0_notAfter(from), arena),
        .key = key_text(from, arena),
        .fingerprint = has_whole ? hex(whole.sha256, arena) : "?",
        .key_fingerprint = has_key ? hex(key.sha256, arena) : "?",
    };
    read_names(from, arena, to);
    ERR_clear_error();
}

bool tls_peer_certificate(const struct tls *tls, unsigned depth, struct arena *arena,
                          struct tls_certificate *certificate)
{
    const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls->ssl);
    if (chain == NULL || depth >= PEER_CHAIN_MAX || (int)depth >= sk_X509_num(chain))
        return false;
    certificate_describe(sk_X509_value(chain, (int)depth), arena, certificate);
    return true;
}
