/* Whatever a server shows as its certificate: what it says of itself is fit to print, and it is for
 * nobody that it does not name. */
#include "tlspolicy/openssl.h"
#include "tlspolicy/peer.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

static void expect_printable(const char *text)
{
    must(strlen(text) <= 256);
    must_be_printable(span_of(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned char *at = data;
    X509 *certificate = d2i_X509(NULL, &at, (long)size);
    ERR_clear_error();
    if (certificate == NULL)
        return 0;
    CLEANUP(arena_free) struct arena arena = {0};
    struct tls_certificate said;
    certificate_describe(certificate, &arena, &said);
    const char *const texts[] = {said.subject,        said.issuer, said.not_before,
                                 said.not_after,      said.key,    said.fingerprint,
                                 said.key_fingerprint};
    for (size_t i = 0; i < countof(texts); i++)
        expect_printable(texts[i]);
    must(said.name_count <= PEER_NAMES_MAX);
    for (unsigned i = 0; i < said.name_count; i++)
        expect_printable(said.names[i]);
    certificate_carries(certificate, "mx.example.test");
    certificate_carries(certificate, "[192.0.2.1]");
    if (said.name_count == 0)
        must(!certificate_carries(certificate, ".example.test"));
    must(!certificate_carries(certificate, "."));
    must(!certificate_carries(certificate, ""));
    X509_free(certificate);
    ERR_clear_error();
    return 0;
}
