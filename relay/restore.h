/* At start: reads every envelope of the spool into the dispatch while delivery goes on, then
 * keeps every body's place, so that segments nobody points into can go. A thread of its own,
 * that ends when it is through. Mail accepted meanwhile has higher ids and is passed over. */
#pragma once

struct dispatch;
struct restore;
struct spool;

struct restore *restore_start(struct spool *spool, struct dispatch *dispatch);
void restore_stop(struct restore **restore); /* waits for the thread */
