#include "relay/smtp/auth.h"

#include "base/must.h"

#include <string.h>

static const char *const names[] = {
    [AUTH_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [AUTH_SCRAM_SHA_1] = "SCRAM-SHA-1",
    [AUTH_DIGEST_MD5] = "DIGEST-MD5",
    [AUTH_CRAM_MD5] = "CRAM-MD5",
    [AUTH_LOGIN] = "LOGIN",
    [AUTH_PLAIN] = "PLAIN",
    [AUTH_OAUTHBEARER] = "OAUTHBEARER",
    [AUTH_XOAUTH2] = "XOAUTH2",
};
_Static_assert(countof(names) == AUTH_MECHANISMS, "a name for each mechanism");

const char *auth_name(enum auth_mechanism mechanism)
{
    return names[mechanism];
}

unsigned auth_find(struct span name)
{
    for (unsigned i = 0; i < AUTH_MECHANISMS; i++)
        if (span_equal_nocase(name, span_of(names[i])))
            return AUTH_BIT(i);
    return 0;
}

char *auth_set_format(unsigned set, char text[AUTH_TEXT_MAX])
{
    char *end = text;
    *end = '\0';
    for (unsigned i = 0; i < AUTH_MECHANISMS; i++) {
        if (!(set & AUTH_BIT(i)))
            continue;
        if (end > text)
            end = stpcpy(end, " ");
        end = stpcpy(end, names[i]);
    }
    must(end - text < AUTH_TEXT_MAX);
    return text;
}
