/* The words of the sendmail command, read the way sendmail and Postfix read them: letters may be
 * combined ("-ti", "-oi"), values may stand in the same word ("-fann@app.test") or in the next, and
 * the first word that is no option begins the recipients. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum sendmail_mode {
    SENDMAIL_DELIVER,    /* -bm: a message on standard input */
    SENDMAIL_SMTP,       /* -bs: SMTP on standard input and output */
    SENDMAIL_QUEUE_LIST, /* -bp, mailq */
    SENDMAIL_FLUSH,      /* -q */
    SENDMAIL_ALIASES,    /* -bi, newaliases */
    SENDMAIL_HELP,       /* --help */
};

enum sendmail_ret {
    SENDMAIL_RET_UNSAID,
    SENDMAIL_RET_FULL, /* RFC 3461 4.3 */
    SENDMAIL_RET_HEADERS,
};

struct sendmail_options { /* texts are those of argv; NULL: not given */
    enum sendmail_mode mode;
    bool take_recipients; /* -t: from the header, too */
    bool ignore_dots;     /* -i, -oi: a line with a dot alone does not end the message */
    bool eight_bit;       /* -B8BITMIME */
    bool verbose;         /* -v */
    const char *sender;   /* -f, -r */
    const char *full_name;
    const char *config;
    const char *envid;
    unsigned notify; /* enum notify_flag */
    enum sendmail_ret ret;
    char **recipients; /* the last words of argv */
    unsigned count;
};

#define SENDMAIL_WHY_MAX 200

/* argv[0] is the name it was called by: "sendmail", "mailq", "newaliases", with or without a
 * path. False with `why` when the words are wrong. */
bool sendmail_options_read(int argc, char **argv, struct sendmail_options *options,
                           char why[SENDMAIL_WHY_MAX]);

/* Whether that is one of the three names. */
bool sendmail_is_called(const char *name);
