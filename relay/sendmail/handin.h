/* Hands a message to the relay over its submission socket: a small SMTP client that waits for each
 * reply. All recipients are taken or none; only what is more than a transaction holds goes in a
 * further one. */
#pragma once

#include "relay/sendmail/compose.h"
#include "relay/smtp/reply.h"

#define HANDIN_WHY_MAX 1200

/* 0 with the relay's last reply in `why`, or a sysexits code with what went wrong: 75 when the
 * relay is away, breaks off or says 4xx, so that the caller tries again. */
int hand_in(const char *socket_path, const struct submission *submission,
            const struct sendmail_options *options, char why[HANDIN_WHY_MAX]);

/* The relay cannot be reached at `path`: says so in `why`. A sysexits code. */
int submit_unreachable(const char *path, int error, char why[HANDIN_WHY_MAX]);

/* What a refusal means to the caller: a sysexits code. */
int refusal_exit(const struct reply *reply);
