/* Whatever a server offers at EHLO: what is discarded is as if it had not been offered, nothing is
 * known of what was not, case does not matter, and what was read can be offered again. The first
 * two bytes say what is discarded. */
#include "relay/smtp/extension.h"

#include "base/buffer.h"
#include "relay/smtp/auth.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_MOST 999999 /* RFC 9422 4 */

static bool same(const struct extensions *a, const struct extensions *b)
{
    return a->offered == b->offered && a->size == b->size && a->least_by == b->least_by &&
           a->mail_max == b->mail_max && a->rcpt_max == b->rcpt_max &&
           a->rcpt_domain_max == b->rcpt_domain_max && a->auth == b->auth;
}

static void check(const struct extensions *extensions)
{
    must(extensions->offered < 1u << EXTENSIONS && extensions->auth < 1u << AUTH_MECHANISMS);
    must(extensions->mail_max <= LIMIT_MOST && extensions->rcpt_max <= LIMIT_MOST);
    must(extensions->rcpt_domain_max <= LIMIT_MOST);
    must(extensions_have(extensions, EXTENSION_SIZE) || extensions->size == 0);
    must(extensions_have(extensions, EXTENSION_DELIVERBY) || extensions->least_by == 0);
    must(extensions_have(extensions, EXTENSION_AUTH) || extensions->auth == 0);
    must(extensions_have(extensions, EXTENSION_LIMITS) ||
         (extensions->mail_max == 0 && extensions->rcpt_max == 0 &&
          extensions->rcpt_domain_max == 0));
}

/* What is discarded as if its lines were not there. */
static struct extensions without(struct extensions all, unsigned discarded)
{
    all.offered &= ~discarded;
    if (discarded & EXTENSION_SIZE)
        all.size = 0;
    if (discarded & EXTENSION_DELIVERBY)
        all.least_by = 0;
    if (discarded & EXTENSION_AUTH)
        all.auth = 0;
    if (discarded & EXTENSION_LIMITS)
        all.mail_max = all.rcpt_max = all.rcpt_domain_max = 0;
    return all;
}

static void print_limit(struct buffer *to, const char *name, unsigned limit)
{
    if (limit > 0)
        buffer_print(to, " %s=%u", name, limit);
}

static void print(const struct extensions *extensions, struct buffer *to)
{
    char auth[AUTH_TEXT_MAX];
    buffer_append(to, SPAN("mx.test"));
    for (unsigned bit = 1; bit < 1u << EXTENSIONS; bit <<= 1) {
        if (!(extensions->offered & bit))
            continue;
        buffer_print(to, "\n%s", extension_name(bit));
        if (bit == EXTENSION_SIZE)
            buffer_print(to, " %llu", (unsigned long long)extensions->size);
        if (bit == EXTENSION_DELIVERBY)
            buffer_print(to, " %u", extensions->least_by);
        if (bit == EXTENSION_AUTH)
            buffer_print(to, " %s", auth_set_format(extensions->auth, auth));
        if (bit == EXTENSION_LIMITS) {
            print_limit(to, "MAILMAX", extensions->mail_max);
            print_limit(to, "RCPTMAX", extensions->rcpt_max);
            print_limit(to, "RCPTDOMAINMAX", extensions->rcpt_domain_max);
        }
    }
}

static void in_lower_case(struct span text, const struct extensions *wanted)
{
    if (text.length > 0 && memchr(text.data, '\0', text.length) != NULL)
        return; /* text_lower ends there */
    char *lower = span_copy(text);
    text_lower(lower);
    struct extensions got = extensions_read(span_of(lower), 0);
    must(same(&got, wanted));
    free(lower);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct buffer again CLEANUP(buffer_free) = {0};
    unsigned discarded = take_choice(&text, 256);
    discarded |= take_choice(&text, 256) << 8;
    struct extensions all = extensions_read(text, 0), some = extensions_read(text, discarded);
    check(&all);
    check(&some);
    struct extensions wanted = without(all, discarded);
    must(same(&some, &wanted));
    print(&all, &again);
    struct extensions repeated = extensions_read(buffer_span(&again), 0);
    must(same(&repeated, &all));
    in_lower_case(text, &all);
    return 0;
}
