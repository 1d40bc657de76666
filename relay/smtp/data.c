#include "relay/smtp/data.h"

#include <string.h>

/* What the bytes so far ended in. */
enum data_state {
    AT_LINE,      /* CRLF, or nothing yet: only here a dot means something */
    AT_BARE_LINE, /* a bare CR or LF: a line begins for us, but not for the dot */
    IN_LINE,
    AFTER_CR,     /* a CR that is not yet known for bare; not yet in the body */
    AFTER_DOT,    /* CRLF and a dot that is not in the body and never will be */
    AFTER_DOT_CR, /* CRLF.CR */
};

void data_reader_init(struct data_reader *reader)
{
    *reader = (struct data_reader){.state = AT_LINE};
}

void data_reader_init_chunked(struct data_reader *reader)
{
    *reader = (struct data_reader){.state = AT_LINE, .chunked = true};
}

/* One piece being read. The body's bytes are copied in runs as long as they can be: `kept`
 * lags behind `at` until a byte must be left out or put in. */
struct pass {
    struct data_reader *reader;
    struct buffer *body;
    const char *at, *end;
    const char *kept;
    const char *cr, *lf; /* the next of each, or `end`; looked for again once `at` is past it */
};

static void copy_kept(struct pass *pass, const char *until, const char *go_on)
{
    buffer_append(pass->body, (struct span){pass->kept, (size_t)(until - pass->kept)});
    pass->kept = go_on;
}

/* ---- states ---- */

/* A bare CR or LF ended the line: it goes into the body as CRLF. */
static void bare_newline(struct pass *pass)
{
    buffer_append(pass->body, SPAN("\r\n"));
    pass->reader->bare = true;
    pass->reader->state = AT_BARE_LINE;
}

static void at_line(struct pass *pass)
{
    pass->reader->state = IN_LINE;
    if (*pass->at != '.' || pass->reader->chunked)
        return;
    copy_kept(pass, pass->at, pass->at + 1);
    pass->at++;
    pass->reader->state = AFTER_DOT;
}

static const char *find(const char *from, const char *end, char c)
{
    const char *found = memchr(from, c, (size_t)(end - from));
    return found ? found : end;
}

/* The next CR and LF are each looked for once, however they alternate: a hostile body must
 * not cost the square of its length. */
static void look_ahead(struct pass *pass)
{
    if (pass->cr < pass->at)
        pass->cr = find(pass->at, pass->end, '\r');
    if (pass->lf < pass->at)
        pass->lf = find(pass->at, pass->end, '\n');
}

static void in_line(struct pass *pass)
{
    struct data_reader *reader = pass->reader;
    look_ahead(pass);
    const char *cr = pass->cr, *lf = pass->lf;
    const char *stop = cr < lf ? cr : lf;
    pass->at = stop < pass->end ? stop + 1 : stop;
    if (stop == pass->end) {
        reader->state = IN_LINE;
    } else if (stop == cr && cr + 1 == pass->end) {
        copy_kept(pass, stop, pass->at);
        reader->state = AFTER_CR;
    } else if (stop == cr && lf == cr + 1) {
        pass->at = lf + 1;
        reader->state = AT_LINE;
    } else {
        copy_kept(pass, stop, pass->at);
        bare_newline(pass);
    }
}

/* The piece before ended in a CR, which is in no buffer: now it is known what it was. */
static void after_cr(struct pass *pass)
{
    if (*pass->at != '\n') {
        bare_newline(pass);
        return;
    }
    buffer_append(pass->body, SPAN("\r\n"));
    pass->kept = ++pass->at;
    pass->reader->state = AT_LINE;
}

/* RFC 5321 4.5.2: the dot goes when anything but CRLF is behind it. */
static void after_dot(struct pass *pass)
{
    pass->reader->state = IN_LINE;
    if (*pass->at != '\r')
        return;
    pass->kept = ++pass->at;
    pass->reader->state = AFTER_DOT_CR;
}

static bool after_dot_cr(struct pass *pass)
{
    if (*pass->at == '\n') {
        pass->kept = ++pass->at;
        return true;
    }
    bare_newline(pass);
    return false;
}

/* One step of at least one byte or one change of state; true at the final dot. */
static bool step(struct pass *pass)
{
    switch ((enum data_state)pass->reader->state) {
    case AT_LINE: at_line(pass); return false;
    case AT_BARE_LINE:
    case IN_LINE: in_line(pass); return false;
    case AFTER_CR: after_cr(pass); return false;
    case AFTER_DOT: after_dot(pass); return false;
    case AFTER_DOT_CR: return after_dot_cr(pass);
    }
    must_not_reach();
}

bool data_read(struct data_reader *reader, struct span from, struct buffer *body, size_t *used)
{
    *used = 0;
    if (from.length == 0)
        return false;
    const char *end = from.data + from.length;
    struct pass pass = {
        .reader = reader, .body = body, .at = from.data, .end = end, .kept = from.data};
    pass.cr = find(from.data, end, '\r');
    pass.lf = find(from.data, end, '\n');
    bool ended = false;
    while (!ended && pass.at < pass.end)
        ended = step(&pass);
    copy_kept(&pass, pass.at, pass.at);
    *used = (size_t)(pass.at - from.data);
    return ended;
}

void data_read_end(struct data_reader *reader, struct buffer *body)
{
    must(reader->chunked);
    reader->bare |= reader->state == AFTER_CR;
    if (reader->state != AT_LINE && reader->state != AT_BARE_LINE)
        buffer_append(body, SPAN("\r\n"));
    reader->state = AT_LINE;
}

/* ---- writing ---- */

void data_writer_init(struct data_writer *writer)
{
    *writer = (struct data_writer){.line_begins = true};
}

void data_write(struct data_writer *writer, struct span piece, struct buffer *to)
{
    const char *at = piece.data, *end = piece.data + piece.length, *kept = at;
    while (at < end) {
        if (writer->line_begins && *at == '.') {
            buffer_append(to, (struct span){kept, (size_t)(at - kept)});
            buffer_append(to, SPAN("."));
            kept = at;
        }
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        writer->line_begins = newline != NULL;
        at = newline ? newline + 1 : end;
    }
    buffer_append(to, (struct span){kept, (size_t)(end - kept)});
}

void data_write_end(struct data_writer *writer, struct buffer *to)
{
    buffer_append(to, writer->line_begins ? SPAN(".\r\n") : SPAN("\r\n.\r\n"));
    writer->line_begins = true;
}
