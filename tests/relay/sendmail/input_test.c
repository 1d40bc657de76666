/* Standard input as callers write it, and the header in it. */
#include "relay/sendmail/headers.h"
#include "relay/sendmail/input.h"
#include "tests/suite.h"

#include <string.h>

/* SPAN() of base/span.h is no constant for a table. */
#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static const struct row {
    struct span in;
    bool ignore_dots;
    const char *out;
} rows[] = {
    {TEXT(""), false, ""},
    {TEXT("a"), false, "a\r\n"},
    {TEXT("a\n"), false, "a\r\n"},
    {TEXT("a\r\n"), false, "a\r\n"},
    {TEXT("a\r\nb\nc"), false, "a\r\nb\r\nc\r\n"},
    {TEXT("\n"), false, "\r\n"},
    {TEXT("\n\n"), false, "\r\n\r\n"},
    {TEXT("a\n\nb"), false, "a\r\n\r\nb\r\n"},
    /* a dot alone */
    {TEXT("a\n.\nb\n"), false, "a\r\n"},
    {TEXT("a\n.\r\nb\n"), false, "a\r\n"},
    {TEXT("a\n."), false, "a\r\n"},
    {TEXT("a\n.\r"), false, "a\r\n"},
    {TEXT(".\na"), false, ""},
    {TEXT("a\n.\nb\n"), true, "a\r\n.\r\nb\r\n"},
    {TEXT("a\n."), true, "a\r\n.\r\n"},
    {TEXT("a\n..\nb\n"), false, "a\r\n..\r\nb\r\n"},
    {TEXT("a\n.b\n"), false, "a\r\n.b\r\n"},
    {TEXT("a.\n.\n"), false, "a.\r\n"},
    {TEXT("a\n. \nb"), false, "a\r\n. \r\nb\r\n"},
    {TEXT("\n.\rb\n"), false, "\r\n.\r\nb\r\n"},
    /* a CR alone: a blank in the header, a line in the body */
    {TEXT("A: b\rBcc: c\n\nx\ry\r\rz\n"), false, "A: b Bcc: c\r\n\r\nx\r\ny\r\n\r\nz\r\n"},
    {TEXT("a\r"), false, "a\r\n"},
    {TEXT("\n\r.\n"), false, "\r\n\r\n"},
    {TEXT("a\r\r\nb"), false, "a \r\nb\r\n"},
    {TEXT("\na\r\r\nb"), false, "\r\na\r\n\r\nb\r\n"},
    {TEXT("\r\n\r\n"), false, "\r\n\r\n"},
    {TEXT("\ra\n"), false, " a\r\n"},
    /* NUL is left out, wherever it is */
    {TEXT("a\0b\n"), false, "ab\r\n"},
    {TEXT("a\r\0\nb"), false, "a\r\nb\r\n"},
    {TEXT("\0.\0\0\nb"), false, ""},
    {TEXT("\xc3\xa9\xff\n"), false, "\xc3\xa9\xff\r\n"},
};

static void try_row(const struct row *row, size_t piece)
{
    struct buffer out CLEANUP(buffer_free) = {0};
    struct input input = {.dot_ends = !row->ignore_dots};
    for (struct span rest = row->in; rest.length > 0; rest = span_skip(rest, piece)) {
        size_t length = piece < rest.length ? piece : rest.length;
        input_read(&input, (struct span){rest.data, length}, &out);
    }
    input_end(&input, &out);
    ck_assert_msg(span_equal(buffer_span(&out), span_of(row->out)),
                  "row %zu in pieces of %zu: %.*s", (size_t)(row - rows), piece,
                  SPAN_FORMAT(buffer_span(&out)));
}

START_TEST(lines_of_any_kind_in_any_pieces)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t piece = 1; piece <= 8; piece++)
            try_row(&rows[i], piece == 8 ? SIZE_MAX : piece);
}
END_TEST

/* ---- the header ---- */

START_TEST(fields)
{
    static const struct {
        const char *text;
        const char *wanted; /* "NAME[kind]=VALUE|", then what is left */
    } headers[] = {
        {"To: a\r\n\r\nbody", "To[4]= a\r\n|\r\nbody"},
        {"TO : a\r\nsubject:b\r\n", "TO[4]= a\r\n|subject[0]=b\r\n|"},
        {"To: a,\r\n\tb\r\n c\r\nX: y\r\n", "To[4]= a,\r\n\tb\r\n c\r\n|X[0]= y\r\n|"},
        {"To:\r\n a\r\n\r\n", "To[4]=\r\n a\r\n|\r\n"},
        {"To:", "To[4]=|"},
        {"hello\r\nTo: a\r\n", "hello\r\nTo: a\r\n"},
        {" To: a\r\n", " To: a\r\n"},
        {"To: a\r\nhello there\r\n", "To[4]= a\r\n|hello there\r\n"},
        {"\r\nTo: a\r\n", "\r\nTo: a\r\n"},
        {": a\r\n", ": a\r\n"},
        {"T\xc3\xb6: a\r\n", "T\xc3\xb6: a\r\n"},
        {"", ""},
        {"From: a\r\nDate: b\r\nMESSAGE-ID: c\r\nCc: d\r\nBcc: e\r\nReturn-Path: <f>\r\n",
         "From[1]= a\r\n|Date[2]= b\r\n|MESSAGE-ID[3]= c\r\n|Cc[4]= d\r\n|Bcc[5]= e\r\n|"
         "Return-Path[9]= <f>\r\n|"},
        {"Resent-From: a\r\nResent-To: b\r\nResent-Cc: c\r\nResent-Bcc: d\r\nResent-Date: e\r\n",
         "Resent-From[6]= a\r\n|Resent-To[7]= b\r\n|Resent-Cc[7]= c\r\n|Resent-Bcc[8]= d\r\n|"
         "Resent-Date[6]= e\r\n|"},
        {"Tox: a\r\nBccs: b\r\n", "Tox[0]= a\r\n|Bccs[0]= b\r\n|"},
    };
    for (size_t i = 0; i < countof(headers); i++) {
        struct buffer got CLEANUP(buffer_free) = {0};
        struct span rest = span_of(headers[i].text);
        for (struct field field; field_next(&rest, &field);)
            buffer_print(&got, "%.*s[%d]=%.*s|", SPAN_FORMAT(field.name), (int)field.kind,
                         SPAN_FORMAT(field.value));
        buffer_append(&got, rest);
        ck_assert_msg(span_equal(buffer_span(&got), span_of(headers[i].wanted)), "%s:\n%.*s",
                      headers[i].text, SPAN_FORMAT(buffer_span(&got)));
    }
}
END_TEST

START_TEST(the_line_of_a_mailbox)
{
    static const char *const texts[][2] = {
        {"From ann@b.test Sat Nov 21\r\nTo: a\r\n", "To: a\r\n"},
        {">From x\r\nFrom y\r\nTo: a\r\n", "To: a\r\n"},
        {"From: a\r\n", "From: a\r\n"},
        {"To: a\r\nFrom x\r\n", "To: a\r\nFrom x\r\n"},
        {"> To\r\n", "> To\r\n"},
        {"From ", ""},
        {"", ""},
    };
    for (size_t i = 0; i < countof(texts); i++) {
        struct span rest = span_of(texts[i][0]);
        mailbox_line_skip(&rest);
        ck_assert_msg(span_equal(rest, span_of(texts[i][1])), "%s", texts[i][0]);
    }
}
END_TEST

TEST_MAIN("relay/sendmail/input", lines_of_any_kind_in_any_pieces, fields, the_line_of_a_mailbox)
