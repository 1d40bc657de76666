/* Whatever is in a configuration: either it is said what is wrong, in lines that are fit for a
 * terminal and a bounded number of them, or there is a value, which printed and read again is the
 * same. */
#include "relay/config.h"

#include "tests/fuzz/fuzz.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ERRORS_MAX 101 /* REPORT_PROBLEMS_MAX, and that there are more */

static char directory[64], file[80];

/* In place of libc's: the machine has no addresses, for to look them up takes longer than all else.
 */
int getifaddrs(struct ifaddrs **all)
{
    *all = NULL;
    return 0;
}

void freeifaddrs(struct ifaddrs *all)
{
    must(all == NULL);
}

static void remove_directory(void)
{
    unlink(file);
    rmdir(directory);
}

/* One for the process: a relative include finds nothing there but the file itself. */
static void make_directory(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof(directory), "%.40s/config-fuzz-XXXXXX", parent ? parent : "/tmp");
    must(mkdtemp(directory) != NULL);
    snprintf(file, sizeof(file), "%s/t.conf", directory);
    must(atexit(remove_directory) == 0);
}

static struct config *read_text(struct span text, struct buffer *errors)
{
    FILE *to = fopen(file, "we");
    must(to != NULL && fwrite(text.data, 1, text.length, to) == text.length);
    must(fclose(to) == 0);
    struct config *config = config_read(file, errors);
    must((config == NULL) == (buffer_length(errors) > 0));
    return config;
}

static void check(const struct config *config)
{
    must(config->workers > 0 && config->workers <= CONFIG_WORKERS_MAX);
    must(config->listen_count > 0 && config->hostname != NULL && config->spool != NULL);
    must(config_destination(config, SPAN("example.test"))->max_connections > 0);
    must(config_retry(config, SPAN("example.test")) != NULL);
    must(config_tls(config, SPAN("example.test")) != NULL);
    must(config_user(config, "nobody") != NULL);
}

/* What it prints is what was understood. */
static void read_again(const struct config *config)
{
    struct buffer once CLEANUP(buffer_free) = {0}, twice CLEANUP(buffer_free) = {0};
    struct buffer errors CLEANUP(buffer_free) = {0};
    config_dump(config, &once);
    struct config *again = read_text(buffer_span(&once), &errors);
    must(again != NULL);
    config_dump(again, &twice);
    must(span_equal(buffer_span(&once), buffer_span(&twice)));
    config_drop(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    if (directory[0] == '\0')
        make_directory();
    struct config *config = read_text((struct span){(const char *)data, size}, &errors);
    if (config == NULL) {
        must_be_errors(buffer_span(&errors), ERRORS_MAX);
        return 0;
    }
    check(config);
    read_again(config);
    config_drop(&config);
    return 0;
}
