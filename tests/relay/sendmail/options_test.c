/* The words of the sendmail command. */
#include "relay/sendmail/options.h"

#include "queue/message.h"
#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX 12

static const struct row {
    const char *words[WORDS_MAX];
    const char *wanted; /* what show() makes of it; or "! " and a part of `why` */
} rows[] = {
    {{"sendmail", "a@b.test"}, "deliver: a@b.test"},
    {{"/usr/sbin/sendmail", "a@b.test", "c"}, "deliver: a@b.test c"},
    {{"sendmail", "-t"}, "deliver t:"},
    {{"sendmail", "-ti"}, "deliver t i:"},
    {{"sendmail", "-oi", "-t"}, "deliver t i:"},
    {{"sendmail", "-o", "i", "-t"}, "deliver t i:"},
    {{"sendmail", "-oem", "-odb", "-oee", "a"}, "deliver: a"},
    {{"sendmail", "-em", "-e", "q", "a"}, "deliver: a"},
    {{"sendmail", "-tifx@y.test"}, "deliver t i f=x@y.test:"},
    {{"sendmail", "-f", "x@y.test", "a"}, "deliver f=x@y.test: a"},
    {{"sendmail", "-fx@y.test", "a"}, "deliver f=x@y.test: a"},
    {{"sendmail", "-f", "", "a"}, "deliver f=: a"},
    {{"sendmail", "-f<>", "a"}, "deliver f=<>: a"},
    {{"sendmail", "-r", "x", "-f", "y", "a"}, "deliver f=y: a"},
    {{"sendmail", "-f", "-t", "a"}, "deliver f=-t: a"},
    /* as PHP, cron, mailx, git, mutt and logwatch call it */
    {{"sendmail", "-t", "-i", "-fwww@y.test"}, "deliver t i f=www@y.test:"},
    {{"sendmail", "-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"},
     "deliver i 8bit F=CronDaemon: root"},
    {{"sendmail", "-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"},
     "deliver t i F=CronDaemon f=root:"},
    {{"sendmail", "-oi", "-oem", "-f", "x@y.test", "--", "-odd@b.test"},
     "deliver i f=x@y.test: -odd@b.test"},
    {{"sendmail", "-i", "-F", "Ann Lee", "-f", "x", "a"}, "deliver i F=Ann Lee f=x: a"},
    {{"sendmail", "-Am", "-Ac", "-G", "-U", "-n", "-m", "-L", "tag", "-pESMTP", "a"}, "deliver: a"},
    {{"sendmail", "-d", "-d0.1", "-X", "/log", "-h", "3", "-O", "DeliveryMode=b", "a"},
     "deliver: a"},
    {{"sendmail", "-O", "IgnoreDots=true", "a"}, "deliver i: a"},
    {{"sendmail", "-OIgnoreDots=False", "a"}, "deliver: a"},
    {{"sendmail", "-B", "7bit", "a"}, "deliver: a"},
    {{"sendmail", "-C", "/f", "a"}, "deliver C=/f: a"},
    {{"sendmail", "-v", "-c/f", "a"}, "deliver v C=/f: a"},
    /* the first word that is no option begins the recipients */
    {{"sendmail", "a", "-f", "b"}, "deliver: a -f b"},
    {{"sendmail", "-t", "--", "--", "b"}, "deliver t: -- b"},
    {{"sendmail", "-", "b"}, "deliver: - b"},
    /* DSN */
    {{"sendmail", "-N", "never", "a"}, "deliver N=1: a"},
    {{"sendmail", "-Nsuccess,delay,FAILURE", "a"}, "deliver N=14: a"},
    {{"sendmail", "-R", "hdrs", "-V", "id 7", "a"}, "deliver R=2 V=id 7: a"},
    {{"sendmail", "-Rfull", "a"}, "deliver R=1: a"},
    /* other modes */
    {{"sendmail", "-bm", "a"}, "deliver: a"},
    {{"sendmail", "-bs"}, "smtp:"},
    {{"sendmail", "-b", "s", "-v"}, "smtp v:"},
    {{"sendmail", "-bp"}, "list:"},
    {{"mailq"}, "list:"},
    {{"/usr/bin/mailq", "-v"}, "list v:"},
    {{"mailq", "-Ac"}, "list:"},
    {{"newaliases"}, "aliases:"},
    {{"sendmail", "-bi"}, "aliases:"},
    {{"sendmail", "-I"}, "aliases:"},
    {{"sendmail", "-q"}, "flush:"},
    {{"sendmail", "-qf"}, "flush:"},
    {{"sendmail", "--help"}, "help:"},
    {{"sendmail", "-t", "--help"}, "help t:"},
    /* wrong */
    {{"sendmail"}, "! no recipients"},
    {{"sendmail", "-i"}, "! no recipients"},
    {{"sendmail", "--"}, "! no recipients"},
    {{"sendmail", "-f"}, "! -f needs a value"},
    {{"sendmail", "-tif"}, "! -f needs a value"},
    {{"sendmail", "-z", "a"}, "! no option -z"},
    {{"sendmail", "-tzi", "a"}, "! no option -z"},
    {{"sendmail", "--config", "a"}, "! no option --"},
    {{"sendmail", "-bd"}, "! millrace run"},
    {{"sendmail", "-bD"}, "! millrace run"},
    {{"sendmail", "-bd", "-q30m"}, "! millrace run"},
    {{"sendmail", "-q30m"}, "! by itself"},
    {{"sendmail", "-qRexample"}, "! not supported"},
    {{"sendmail", "-bv", "a"}, "! -bv is not supported"},
    {{"sendmail", "-bh"}, "! -bh is not supported"},
    {{"sendmail", "-b"}, "! -b needs a value"},
    {{"sendmail", "-BX", "a"}, "! 7BIT or 8BITMIME"},
    {{"sendmail", "-N", "", "a"}, "! -N takes"},
    {{"sendmail", "-N", "never,delay", "a"}, "! -N takes"},
    {{"sendmail", "-N", "delay,", "a"}, "! -N takes"},
    {{"sendmail", "-N", "delay, failure", "a"}, "! -N takes"},
    {{"sendmail", "-R", "all", "a"}, "! -R takes"},
    {{"sendmail", "-V", "", "a"}, "! -V takes"},
    {{"sendmail", "-V", "a\nb", "a"}, "! -V takes"},
    {{"sendmail", "-V", "\xc3\xa9", "a"}, "! -V takes"},
};

