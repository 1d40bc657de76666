/* Whatever is taken for a path, a domain or an address literal: what is valid may stand in a
 * command, a header and a log line, leads to a destination that is a domain or a literal, and that
 * one to itself. */
#include "relay/smtp/address.h"

#include "relay/smtp/idna.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

static void must_be_destination(struct span destination)
{
    struct ip ip;
    must(domain_is_valid(destination) || address_literal_parse(destination, &ip));
    must_be_printable(destination);
    for (size_t i = 0; i < destination.length; i++)
        must(destination.data[i] != ' ' && destination.data[i] != '@');
}

/* RFC 5321 4.1.2: what is not quoted is one word. */
static void must_be_word(struct span path)
{
    bool quoted = false;
    for (size_t i = 0; i < path.length; i++) {
        must(quoted || strchr(" <>,;", path.data[i]) == NULL);
        if (quoted && path.data[i] == '\\')
            i++;
        else if (path.data[i] == '"')
            quoted = !quoted;
    }
    must(!quoted);
}

static void try_path(struct span path)
{
    char name[ADDRESS_DOMAIN_MAX + 1], again[ADDRESS_DOMAIN_MAX + 1];
    char other[2 + ADDRESS_DOMAIN_MAX + 1];
    must(!address_is_valid(path) || address_is_valid_utf8(path));
    must(!address_is_valid(path) || span_is_ascii(path));
    if (!address_is_valid_utf8(path))
        return;
    must(path.length <= 64 + 1 + 4 * ADDRESS_DOMAIN_MAX);
    must_be_text(path);
    must_be_word(path);
    must(address_domain(path).length > 0);
    must_be_destination(span_of(address_destination(path, name)));
    snprintf(other, sizeof(other), "x@%s", name);
    must(address_is_valid(span_of(other)));
    must(strcmp(address_destination(span_of(other), again), name) == 0);
}

static void try_domain(struct span domain)
{
    char ascii[IDNA_DOMAIN_MAX + 1], again[IDNA_DOMAIN_MAX + 1];
    if (domain_is_valid(domain))
        must_be_destination(domain);
    if (idna_to_ascii(domain, ascii)) {
        must_be_destination(span_of(ascii));
        must(idna_to_ascii(span_of(ascii), again) && strcmp(again, ascii) == 0);
    }
}

static void try_literal(struct span literal)
{
    char text[IP_TEXT_MAX], other[IP_TEXT_MAX + 8];
    struct ip ip, again;
    if (!address_literal_parse(literal, &ip))
        return;
    ip_format(&ip, text);
    snprintf(other, sizeof(other), "[%s%s]", ip.family == 6 ? "IPv6:" : "", text);
    must(address_literal_parse(span_of(other), &again) && ip_equal(&ip, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    try_path(text);
    try_domain(text);
    try_literal(text);
    return 0;
}
