/* millrace load: its command line, its threads, the progress it shows and what it measured. */
#include "bench/load.h"

#include "bench/arguments.h"
#include "bench/commands.h"
#include "bench/files.h"
#include "bench/stop.h"
#include "relay/smtp/address.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_MS 250

static const char help[] =
    "Usage: millrace load --to ADDR:PORT [OPTION]...\n"
    "Hands messages to a mail server, and measures how long it takes to accept each.\n"
    "\n"
    "  --to ADDR:PORT          the server\n"
    "  --messages N            end when N have been accepted or refused (1000)\n"
    "  --for TIME              end after this time, as 60s; with --messages: at the latest\n"
    "  --connections C         at once (20)\n"
    "  --messages-per-connection K   then QUIT and a new connection; no limit unless given\n"
    "  --rate R                messages a second, due at even times whether or not the server\n"
    "                          keeps up; else each connection sends as fast as it may\n"
    "  --size BYTES            of a message with its header (4096)\n"
    "  --corpus DIR            the files of DIR in turn, in place of made messages\n"
    "  --from PATH             reverse-path (load@load.test); '' is the null sender\n"
    "  --to-domain DOMAIN      recipients are user@DOMAIN (load.test)\n"
    "  --domains N             recipients are user@d0.DOMAIN to user@d<N-1>.DOMAIN\n"
    "  --starttls | --tls      STARTTLS, or TLS from the first byte\n"
    "  --resume on|off         TLS sessions are resumed (on)\n"
    "  --pipelining on|off     where the server offers it (on)\n"
    "  --chunking on|off       BDAT in place of DATA, where the server offers it (on)\n"
    "  --patience TIME         how long to bear with a server that is away or silent (30s;\n"
    "                          5s while none of the connections has succeeded yet)\n"
    "  --ledger FILE           append the Message-ID of each message that got its 250\n"
    "  --threads N             1 unless said otherwise\n"
    "  --json                  the summary as JSON\n"
    "\n"
    "Example: millrace load --to 127.0.0.1:2525 --messages 100000 --size 4K --domains 50\n";

/* ---- the command line ---- */

static int check_options(const struct load_options *options)
{
    if (options->to.ip.family == 0)
        return arguments_fail(EX_USAGE, "load", "--to ADDR:PORT is missing");
    if (options->starttls && options->tls)
        return arguments_fail(EX_USAGE, "load", "--starttls or --tls, not both");
    if (*options->from && !address_is_valid(span_of(options->from)))
        return arguments_fail(EX_USAGE, "load", "--from: no address '%s'", options->from);
    if (!domain_is_valid(span_of(options->to_domain)))
        return arguments_fail(EX_USAGE, "load", "--to-domain: no domain '%s'", options->to_domain);
    if (options->threads > options->connections)
        return arguments_fail(EX_USAGE, "load", "more --threads than --connections");
    return ARGUMENTS_READ;
}

static bool read_from(void *to, struct span value, char why[ARGUMENT_WHY_MAX])
{
    (void)why;
    *(const char **)to = value.data; /* the null sender is empty */
    return true;
}

static int read_options(int argc, char **argv, struct load_options *options)
{
    const struct argument rows[] = {
        {"--to", ARGUMENT_ENDPOINT, .to = &options->to},
        {"--messages", ARGUMENT_NUMBER, .to = &options->messages, 1, INT64_MAX},
        {"--for", ARGUMENT_DURATION, .to = &options->for_ms, 1, LOAD_TIME_MAX_MS},
        {"--connections", ARGUMENT_NUMBER, .to = &options->connections, 1, LOAD_CONNECTIONS_MAX},
        {"--messages-per-connection", ARGUMENT_NUMBER, .to = &options->per_connection, 1,
         INT64_MAX},
        {"--rate", ARGUMENT_NUMBER, .to = &options->rate, 1, LOAD_RATE_MAX},
        {"--size", ARGUMENT_SIZE, .to = &options->size, LOAD_SIZE_MIN, LOAD_SIZE_MAX},
        {"--corpus", ARGUMENT_TEXT, .to = &options->corpus},
        {"--from", ARGUMENT_CALL, .to = &options->from, .call = read_from},
        {"--to-domain", ARGUMENT_TEXT, .to = &options->to_domain},
        {"--domains", ARGUMENT_NUMBER, .to = &options->domains, 1, LOAD_DOMAINS_MAX},
        {"--starttls", ARGUMENT_FLAG, .to = &options->starttls},
        {"--tls", ARGUMENT_FLAG, .to = &options->tls},
        {"--resume", ARGUMENT_SWITCH, .to = &options->resume},
        {"--pipelining", ARGUMENT_SWITCH, .to = &options->pipelining},
        {"--chunking", ARGUMENT_SWITCH, .to = &options->chunking},
        {"--patience", ARGUMENT_DURATION, .to = &options->patience_ms, 1, LOAD_TIME_MAX_MS},
        {"--ledger", ARGUMENT_TEXT, .to = &options->ledger},
        {"--threads", ARGUMENT_NUMBER, .to = &options->threads, 1, LOAD_THREADS_MAX},
        {"--json", ARGUMENT_FLAG, .to = &options->json},
    };
    int code = arguments_read(argc, argv, rows, countof(rows), help);
    if (code != ARGUMENTS_READ)
        return code;
    if (options->messages == 0)
        options->messages = options->for_ms > 0 ? INT64_MAX : LOAD_MESSAGES;
    options->reach_ms = options->patience_ms > 0 ? options->patience_ms : LOAD_REACH_MS;
    if (options->patience_ms == 0)
        options->patience_ms = LOAD_PATIENCE_MS;
    return check_options(options);
}

