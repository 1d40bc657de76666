/* A login: the name under which the relay authenticates to a provider's servers, and the file with
 * the secret that goes with it. Made with the configuration and shared by all threads; the file is
 * read again whenever it is another one than it was, so a new token or password needs no reload.
 *
 * To look at a file and to salt a password may take long: login_secret() is for the thread of
 * logins (relay/outbound/logins.h) and for who checks a configuration, never for an event loop. */
#pragma once

#include "relay/outbound/exchange.h"

#define LOGIN_SECRET_MAX (7u << 10) /* bytes: with a name of */
#define LOGIN_USER_MAX 256          /* … it fits, as base64, a line of 12,288 (RFC 4954 3) */
#define LOGIN_SALTED_MAX 8          /* salted passwords that are kept: one for each server's salt */
#define LOGIN_WHY_MAX 512
#define LOGIN_MARK_MAX 80

struct login;

/* Strings are borrowed for its life. Nothing is read yet. */
struct login *login_create(const char *user, const char *file);
/* Overwrites what it knows. */
void login_free(struct login **login);

const char *login_user(const struct login *login);

/* What is wanted of it (see exchange_want): the caller secret_free()s it. NULL, and in `why` what
 * is wrong and what to do; no secret is in that. */
char *login_secret(struct login *login, const struct exchange_want *want, char why[LOGIN_WHY_MAX]);

/* What tells one secret from the next and says nothing of either: of the file as it was last
 * read. Any thread. */
char *login_mark(struct login *login, char text[LOGIN_MARK_MAX]);
