#include "relay/smtp/idna.h"

#include "relay/smtp/address.h"

#include <idn2.h>
#include <stdio.h>
#include <string.h>

bool idna_to_ascii(struct span domain, char ascii[IDNA_DOMAIN_MAX + 1])
{
    char utf8[IDNA_DOMAIN_MAX + 1], *found = NULL;
    if (domain.length == 0 || domain.length > IDNA_DOMAIN_MAX ||
        memchr(domain.data, '\0', domain.length))
        return false;
    snprintf(utf8, sizeof(utf8), "%.*s", SPAN_FORMAT(domain));
    if (idn2_to_ascii_8z(utf8, &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return false;
    /* The mapping may bring forth what no domain has, an '@' even. */
    bool valid = domain_is_valid(span_of(found));
    if (valid) {
        snprintf(ascii, IDNA_DOMAIN_MAX + 1, "%s", found);
        text_lower(ascii);
    }
    idn2_free(found);
    return valid;
}
