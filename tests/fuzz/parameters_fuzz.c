/* Whatever stands behind MAIL and RCPT: what comes out is fit for a command, a header and a log. */
#include "relay/smtp/parameters.h"

#include "base/xtext.h"
#include "relay/smtp/address.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void must_decode_to_text(struct span xtext)
{
    struct buffer octets CLEANUP(buffer_free) = {0};
    must(xtext_decode(xtext, &octets) || utf8_xtext_decode(xtext, &octets));
    must_be_text(buffer_span(&octets));
}

static void must_be_path(struct span path, bool utf8)
{
    char name[ADDRESS_DOMAIN_MAX + 1];
    struct ip ip;
    must(utf8 ? address_is_valid_utf8(path) : address_is_valid(path));
    must_be_text(path);
    struct span destination = span_of(address_destination(path, name));
    must(domain_is_valid(destination) || address_literal_parse(destination, &ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span argument = {(const char *)data, size};
    struct mail_parameters mail;
    struct rcpt_parameters rcpt;
    if (mail_read(argument, UINT32_MAX, &mail) == PARAMETERS_OK) {
        must_decode_to_text(mail.envid);
        if (mail.path.length > 0)
            must_be_path(mail.path, mail.utf8);
    }
    for (unsigned utf8 = 0; utf8 < 2; utf8++) {
        if (rcpt_read(argument, UINT32_MAX, utf8, &rcpt) != PARAMETERS_OK)
            continue;
        must_be_path(rcpt.path, utf8);
        must_be_text(rcpt.orcpt);
        const char *address =
            rcpt.orcpt.length > 0 ? memchr(rcpt.orcpt.data, ';', rcpt.orcpt.length) : NULL;
        if (address != NULL)
            must_decode_to_text(span_skip(rcpt.orcpt, (size_t)(address - rcpt.orcpt.data) + 1));
    }
    return 0;
}
