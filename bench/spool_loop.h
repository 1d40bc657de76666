/* spool_loop: the spool driven without a relay, for bench/spool. Three loops, each of which
 * measures and prints one JSON object. Not installed. */
#pragma once

#include "bench/histogram.h"
#include "queue/spool.h"

#define LOOP_BATCH 64 /* messages a commit, where the loop commits itself */
#define LOOP_BLOCK 50 /* commits of one kind in a row, before the other kind has its turn */

struct loop {
    const char *directory; /* made when it is not there; the spools lie below it */
    uint64_t rounds, commits, size;
    uint64_t injectors, ms, most_bytes;
    uint64_t turnover;
    enum durability durability;
};

/* The spool's commits beside the same writes and syncs without it: round by round. */
void loop_alone(const struct loop *loop);
/* Threads that post new mail to the committer and wait for it. */
void loop_accept(const struct loop *loop);
/* A spool through which much has gone and in which a tenth stayed, beside a new one. */
void loop_aged(const struct loop *loop);

/* ---- what they share; on failure the program ends with a word on stderr ---- */

struct spool *loop_open(const struct loop *loop, const char *name, enum durability durability);
void loop_must(enum spool_result result, struct spool *spool);

/* `size` bytes of text lines; LOOP_BATCH of them in a row, each one its own. */
char *loop_bodies(uint64_t size);

/* A message of one recipient with an id, without a body in memory; its crc is not known yet. */
struct envelope *loop_message(struct spool *spool, uint64_t size);

/* Checksums the bodies and puts all into the batch. */
void loop_accept_all(struct spool_batch *batch, struct envelope **envelopes, const char *bodies);

struct loop_time {
    int64_t wall_ns, cpu_ns; /* cpu: of the whole process, user and kernel */
};
int64_t loop_now_ns(void); /* of the clock on the wall */
struct loop_time loop_now(void);
void loop_time_add(struct loop_time *sum, struct loop_time since); /* since: loop_now() */
double loop_rate(const struct loop_time *took, uint64_t messages); /* a second */
double loop_cpu_us(const struct loop_time *took, uint64_t messages);

/* What the files in a directory and below take on the disk. */
uint64_t loop_disk_bytes(const char *directory);
