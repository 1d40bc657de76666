/* Whether the server's certificate is what was asked for. OpenSSL calls verify_certificate()
 * in the middle of a full handshake; nothing calls it where a session is resumed, so what was
 * found then lies with the session, and is looked at again. */
#include "base/ip.h"
#include "tlspolicy/dane.h"
#include "tlspolicy/peer.h"
#include "tlspolicy/tls_inside.h"
#include "tlspolicy/trust.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* RFC 9525 6.3: `*` as the whole left-most label or not at all; the common name is nobody's. */
#define NAME_FLAGS (X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)

#define STRICT_LEVEL 2 /* 112 bits: what a certificate is worth that is only told about */

struct verification {
    enum tls_check check;
    bool only;        /* what does not hold is told */
    bool held;        /* in this handshake */
    bool ticket_held; /* when the session was made that was shown */
    struct arena arena;
    const char **names;
    unsigned name_count;
    const struct tlsa *records; /* OpenSSL has its own; these are to tell of */
    unsigned record_count;
    struct fingerprint *fingerprints;
    unsigned fingerprint_count;
    const char *no_trust; /* why there is nobody to vouch for names, or NULL */
};

/* ---- before the handshake ---- */

static bool impossible(struct tls *tls, enum tls_fault fault, const char *why)
{
    tls_tell(tls, fault, "%s", why);
    return tls->verification->only;
}

static void copy_names(struct verification *verification, const struct tls_wants *wants)
{
    verification->names =
        arena_take(&verification->arena, (wants->name_count + 1) * sizeof(*verification->names));
    for (unsigned i = 0; i < wants->name_count; i++)
        if (wants->names[i][0] != '\0') /* OpenSSL would take it for any name */
            verification->names[verification->name_count++] =
                arena_copy(&verification->arena, span_of(wants->names[i]));
}

static void want_trust(struct tls *tls, const struct tls_trust *trust)
{
    char why[TLS_WHY_MAX];
    CLEANUP(tls_trust_release) struct tls_trust *system = trust ? NULL : tls_trust_system(why);
    const struct tls_trust *chosen = trust ? trust : system;
    struct verification *verification = tls->verification;
    if (chosen != NULL)
        must(SSL_set1_verify_cert_store(tls->ssl, trust_store(chosen)));
    else
        verification->no_trust = arena_copy(&verification->arena, span_of(why));
}

static bool want_names(struct tls *tls, const struct tls_wants *wants)
{
    if (tls->verification->name_count == 0)
        return impossible(tls, TLS_FAULT_NAME, "no name to look for in the certificate");
    want_trust(tls, wants->trust);
    return true;
}

/* RFC 7672 3.2.2: the names of a certificate under a trust anchor. OpenSSL would take a dot in
 * front for leave to match a whole tree. */
