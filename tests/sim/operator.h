/* The operator, who now and then holds, releases, hurries, returns or drops what is queued. */
#pragma once

struct dispatch;
struct spool;

void operator_begin(struct dispatch *dispatch, struct spool *spool);
