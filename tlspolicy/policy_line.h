/* A TLS policy as one line of text, as Postfix's smtp_tls_policy_maps have it and policy servers
 * answer it: "secure match=.mx.example:mx2.example servername=hostname". Pure.
 *
 * Fails closed: a level, an attribute or a value that is not known here makes the whole line
 * useless. Known are `match`, `servername`, and what policy servers add for reports only
 * (policy_type, policy_ttl, policy_domain, policy_string, policy_failure, mx_host_pattern), each
 * also as "{ name = value }". */
#pragma once

#include "base/arena.h"
#include "tlspolicy/policy.h"

#define POLICY_LINE_MAX 8192 /* bytes */
#define POLICY_LINE_NAMES_MAX 64

/* Puts what the line says in place of what *policy has: level, names, SNI, fingerprints. NULL when
 * it did; else why not, and *policy is as it was. Texts lie in the arena. */
const char *policy_line_read(struct span line, struct tls_policy *policy, struct arena *arena);