static void show_text(char *to, const char *name, const char *value)
{
    if (value != NULL)
        sprintf(to + strlen(to), " %s=%s", name, value);
}

static void show(const struct sendmail_options *options, char text[1000])
{
    static const char *const modes[] = {
        [SENDMAIL_DELIVER] = "deliver", [SENDMAIL_SMTP] = "smtp",
        [SENDMAIL_QUEUE_LIST] = "list", [SENDMAIL_FLUSH] = "flush",
        [SENDMAIL_ALIASES] = "aliases", [SENDMAIL_HELP] = "help",
    };
    sprintf(text, "%s%s%s%s%s", modes[options->mode], options->take_recipients ? " t" : "",
            options->ignore_dots ? " i" : "", options->eight_bit ? " 8bit" : "",
            options->verbose ? " v" : "");
    show_text(text, "F", options->full_name);
    show_text(text, "f", options->sender);
    show_text(text, "C", options->config);
    if (options->notify)
        sprintf(text + strlen(text), " N=%u", options->notify);
    if (options->ret)
        sprintf(text + strlen(text), " R=%d", (int)options->ret);
    show_text(text, "V", options->envid);
    strcat(text, ":");
    for (unsigned i = 0; i < options->count; i++)
        sprintf(text + strlen(text), " %s", options->recipients[i]);
}

static void try_row(const struct row *row)
{
    char copies[WORDS_MAX][64], *argv[WORDS_MAX + 1] = {NULL};
    char got[1000] = "! ", why[SENDMAIL_WHY_MAX] = "";
    struct sendmail_options options;
    int argc = 0;
    for (; row->words[argc] != NULL; argc++) {
        snprintf(copies[argc], sizeof(copies[argc]), "%s", row->words[argc]);
        argv[argc] = copies[argc];
    }
    if (sendmail_options_read(argc, argv, &options, why))
        show(&options, got);
    else
        strcat(got, why);
    bool refused = row->wanted[0] == '!';
    bool right = refused ? got[0] == '!' && strstr(why, row->wanted + 2) != NULL
                         : strcmp(got, row->wanted) == 0;
    ck_assert_msg(right, "%s %s …: \"%s\", not \"%s\"", argv[0], argc > 1 ? argv[1] : "", got,
                  row->wanted);
}

START_TEST(as_sendmail_and_postfix_read_them)
{
    for (size_t i = 0; i < countof(rows); i++)
        try_row(&rows[i]);
}
END_TEST

START_TEST(an_envid_of_any_length)
{
    char id[ENVID_MAX_BYTES + 2], why[SENDMAIL_WHY_MAX];
    char name[] = "sendmail", option[] = "-V", to[] = "a";
    char *argv[] = {name, option, id, to, NULL};
    struct sendmail_options options;
    memset(id, 'x', sizeof(id));
    id[ENVID_MAX_BYTES] = '\0';
    ck_assert(sendmail_options_read(4, argv, &options, why));
    id[ENVID_MAX_BYTES] = 'x';
    id[ENVID_MAX_BYTES + 1] = '\0';
    ck_assert(!sendmail_options_read(4, argv, &options, why));
}
END_TEST

START_TEST(the_names_it_is_called_by)
{
    ck_assert(sendmail_is_called("sendmail") && sendmail_is_called("/usr/lib/sendmail"));
    ck_assert(sendmail_is_called("mailq") && sendmail_is_called("./newaliases"));
    ck_assert(!sendmail_is_called("millrace") && !sendmail_is_called("/sendmail/millrace"));
    ck_assert(!sendmail_is_called("") && !sendmail_is_called("sendmail/"));
}
END_TEST

TEST_MAIN("relay/sendmail/options", as_sendmail_and_postfix_read_them, an_envid_of_any_length,
          the_names_it_is_called_by)