static bool want_dane_names(struct tls *tls, const char *base)
{
    const struct verification *verification = tls->verification;
    if (base == NULL || base[0] == '\0' || base[0] == '.')
        return impossible(tls, TLS_FAULT_TLSA, "no TLSA base domain to look for");
    if (SSL_dane_enable(tls->ssl, base) <= 0) { /* 255 bytes are too many for SNI */
        ERR_clear_error();
        return impossible(tls, TLS_FAULT_TLSA, "the TLSA base domain is too long");
    }
    SSL_dane_set_flags(tls->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    SSL_set_hostflags(tls->ssl, NAME_FLAGS);
    for (unsigned i = 0; i < verification->name_count; i++)
        if (verification->names[i][0] != '.')
            X509_VERIFY_PARAM_add1_host(SSL_get0_param(tls->ssl), verification->names[i], 0);
    return true;
}

static bool want_records(struct tls *tls, const struct tls_wants *wants)
{
    struct verification *verification = tls->verification;
    struct tlsa *records =
        arena_take(&verification->arena, (wants->record_count + 1) * sizeof(*records));
    if (!want_dane_names(tls, wants->tlsa_base))
        return false;
    for (unsigned i = 0; i < wants->record_count; i++) {
        const struct tlsa *record = &wants->records[i];
        if (record->usage < 2) /* RFC 7672 3.1.3: PKIX-TA and PKIX-EE are not for SMTP */
            continue;
        const unsigned char *data = (const unsigned char *)record->data.data;
        if (SSL_dane_tlsa_add(tls->ssl, record->usage, record->selector, record->matching, data,
                              record->data.length) != 1)
            continue;
        struct tlsa *kept = &records[verification->record_count++];
        *kept = *record;
        kept->data.data = arena_copy(&verification->arena, record->data);
    }
    ERR_clear_error();
    verification->records = records;
    if (verification->record_count == 0)
        return impossible(tls, TLS_FAULT_TLSA, "no TLSA record that can be used");
    return true;
}

static bool want_fingerprints(struct tls *tls, const struct tls_wants *wants)
{
    struct verification *verification = tls->verification;
    size_t size = wants->fingerprint_count * sizeof(*wants->fingerprints);
    if (size == 0)
        return impossible(tls, TLS_FAULT_FINGERPRINT, "no fingerprint to look for");
    verification->fingerprints = arena_take(&verification->arena, size);
    verification->fingerprint_count = wants->fingerprint_count;
    memcpy(verification->fingerprints, wants->fingerprints, size);
    return true;
}

bool verify_prepare(struct tls *tls, const struct tls_wants *wants)
{
    if (wants->check == TLS_CHECK_NOTHING)
        return true;
    struct verification *verification = must_calloc(1, sizeof(*verification));
    tls->verification = verification;
    verification->check = wants->check;
    verification->only = wants->check_only;
    copy_names(verification, wants);
    switch (wants->check) {
    case TLS_CHECK_NOTHING: return true;
    case TLS_CHECK_NAMES: return want_names(tls, wants);
    case TLS_CHECK_DANE: return want_records(tls, wants);
    case TLS_CHECK_FINGERPRINTS: return want_fingerprints(tls, wants);
    }
    must_not_reach();
}

void verify_free(struct verification **verification)
{
    if (*verification == NULL)
        return;
    arena_free(&(*verification)->arena);
    free(*verification);
    *verification = NULL;
}

/* ---- names ---- */

static bool is_label(struct span label)
{
    for (size_t i = 0; i < label.length; i++) {
        char c = label.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return label.length > 0;
}

/* "*", "a", "a.b", "*.b": what may stand in front of the dot. */
static bool are_labels(struct span text)
{
    for (bool first = true;; first = false) {
        const char *dot = memchr(text.data, '.', text.length);
        struct span label = {text.data, dot ? (size_t)(dot - text.data) : text.length};
        if (!is_label(label) && !(first && span_equal(label, SPAN("*"))))
            return false;
        if (dot == NULL)
            return true;
        text = span_skip(text, label.length + 1);
    }
}

static bool is_below(struct span name, struct span parent)
{
    if (parent.length < 2 || name.length <= parent.length)
        return false;
    struct span front = {name.data, name.length - parent.length};
    return span_equal_nocase(span_skip(name, front.length), parent) && are_labels(front);
}

static void names_free(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

/* A DNS-ID with at least one label in front of `parent`, which begins with a dot. */
static bool carries_name_below(const X509 *certificate, struct span parent)
{
    CLEANUP(names_free)
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type != GEN_DNS)
            continue;
        struct span name = {(const char *)ASN1_STRING_get0_data(value),
                            (size_t)ASN1_STRING_length(value)};
        if (is_below(name, parent))
            return true;
    }
    return false;
}

bool certificate_carries(X509 *certificate, const char *name)
{
    struct ip ip;
    struct span bare = span_of(name);
    if (name[0] == '.')
        return carries_name_below(certificate, bare);
    if (name[0] == '[' && name[bare.length - 1] == ']')
        bare = (struct span){name + 1, bare.length - 2};
    if (ip_parse(bare, &ip)) /* RFC 9525 6.5 */
        return X509_check_ip(certificate, ip.bytes, ip.family == 4 ? 4 : 16, 0) == 1;
    return X509_check_host(certificate, name, bare.length, NAME_FLAGS, NULL) == 1;
}

static bool carries_one(const struct verification *verification, X509 *certificate)
{
    for (unsigned i = 0; i < verification->name_count; i++)
        if (certificate_carries(certificate, verification->names[i]))
            return true;
    return false;
}

/* ---- in the handshake: X509_V_OK, or what does not hold ---- */

static int check_chain(X509_STORE_CTX *store)
{
    int error = X509_verify_cert(store) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(store);
    if (error == X509_V_OK && X509_STORE_CTX_get_error(store) != X509_V_OK)
        error = X509_V_ERR_UNSPECIFIED;
    return error;
}

static int check_names(const struct verification *verification, X509_STORE_CTX *store)
{
    if (verification->no_trust != NULL)
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    int error = check_chain(store);
    if (error == X509_V_OK && !carries_one(verification, X509_STORE_CTX_get0_cert(store)))
        error = X509_V_ERR_HOSTNAME_MISMATCH;
    return error;
}

static int check_fingerprints(const struct verification *verification, const X509 *certificate)
{
    struct fingerprint whole, key;
    bool has_whole = certificate_digest(certificate, &whole);
    bool has_key = certificate_key_digest(certificate, &key);
    for (unsigned i = 0; i < verification->fingerprint_count; i++) {
        const struct fingerprint *one = &verification->fingerprints[i];
        if ((has_whole && memcmp(one, &whole, sizeof(whole)) == 0) ||
            (has_key && memcmp(one, &key, sizeof(key)) == 0))
            return X509_V_OK;
    }
    return X509_V_ERR_CERT_REJECTED;
}

static int check(const struct verification *verification, X509_STORE_CTX *store)
{
    switch (verification->check) {
    case TLS_CHECK_NOTHING: break;
    case TLS_CHECK_NAMES: return check_names(verification, store);
    case TLS_CHECK_DANE:
        return verification->record_count > 0 ? check_chain(store) : X509_V_ERR_DANE_NO_MATCH;
    case TLS_CHECK_FINGERPRINTS:
        return check_fingerprints(verification, X509_STORE_CTX_get0_cert(store));
    }
    return X509_V_ERR_APPLICATION_VERIFICATION;
}

static enum tls_fault fault_of(const struct verification *verification, long error)
{
    if (error == X509_V_OK)
        return TLS_FAULT_NONE;
    if (verification->check == TLS_CHECK_FINGERPRINTS)
        return TLS_FAULT_FINGERPRINT;
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return TLS_FAULT_NAME;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return TLS_FAULT_EXPIRED;
    case X509_V_ERR_DANE_NO_MATCH: return TLS_FAULT_TLSA;
    default: return TLS_FAULT_CHAIN;
    }
}

