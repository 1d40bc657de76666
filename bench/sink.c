/* millrace sink: its command line, its threads, and what it counted. */
#include "bench/sink.h"

#include "bench/arguments.h"
#include "bench/commands.h"
#include "bench/files.h"
#include "bench/stop.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

static const char help[] =
    "Usage: millrace sink --listen ADDR:PORT [OPTION]...\n"
    "A mail server that takes everything, keeps nothing and counts; with faults on demand.\n"
    "\n"
    "  --listen ADDR:PORT       where; port 0 takes a free one and says which\n"
    "  --tls-cert F --tls-key F offer STARTTLS with this certificate and key (PEM)\n"
    "  --tls-self-signed DIR    offer STARTTLS with a certificate made in DIR if need be\n"
    "  --tls-versions 1.2,1.3   the TLS versions that are spoken\n"
    "  --implicit-tls           TLS from the first byte in place of STARTTLS\n"
    "  --fault WHERE:WHAT:SHARE may be given again and again\n"
    "      WHERE  connect greeting ehlo starttls handshake auth mail rcpt data bdat eod quit\n"
    "      WHAT   a reply code, drop, stall, garbage, no-ticket (handshake), residue\n"
    "      SHARE  0 to 1, or 0% to 100%\n"
    "  --delay WHERE:MS         wait before what happens there\n"
    "  --round-trip MS          all replies arrive so much later, as from afar\n"
    "  --no-extension NAME      do not offer it, as CHUNKING; again and again\n"
    "  --requiretls             offer REQUIRETLS inside TLS (RFC 8689)\n"
    "  --limits LIMITS          offer and keep them, as \"RCPTMAX=20 MAILMAX=5\"\n"
    "  --messages N             end after N messages; else on SIGINT or SIGTERM\n"
    "  --ledger FILE            append the Message-ID of each message, before its 250\n"
    "  --dump DIR               write each message to DIR/000001.eml and on\n"
    "  --threads N              1 unless said otherwise\n"
    "  --json                   the counts as JSON\n"
    "\n"
    "Example: millrace sink --listen 127.0.0.1:2526 --tls-self-signed /tmp/sink \\\n"
    "             --fault rcpt:450:10% --json\n";

/* ---- the command line ---- */

static bool add_fault(void *faults, struct span text, char why[ARGUMENT_WHY_MAX])
{
    return faults_add(faults, text, why);
}

static bool add_delay(void *faults, struct span text, char why[ARGUMENT_WHY_MAX])
{
    return faults_add_delay(faults, text, why);
}

/* What it can do besides: PIPELINING is the client's to use or not. */
#define EXTENSIONS_DEFAULT                                                                         \
    (EXTENSION_PIPELINING | EXTENSION_SIZE | EXTENSION_8BITMIME | EXTENSION_ENHANCEDSTATUSCODES |  \
     EXTENSION_DSN | EXTENSION_CHUNKING | EXTENSION_BINARYMIME | EXTENSION_SMTPUTF8)

static bool drop_extension(void *to, struct span name, char why[ARGUMENT_WHY_MAX])
{
    unsigned *extensions = to, found = extension_find(name);
    *extensions &= ~found;
    if (found & EXTENSIONS_DEFAULT)
        return true;
    snprintf(why, ARGUMENT_WHY_MAX, "'%.*s' is not offered", SPAN_FORMAT(name));
    return false;
}

static bool read_limits(void *to, struct span text, char why[ARGUMENT_WHY_MAX])
{
    struct sink_options *options = to;
    char line[ARGUMENT_WHY_MAX];
    snprintf(line, sizeof(line), "\nLIMITS %.*s", (int)(text.length < 150 ? text.length : 150),
             text.data);
    options->limits = extensions_read(span_of(line), 0);
    if (options->limits.mail_max || options->limits.rcpt_max || options->limits.rcpt_domain_max)
        return true;
    snprintf(why, ARGUMENT_WHY_MAX, "RCPTMAX=N, MAILMAX=N and RCPTDOMAINMAX=N, not '%.*s'",
             SPAN_FORMAT(text));
    return false;
}

