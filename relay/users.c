#include "relay/users.h"

#include "base/arena.h"
#include "base/map.h"
#include "relay/os.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME SPAN("{SCRAM-SHA-256}")
#define CLEAR SPAN("{CLEAR}")
#define FAULTS_MAX 20 /* more are not told */

struct user {
    struct user *next; /* in the file */
    const char *name;
    unsigned line;
    struct credentials credentials;
    char *clear; /* NULL: not kept */

    /* With the lock held: the password that was found to be right, as a hash under the table's
     * own key, and until when that counts. */
    uint8_t known[SCRAM_KEY_BYTES];
    int64_t known_until_ms;
};

struct users {
    atomic_uint references;
    struct map map;
    struct arena arena;        /* the users and their names */
    struct user *first, *last; /* in the file; NULL: it has none */
    bool has_clear;
    uint8_t recall_key[USERS_SALT_BYTES]; /* of `known` */
    struct buffer nobody;                 /* a password that nobody has, with its NUL */
    pthread_mutex_t lock;
};

/* ---- life ---- */

static uint64_t user_hash(const void *item)
{
    return span_hash(span_of(((const struct user *)item)->name));
}

static bool user_same(const void *item, const void *key)
{
    return strcmp(((const struct user *)item)->name, key) == 0;
}

static struct user *find(const struct users *users, const char *name)
{
    return map_find(&users->map, span_hash(span_of(name)), name);
}

static struct span bytes_span(const uint8_t *bytes, size_t length)
{
    return (struct span){(const char *)bytes, length};
}

static struct users *users_create(void)
{
    struct users *users = must_calloc(1, sizeof(*users));
    uint8_t random[SCRAM_KEY_BYTES];
    atomic_init(&users->references, 1);
    map_init(&users->map, user_hash, user_same);
    pthread_mutex_init(&users->lock, NULL);
    os_random(users->recall_key, sizeof(users->recall_key));
    os_random(random, sizeof(random));
    base64_write(bytes_span(random, sizeof(random)), &users->nobody);
    buffer_append(&users->nobody, (struct span){"", 1});
    return users;
}

struct users *users_keep(struct users *users)
{
    atomic_fetch_add_explicit(&users->references, 1, memory_order_relaxed);
    return users;
}

void users_drop(struct users **users)
{
    struct users *gone = *users;
    *users = NULL;
    if (gone == NULL || atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel) > 1)
        return;
    for (struct user *user = gone->first, *next; user != NULL; user = next) {
        next = user->next;
        secret_free(&user->clear);
        explicit_bzero(user, sizeof(*user));
    }
    map_free(&gone->map);
    arena_free(&gone->arena);
    buffer_free(&gone->nobody);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}

/* ---- asking ---- */

bool users_have(const struct users *users, const char *name)
{
    return find(users, name) != NULL;
}

bool users_have_clear(const struct users *users)
{
    return users->has_clear;
}

/* What a stranger is given must stay the same from one time to the next, or it would tell him
 * apart: so it hangs on what the file keeps secret, and changes with its first user only. */
static void stand_in(const struct users *users, const char *name, struct credentials *credentials)
{
    struct buffer secret CLEANUP(buffer_free) = {0}, salt CLEANUP(buffer_free) = {0};
    struct scram_keys derived;
    const struct user *model = users->first;
    *credentials =
        (struct credentials){.iterations = USERS_ITERATIONS, .salt_length = USERS_SALT_BYTES};
    if (model != NULL) {
        credentials->iterations = model->credentials.iterations;
        credentials->salt_length = model->credentials.salt_length;
        base64_write(bytes_span(model->credentials.keys.stored, SCRAM_KEY_BYTES), &secret);
    } else {
        buffer_append(&secret, buffer_span(&users->nobody));
    }
    buffer_append(&secret, (struct span){"", 1});
    buffer_print(&salt, "stand-in for %s", name);
    must(scram_derive(buffer_span(&secret).data, buffer_span(&salt), 1, &derived));
    for (size_t i = 0; i < credentials->salt_length; i++)
        credentials->salt[i] = derived.stored[i % SCRAM_KEY_BYTES];
    memcpy(credentials->keys.stored, derived.server, SCRAM_KEY_BYTES);
    memcpy(credentials->keys.server, derived.server, SCRAM_KEY_BYTES);
}

void users_credentials(const struct users *users, const char *name, struct credentials *credentials)
{
    const struct user *user = find(users, name);
    stand_in(users, name, credentials); /* whoever asks: it takes its time */
    if (user != NULL)
        *credentials = user->credentials;
}

