/* What the fuzz targets share: how each is called, and what may be said of a text that came out.
 *
 * A target takes any bytes, and aborts by must() when what it holds of them is not so. It keeps
 * nothing from one call to the next that changes what the next one does. */
#pragma once

#include "base/must.h"
#include "base/span.h"
#include "base/utf8.h"

/* libFuzzer's, or seeds.c's: always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fit for a log line: ASCII from blank to tilde. */
static inline void must_be_printable(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        must(text.data[i] >= ' ' && text.data[i] <= '~');
}

/* UTF-8 without a control character, those of Unicode included. */
static inline void must_be_text(struct span text)
{
    uint32_t code;
    while (text.length > 0)
        must(utf8_next(&text, &code) && code >= ' ' && (code < 0x7f || code >= 0xa0));
}

/* Lines that end in CRLF, and no other CR or LF. */
static inline void must_be_lines(struct span text)
{
    must(text.length >= 2 && text.data[text.length - 2] == '\r');
    must(text.data[text.length - 1] == '\n');
    for (size_t i = 0; i < text.length; i++) {
        must(text.data[i] != '\r' || (i + 1 < text.length && text.data[i + 1] == '\n'));
        must(text.data[i] != '\n' || (i > 0 && text.data[i - 1] == '\r'));
    }
}

/* What an operator is told: so many lines at most, each ended, without a control character. */
static inline void must_be_errors(struct span text, unsigned most)
{
    unsigned lines = 0;
    must(text.length > 0 && text.data[text.length - 1] == '\n');
    for (size_t i = 0; i < text.length; i++) {
        must(text.data[i] == '\n' || ((unsigned char)text.data[i] >= ' ' && text.data[i] != 0x7f));
        lines += text.data[i] == '\n';
    }
    must(lines <= most);
}

/* Cuts the first byte off: a choice among so many. 0 when nothing is left. */
static inline unsigned take_choice(struct span *rest, unsigned count)
{
    if (rest->length == 0)
        return 0;
    unsigned choice = (uint8_t)rest->data[0] % count;
    *rest = span_skip(*rest, 1);
    return choice;
}

/* Cuts a piece of so many bytes off, or what is left. */
static inline struct span take_piece(struct span *rest, size_t length)
{
    struct span piece = {rest->data, length < rest->length ? length : rest->length};
    *rest = span_skip(*rest, piece.length);
    return piece;
}
