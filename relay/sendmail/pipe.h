/* SMTP on standard input and output (-bs): passed on to the relay's submission socket, which
 * speaks it. A LF that no CR precedes becomes CRLF on the way: callers write lines as they are
 * used to, and the body cannot end but where its own writer ended it. */
#pragma once

#include "relay/sendmail/handin.h"

/* Until the relay closes. 0, or a sysexits code with one line in `why` (and 421 on standard
 * output). */
int pipe_smtp(const char *socket_path, char why[HANDIN_WHY_MAX]);