/* ---- telling ---- */

static void tell_names(struct buffer *text, const struct verification *verification,
                       const struct tls_certificate *certificate)
{
    buffer_print(text, "the certificate is not for ");
    for (unsigned i = 0; i < verification->name_count; i++)
        buffer_print(text, "%s%s", i ? " or " : "", verification->names[i]);
    buffer_print(text, ", but for ");
    for (unsigned i = 0; i < certificate->name_count; i++)
        buffer_print(text, "%s%s", i ? ", " : "", certificate->names[i]);
    if (certificate->name_count == 0)
        buffer_print(text, "nobody: it has no DNS name in it (subject %s)", certificate->subject);
}

static void tell_record(struct buffer *text, const struct tlsa *record)
{
    buffer_print(text, "%u %u %u ", record->usage, record->selector, record->matching);
    for (size_t i = 0; i < record->data.length && i < 8; i++)
        buffer_print(text, "%02x", (unsigned char)record->data.data[i]);
}

static void tell_records(struct buffer *text, const struct verification *verification,
                         const struct tls_certificate *certificate)
{
    buffer_print(text, "no TLSA record matches: the certificate's would be 3 1 1 %s; there %s ",
                 certificate->key_fingerprint, verification->record_count == 1 ? "is" : "are");
    for (unsigned i = 0; i < verification->record_count; i++) {
        buffer_print(text, "%s", i ? ", " : "");
        tell_record(text, &verification->records[i]);
        buffer_print(text, "...");
    }
}

/* In an operator's words where OpenSSL's are for those who wrote it. */
static const char *reason_of(int error)
{
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "its issuer is not among the CAs, nor was it sent";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "the chain ends with it, and it is not among the CAs";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return "it is self-signed, and not among the CAs";
    default: return X509_verify_cert_error_string(error);
    }
}

/* `bad` is the certificate of the chain that the fault is with. */
static void tell_chain(struct buffer *text, int error, const struct tls_certificate *bad)
{
    if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        buffer_print(text, "the certificate of %s expired %s", bad->subject, bad->not_after);
    else if (error == X509_V_ERR_CERT_NOT_YET_VALID)
        buffer_print(text, "the certificate of %s is not valid before %s", bad->subject,
                     bad->not_before);
    else
        buffer_print(text, "the certificate of %s, issued by %s, is not trusted: %s",
                     bad->subject[0] ? bad->subject : "(no subject)",
                     bad->issuer[0] ? bad->issuer : "(no issuer)", reason_of(error));
}

