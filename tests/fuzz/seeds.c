/* seeds DIRECTORY: the seeds of a fuzz target through it, where there is no libFuzzer. Each is
 * tried whole, and cut short, at every byte or at 256 places of a larger one. It says what it had
 * in hand when that fails. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_BYTES_MAX (1u << 20)
#define CUTS 256

#define PATH_BYTES 1024

static char in_hand[PATH_BYTES + 64]; /* what a crash is told with */

/* A seed's end is the end of its memory: a sanitizer sees what is read behind it. */
static void try(const char *bytes, size_t length)
{
    char *copy = must_calloc(1, length ? length : 1);
    memcpy(copy, bytes, length);
    must(LLVMFuzzerTestOneInput((const uint8_t *)copy, length) == 0);
    free(copy);
}

static void run_seed(const char path[PATH_BYTES])
{
    char *bytes = must_calloc(1, SEED_BYTES_MAX);
    FILE *file = fopen(path, "re");
    must(file != NULL);
    size_t length = fread(bytes, 1, SEED_BYTES_MAX, file);
    must(!ferror(file) && feof(file) && fclose(file) == 0);
    size_t step = length / CUTS + 1;
    for (size_t cut = 0; cut < length; cut += step) {
        snprintf(in_hand, sizeof(in_hand), "the first %zu bytes of %.1000s\n", cut, path);
        try(bytes, cut);
    }
    snprintf(in_hand, sizeof(in_hand), "%.1000s\n", path);
    try(bytes, length);
    free(bytes);
}

static void on_abort(int number)
{
    ssize_t written = write(STDERR_FILENO, in_hand, strlen(in_hand));
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static int is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **names;
    char path[PATH_BYTES];
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 64;
    }
    int count = scandir(argv[1], &names, is_seed, alphasort);
    if (count <= 0) {
        fprintf(stderr, "%s: no seeds\n", argv[1]);
        return 1;
    }
    signal(SIGABRT, on_abort);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
        run_seed(path);
        free(names[i]);
    }
    free(names);
    printf("%d seeds\n", count);
    return 0;
}