/* ---- setting up ---- */

static int open_bodies(struct load *load)
{
    const struct load_options *options = &load->options;
    char why[LOAD_WHY_MAX], date[64], to[300];
    if (options->corpus)
        return load_bodies_read(&load->bodies, options->corpus, why)
                   ? EX_OK
                   : arguments_fail(EX_NOINPUT, "load", "%s", why);
    struct tm tm;
    time_t now = (time_t)(os_wall() / 1000);
    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    snprintf(to, sizeof(to), "user@%s", options->to_domain);
    if (!load_bodies_make(&load->bodies, options->size, options->from, to, date, why))
        return arguments_fail(EX_USAGE, "load", "--size: %s", why);
    return EX_OK;
}

static int open_workers(struct load *load, struct load_worker *workers)
{
    int error = 0;
    for (unsigned i = 0; i < load->options.threads; i++) {
        load_worker_open(&workers[i], load, i);
        if (error == 0)
            error = ledger_open(&workers[i].ledger, load->options.ledger);
    }
    if (error != 0)
        return arguments_fail(EX_CANTCREAT, "load", "cannot open the ledger %s: %s",
                              load->options.ledger, strerror(-error));
    return EX_OK;
}

/* ---- running ---- */

void load_break(struct load *load, const char *what, int error)
{
    if (!atomic_exchange(&load->broken, true))
        arguments_fail(EX_IOERR, "load", "cannot %s: %s", what, strerror(error));
    load->stopping = true;
}

static double seconds_since(int64_t started_us, int64_t until_us)
{
    return (double)(until_us - started_us) / 1e6;
}

/* One live line on a terminal; nothing in a pipe. */
static void show_progress(const struct load *load)
{
    double seconds = seconds_since(load->started_us, os_now_us());
    uint64_t accepted = load->accepted;
    fprintf(stderr,
            "\r  accepted %" PRIu64 "  refused %" PRIu64 "  failed %" PRIu64
            "  %.0f/s  %.0f s\033[K",
            accepted, load->refused, load->failed, seconds > 0 ? (double)accepted / seconds : 0,
            seconds);
    fflush(stderr);
}

static void stop_workers(struct load *load, struct load_worker *workers)
{
    load->stopping = true;
    for (unsigned i = 0; i < load->options.threads; i++)
        os_wake(workers[i].loop);
}

static void wait_for_the_end(struct load *load, struct load_worker *workers)
{
    struct os_event events[OS_EVENTS_MAX];
    bool live = isatty(STDERR_FILENO);
    while (load->working > 0) {
        os_wait(load->main_loop, events, live ? PROGRESS_MS : -1);
        if (stop_asked() && !load->stopping)
            stop_workers(load, workers);
        if (live)
            show_progress(load);
    }
    if (live)
        fputs("\r\033[K", stderr);
}

static void run(struct load *load, struct load_worker *workers)
{
    sigset_t before;
    stop_watch(load->main_loop);
    load->working = (unsigned)load->options.threads;
    stop_mask(&before);
    for (unsigned i = 0; i < load->options.threads; i++)
        must(pthread_create(&workers[i].thread, NULL, load_worker_run, &workers[i]) == 0);
    stop_unmask(&before);
    wait_for_the_end(load, workers);
    for (unsigned i = 0; i < load->options.threads; i++)
        must(pthread_join(workers[i].thread, NULL) == 0);
}

/* ---- what it measured ---- */

struct summary {
    struct histogram latency; /* us */
    uint64_t full, resumed;
    double seconds;
    const char *trouble;
};

static void sum(const struct load *load, const struct load_worker *workers, struct summary *summary)
{
    int64_t last_us = load->started_us;
    summary->trouble = "";
    for (unsigned i = 0; i < load->options.threads; i++) {
        histogram_merge(&summary->latency, &workers[i].latency);
        summary->full += workers[i].full;
        summary->resumed += workers[i].resumed;
        if (workers[i].last_us > last_us)
            last_us = workers[i].last_us;
        if (*workers[i].trouble)
            summary->trouble = workers[i].trouble;
    }
    summary->seconds = seconds_since(load->started_us, last_us);
}

static const struct {
    const char *name;
    uint64_t parts, of;
} quantiles[] = {{"p50", 50, 100}, {"p90", 90, 100}, {"p99", 99, 100}, {"p99.9", 999, 1000}};

