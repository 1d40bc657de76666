/* Command line options, on getopt_long: one way to say what is wrong with them. */
#pragma once

#include <getopt.h>

#define OPTION_END (-1)
#define OPTION_WRONG (-2) /* a line was written to stderr: exit 64 */

/* The next option's `val`: a letter is its short form too, numbers above 255 have none. The
 * value is in `optarg`. At OPTION_END the words that are no options begin at argv[optind].
 * `command` ("millrace queue") is for the messages. Start with optind = 0. */
int options_next(int argc, char **argv, const char *command, const struct option *options);
