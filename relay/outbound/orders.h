/* How many orders of one command are under way: given to the dispatch, and not durable yet. Shared
 * by the one who gives them and by each of them; the last to go frees it. Any thread. */
#pragma once

struct orders;

struct orders *orders_create(void);                /* the asker's; none under way */
struct orders *orders_keep(struct orders *orders); /* one more; NULL stays NULL */
void orders_drop(struct orders **orders);          /* one less, or the asker leaves; NULL is fine */
unsigned orders_open(const struct orders *orders); /* under way */
