/* The resolver against a real name server: nsd on a free port of loopback, with its zones in a
 * directory of its own. Exit code 77 when there is no nsd. */
#include "relay/resolve.h"

#include "base/buffer.h"
#include "tests/relay/scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char zone[] = "$ORIGIN example.test.\n"
                           "$TTL 600\n"
                           "@ SOA ns hostmaster 1 3600 600 86400 120\n"
                           "@ NS ns\n"
                           "ns A 127.0.0.1\n"
                           "a A 192.0.2.1\n"
                           "b A 192.0.2.2\n"
                           "b AAAA 2001:db8::2\n"
                           "six AAAA 2001:db8::6\n"
                           "text TXT \"neither MX nor address\"\n"
                           "_mta-sts TXT v=STSv1 \"; id=\" abc\n"
                           "_mta-sts.cname CNAME _mta-sts\n"
                           "cname CNAME a\n"
                           "order MX 30 a\n"
                           "order MX 10 B\n"
                           "order MX 20 six\n"
                           "plain A 192.0.2.9\n"
                           "plain AAAA 2001:db8::9\n"
                           "null MX 0 .\n"
                           "notnull MX 0 .\n"
                           "notnull MX 10 a\n"
                           "nowhere MX 10 gone\n"
                           "nowhere MX 20 text\n"
                           "nowhere A 192.0.2.66\n"
                           "half MX 10 gone\n"
                           "half MX 20 a\n"
                           "alias CNAME order\n"
                           "tocname MX 10 cname\n"
                           "away MX 10 mx.broken.test.\n"
                           "partly MX 10 mx.broken.test.\n"
                           "partly MX 20 a\n"
                           "dangling CNAME gone\n"
                           "chain1 CNAME chain2\n"
                           "chain2 CNAME chain3\n"
                           "chain3 CNAME chain4\n"
                           "chain4 CNAME chain5\n"
                           "chain5 CNAME order\n"
                           "loop1 CNAME loop2\n"
                           "loop2 CNAME loop1\n"
                           "self CNAME self\n"
                           "toloop MX 10 loop1\n"
                           "toloop MX 20 a\n"
                           "short 5 MX 10 a\n"
                           "long 86400 MX 10 long-host\n"
                           "long-host 86400 A 192.0.2.7\n"
                           "long-host 86400 AAAA 2001:db8::7\n";

static const char settings[] = "server:\n"
                               "  ip-address: 127.0.0.1@%u\n"
                               "  username: \"\"\n"
                               "  chroot: \"\"\n"
                               "  zonesdir: \"%s\"\n"
                               "  database: \"\"\n"
                               "  pidfile: \"\"\n"
                               "  xfrdfile: \"%s/xfrd.state\"\n"
                               "  zonelistfile: \"%s/zone.list\"\n"
                               "  server-count: 1\n"
                               "  do-ip6: no\n"
                               "  rrl-ratelimit: 0\n"
                               "remote-control:\n"
                               "  control-enable: no\n"
                               "zone:\n"
                               "  name: example.test\n"
                               "  zonefile: example.zone\n"
                               "zone:\n" /* answered with SERVFAIL: it has no file */
                               "  name: broken.test\n"
                               "  zonefile: none.zone\n";

/* ---- nsd ---- */

static struct scratch scratch;
static pid_t nsd;
static char server[ENDPOINT_TEXT_MAX];

/* A UDP socket on a free port of loopback. */
static int udp_socket(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    int made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(made >= 0 && bind(made, (struct sockaddr *)&address, sizeof(address)) == 0);
    must(getsockname(made, (struct sockaddr *)&address, &length) == 0);
    *port = ntohs(address.sin_port);
    return made;
}

