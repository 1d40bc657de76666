/* Certificates and keys in files: good ones are made and load; of bad ones one line says what,
 * which file and what to do. */
#include "tests/suite.h"
#include "tests/tlspolicy/scratch.h"

#include <string.h>
#include <sys/stat.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static struct scratch scratch, other;

static void begin(void)
{
    scratch_make(&scratch);
    scratch_make(&other);
}

static void end(void)
{
    scratch_remove(&scratch);
    scratch_remove(&other);
}

static void put_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static struct span get_text(const char *path, char *to, size_t size)
{
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    size_t length = fread(to, 1, size, file);
    fclose(file);
    return (struct span){to, length};
}

static void assert_one_line(const char *why)
{
    ck_assert_str_ne(why, "");
    for (const char *c = why; *c; c++)
        ck_assert_msg(*c >= ' ' && *c <= '~', "%s", why);
}

static void assert_refused(const char *certificate, const char *key, const char *wanted)
{
    char why[TLS_WHY_MAX];
    struct tls_server_options options = {.certificate = certificate, .key = key};
    ck_assert_ptr_null(tls_server_create(&options, why));
    assert_one_line(why);
    ck_assert_msg(strstr(why, wanted) != NULL, "\"%s\" says not \"%s\"", why, wanted);
}

static bool loads(const struct scratch *from)
{
    char why[TLS_WHY_MAX];
    struct tls_server_options options = {.certificate = from->certificate, .key = from->key};
    struct tls_server *server = tls_server_create(&options, why);
    bool loaded = server != NULL;
    tls_server_destroy(&server);
    return loaded;
}

/* ---- loading ---- */

START_TEST(pairs_that_do_not_fit)
{
    begin();
    ck_assert(loads(&scratch));
    assert_refused(scratch.certificate, other.key, "does not match the certificate");
    assert_refused(scratch.certificate, other.key, scratch.certificate);
    assert_refused(scratch.certificate, other.key, other.key);
    ck_assert(loads(&scratch)); /* nothing of the failure is left */
    end();
}
END_TEST

START_TEST(keys_of_another_kind)
{
    begin();
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    FILE *file = fopen(other.key, "we");
    ck_assert(PEM_write_PrivateKey(file, rsa, NULL, NULL, 0, NULL, NULL));
    fclose(file);
    EVP_PKEY_free(rsa);
    assert_refused(scratch.certificate, other.key, "does not match the certificate");
    end();
}
END_TEST

START_TEST(files_that_are_no_good)
{
    begin();
    assert_refused("/nonexistent/cert.pem", scratch.key,
                   "certificate /nonexistent/cert.pem: No such file or directory: name a PEM");
    assert_refused(scratch.certificate, "/nonexistent/key.pem",
                   "key /nonexistent/key.pem: No such file or directory: name a PEM");
    assert_refused(scratch.directory, scratch.key, "no PEM certificate in it");
    assert_refused(scratch.certificate, scratch.directory, "key");
    assert_refused(scratch.key, scratch.certificate, "no PEM certificate in it");
    assert_refused(scratch.certificate, scratch.certificate, "no PEM key in it");
    put_text(other.key, "");
    assert_refused(other.key, scratch.key, "no PEM certificate in it");
    assert_refused(scratch.certificate, other.key, "no PEM key in it");
    put_text(other.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_refused(other.certificate, scratch.key, "no PEM certificate in it");
    end();
}
END_TEST

START_TEST(a_key_with_a_passphrase_is_not_asked_for)
{
    begin();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *file = fopen(other.key, "we");
    unsigned char passphrase[] = "secret";
    ck_assert(PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), passphrase, 6, NULL, NULL));
    fclose(file);
    EVP_PKEY_free(key);
    assert_refused(scratch.certificate, other.key, "it has a passphrase");
    end();
}
END_TEST

START_TEST(a_long_path_is_cut_and_harms_nothing)
{
    char path[PATH_MAX];
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    begin();
    assert_refused(path, scratch.key, "certificate xxx");
    end();
}
END_TEST

START_TEST(versions_the_wrong_way_round)
{
    char why[TLS_WHY_MAX];
    begin();
    struct tls_server_options options = {
        .certificate = scratch.certificate,
        .key = scratch.key,
        .least = TLS_VERSION_1_3,
        .most = TLS_VERSION_1_2,
    };
    ck_assert_ptr_null(tls_server_create(&options, why));
    assert_one_line(why);
    end();
}
END_TEST