static double quantile_ms(const struct summary *summary, size_t i)
{
    return (double)histogram_quantile(&summary->latency, quantiles[i].parts, quantiles[i].of) / 1e3;
}

static void print_json(const struct load *load, const struct summary *summary, double rate)
{
    printf("{\"accepted\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"refused\":%" PRIu64
           ",\"seconds\":%.3f,\"rate\":%.1f,\"latency_ms\":{",
           load->accepted, load->failed, load->refused, summary->seconds, rate);
    for (size_t i = 0; i < countof(quantiles); i++)
        printf("\"%s\":%.3f,", quantiles[i].name, quantile_ms(summary, i));
    printf("\"max\":%.3f},\"connections\":%" PRIu64 ",\"handshakes\":{\"full\":%" PRIu64
           ",\"resumed\":%" PRIu64 "}}\n",
           (double)summary->latency.most / 1e3, load->connections, summary->full, summary->resumed);
}

static void print_text(const struct load *load, const struct summary *summary, double rate)
{
    printf("accepted     %" PRIu64 "\nfailed       %" PRIu64 "\nrefused      %" PRIu64
           "\nseconds      %.3f\nrate         %.0f messages/s\nlatency     ",
           load->accepted, load->failed, load->refused, summary->seconds, rate);
    for (size_t i = 0; i < countof(quantiles); i++)
        printf(" %s %.3f ms,", quantiles[i].name, quantile_ms(summary, i));
    printf(" max %.3f ms\nconnections  %" PRIu64 "\nhandshakes   %" PRIu64 " full, %" PRIu64
           " resumed\n",
           (double)summary->latency.most / 1e3, load->connections, summary->full, summary->resumed);
}

/* The exit code, with the reason on stderr where not all was accepted. */
static int judge(const struct load *load, const struct summary *summary)
{
    const struct load_options *options = &load->options;
    char text[ENDPOINT_TEXT_MAX];
    bool timed = options->for_ms > 0 && load->failed == 0 && load->refused == 0;
    if (load->broken)
        return EX_IOERR;
    if (load->accepted == options->messages || (timed && load->accepted > 0 && !stop_asked()))
        return EX_OK;
    endpoint_format(&options->to, text);
    if (load->connections == 0)
        return arguments_fail(EX_UNAVAILABLE, "load", "cannot reach %s: %s; is it listening?", text,
                              *summary->trouble ? summary->trouble : "stopped early");
    return arguments_fail(
        EX_TEMPFAIL, "load",
        "%s accepted %" PRIu64 " messages, refused %" PRIu64 ", and %" PRIu64 " failed; %s%s", text,
        load->accepted, load->refused, load->failed,
        *summary->trouble ? "the last trouble was " : "stopped early", summary->trouble);
}

static int report(const struct load *load, const struct load_worker *workers)
{
    struct summary *summary = must_calloc(1, sizeof(*summary));
    sum(load, workers, summary);
    double rate = summary->seconds > 0 ? (double)load->accepted / summary->seconds : 0;
    if (load->options.json)
        print_json(load, summary, rate);
    else if (load->connections > 0)
        print_text(load, summary, rate);
    fflush(stdout);
    int code = judge(load, summary);
    free(summary);
    return code;
}

/* ---- the whole ---- */

static void make_commands(struct load *load, struct buffer *mail, struct buffer *rcpt)
{
    buffer_print(mail, "MAIL FROM:<%s>", load->options.from);
    buffer_print(rcpt, "RCPT TO:<user@");
    load->mail = buffer_span(mail);
    load->rcpt = buffer_span(rcpt);
}

static int go(struct load *load)
{
    CLEANUP(buffer_free) struct buffer mail = {0};
    CLEANUP(buffer_free) struct buffer rcpt = {0};
    int code = open_bodies(load);
    if (code != EX_OK)
        return code;
    make_commands(load, &mail, &rcpt);
    os_random(&load->run, sizeof(load->run));
    load->left = (int64_t)load->options.messages;
    load->started_us = os_now_us();
    load->end_ms = load->options.for_ms > 0 ? os_now() + (int64_t)load->options.for_ms : INT64_MAX;
    struct load_worker *workers = must_calloc(load->options.threads, sizeof(*workers));
    code = open_workers(load, workers);
    if (code == EX_OK) {
        run(load, workers);
        code = report(load, workers);
    }
    for (unsigned i = 0; i < load->options.threads; i++)
        load_worker_close(&workers[i]);
    free(workers);
    return code;
}

int command_load(int argc, char **argv)
{
    struct load load = {.options = {.threads = 1,
                                    .connections = 20,
                                    .size = 4096,
                                    .from = "load@load.test",
                                    .to_domain = "load.test",
                                    .resume = true,
                                    .pipelining = true,
                                    .chunking = true}};
    int code = read_options(argc, argv, &load.options);
    if (code != ARGUMENTS_READ)
        return code;
    files_raise_limit();
    load.main_loop = os_loop_create();
    code = go(&load);
    load_bodies_free(&load.bodies);
    os_loop_destroy(&load.main_loop);
    return code;
}
