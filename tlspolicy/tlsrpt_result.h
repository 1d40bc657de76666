/* What an outcome of STARTTLS, or a refusal by policy, is called in a report (RFC 8460 4.3). Pure.
 */
#pragma once

#include "tlspolicy/sts.h"
#include "tlspolicy/terms.h"
#include "tlspolicy/tls.h"
#include "tlspolicy/tlsrpt.h"

/* Each is false when there is nothing to report: what happened is no affair of the domain's (our
 * own ticket, our operator's own fingerprints, a policy of ours). */

/* `fault`: what was wrong with the handshake or certificate, if anything. */
bool tlsrpt_result_of_outcome(enum tls_outcome outcome, enum tls_fault fault,
                              enum tlsrpt_result *result);

/* Why a host may not be used at all. */
bool tlsrpt_result_of_refusal(enum tls_refusal refusal, enum tlsrpt_result *result);

/* Why the domain's MTA-STS policy could not be had. */
bool tlsrpt_result_of_sts(enum sts_failure failure, enum tlsrpt_result *result);
