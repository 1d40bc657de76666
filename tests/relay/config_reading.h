/* Reads configurations from texts, and compares what is wrong with them. */
#pragma once

#include "relay/config.h"
#include "tests/relay/scratch.h"

#include <string.h>

#define NAME "t.conf"

/* Reads a file with this text; `errors` are its errors without the directory's name. */
static inline struct config *read_bytes(struct scratch *scratch, struct span text,
                                        struct buffer *errors)
{
    char path[SCRATCH_FILE_MAX];
    struct buffer raw CLEANUP(buffer_free) = {0};
    struct span rest, line;
    scratch_write(scratch, NAME, text);
    struct config *config = config_read(scratch_name(scratch, NAME, path), &raw);
    ck_assert((config == NULL) == (buffer_length(&raw) > 0));
    for (rest = buffer_span(&raw); span_line(&rest, &line);) {
        const char *from = line.data;
        size_t length = strlen(scratch->path) + 1;
        for (const char *at; (at = memmem(from, (size_t)(line.data + line.length - from),
                                          scratch->path, length - 1)) != NULL;
             from = at + length)
            buffer_append(errors, (struct span){from, (size_t)(at - from)});
        buffer_append(errors, (struct span){from, (size_t)(line.data + line.length - from)});
        buffer_append(errors, SPAN("\n"));
    }
    return config;
}

/* The file must be fine. */
static inline struct config *read_fine(struct scratch *scratch, const char *text)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = read_bytes(scratch, span_of(text), &errors);
    ck_assert_msg(config != NULL, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    return config;
}

static inline void expect_errors(struct scratch *scratch, struct span text, const char *wanted)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = read_bytes(scratch, text, &errors);
    config_drop(&config);
    ck_assert_msg(span_equal(buffer_span(&errors), span_of(wanted)), "%.*s\ngave:\n%.*snot:\n%s",
                  SPAN_FORMAT(text), SPAN_FORMAT(buffer_span(&errors)), wanted);
}
