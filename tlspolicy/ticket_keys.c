/* The keys that the server's tickets are sealed with, RFC 5077 4: one set for the whole process,
 * since any worker must open what another has sealed. A key seals for half a day, then opens what
 * it has sealed for as long as a ticket lives, and is gone: who steals a key learns no more. */
#include "tlspolicy/openssl.h"

#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#define SEALS_MS (INT64_C(12) * 3600 * 1000)

struct ticket_key {
    unsigned char name[16], mac[32], cipher[32];
    int64_t born_ms;
    bool exists;
};

static struct {
    pthread_mutex_t lock;
    struct ticket_key newest, before;
} keys = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool make_key(struct ticket_key *key, int64_t now_ms)
{
    key->born_ms = now_ms;
    key->exists = RAND_bytes(key->name, sizeof(key->name)) == 1 &&
                  RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1 &&
                  RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1;
    return key->exists;
}

static void forget(struct ticket_key *key)
{
    explicit_bzero(key, sizeof(*key));
}

/* With the lock held: lets the keys grow old. */
static void turn(int64_t now_ms)
{
    if (keys.newest.exists && now_ms - keys.newest.born_ms >= SEALS_MS) {
        keys.before = keys.newest;
        forget(&keys.newest);
    }
    if (keys.before.exists && now_ms - keys.before.born_ms >= SEALS_MS + TLS_TICKET_LIFE_MS)
        forget(&keys.before);
}

/* The key to seal with. */
static bool key_to_seal(struct ticket_key *key, int64_t now_ms)
{
    pthread_mutex_lock(&keys.lock);
    turn(now_ms);
    bool exists = keys.newest.exists || make_key(&keys.newest, now_ms);
    *key = keys.newest;
    pthread_mutex_unlock(&keys.lock);
    return exists;
}

/* The key of that name; *is_old when it seals no more. */
static bool key_to_open(struct ticket_key *key, const unsigned char name[16], int64_t now_ms,
                        bool *is_old)
{
    pthread_mutex_lock(&keys.lock);
    turn(now_ms);
    *is_old = memcmp(keys.newest.name, name, sizeof(keys.newest.name)) != 0;
    *key = *is_old ? keys.before : keys.newest;
    pthread_mutex_unlock(&keys.lock);
    return key->exists && memcmp(key->name, name, sizeof(key->name)) == 0;
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

int ticket_keys_seal(unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int64_t now_ms)
{
    struct ticket_key key;
    const EVP_CIPHER *aes = EVP_aes_256_cbc();
    bool done = key_to_seal(&key, now_ms) && RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) == 1 &&
                EVP_EncryptInit_ex(cipher, aes, NULL, key.cipher, iv) == 1 && set_mac(mac, &key);
    memcpy(name, key.name, sizeof(key.name));
    forget(&key);
    return done ? TICKET_SEALED : TICKET_FAILED;
}

int ticket_keys_open(const unsigned char name[16], const unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int64_t now_ms)
{
    struct ticket_key key;
    bool is_old;
    if (!key_to_open(&key, name, now_ms, &is_old))
        return TICKET_UNKNOWN;
    bool done = set_mac(mac, &key) &&
                EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1;
    forget(&key);
    if (!done)
        return TICKET_FAILED;
    return is_old ? TICKET_RENEWED : TICKET_OPENED;
}
