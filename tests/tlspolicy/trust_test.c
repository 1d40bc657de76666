/* CA files as operators have them. */
#include "tlspolicy/trust.h"

#include "tests/suite.h"
#include "tests/tlspolicy/mini_ca.h"

static struct scratch scratch;
static struct issued one, other;

static void setup(void)
{
    scratch_make_empty(&scratch);
    one = issue_certificate(NULL, &(struct issue){.cn = "One", .ca = true});
    other = issue_certificate(NULL, &(struct issue){.cn = "Other", .ca = true});
}

static void teardown(void)
{
    issued_free(&one);
    issued_free(&other);
    scratch_remove(&scratch);
}

static void put(const char *text)
{
    FILE *file = fopen(scratch.certificate, "w");
    ck_assert(file != NULL && fputs(text, file) >= 0);
    fclose(file);
}

static void append(const char *text)
{
    FILE *file = fopen(scratch.certificate, "a");
    ck_assert(file != NULL && fputs(text, file) >= 0);
    fclose(file);
}

static uint64_t generation(const char *path)
{
    char why[TLS_WHY_MAX];
    CLEANUP(tls_trust_release) struct tls_trust *trust = tls_trust_load(path, why);
    ck_assert_msg(trust != NULL, "%s", why);
    ck_assert_str_eq(why, "");
    return tls_trust_generation(trust);
}

static void assert_refused(const char *path, const char *why_part)
{
    char why[TLS_WHY_MAX];
    ck_assert_ptr_null(tls_trust_load(path, why));
    ck_assert_msg(strstr(why, path) != NULL, "%s", why);
    ck_assert_msg(strstr(why, why_part) != NULL, "%s", why);
    for (const char *c = why; *c; c++)
        ck_assert(*c >= ' ' && *c <= '~');
}

START_TEST(files_that_are_none)
{
    assert_refused(scratch.certificate, "No such file");
    assert_refused(scratch.directory, "Is a directory");
    put("");
    assert_refused(scratch.certificate, "no PEM certificate");
    put("mx.example.test\n");
    assert_refused(scratch.certificate, "no PEM certificate");
    const struct issued *const chain[] = {&one, &other};
    issued_write(&scratch, chain, 2);
    assert_refused(scratch.key, "no PEM certificate");
    append("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    assert_refused(scratch.certificate, "certificate 3 in it is damaged");
}
END_TEST

START_TEST(the_generation_is_that_of_the_content)
{
    const struct issued *const chain[] = {&one, &other, &one};
    issued_write_ca(scratch.certificate, &one);
    uint64_t first = generation(scratch.certificate);
    ck_assert_uint_ne(first, 0);
    ck_assert_uint_eq(generation(scratch.certificate), first);
    issued_write_ca(scratch.certificate, &other);
    ck_assert_uint_ne(generation(scratch.certificate), first);
    issued_write(&scratch, chain, 3); /* one stands there twice */
    ck_assert_uint_ne(generation(scratch.certificate), first);
}
END_TEST

START_TEST(the_systems_are_loaded_once)
{
    char why[TLS_WHY_MAX];
    issued_write_ca(scratch.certificate, &one);
    ck_assert_int_eq(setenv("SSL_CERT_FILE", scratch.certificate, 1), 0);
    uint64_t first = tls_trust_generation(NULL);
    ck_assert_uint_eq(first, generation(NULL));
    issued_write_ca(scratch.certificate, &other);
    ck_assert_uint_eq(tls_trust_generation(NULL), first);
    CLEANUP(tls_trust_release) struct tls_trust *kept = tls_trust_system(why);
    ck_assert(tls_trust_renew_system(why));
    ck_assert_uint_ne(tls_trust_generation(NULL), first);
    ck_assert_uint_eq(tls_trust_generation(kept), first); /* for those that have begun with it */
    put("damaged");
    ck_assert(!tls_trust_renew_system(why)); /* whom it names no more is trusted no more */
    ck_assert_ptr_nonnull(strstr(why, scratch.certificate));
    ck_assert_uint_eq(tls_trust_generation(NULL), 0);
    ck_assert_ptr_null(tls_trust_system(why));
    issued_write_ca(scratch.certificate, &one);
    ck_assert_uint_eq(tls_trust_generation(NULL), first); /* put right again */
    put("damaged");
    ck_assert(!tls_trust_renew_system(why));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {files_that_are_none, the_generation_is_that_of_the_content,
                                  the_systems_are_loaded_once};
    return suite_run_in("tlspolicy/trust", tests, countof(tests), setup, teardown);
}
