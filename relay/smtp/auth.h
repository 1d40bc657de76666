/* The mechanisms by which a client of ours authenticates (RFC 4954), as names and as sets. Pure. */
#pragma once

#include "base/span.h"

/* In the order in which they are tried: what shows the least of the secret first. */
enum auth_mechanism {
    AUTH_SCRAM_SHA_256, /* RFC 7677 */
    AUTH_SCRAM_SHA_1,   /* RFC 5802 */
    AUTH_DIGEST_MD5,    /* RFC 2831; historic */
    AUTH_CRAM_MD5,      /* RFC 2195 */
    AUTH_LOGIN,         /* the password as it is, as with PLAIN */
    AUTH_PLAIN,         /* RFC 4616 */
    AUTH_OAUTHBEARER,   /* RFC 7628: a token, as it is */
    AUTH_XOAUTH2,       /* the same, as it was before there was an RFC */
};
#define AUTH_MECHANISMS 8

/* Sets of them have a bit for each. */
#define AUTH_BIT(mechanism) (1u << (mechanism))
#define AUTH_BY_TOKEN (AUTH_BIT(AUTH_OAUTHBEARER) | AUTH_BIT(AUTH_XOAUTH2))
#define AUTH_BY_PASSWORD (AUTH_BIT(AUTH_OAUTHBEARER) - 1)

const char *auth_name(enum auth_mechanism mechanism); /* "SCRAM-SHA-256" */
/* The bit of that name, in any case; 0 when it is none of them. */
unsigned auth_find(struct span name);

#define AUTH_TEXT_MAX 96
/* "SCRAM-SHA-256 PLAIN", in their order. */
char *auth_set_format(unsigned set, char text[AUTH_TEXT_MAX]);