static void write_zones(uint16_t port)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    buffer_print(&text, settings, port, scratch.path, scratch.path, scratch.path);
    scratch_write(&scratch, "nsd.conf", buffer_span(&text));
    buffer_clear(&text);
    buffer_append(&text, span_of(zone));
    for (unsigned i = 0; i < 30; i++)
        buffer_print(&text, "many MX %u many%u\nmany%u A 192.0.2.%u\n", 100 - i, i, i, 100 + i);
    for (unsigned i = 0; i < 30; i++)
        buffer_print(&text, "long%u CNAME long%u\n", i, i + 1);
    buffer_print(&text, "long30 A 192.0.2.30\n");
    for (unsigned i = 0; i < 15; i++)
        buffer_print(&text, "wide A 192.0.2.%u\nwide AAAA 2001:db8::%u\n", i, i);
    for (unsigned i = 0; i < RESOLVE_RECORDS_MAX + 10; i++)
        buffer_print(&text, "texts TXT \"text %u\"\n", i);
    buffer_print(&text, "bigtext TXT small\nbigtext TXT");
    for (unsigned i = 0; i <= RESOLVE_TEXT_BYTES_MAX / 200; i++)
        buffer_print(&text, " %0200u", i);
    buffer_print(&text, "\n");
    scratch_write(&scratch, "example.zone", buffer_span(&text));
}

static void become_nsd(int errors)
{
    char path[SCRATCH_FILE_MAX];
    static const char *const places[] = {"/usr/sbin/nsd", "/usr/local/sbin/nsd"};
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(errors, STDERR_FILENO);
    scratch_name(&scratch, "nsd.conf", path);
    execlp("nsd", "nsd", "-d", "-V", "2", "-c", path, (char *)NULL);
    for (size_t i = 0; i < countof(places); i++)
        execl(places[i], "nsd", "-d", "-V", "2", "-c", path, (char *)NULL);
    _exit(errno == ENOENT ? 77 : 1);
}

/* Reads what nsd says until it has opened its sockets. False when it ended before. */
static bool wait_for_nsd(int errors)
{
    struct buffer said CLEANUP(buffer_free) = {0};
    for (;;) {
        ssize_t got = read(errors, buffer_room(&said, 4096), 4096);
        if (got <= 0)
            break;
        buffer_grew(&said, (size_t)got);
        struct span text = buffer_span(&said);
        if (memmem(text.data, text.length, "nsd started", 11))
            return true;
    }
    fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&said)));
    return false;
}