const char *users_clear(const struct users *users, const char *name)
{
    const struct user *user = find(users, name);
    return user && user->clear ? user->clear : buffer_span(&users->nobody).data;
}

/* A hash under a key that nobody else has: quick, and good for as long as both are in memory. */
static bool hash_password(const struct users *users, const char *name, const char *password,
                          uint8_t hash[SCRAM_KEY_BYTES])
{
    struct buffer salt CLEANUP(buffer_free) = {0};
    struct scram_keys keys;
    buffer_append(&salt, bytes_span(users->recall_key, sizeof(users->recall_key)));
    buffer_append(&salt, span_of(name));
    bool hashed = scram_derive(password, buffer_span(&salt), 1, &keys);
    if (hashed)
        memcpy(hash, keys.stored, SCRAM_KEY_BYTES);
    return hashed;
}

static void remember(struct users *users, const char *name, const char *password, int64_t now_ms)
{
    struct user *user = find(users, name);
    pthread_mutex_lock(&users->lock);
    if (hash_password(users, name, password, user->known))
        user->known_until_ms = now_ms + USERS_KNOWN_MS;
    pthread_mutex_unlock(&users->lock);
}

bool users_recall(struct users *users, const char *name, const char *password, int64_t now_ms)
{
    uint8_t hash[SCRAM_KEY_BYTES];
    const struct user *user = find(users, name);
    if (!hash_password(users, name, password, hash) || user == NULL)
        return false;
    pthread_mutex_lock(&users->lock);
    bool known = now_ms < user->known_until_ms && scram_keys_equal(user->known, hash);
    pthread_mutex_unlock(&users->lock);
    return known;
}

bool users_check(struct users *users, const char *name, const char *password, int64_t now_ms)
{
    struct credentials credentials;
    struct scram_keys keys;
    users_credentials(users, name, &credentials);
    bool fits = scram_derive(password, bytes_span(credentials.salt, credentials.salt_length),
                             credentials.iterations, &keys) &&
                scram_keys_equal(keys.stored, credentials.keys.stored) && users_have(users, name);
    if (fits)
        remember(users, name, password, now_ms);
    return fits;
}

void users_each(const struct users *users,
                void (*each)(void *context, const char *name, unsigned iterations, bool clear),
                void *context)
{
    for (const struct user *user = users->first; user != NULL; user = user->next)
        each(context, user->name, user->credentials.iterations, user->clear != NULL);
}

/* ---- a line of the file ---- */

const char *user_name_fault(const char *name)
{
    size_t length = strlen(name);
    if (length == 0)
        return "it is empty";
    if (length > SASL_NAME_MAX)
        return "it has more than 128 bytes";
    if (strchr(name, ':') || name[0] == '#')
        return "it must not hold ':' or begin with '#'";
    if (name[0] == ' ' || name[length - 1] == ' ')
        return "it must not begin or end with a blank";
    char *prepared = sasl_prepare(span_of(name), true);
    bool same = prepared != NULL && strcmp(prepared, name) == 0;
    free(prepared);
    return same ? NULL : "it holds characters that no name has (RFC 4013)";
}

/* Cuts off what stands before the next `mark`, and the mark; all when there is none. */
static struct span cut(struct span *rest, char mark)
{
    const char *found = rest->length > 0 ? memchr(rest->data, mark, rest->length) : NULL;
    struct span before = {rest->data, found ? (size_t)(found - rest->data) : rest->length};
    *rest = span_skip(*rest, before.length + 1);
    return before;
}

struct span users_line_name(struct span line)
{
    bool none = line.length == 0 || line.data[0] == '#' || !memchr(line.data, ':', line.length);
    return none ? (struct span){line.data, 0} : cut(&line, ':');
}

static bool read_bytes(struct span text, uint8_t *to, size_t least, size_t most, size_t *length)
{
    struct buffer bytes CLEANUP(buffer_free) = {0};
    if (!base64_read(text, &bytes))
        return false;
    struct span read = buffer_span(&bytes);
    if (read.length < least || read.length > most)
        return false;
    *length = read.length;
    memcpy(to, read.data, read.length);
    return true;
}

