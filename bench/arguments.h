/* Reads a command line by a table: one row for each option. `--name value` and
 * `--name=value` both do; what is not in the table is an error. */
#pragma once

#include "base/span.h"

enum argument_kind {
    ARGUMENT_FLAG,     /* bool: true when named */
    ARGUMENT_SWITCH,   /* bool: on | off */
    ARGUMENT_NUMBER,   /* uint64_t: least .. most */
    ARGUMENT_SIZE,     /* uint64_t: bytes, least .. most; written 4096, 4K, 1M */
    ARGUMENT_DURATION, /* uint64_t: ms, least .. most; written 500ms, 30s, 5m, 1h */
    ARGUMENT_TEXT,     /* const char *, not empty */
    ARGUMENT_ENDPOINT, /* struct endpoint */
    ARGUMENT_CALL,     /* call(to, value, why) */
};

#define ARGUMENT_WHY_MAX 200

struct argument {
    const char *name; /* "--size" */
    enum argument_kind kind;
    void *to;
    uint64_t least, most;
    bool (*call)(void *to, struct span value, char why[ARGUMENT_WHY_MAX]);
};

#define ARGUMENTS_READ (-1)

/* ARGUMENTS_READ, or the exit code to end with at once: 0 after --help, which prints
 * `help`; 64 after an error, which is told in one line. argv[0] is the command's name. */
int arguments_read(int argc, char **argv, const struct argument *rows, size_t count,
                   const char *help);

/* One line to stderr: "millrace COMMAND: what". Returns `code`. */
int arguments_fail(int code, const char *command, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