static bool read_versions(void *to, struct span text, char why[ARGUMENT_WHY_MAX])
{
    struct sink_options *options = to;
    const char *comma = memchr(text.data, ',', text.length);
    struct span least = {text.data, comma ? (size_t)(comma - text.data) : text.length};
    struct span most = comma ? span_skip(text, least.length + 1) : text;
    if (tls_version_parse(least, &options->tls_least) &&
        tls_version_parse(most, &options->tls_most) && options->tls_least <= options->tls_most)
        return true;
    snprintf(why, ARGUMENT_WHY_MAX, "1.2, 1.3 or 1.2,1.3, not '%.*s'", SPAN_FORMAT(text));
    return false;
}

static int read_options(int argc, char **argv, struct sink_options *options)
{
    const struct argument rows[] = {
        {"--listen", ARGUMENT_ENDPOINT, .to = &options->listen},
        {"--threads", ARGUMENT_NUMBER, .to = &options->threads, 1, SINK_THREADS_MAX},
        {"--messages", ARGUMENT_NUMBER, .to = &options->messages, 1, INT64_MAX},
        {"--tls-cert", ARGUMENT_TEXT, .to = &options->certificate},
        {"--tls-key", ARGUMENT_TEXT, .to = &options->key},
        {"--tls-self-signed", ARGUMENT_TEXT, .to = &options->self_signed},
        {"--tls-versions", ARGUMENT_CALL, .to = options, .call = read_versions},
        {"--implicit-tls", ARGUMENT_FLAG, .to = &options->implicit_tls},
        {"--round-trip", ARGUMENT_NUMBER, .to = &options->round_trip_ms, 0, FAULT_DELAY_MAX_MS},
        {"--fault", ARGUMENT_CALL, .to = &options->faults, .call = add_fault},
        {"--delay", ARGUMENT_CALL, .to = &options->faults, .call = add_delay},
        {"--no-extension", ARGUMENT_CALL, .to = &options->extensions, .call = drop_extension},
        {"--requiretls", ARGUMENT_FLAG, .to = &options->requiretls},
        {"--limits", ARGUMENT_CALL, .to = options, .call = read_limits},
        {"--dump", ARGUMENT_TEXT, .to = &options->dump},
        {"--ledger", ARGUMENT_TEXT, .to = &options->ledger},
        {"--json", ARGUMENT_FLAG, .to = &options->json},
    };
    int code = arguments_read(argc, argv, rows, countof(rows), help);
    if (code != ARGUMENTS_READ)
        return code;
    if (options->listen.ip.family == 0)
        return arguments_fail(EX_USAGE, "sink", "--listen ADDR:PORT is missing");
    if ((options->certificate == NULL) != (options->key == NULL))
        return arguments_fail(EX_USAGE, "sink", "--tls-cert and --tls-key go together");
    if (options->certificate && options->self_signed)
        return arguments_fail(EX_USAGE, "sink",
                              "--tls-self-signed or --tls-cert with --tls-key, not both");
    if (options->implicit_tls && !options->certificate && !options->self_signed)
        return arguments_fail(
            EX_USAGE, "sink",
            "--implicit-tls wants --tls-self-signed, or --tls-cert and --tls-key");
    return ARGUMENTS_READ;
}

/* ---- setting up ---- */

static int open_tls(struct sink *sink)
{
    const struct sink_options *options = &sink->options;
    char why[TLS_WHY_MAX], certificate[PATH_MAX], key[PATH_MAX];
    struct tls_server_options tls = {.certificate = options->certificate,
                                     .key = options->key,
                                     .least = options->tls_least,
                                     .most = options->tls_most,
                                     .tickets = SINK_TICKETS};
    if (options->self_signed) {
        if (!tls_self_signed(options->self_signed, SINK_HOSTNAME, why))
            return arguments_fail(EX_CANTCREAT, "sink", "%s", why);
        snprintf(certificate, sizeof(certificate), "%s/cert.pem", options->self_signed);
        snprintf(key, sizeof(key), "%s/key.pem", options->self_signed);
        tls.certificate = certificate;
        tls.key = key;
    }
    if (tls.certificate == NULL)
        return EX_OK;
    sink->tls = tls_server_create(&tls, why);
    tls.tickets = 0;
    if (sink->tls)
        sink->tls_no_ticket = tls_server_create(&tls, why);
    return sink->tls_no_ticket ? EX_OK : arguments_fail(EX_CONFIG, "sink", "%s", why);
}

