/* Who may authenticate: the `users` file as an immutable table, shared by reference count.
 *
 * A line a user: `NAME:{SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY`, the last three in
 * base64: what RFC 5803 keeps, in the form that Dovecot and GNU SASL write as well. Behind that
 * `:{CLEAR}PASSWORD` may stand, to the end of the line: CRAM-MD5 cannot do without. Lines that
 * begin with '#' and empty ones are passed over.
 *
 * To whoever is not in it, it gives credentials all the same, which nothing fits: so an unknown
 * name goes the same way, and takes the same time, as a wrong password. */
#pragma once

#include "relay/inbound/sasl.h"

#define USERS_BYTES_MAX (16u << 20)   /* of the file */
#define USERS_ITERATIONS 16384        /* of new credentials: about 10 ms of a core for each guess */
#define USERS_ITERATIONS_LEAST 4096   /* RFC 7677 4 */
#define USERS_ITERATIONS_MOST 1000000 /* a second */
#define USERS_SALT_BYTES 16           /* of new credentials */
#define USERS_SALT_MAX 64
#define USERS_KNOWN_MS INT64_C(600000) /* users_recall() knows a password so long */

struct users;

/* NULL with a line for each thing that is wrong, "PATH:LINE: what"; no secret is in them. */
struct users *users_parse(const char *path, struct span text, struct buffer *errors);
/* The same from the file, which must be nobody's business but its owner's. `where` ("FILE:LINE")
 * is for what is wrong with the file as a whole. */
struct users *users_read(const char *path, const char *where, struct buffer *errors);
struct users *users_keep(struct users *users);
void users_drop(struct users **users);

struct credentials {
    unsigned iterations;
    uint8_t salt[USERS_SALT_MAX];
    size_t salt_length;
    struct scram_keys keys;
};

bool users_have(const struct users *users, const char *name);
bool users_have_clear(const struct users *users); /* at least one password is in clear */
void users_credentials(const struct users *users, const char *name,
                       struct credentials *credentials);
/* The password in clear; for whoever has none, one that nobody knows. */
const char *users_clear(const struct users *users, const char *name);

/* Whether it is the password: takes the time of its iterations. Any thread. */
bool users_check(struct users *users, const char *name, const char *password, int64_t now_ms);
/* The same at once, when users_check() has found it so a while ago. False says nothing. */
bool users_recall(struct users *users, const char *name, const char *password, int64_t now_ms);

/* ---- for those who write the file ---- */

/* NULL, or why this can be nobody's name. */
const char *user_name_fault(const char *name);
/* The name on a line of the file; empty when it has none. */
struct span users_line_name(struct span line);
/* A line of the file, with its newline. `password` is prepared; `clear`: it is kept, too. */
void users_line_write(const char *name, const char *password, struct span salt, bool clear,
                      struct buffer *to);

enum users_edited {
    USERS_EDITED,
    USERS_NOT_THERE,  /* and there was nothing to add */
    USERS_NOT_EDITED, /* `errors` tell */
};

/* Puts the line in NAME's place, or at the end; an empty one takes NAME's out. The file is made
 * when it is not there, and replaced in one step: whoever reads it sees the old one or the new one.
 * Its owner stays; a new one is whose `model` is, if there is such a file. One that would be wrong
 * afterwards stays as it is. */
enum users_edited users_edit(const char *path, const char *model, const char *name,
                             struct span line, struct buffer *errors);

/* Calls `each` for all of them, in the order of the file. */
void users_each(const struct users *users,
                void (*each)(void *context, const char *name, unsigned iterations, bool clear),
                void *context);
