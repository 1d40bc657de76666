#include "bench/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int ledger_open(struct ledger *ledger, const char *path)
{
    *ledger = (struct ledger){.file = -1};
    if (path == NULL)
        return 0;
    ledger->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return ledger->file < 0 ? -errno : 0;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger->file >= 0)
        close(ledger->file);
    ledger->file = -1;
    buffer_free(&ledger->lines);
}

void ledger_line(struct ledger *ledger, struct span line)
{
    if (ledger->file < 0)
        return;
    buffer_append(&ledger->lines, line);
    buffer_append(&ledger->lines, SPAN("\n"));
}

bool ledger_write(struct ledger *ledger)
{
    while (buffer_length(&ledger->lines) > 0) {
        struct span lines = buffer_span(&ledger->lines);
        ssize_t written = write(ledger->file, lines.data, lines.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        buffer_consume(&ledger->lines, (size_t)written);
    }
    return true;
}