static int cannot_listen(const struct endpoint *at, int error)
{
    char text[ENDPOINT_TEXT_MAX];
    const char *what = error == -EADDRINUSE ? ": stop who listens there, or take another port" : "";
    return arguments_fail(EX_UNAVAILABLE, "sink", "cannot listen on %s: %s%s",
                          endpoint_format(at, text), strerror(-error), what);
}

static int open_workers(struct sink *sink, struct sink_worker *workers)
{
    const struct sink_options *options = &sink->options;
    struct endpoint at = options->listen;
    int error = os_listen_check(&at);
    for (unsigned i = 0; i < options->threads && error == 0; i++)
        error = sink_worker_open(&workers[i], sink, &at);
    if (error != 0)
        return cannot_listen(&at, error);
    char text[ENDPOINT_TEXT_MAX];
    fprintf(stderr, "listening on %s\n", endpoint_format(&at, text));
    return EX_OK;
}

/* Whether the files that were asked for can be written: told now, not at the first message. */
static int check_files(const struct sink_options *options)
{
    struct ledger ledger;
    int error = ledger_open(&ledger, options->ledger);
    if (error != 0)
        return arguments_fail(EX_CANTCREAT, "sink", "cannot open the ledger %s: %s",
                              options->ledger, strerror(-error));
    ledger_close(&ledger);
    if (options->dump && mkdir(options->dump, 0777) != 0 && errno != EEXIST)
        return arguments_fail(EX_CANTCREAT, "sink", "cannot make %s: %s", options->dump,
                              strerror(errno));
    return EX_OK;
}

/* ---- running ---- */

void sink_gauge_up(struct sink_gauge *gauge)
{
    unsigned now = atomic_fetch_add(&gauge->now, 1) + 1;
    for (unsigned most = gauge->most; now > most;)
        if (atomic_compare_exchange_weak(&gauge->most, &most, now))
            return;
}

unsigned sink_gauge_down(struct sink_gauge *gauge)
{
    return atomic_fetch_sub(&gauge->now, 1) - 1;
}

void sink_finish(struct sink *sink)
{
    sink->finished = true;
    os_wake(sink->main_loop);
}

void sink_fail(struct sink *sink, const char *what, const char *which, int error)
{
    if (!atomic_exchange(&sink->failed, true))
        arguments_fail(EX_IOERR, "sink", "cannot %s %s: %s", what, which, strerror(abs(error)));
    os_wake(sink->main_loop);
}

/* Until a signal, a failure, or some moments after the last message. */
static void wait_for_the_end(struct sink *sink)
{
    struct os_event events[OS_EVENTS_MAX];
    int64_t end = INT64_MAX;
    while (!stop_asked() && !sink->failed && os_now() < end) {
        if (sink->finished && sink->clients.now == 0)
            return;
        if (sink->finished && end == INT64_MAX)
            end = os_now() + SINK_LINGER_MS;
        os_wait(sink->main_loop, events, sink->finished ? SINK_LINGER_MS : -1);
    }
}

static void run(struct sink *sink, struct sink_worker *workers)
{
    sigset_t before;
    stop_watch(sink->main_loop);
    stop_mask(&before);
    for (unsigned i = 0; i < sink->options.threads; i++)
        must(pthread_create(&workers[i].thread, NULL, sink_worker_run, &workers[i]) == 0);
    stop_unmask(&before);
    wait_for_the_end(sink);
    sink->stopping = true;
    for (unsigned i = 0; i < sink->options.threads; i++) {
        os_wake(workers[i].loop);
        must(pthread_join(workers[i].thread, NULL) == 0);
    }
}

