/* A real name server for tests of the resolver, nsd on a free port of loopback with its zones in
 * a directory of its own, and how answers are waited for and told. */
#pragma once

#include "base/buffer.h"
#include "relay/resolve.h"
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

static const char nsd_settings[] = "server:\n"
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
                                   "  control-enable: no\n";

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

/* `zones`: their sections of nsd.conf. */
static void write_settings(uint16_t port, const char *zones)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    buffer_print(&text, nsd_settings, port, scratch.path, scratch.path, scratch.path);
    buffer_append(&text, span_of(zones));
    scratch_write(&scratch, "nsd.conf", buffer_span(&text));
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

/* 0, or the exit code that nsd ended with: perhaps the port is somebody else's by now, or was so
 * for TCP all the time. */
static int try_nsd(const char *zones)
{
    int pipes[2], status;
    uint16_t port;
    int reserved = udp_socket(&port);
    close(reserved);
    write_settings(port, zones);
    snprintf(server, sizeof(server), "127.0.0.1:%u", port);
    must(pipe(pipes) == 0);
    nsd = fork();
    must(nsd >= 0);
    if (nsd == 0)
        become_nsd(pipes[1]);
    close(pipes[1]);
    if (wait_for_nsd(pipes[0])) /* the pipe stays open: nsd may say more */
        return 0;
    close(pipes[0]);
    waitpid(nsd, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}

static int start_nsd(const char *zones, bool (*write_zones)(void))
{
    int ended = 1;
    scratch = scratch_make();
    if (!write_zones())
        return 77;
    for (int tries = 0; tries < 10 && ended != 0 && ended != 77; tries++)
        ended = try_nsd(zones);
    return ended;
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

static void open_resolve(const struct resolve_settings *settings)
{
    char why[256] = "";
    sem_init(&arrived, 0, 0);
    mailbox_init(&replies, wake, NULL);
    resolve = resolve_create(settings, why, sizeof(why));
    ck_assert_msg(resolve != NULL, "%s", why);
}

static void close_resolve(void)
{
    resolve_destroy(&resolve);
}

static struct resolution *make_question(const char *domain, enum resolve_kind kind)
{
    struct resolution *asked = must_calloc(1, sizeof(*asked));
    asked->mail.deliver = deliver;
    asked->reply_to = &replies;
    asked->domain = must_strdup(domain);
    asked->kind = kind;
    return asked;
}

static struct resolution *post(const char *domain, enum resolve_kind kind)
{
    struct resolution *asked = make_question(domain, kind);
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

/* Runs the suite with nsd beside it; the exit code, 77 without nsd or what signs zones. */
static int run_with_nsd(const char *name, const char *zones, bool (*write_zones)(void),
                        TCase *(*make_tests)(void))
{
    int ended = start_nsd(zones, write_zones);
    if (ended != 0) {
        fprintf(stderr,
                ended == 77 ? "%s: skipped, there is no nsd, or nothing to sign zones\n"
                            : "%s: nsd has ended\n",
                name);
        scratch_remove(&scratch);
        return ended;
    }
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, make_tests());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    stop_nsd();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