/* 0, or the exit code that nsd ended with. */
static int start_nsd(void)
{
    int pipes[2], status;
    uint16_t port;
    scratch = scratch_make();
    int reserved = udp_socket(&port);
    close(reserved);
    write_zones(port);
    snprintf(server, sizeof(server), "127.0.0.1:%u", port);
    must(pipe(pipes) == 0);
    nsd = fork();
    must(nsd >= 0);
    if (nsd == 0)
        become_nsd(pipes[1]);
    close(pipes[1]);
    if (wait_for_nsd(pipes[0])) /* the pipe stays open: nsd may say more */
        return 0;
    waitpid(nsd, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}

static void stop_nsd(void)
{
    kill(nsd, SIGTERM);
    waitpid(nsd, NULL, 0);
    scratch_remove(&scratch);
}

/* ---- asking ---- */

static struct resolve *resolve;
static struct mailbox replies;
static sem_t arrived;
static unsigned delivered;

static void wake(void *owner)
{
    (void)owner;
    sem_post(&arrived);
}

static void deliver(struct mail *mail, void *taker)
{
    (void)mail;
    (void)taker;
    delivered++;
}

static void open_resolve(const char *at)
{
    char why[256] = "";
    sem_init(&arrived, 0, 0);
    mailbox_init(&replies, wake, NULL);
    resolve = resolve_create(&(struct resolve_settings){.server = at}, why, sizeof(why));
    ck_assert_msg(resolve != NULL, "%s", why);
}

static void set_up(void)
{
    open_resolve(server);
}

static void tear_down(void)
{
    resolve_destroy(&resolve);
}

static struct resolution *post(const char *domain, enum resolve_kind kind)
{
    struct resolution *asked = must_calloc(1, sizeof(*asked));
    asked->mail.deliver = deliver;
    asked->reply_to = &replies;
    asked->domain = must_strdup(domain);
    asked->kind = kind;
    resolve_post(resolve, asked);
    return asked;
}

static void await(unsigned count)
{
    for (delivered = 0; delivered < count;) {
        while (sem_wait(&arrived) != 0)
            must(errno == EINTR);
        mailbox_deliver(&replies, NULL);
    }
}

static struct resolution *ask(const char *domain, enum resolve_kind kind)
{
    struct resolution *asked = post(domain, kind);
    await(1);
    return asked;
}

/* "OK 10 b 192.0.2.2 2001:db8::2; 20 six 2001:db8::6", or "TEMPORARY x.test: SERVFAIL" */
static const char *tell(const struct resolution *resolution)
{
    static const char *const results[] = {[RESOLVE_OK] = "OK",
                                          [RESOLVE_NO_DOMAIN] = "NO_DOMAIN",
                                          [RESOLVE_NULL_MX] = "NULL_MX",
                                          [RESOLVE_NO_ADDRESS] = "NO_ADDRESS",
                                          [RESOLVE_TEMPORARY] = "TEMPORARY"};
    static struct buffer text;
    char ip[IP_TEXT_MAX];
    buffer_clear(&text);
    buffer_print(&text, "%s", results[resolution->result]);
    if (resolution->result != RESOLVE_OK)
        buffer_print(&text, " %s", resolution->why);
    for (unsigned i = 0; i < resolution->count; i++) {
        const struct resolved_host *host = &resolution->hosts[i];
        buffer_print(&text, "%s %u %s", i ? ";" : "", host->preference, host->name);
        for (unsigned j = 0; j < host->count; j++)
            buffer_print(&text, " %s", ip_format(&host->addresses[j], ip));
    }
    for (unsigned i = 0; i < resolution->text_count; i++)
        buffer_print(&text, "%s %.*s", i ? ";" : "", SPAN_FORMAT(resolution->texts[i]));
    buffer_append(&text, (struct span){"", 1});
    return buffer_span(&text).data;
}

/* ---- tests ---- */

START_TEST(answers)
{
    static const struct {
        const char *domain;
        enum resolve_kind kind;
        const char *told;
    } rows[] = {
        {"order.example.test", RESOLVE_MX,
         "OK 10 b.example.test 192.0.2.2 2001:db8::2; 20 six.example.test 2001:db8::6; "
         "30 a.example.test 192.0.2.1"},
        {"Order.Example.TEST", RESOLVE_MX,
         "OK 10 b.example.test 192.0.2.2 2001:db8::2; 20 six.example.test 2001:db8::6; "
         "30 a.example.test 192.0.2.1"},
        /* no MX: the domain itself (RFC 5321 5.1) */
        {"plain.example.test", RESOLVE_MX, "OK 0 plain.example.test 192.0.2.9 2001:db8::9"},
        {"six.example.test", RESOLVE_MX, "OK 0 six.example.test 2001:db8::6"},
        {"text.example.test", RESOLVE_MX, "NO_DOMAIN text.example.test: neither MX nor address"},
        {"gone.example.test", RESOLVE_MX, "NO_DOMAIN gone.example.test: no such domain (NXDOMAIN)"},
        {"dangling.example.test", RESOLVE_MX,
         "NO_DOMAIN dangling.example.test: no such domain (NXDOMAIN)"},
        /* null MX (RFC 7505) */
        {"null.example.test", RESOLVE_MX, "NULL_MX null.example.test: accepts no mail (null MX)"},
        {"notnull.example.test", RESOLVE_MX, "OK 10 a.example.test 192.0.2.1"},
        /* MX that lead nowhere are no reason to use the domain's own address */
        {"nowhere.example.test", RESOLVE_MX,
         "NO_ADDRESS nowhere.example.test: none of its mail hosts has an address"},
        {"half.example.test", RESOLVE_MX, "OK 10 gone.example.test; 20 a.example.test 192.0.2.1"},
        {"alias.example.test", RESOLVE_MX,
         "OK 10 b.example.test 192.0.2.2 2001:db8::2; 20 six.example.test 2001:db8::6; "
         "30 a.example.test 192.0.2.1"},
        {"tocname.example.test", RESOLVE_MX, "OK 10 cname.example.test 192.0.2.1"},
        /* chains of CNAME, which are followed so far and no further */
        {"chain1.example.test", RESOLVE_MX,
         "OK 10 b.example.test 192.0.2.2 2001:db8::2; 20 six.example.test 2001:db8::6; "
         "30 a.example.test 192.0.2.1"},
        {"long0.example.test", RESOLVE_MX, "TEMPORARY long0.example.test: SERVFAIL"},
        {"long10.example.test", RESOLVE_ADDRESSES, "TEMPORARY long10.example.test: SERVFAIL"},
        {"long22.example.test", RESOLVE_ADDRESSES, "OK 0 long22.example.test 192.0.2.30"},
        {"loop1.example.test", RESOLVE_MX, "TEMPORARY loop1.example.test: SERVFAIL"},
        {"self.example.test", RESOLVE_MX, "TEMPORARY self.example.test: SERVFAIL"},
        {"toloop.example.test", RESOLVE_MX,
         "OK 10 loop1.example.test; 20 a.example.test 192.0.2.1"},
        /* failures */
        {"broken.test", RESOLVE_MX, "TEMPORARY broken.test: SERVFAIL"},
        {"away.example.test", RESOLVE_MX, "TEMPORARY mx.broken.test: SERVFAIL"},
        {"partly.example.test", RESOLVE_MX, "OK 10 mx.broken.test; 20 a.example.test 192.0.2.1"},
        {"not a domain", RESOLVE_MX, "NO_DOMAIN not a domain: not a domain name"},
        {"", RESOLVE_MX, "NO_DOMAIN : not a domain name"},
        /* one name's addresses */
        {"order.example.test", RESOLVE_ADDRESSES, "NO_ADDRESS order.example.test: no address"},
        {"B.Example.TEST", RESOLVE_ADDRESSES, "OK 0 b.example.test 192.0.2.2 2001:db8::2"},
        {"cname.example.test", RESOLVE_ADDRESSES, "OK 0 cname.example.test 192.0.2.1"},
        {"gone.example.test", RESOLVE_ADDRESSES,
         "NO_DOMAIN gone.example.test: no such name (NXDOMAIN)"},
        {"mx.broken.test", RESOLVE_ADDRESSES, "TEMPORARY mx.broken.test: SERVFAIL"},
        /* texts */
        {"text.example.test", RESOLVE_TXT, "OK neither MX nor address"},
        {"_mta-sts.example.test", RESOLVE_TXT, "OK v=STSv1; id=abc"},
        {"_mta-sts.cname.example.test", RESOLVE_TXT, "OK v=STSv1; id=abc"},
        {"plain.example.test", RESOLVE_TXT, "NO_DOMAIN plain.example.test: no TXT record"},
        {"gone.example.test", RESOLVE_TXT, "NO_DOMAIN gone.example.test: no such name (NXDOMAIN)"},
        {"mx.broken.test", RESOLVE_TXT, "TEMPORARY mx.broken.test: SERVFAIL"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct resolution *answer CLEANUP(resolution_free) = ask(rows[i].domain, rows[i].kind);
        ck_assert_str_eq(tell(answer), rows[i].told);
    }
}
END_TEST

START_TEST(how_long_an_answer_holds)
{
    static const struct {
        const char *domain;
        int64_t least_ms, most_ms;
    } rows[] = {
        {"plain.example.test", 100000, 120000}, /* the SOA's, for the MX that is not there */
        {"order.example.test", 100000, 120000}, /* for an AAAA that is not there */
        {"long.example.test", RESOLVE_TTL_MOST_MS - 10000, RESOLVE_TTL_MOST_MS},
        {"short.example.test", RESOLVE_TTL_LEAST_MS, RESOLVE_TTL_LEAST_MS},
        {"partly.example.test", RESOLVE_TTL_LEAST_MS, RESOLVE_TTL_LEAST_MS},
        {"broken.test", RESOLVE_TTL_LEAST_MS, RESOLVE_TTL_LEAST_MS},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct resolution *answer CLEANUP(resolution_free) = ask(rows[i].domain, RESOLVE_MX);
        ck_assert_msg(answer->ttl_ms >= rows[i].least_ms && answer->ttl_ms <= rows[i].most_ms,
                      "%s: %ld", rows[i].domain, (long)answer->ttl_ms);
    }
}
END_TEST

START_TEST(limits)
{
    struct resolution *texts CLEANUP(resolution_free) = ask("texts.example.test", RESOLVE_TXT);
    ck_assert_uint_eq(texts->text_count, RESOLVE_RECORDS_MAX);
    struct resolution *big CLEANUP(resolution_free) = ask("bigtext.example.test", RESOLVE_TXT);
    ck_assert_str_eq(tell(big), "OK small"); /* the other one is longer than may be */
    struct resolution *many CLEANUP(resolution_free) = ask("many.example.test", RESOLVE_MX);
    ck_assert_int_eq(many->result, RESOLVE_OK);
    ck_assert_uint_eq(many->count, RESOLVE_HOSTS_MAX);
    for (unsigned i = 0; i < many->count; i++) {
        ck_assert_uint_eq(many->hosts[i].preference, 71 + i);
        ck_assert_uint_eq(many->hosts[i].count, 1);
    }
    struct resolution *wide CLEANUP(resolution_free) = ask("wide.example.test", RESOLVE_MX);
    ck_assert_uint_eq(wide->count, 1);
    ck_assert_uint_eq(wide->hosts[0].count, 2 * RESOLVE_ADDRESSES_MAX);
}
END_TEST

/* More than may be under way: all are answered, each with its own. */
START_TEST(many_at_once)
{
    static struct resolution *asked[RESOLVE_UNDER_WAY_MAX * 2];
    char domain[64];
    for (unsigned i = 0; i < countof(asked); i++) {
        snprintf(domain, sizeof(domain), "x%u.%s.test", i, i % 2 ? "gone.example" : "broken");
        asked[i] = post(i % 4 ? domain : "order.example.test", RESOLVE_MX);
    }
    await(countof(asked));
    for (unsigned i = 0; i < countof(asked); i++) {
        ck_assert_int_eq(asked[i]->result, i % 4 == 0   ? RESOLVE_OK
                                           : i % 2 == 0 ? RESOLVE_TEMPORARY
                                                        : RESOLVE_NO_DOMAIN);
        resolution_free(&asked[i]);
    }
}
END_TEST

START_TEST(nobody_answers)
{
    uint16_t port;
    char at[ENDPOINT_TEXT_MAX];
    int silent = udp_socket(&port);
    close(silent); /* refused at once */
    tear_down();
    snprintf(at, sizeof(at), "127.0.0.1:%u", port);
    open_resolve(at);
    struct resolution *answer CLEANUP(resolution_free) = ask("order.example.test", RESOLVE_MX);
    ck_assert_str_eq(tell(answer), "TEMPORARY order.example.test: SERVFAIL");
}
END_TEST

START_TEST(the_end_answers_the_rest)
{
    static struct resolution *asked[RESOLVE_UNDER_WAY_MAX + 10];
    uint16_t port;
    char at[ENDPOINT_TEXT_MAX];
    int silent = udp_socket(&port);
    tear_down();
    snprintf(at, sizeof(at), "127.0.0.1:%u", port);
    open_resolve(at);
    for (unsigned i = 0; i < countof(asked); i++)
        asked[i] = post("order.example.test", (enum resolve_kind)(i % 3));
    resolve_destroy(&resolve);
    await(countof(asked));
    for (unsigned i = 0; i < countof(asked); i++) {
        ck_assert_str_eq(tell(asked[i]),
                         "TEMPORARY order.example.test: the relay is shutting down");
        resolution_free(&asked[i]);
    }
    close(silent);
}
END_TEST

START_TEST(servers_that_are_none)
{
    static const char *const bad[] = {"", "127.0.0.1", "localhost:53", "127.0.0.1:"};
    for (size_t i = 0; i < countof(bad); i++) {
        char why[256] = "";
        const struct resolve_settings settings = {.server = bad[i]};
        ck_assert_ptr_null(resolve_create(&settings, why, sizeof(why)));
        ck_assert_ptr_nonnull(strstr(why, "cannot be used"));
    }
}
END_TEST

int main(void)
{
    int ended = start_nsd();
    if (ended == 77)
        fprintf(stderr, "resolve_test: skipped, there is no nsd here\n");
    if (ended != 0) {
        scratch_remove(&scratch);
        return ended;
    }
    Suite *suite = suite_create("relay/resolve");
    TCase *tcase = tcase_create("relay/resolve");
    tcase_set_timeout(tcase, 60); /* more than libunbound waits for a server that is none */
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, answers);
    tcase_add_test(tcase, how_long_an_answer_holds);
    tcase_add_test(tcase, limits);
    tcase_add_test(tcase, many_at_once);
    tcase_add_test(tcase, nobody_answers);
    tcase_add_test(tcase, the_end_answers_the_rest);
    tcase_add_test(tcase, servers_that_are_none);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    stop_nsd();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
