#include "relay/sendmail/input.h"

static void write_held_dot(struct input *input, struct buffer *to)
{
    if (input->dot)
        buffer_append(to, SPAN("."));
    input->dot = false;
}

static void end_line(struct input *input, struct buffer *to)
{
    write_held_dot(input, to);
    buffer_append(to, SPAN("\r\n"));
    input->header_over |= !input->in_line;
    input->in_line = false;
}

static void newline(struct input *input, struct buffer *to)
{
    input->ended = input->dot && input->dot_ends;
    if (!input->ended)
        end_line(input, to);
}

/* The CR before was one alone. */
static void bare_cr(struct input *input, struct buffer *to)
{
    input->cr = false;
    if (input->header_over) {
        end_line(input, to);
    } else {
        write_held_dot(input, to);
        buffer_append(to, SPAN(" "));
        input->in_line = true;
    }
}

/* As many bytes as mean nothing but themselves. */
static size_t plain_bytes(struct span piece)
{
    size_t length = 0;
    while (length < piece.length && piece.data[length] != '\0' && piece.data[length] != '\r' &&
           piece.data[length] != '\n')
        length++;
    return length;
}

static size_t read_plain(struct input *input, struct span piece, struct buffer *to)
{
    if (!input->in_line && piece.data[0] == '.') {
        input->in_line = input->dot = true;
        return 1;
    }
    size_t length = plain_bytes(piece);
    write_held_dot(input, to);
    buffer_append(to, (struct span){piece.data, length});
    input->in_line = true;
    return length;
}

void input_read(struct input *input, struct span piece, struct buffer *to)
{
    while (piece.length > 0 && !input->ended) {
        char c = piece.data[0];
        size_t used = 1;
        if (c == '\0') {
            piece = span_skip(piece, 1);
            continue;
        }
        if (input->cr && c != '\n')
            bare_cr(input, to);
        if (c == '\n') {
            input->cr = false;
            newline(input, to);
        } else if (c == '\r') {
            input->cr = true;
        } else {
            used = read_plain(input, piece, to);
        }
        piece = span_skip(piece, used);
    }
}

void input_end(struct input *input, struct buffer *to)
{
    if (input->cr && !input->ended)
        newline(input, to);
    if (input->in_line && !input->ended)
        newline(input, to);
    input->cr = false;
}