/* ---- what it counted ---- */

static struct sink_totals sum(const struct sink *sink, const struct sink_worker *workers)
{
    struct sink_totals all = {0};
    for (unsigned i = 0; i < sink->options.threads; i++) {
        const struct sink_totals *one = &workers[i].totals;
        all.messages += one->messages;
        all.recipients += one->recipients;
        all.bytes += one->bytes;
        all.connections += one->connections;
        all.handshakes += one->handshakes;
        all.resumed += one->resumed;
        all.duplicates += one->duplicates;
        all.requiretls += one->requiretls;
        all.flights += one->flights;
        if (one->last_message_ms > all.last_message_ms)
            all.last_message_ms = one->last_message_ms;
        for (unsigned row = 0; row < FAULTS_MAX; row++)
            all.faults[row] += one->faults[row];
    }
    return all;
}

static void print(const struct sink *sink, const struct sink_totals *totals)
{
    const bool json = sink->options.json;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"messages", totals->messages},
        {"recipients", totals->recipients},
        {"bytes", totals->bytes},
        {"connections", totals->connections},
        {"handshakes", totals->handshakes},
        {"resumed", totals->resumed},
        {"duplicates", totals->duplicates},
        {"requiretls", totals->requiretls},
        {"last_message_ms", totals->last_message_ms},
        {"flights", totals->flights},
        {"connections_most", sink->clients.most},
        {"mails_most", sink->mails.most},
    };
    char name[FAULT_NAME_MAX];
    printf("%s", json ? "{" : "");
    for (size_t i = 0; i < countof(rows); i++)
        printf(json ? "\"%s\":%" PRIu64 "," : "%-16s %" PRIu64 "\n", rows[i].name, rows[i].value);
    printf("%s", json ? "\"faults\":{" : "");
    for (unsigned i = 0; i < sink->options.faults.count; i++) {
        fault_name(&sink->options.faults.rows[i], name);
        if (json)
            printf("%s\"%s\":%" PRIu64, i > 0 ? "," : "", name, totals->faults[i]);
        else
            printf("fault %s %" PRIu64 "\n", name, totals->faults[i]);
    }
    printf("%s", json ? "}}\n" : "");
    fflush(stdout);
}

static int serve(struct sink *sink, struct sink_worker *workers)
{
    int code = check_files(&sink->options);
    if (code == EX_OK)
        code = open_tls(sink);
    if (code == EX_OK)
        code = open_workers(sink, workers);
    if (code != EX_OK)
        return code;
    run(sink, workers);
    struct sink_totals totals = sum(sink, workers);
    print(sink, &totals);
    if (seen_full(sink->seen))
        arguments_fail(EX_OK, "sink", "duplicates were counted among the first %u only", SEEN_MAX);
    return sink->failed ? EX_IOERR : EX_OK;
}

int command_sink(int argc, char **argv)
{
    struct sink sink = {.options = {.threads = 1, .extensions = EXTENSIONS_DEFAULT}};
    int code = read_options(argc, argv, &sink.options);
    if (code != ARGUMENTS_READ)
        return code;
    files_raise_limit();
    sink.seen = seen_create();
    sink.main_loop = os_loop_create();
    struct sink_worker *workers = must_calloc(sink.options.threads, sizeof(*workers));
    for (unsigned i = 0; i < sink.options.threads; i++)
        workers[i].listener = workers[i].ledger.file = -1;
    code = serve(&sink, workers);
    for (unsigned i = 0; i < sink.options.threads; i++)
        sink_worker_close(&workers[i]);
    free(workers);
    tls_server_destroy(&sink.tls);
    tls_server_destroy(&sink.tls_no_ticket);
    seen_destroy(&sink.seen);
    os_loop_destroy(&sink.main_loop);
    return code;
}