static bool read_credentials(struct span text, struct credentials *credentials)
{
    uint64_t iterations;
    size_t length;
    if (!span_starts_nocase(text, SCHEME))
        return false;
    text = span_skip(text, SCHEME.length);
    if (!span_number(cut(&text, ','), &iterations) || iterations < USERS_ITERATIONS_LEAST ||
        iterations > USERS_ITERATIONS_MOST)
        return false;
    credentials->iterations = (unsigned)iterations;
    uint8_t *stored = credentials->keys.stored, *server = credentials->keys.server;
    return read_bytes(cut(&text, ','), credentials->salt, 1, USERS_SALT_MAX,
                      &credentials->salt_length) &&
           read_bytes(cut(&text, ','), stored, SCRAM_KEY_BYTES, SCRAM_KEY_BYTES, &length) &&
           read_bytes(text, server, SCRAM_KEY_BYTES, SCRAM_KEY_BYTES, &length);
}

/* ":{CLEAR}PASSWORD" less its colon, or nothing. */
static bool read_clear(struct span text, char **clear)
{
    if (text.length == 0)
        return true;
    if (!span_starts_nocase(text, CLEAR))
        return false;
    *clear = sasl_prepare(span_skip(text, CLEAR.length), true);
    return *clear != NULL && strlen(*clear) <= SASL_PASSWORD_MAX;
}

void users_line_write(const char *name, const char *password, struct span salt, bool clear,
                      struct buffer *to)
{
    struct scram_keys keys;
    must(scram_derive(password, salt, USERS_ITERATIONS, &keys));
    buffer_print(to, "%s:%.*s%d,", name, SPAN_FORMAT(SCHEME), USERS_ITERATIONS);
    base64_write(salt, to);
    buffer_append(to, SPAN(","));
    base64_write(bytes_span(keys.stored, SCRAM_KEY_BYTES), to);
    buffer_append(to, SPAN(","));
    base64_write(bytes_span(keys.server, SCRAM_KEY_BYTES), to);
    if (clear)
        buffer_print(to, ":%.*s%s", SPAN_FORMAT(CLEAR), password);
    buffer_append(to, SPAN("\n"));
}

/* ---- the file ---- */

struct reading {
    struct users *users;
    const char *path;
    unsigned line, faults;
    struct buffer *errors;
};

PRINTF_LIKE(2, 3)
static void fault(struct reading *reading, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (++reading->faults <= FAULTS_MAX)
        buffer_print(reading->errors, "%s:%u: %s\n", reading->path, reading->line, text);
}

static void add(struct reading *reading, struct user *user)
{
    struct users *users = reading->users;
    const struct user *other = find(users, user->name);
    if (other != NULL) {
        fault(reading, "user %s is there twice, in line %u already", user->name, other->line);
        return;
    }
    users->has_clear |= user->clear != NULL;
    if (users->last != NULL)
        users->last->next = user;
    else
        users->first = user;
    users->last = user;
    map_add(&users->map, user);
}

static void read_user(struct reading *reading, struct span line)
{
    struct user *user = arena_take(&reading->users->arena, sizeof(*user));
    if (!memchr(line.data, ':', line.length)) {
        fault(reading, "not NAME:{SCRAM-SHA-256}…: make it with millrace passwd NAME");
        return;
    }
    user->name = arena_copy(&reading->users->arena, cut(&line, ':'));
    user->line = reading->line;
    const char *wrong = user_name_fault(user->name);
    unsigned faults = reading->faults;
    if (wrong != NULL)
        fault(reading, "not a user's name: %s", wrong);
    else if (!read_credentials(cut(&line, ':'), &user->credentials))
        fault(reading,
              "user %s: not {SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY with %d to %d "
              "iterations: make them anew with millrace passwd %s",
              user->name, USERS_ITERATIONS_LEAST, USERS_ITERATIONS_MOST, user->name);
    else if (!read_clear(line, &user->clear))
        fault(reading, "user %s: what stands behind the credentials is not {CLEAR}PASSWORD",
              user->name);
    else
        add(reading, user);
    if (reading->faults > faults)
        secret_free(&user->clear);
}

struct users *users_parse(const char *path, struct span text, struct buffer *errors)
{
    struct reading reading = {.users = users_create(), .path = path, .errors = errors};
    for (struct span line; span_line(&text, &line);) {
        reading.line++;
        if (line.length > 0 && line.data[0] != '#')
            read_user(&reading, line);
    }
    if (reading.faults > FAULTS_MAX)
        buffer_print(errors, "%s: and %u more\n", path, reading.faults - FAULTS_MAX);
    if (reading.faults > 0)
        users_drop(&reading.users);
    return reading.users;
}
