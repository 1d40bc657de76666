/* relay/os.h on Linux: what the process uses of the machine. */
#include "relay/os.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t resident_bytes(void)
{
    uint64_t pages = 0;
    char text[256] = "";
    FILE *file = fopen("/proc/self/statm", "re"); /* in pages: all, resident, … */
    if (file == NULL)
        return 0;
    struct span rest = span_of(fgets(text, sizeof(text), file) != NULL ? text : "");
    fclose(file);
    span_word(&rest);
    return span_number(span_word(&rest), &pages) ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t count_descriptors(void)
{
    uint64_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return 0;
    /* cppcheck-suppress readdirCalled ; the listing is this call's own, which is safe (glibc) */
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* less the one that was read */
}

static double seconds(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

void os_process(struct os_process *process)
{
    struct rlimit limit = {0};
    struct rusage usage = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    getrusage(RUSAGE_SELF, &usage);
    *process = (struct os_process){
        .memory_bytes = resident_bytes(),
        .descriptors = count_descriptors(),
        .descriptors_most = limit.rlim_cur,
        .cpu_seconds = seconds(&usage.ru_utime) + seconds(&usage.ru_stime),
    };
}