static void tell_fault(struct tls *tls, X509_STORE_CTX *store, int error)
{
    const struct verification *verification = tls->verification;
    CLEANUP(arena_free) struct arena arena = {0};
    CLEANUP(buffer_free) struct buffer text = {0};
    const X509 *current = X509_STORE_CTX_get_current_cert(store);
    struct tls_certificate leaf, bad;
    enum tls_fault fault = fault_of(verification, error);
    certificate_describe(X509_STORE_CTX_get0_cert(store), &arena, &leaf);
    certificate_describe(current ? current : X509_STORE_CTX_get0_cert(store), &arena, &bad);
    switch (fault) {
    case TLS_FAULT_NAME: tell_names(&text, verification, &leaf); break;
    case TLS_FAULT_TLSA: tell_records(&text, verification, &leaf); break;
    case TLS_FAULT_FINGERPRINT:
        buffer_print(&text, "the fingerprint is not one expected: sha256:%s, of the key sha256:%s",
                     leaf.fingerprint, leaf.key_fingerprint);
        break;
    case TLS_FAULT_NONE:
    case TLS_FAULT_PROTOCOL:
    case TLS_FAULT_ALERT:
    case TLS_FAULT_EXPIRED:
    case TLS_FAULT_CHAIN:
        if (verification->no_trust != NULL)
            buffer_print(&text, "%s", verification->no_trust);
        else
            tell_chain(&text, error, &bad);
    }
    tls_tell(tls, fault, "%.*s", SPAN_FORMAT(buffer_span(&text)));
}

/* ---- what OpenSSL calls ---- */

int verify_certificate(X509_STORE_CTX *store, void *nothing)
{
    (void)nothing;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = SSL_get_app_data(ssl);
    struct verification *verification = tls->verification;
    if (verification == NULL) { /* no chain is built; and lest somebody take it for a good one: */
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 1;
    }
    if (verification->only)
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(store), STRICT_LEVEL);
    int error = check(verification, store);
    X509_STORE_CTX_set_error(store, error);
    verification->held = error == X509_V_OK;
    if (!verification->held && tls->fault == TLS_FAULT_NONE)
        tell_fault(tls, store, error);
    ERR_clear_error();
    return verification->held || verification->only;
}

/* ---- resumption ---- */

bool verify_takes(const struct tls *tls, bool held)
{
    const struct verification *verification = tls->verification;
    if (verification == NULL || verification->only)
        return true;
    return held && SSL_get_verify_result(tls->ssl) == X509_V_OK;
}

void verify_shows(struct tls *tls, bool held)
{
    if (tls->verification != NULL)
        tls->verification->ticket_held = held;
}

bool verify_held(const struct tls *tls)
{
    const struct verification *verification = tls->verification;
    return verification != NULL && SSL_get_verify_result(tls->ssl) == X509_V_OK &&
           (SSL_session_reused(tls->ssl) ? verification->ticket_held : verification->held);
}

/* RFC 7672 3.1.1: the dates under DANE-EE(3) say nothing; under a trust anchor they do. */
static bool is_dated(const struct tls *tls)
{
    uint8_t usage = TLSA_DANE_EE;
    if (tls->verification == NULL)
        return false;
    switch (tls->verification->check) {
    case TLS_CHECK_NOTHING:
    case TLS_CHECK_FINGERPRINTS: return false;
    case TLS_CHECK_NAMES: return true;
    case TLS_CHECK_DANE:
        SSL_get0_dane_tlsa(tls->ssl, &usage, NULL, NULL, NULL, NULL);
        return usage == TLSA_DANE_TA;
    }
    must_not_reach();
}

int64_t verify_until_ms(const struct tls *tls)
{
    struct tm date;
    const X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (!is_dated(tls) || certificate == NULL ||
        !ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &date))
        return INT64_MAX;
    return (int64_t)timegm(&date) * 1000;
}

bool verify_ends(struct tls *tls)
{
    if (tls->verification == NULL || verify_held(tls))
        return true;
    long error = SSL_get_verify_result(tls->ssl);
    if (error == X509_V_OK)
        error = X509_V_ERR_APPLICATION_VERIFICATION;
    if (tls->fault == TLS_FAULT_NONE)
        tls_tell(tls, fault_of(tls->verification, error),
                 "resumed, and when the session was made the certificate did not hold: %s",
                 X509_verify_cert_error_string(error));
    return tls->verification->only;
}
