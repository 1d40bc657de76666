/* The inside of a probe, for its own files: probe.c (the way there), visit.c (one host),
 * judge.c (what it all comes to), print.c and print_json.c. */
#pragma once

#include "relay/probe/probe.h"

/* Connects to the host, as far as a message would have to: greeting, EHLO, STARTTLS, handshake,
 * EHLO; then once more, to see whether its session can be resumed. */
void probe_visit_host(struct probe *probe, const struct site_host *host, struct probe_visit *visit);

/* "verify:dane:TLSv1.3", as the log has it of a delivery; "none:table". */
#define PROBE_WAY_MAX 64
char *probe_way(const struct probe_visit *visit, char text[PROBE_WAY_MAX]);
