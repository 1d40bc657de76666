/* What has been read of the map is counted as resident, though the system can have it back at any
 * moment: whoever looks would take it for the relay's own. So now and then it is let go of. What is
 * read again comes back from the system's cache. */
#include "queue/spool_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define LET_GO_EVERY 32768 /* records read */

/* "7f…-7f… r--s 00000000 fe:00 1234   /var/lib/millrace/data.mdb": the fifth word is the inode. */
static bool is_map(const char *line, ino_t inode, uintptr_t *start)
{
    struct span rest = span_of(line);
    uint64_t number;
    *start = strtoul(line, NULL, 16);
    for (int i = 0; i < 4; i++)
        span_word(&rest);
    return span_number(span_word(&rest), &number) && number == inode &&
           memmem(rest.data, rest.length, "data.mdb", strlen("data.mdb")) != NULL;
}

/* LMDB does not say where its map is; the system does. Where it does not, nothing is let go of. */
void spool_find_map(struct spool *spool)
{
    char line[512];
    struct stat facts;
    int file;
    uintptr_t start;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return;
    if (mdb_env_get_fd(spool->env, &file) == 0 && fstat(file, &facts) == 0)
        while (spool->map == NULL && fgets(line, sizeof(line), maps) != NULL)
            if (is_map(line, facts.st_ino, &start))
                spool->map = (void *)start;
    fclose(maps);
}

void spool_has_read(struct spool *spool, size_t records)
{
    size_t before = atomic_fetch_add_explicit(&spool->read, records, memory_order_relaxed);
    if (spool->map != NULL && before / LET_GO_EVERY != (before + records) / LET_GO_EVERY)
        madvise(spool->map, spool->map_pages * spool->page_bytes, MADV_DONTNEED);
}
