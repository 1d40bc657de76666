#include "relay/options.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct option names[] = {
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 256},
    {"limit", required_argument, NULL, 257},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static char said[1000]; /* on standard error */

/* The options that are found, as one text: "c=FILE 256 | word word"; "!" for a wrong one. */
static const char *read_words(const char *const *words, char result[200])
{
    char copies[8][40], *argv[9] = {NULL};
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        snprintf(copies[argc], sizeof(copies[argc]), "%s", words[argc]);
        argv[argc] = copies[argc];
    }
    char *at = result;
    int found;
    for (optind = 0; (found = options_next(argc, argv, "millrace test", names)) >= 0;)
        at += sprintf(at, "%d%s%s ", found, optarg ? "=" : "", optarg ? optarg : "");
    at += sprintf(at, "%s", found == OPTION_WRONG ? "!" : "|");
    for (int i = optind; found == OPTION_END && i < argc; i++)
        at += sprintf(at, " %s", argv[i]);
    return result;
}

static const char *read_quietly(const char *const *words, char result[200])
{
    FILE *caught = tmpfile();
    int true_stderr = dup(STDERR_FILENO);
    dup2(fileno(caught), STDERR_FILENO);
    read_words(words, result);
    fflush(stderr);
    dup2(true_stderr, STDERR_FILENO);
    close(true_stderr);
    rewind(caught);
    said[fread(said, 1, sizeof(said) - 1, caught)] = '\0';
    fclose(caught);
    return result;
}

START_TEST(what_is_found)
{
    static const struct {
        const char *words[7], *result;
    } rows[] = {
        {{"x"}, "|"},
        {{"x", "list", "--json", "ID"}, "256 | list ID"},
        {{"x", "-c", "FILE", "--limit=5"}, "99=FILE 257=5 |"},
        {{"x", "-cFILE", "-h"}, "99=FILE 104 |"},
        {{"x", "--", "--json"}, "| --json"},
        {{"x", "--lim", "5"}, "257=5 |"}, /* shortened, but clear */
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char result[200];
        ck_assert_str_eq(read_quietly(rows[i].words, result), rows[i].result);
        ck_assert_str_eq(said, "");
    }
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    static const struct {
        const char *words[5], *said;
    } rows[] = {
        {{"x", "--jsno"}, "millrace test: there is no option --jsno (is --json meant?)\n"},
        {{"x", "--jsno=7"}, "millrace test: there is no option --jsno (is --json meant?)\n"},
        {{"x", "--colour"},
         "millrace test: there is no option --colour: see millrace test --help\n"},
        {{"x", "-q"}, "millrace test: there is no option -q: see millrace test --help\n"},
        {{"x", "--limit"}, "millrace test: --limit needs a value: see millrace test --help\n"},
        {{"x", "-c"}, "millrace test: -c needs a value: see millrace test --help\n"},
        {{"x", "--json=7"},
         "millrace test: --json=7: this option takes no value: see millrace test --help\n"},
        {{"x", "--help=7"},
         "millrace test: --help=7: this option takes no value: see millrace test --help\n"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char result[200];
        ck_assert_str_eq(read_quietly(rows[i].words, result), "!");
        ck_assert_str_eq(said, rows[i].said);
    }
}
END_TEST

TEST_MAIN("relay/options", what_is_found, what_is_wrong_is_said)
