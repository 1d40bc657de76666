#include "relay/outbound/login.h"

#include "relay/secret.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct salted {
    struct exchange_want want;
    char text[SCRAM_SALTED_TEXT];
};

struct login {
    const char *user, *file;
    pthread_mutex_t mutex; /* over the mark, for a moment */
    struct secret_mark mark;
    pthread_mutex_t in_use;                 /* over the rest, for as long as that takes */
    char *secret;                           /* NULL: not read yet, or not to be used */
    struct salted salted[LOGIN_SALTED_MAX]; /* of this secret */
    unsigned salted_count;                  /* so far; the oldest make room */
};

struct login *login_create(const char *user, const char *file)
{
    struct login *login = must_calloc(1, sizeof(*login));
    login->user = user;
    login->file = file;
    pthread_mutex_init(&login->mutex, NULL);
    pthread_mutex_init(&login->in_use, NULL);
    return login;
}

static void forget(struct login *login)
{
    secret_free(&login->secret);
    explicit_bzero(login->salted, sizeof(login->salted));
    login->salted_count = 0;
}

void login_free(struct login **login)
{
    if (*login == NULL)
        return;
    forget(*login);
    pthread_mutex_destroy(&(*login)->mutex);
    pthread_mutex_destroy(&(*login)->in_use);
    free(*login);
    *login = NULL;
}

const char *login_user(const struct login *login)
{
    return login->user;
}

/* ---- the file ---- */

/* Its only line. */
static const char *take_line(struct login *login, struct span text)
{
    struct span line, more;
    if (!span_line(&text, &line) || line.length == 0)
        return "it is empty: the secret is to be its only line";
    if (span_line(&text, &more) && more.length > 0)
        return "it has more than one line: the secret is to be its only one";
    for (size_t i = 0; i < line.length; i++)
        if (iscntrl((unsigned char)line.data[i]))
            return "there is a control character in it";
    login->secret = span_copy(line);
    return NULL;
}

static const char *read_file(struct login *login, struct arena *arena)
{
    struct buffer text CLEANUP(buffer_wipe) = {0};
    struct secret_mark mark = {0};
    const char *wrong = secret_file_read(login->file, LOGIN_SECRET_MAX, &text, &mark, arena);
    pthread_mutex_lock(&login->mutex);
    login->mark = mark;
    pthread_mutex_unlock(&login->mutex);
    return wrong ? wrong : take_line(login, buffer_span(&text));
}

/* As it is on the disk now. */
static bool refresh(struct login *login, char why[LOGIN_WHY_MAX])
{
    struct secret_mark now;
    struct arena arena CLEANUP(arena_free) = {0};
    bool there = secret_file_mark(login->file, &now);
    if (login->secret != NULL && there && secret_mark_equal(&now, &login->mark))
        return true;
    forget(login);
    const char *wrong = read_file(login, &arena);
    if (wrong != NULL)
        snprintf(why, LOGIN_WHY_MAX, "%s: %s", login->file, wrong);
    return wrong == NULL;
}

/* ---- what is wanted ---- */

static bool same_want(const struct exchange_want *a, const struct exchange_want *b)
{
    return a->mechanism == b->mechanism && a->iterations == b->iterations &&
           a->salt_length == b->salt_length && memcmp(a->salt, b->salt, a->salt_length) == 0;
}

static const char *salted(struct login *login, const struct exchange_want *want)
{
    for (unsigned i = 0; i < LOGIN_SALTED_MAX && i < login->salted_count; i++)
        if (same_want(&login->salted[i].want, want))
            return login->salted[i].text;
    struct salted *next = &login->salted[login->salted_count % LOGIN_SALTED_MAX];
    if (!scram_salt(want, login->secret, next->text))
        return NULL;
    next->want = *want;
    login->salted_count++;
    return next->text;
}

static char *find(struct login *login, const struct exchange_want *want, char why[LOGIN_WHY_MAX])
{
    if (!refresh(login, why))
        return NULL;
    const char *found = want->salted ? salted(login, want) : login->secret;
    if (found != NULL)
        return must_strdup(found);
    snprintf(why, LOGIN_WHY_MAX,
             "%s: SCRAM cannot be used with such a password: leave it out of mechanisms",
             login->file);
    return NULL;
}

char *login_secret(struct login *login, const struct exchange_want *want, char why[LOGIN_WHY_MAX])
{
    pthread_mutex_lock(&login->in_use);
    char *found = find(login, want, why);
    pthread_mutex_unlock(&login->in_use);
    return found;
}

char *login_mark(struct login *login, char text[LOGIN_MARK_MAX])
{
    pthread_mutex_lock(&login->mutex);
    const struct secret_mark *mark = &login->mark;
    snprintf(text, LOGIN_MARK_MAX, "%llx:%llx:%llx", (unsigned long long)mark->number,
             (unsigned long long)mark->changed.tv_sec, (unsigned long long)mark->changed.tv_nsec);
    pthread_mutex_unlock(&login->mutex);
    return text;
}