/* ---- making ---- */

START_TEST(what_is_made)
{
    struct stat status;
    begin();
    ck_assert_int_eq(stat(scratch.key, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    ck_assert_int_eq(stat(scratch.certificate, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);

    FILE *file = fopen(scratch.certificate, "re");
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    ck_assert_ptr_nonnull(certificate);
    ck_assert_int_eq(X509_check_host(certificate, "mx.example.test", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(certificate, "localhost", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(certificate, "example.test", 0, 0, NULL), 0);
    ck_assert_int_eq(X509_verify(certificate, X509_get0_pubkey(certificate)), 1);
    ck_assert_int_lt(X509_cmp_current_time(X509_get0_notBefore(certificate)), 0);
    ck_assert_int_gt(X509_cmp_current_time(X509_get0_notAfter(certificate)), 0);
    X509_free(certificate);
    end();
}
END_TEST

START_TEST(what_is_there_stays)
{
    char why[TLS_WHY_MAX], before[8192], after[8192];
    begin();
    struct span was = get_text(scratch.certificate, before, sizeof(before));
    ck_assert(tls_self_signed(scratch.directory, "mx2.example.test", why));
    ck_assert(span_equal(get_text(scratch.certificate, after, sizeof(after)), was));
    end();
}
END_TEST

START_TEST(a_certificate_is_made_for_the_key_there_is)
{
    char why[TLS_WHY_MAX], before[8192], after[8192];
    begin();
    struct span was = get_text(scratch.key, before, sizeof(before));
    unlink(scratch.certificate);
    ck_assert(tls_self_signed(scratch.directory, "localhost", why));
    ck_assert(span_equal(get_text(scratch.key, after, sizeof(after)), was));
    ck_assert(loads(&scratch));
    end();
}
END_TEST

START_TEST(what_cannot_be_made)
{
    char why[TLS_WHY_MAX];
    begin();
    unlink(scratch.key);
    ck_assert(!tls_self_signed(scratch.directory, "localhost", why));
    assert_one_line(why);
    ck_assert_ptr_nonnull(strstr(why, scratch.key));

    put_text(other.key, "nothing");
    unlink(other.certificate);
    ck_assert(!tls_self_signed(other.directory, "localhost", why));
    assert_one_line(why);
    ck_assert_ptr_nonnull(strstr(why, "no PEM key in it"));

    ck_assert(!tls_self_signed("/nonexistent/a/b", "localhost", why));
    assert_one_line(why);
    ck_assert(!tls_self_signed(other.key, "localhost", why)); /* a file where a directory is due */
    assert_one_line(why);
    end();
}
END_TEST

START_TEST(a_directory_is_made_too)
{
    char why[TLS_WHY_MAX];
    struct scratch inner = {0};
    begin();
    ck_assert_int_lt(
        snprintf(inner.directory, sizeof(inner.directory), "%.1000s/tls", scratch.directory),
        (int)sizeof(inner.directory));
    snprintf(inner.certificate, sizeof(inner.certificate), "%s/cert.pem", inner.directory);
    snprintf(inner.key, sizeof(inner.key), "%s/key.pem", inner.directory);
    ck_assert_msg(tls_self_signed(inner.directory, "localhost", why), "%s", why);
    ck_assert(loads(&inner));
    scratch_remove(&inner);
    end();
}
END_TEST

START_TEST(a_name_too_long_for_a_subject)
{
    char why[TLS_WHY_MAX], name[200];
    memset(name, 'a', sizeof(name));
    for (size_t i = 20; i < sizeof(name); i += 20)
        name[i] = '.';
    name[sizeof(name) - 1] = '\0';
    scratch_make_empty(&scratch);
    ck_assert_msg(tls_self_signed(scratch.directory, name, why), "%s", why);
    ck_assert(loads(&scratch));
    scratch_remove(&scratch);
}
END_TEST

TEST_MAIN("tlspolicy/certificate", pairs_that_do_not_fit, keys_of_another_kind,
          files_that_are_no_good, a_key_with_a_passphrase_is_not_asked_for,
          a_long_path_is_cut_and_harms_nothing, versions_the_wrong_way_round, what_is_made,
          what_is_there_stays, a_certificate_is_made_for_the_key_there_is, what_cannot_be_made,
          a_directory_is_made_too, a_name_too_long_for_a_subject)
