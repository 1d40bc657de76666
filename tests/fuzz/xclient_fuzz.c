/* Whatever stands behind XCLIENT: what comes out is fit for a header. */
#include "relay/smtp/xclient.h"

#include "relay/smtp/address.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xclient xclient;
    struct ip ip;
    if (!xclient_read((struct span){(const char *)data, size}, &xclient))
        return 0;
    must_be_text(span_of(xclient.login));
    must_be_text(span_of(xclient.helo));
    must(xclient.name[0] == '\0' || domain_is_valid(span_of(xclient.name)));
    must(xclient.helo[0] == '\0' || domain_is_valid(span_of(xclient.helo)) ||
         address_literal_parse(span_of(xclient.helo), &ip));
    return 0;
}
