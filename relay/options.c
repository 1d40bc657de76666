#include "relay/options.h"

#include "base/must.h"
#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX 40
#define LETTER_MAX 255 /* values above are no letters */

/* getopt's form of the letters: ":" first, for us to tell a missing value from a wrong name. */
static void letters_of(const struct option *options, char letters[2 * OPTIONS_MAX + 2])
{
    *letters++ = ':';
    for (; options->name != NULL; options++) {
        if (options->val > LETTER_MAX)
            continue;
        *letters++ = (char)options->val;
        if (options->has_arg == required_argument)
            *letters++ = ':';
    }
    *letters = '\0';
}

static size_t count_options(const struct option *options)
{
    size_t count = 0;
    while (options[count].name != NULL)
        count++;
    must(count <= OPTIONS_MAX);
    return count;
}

static void say_unknown(const char *command, const char *word, const struct option *options)
{
    const char *names[OPTIONS_MAX];
    size_t count = count_options(options);
    for (size_t i = 0; i < count; i++)
        names[i] = options[i].name;
    struct span name = {word + 2, strcspn(word + 2, "=")};
    const char *near = nearest_name(name, names, count);
    if (near != NULL)
        fprintf(stderr, "%s: there is no option --%.*s (is --%s meant?)\n", command,
                SPAN_FORMAT(name), near);
    else
        fprintf(stderr, "%s: there is no option --%.*s: see %s --help\n", command,
                SPAN_FORMAT(name), command);
}

static bool is_option(const struct option *options, int letter)
{
    for (; options->name != NULL; options++)
        if (options->val == letter)
            return true;
    return false;
}

/* getopt_long leaves 0 in `optopt` for an unknown name, the letter for an unknown letter, and
 * the option's own value when that was given something it does not take. */
static void say_wrong(int found, const char *word, const char *command,
                      const struct option *options)
{
    if (found == ':')
        fprintf(stderr, "%s: %s needs a value: see %s --help\n", command, word, command);
    else if (optopt == 0)
        say_unknown(command, word, options);
    else if (is_option(options, optopt))
        fprintf(stderr, "%s: %s: this option takes no value: see %s --help\n", command, word,
                command);
    else
        fprintf(stderr, "%s: there is no option -%c: see %s --help\n", command, optopt, command);
}

int options_next(int argc, char **argv, const char *command, const struct option *options)
{
    char letters[2 * OPTIONS_MAX + 2];
    must(count_options(options) <= OPTIONS_MAX);
    letters_of(options, letters);
    opterr = 0;
    int found = getopt_long(argc, argv, letters, options, NULL);
    if (found != ':' && found != '?')
        return found;
    say_wrong(found, argv[optind - 1], command, options);
    return OPTION_WRONG;
}
