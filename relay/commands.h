/* The commands of the program. Each gets its own words (argv[0] is the command's name) and
 * returns a sysexits code. `--help` fits a screen, with an example. */
#pragma once

int command_passwd(int argc, char **argv);       /* relay/command_passwd.c */
int command_run(int argc, char **argv);          /* relay/run.c */
int command_check_config(int argc, char **argv); /* relay/command_config.c */
int command_probe(int argc, char **argv);        /* relay/command_probe.c */
int command_queue(int argc, char **argv);        /* relay/admin/command_queue.c */
int command_dest(int argc, char **argv);         /* relay/admin/command_dest.c */
int command_explain(int argc, char **argv);      /* relay/admin/command_explain.c */
int command_sendmail(int argc, char **argv);     /* relay/sendmail/command.c */
int command_stats(int argc, char **argv);        /* relay/admin/command_stats.c */
int command_tlsrpt(int argc, char **argv);       /* relay/admin/command_tlsrpt.c */
int command_top(int argc, char **argv);          /* relay/admin/command_top.c */
