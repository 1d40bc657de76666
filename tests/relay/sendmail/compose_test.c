/* What is handed in of a message on standard input. */
#include "relay/sendmail/compose.h"

#include "tests/suite.h"

#include <string.h>
#include <sysexits.h>

static const struct caller ann = {.login = "ann",
                                  .full_name = "Ann Lee",
                                  .hostname = "host.test",
                                  .origin = "o.test",
                                  .wall_ms = 1795266005000, /* Sat, 21 Nov 2026 13:00:05 +0000 */
                                  .random = 0xabc};

#define FROM "From: Ann Lee <ann@o.test>\r\n"
#define DATE "Date: Sat, 21 Nov 2026 13:00:05 +0000\r\n"
#define ID "Message-ID: <1a1fe314808.0000000000000abc@host.test>\r\n"
#define FULL "From: f\r\nDate: d\r\nMessage-ID: i\r\n"

static const struct row {
    const char *name;
    struct sendmail_options options;
    const char *recipients[4];
    const char *in;
    const char *envelope; /* "SENDER > RECIPIENT …", or the exit code and a part of `why` */
    const char *out;      /* NULL: of no interest */
} rows[] = {
    {"a body alone",
     {0},
     {"a@b.test"},
     "hello\r\n",
     "ann@o.test > a@b.test",
     FROM DATE ID "\r\nhello\r\n"},
    {"nothing", {0}, {"a"}, "", "ann@o.test > a@o.test", FROM DATE ID "\r\n"},
    {"a header",
     {0},
     {"a"},
     "Subject: x\r\n\r\nhi\r\n",
     "ann@o.test > a@o.test",
     "Subject: x\r\n" FROM DATE ID "\r\nhi\r\n"},
    {"a header alone",
     {0},
     {"a"},
     "Subject: x\r\n",
     "ann@o.test > a@o.test",
     "Subject: x\r\n" FROM DATE ID "\r\n"},
    {"a header that ends in text",
     {0},
     {"a"},
     "Subject: x\r\nhi there\r\n",
     "ann@o.test > a@o.test",
     "Subject: x\r\n" FROM DATE ID "\r\nhi there\r\n"},
    {"all there",
     {0},
     {"a"},
     "from: x\r\nDATE: y\r\nMessage-id: z\r\n\r\n.\r\n",
     "ann@o.test > a@o.test",
     "from: x\r\nDATE: y\r\nMessage-id: z\r\n\r\n.\r\n"},
    {"of a mailbox",
     {0},
     {"a"},
     "From x Sat\r\n" FULL "\r\n",
     "ann@o.test > a@o.test",
     FULL "\r\n"},
    {"blind copies are blind without -t, too",
     {0},
     {"a"},
     "Bcc: b,\r\n c\r\nReturn-Path: <r>\r\n" FULL "Resent-Bcc: d\r\n\r\n",
     "ann@o.test > a@o.test",
     FULL "\r\n"},
    /* senders */
    {"-f",
     {.sender = "x@y.test"},
     {"a"},
     "\r\n",
     "x@y.test > a@o.test",
     "From: Ann Lee <x@y.test>\r\n" DATE ID "\r\n"},
    {"-f -F",
     {.sender = "x", .full_name = "A. B"},
     {"a"},
     "\r\n",
     "x@o.test > a@o.test",
     "From: \"A. B\" <x@o.test>\r\n" DATE ID "\r\n"},
    {"-f ''", {.sender = ""}, {"a"}, "\r\n", " > a@o.test", FROM DATE ID "\r\n"},
    {"-f <>", {.sender = " <> "}, {"a"}, "\r\n", " > a@o.test", FROM DATE ID "\r\n"},
    {"-f with a name", {.sender = "X <x@y.test>"}, {"a"}, "\r\n", "x@y.test > a@o.test", NULL},
    {"-F nothing", {.full_name = ""}, {"a"}, "\r\n", NULL, "From: <ann@o.test>\r\n" DATE ID "\r\n"},
    {"-F with lines",
     {.full_name = "a\r\nBcc: b"},
     {"a"},
     "\r\n",
     NULL,
     "From: \"a  Bcc: b\" <ann@o.test>\r\n" DATE ID "\r\n"},
    {"-f two", {.sender = "a, b"}, {"a"}, "", "64 -f", NULL},
    {"-f lines", {.sender = "a\r\nb"}, {"a"}, "", "64 -f", NULL},
    {"-f a group", {.sender = "x\r\nRCPT TO:<b>"}, {"a"}, "", "b@o.test > a@o.test", NULL},
    /* recipients of the command line */
    {"lists",
     {0},
     {"a, b@c.test", "X <d@e.test>"},
     "\r\n",
     "ann@o.test > a@o.test b@c.test d@e.test",
     NULL},
    {"each once", {0}, {"a", "a@O.test", "A"}, "\r\n", "ann@o.test > a@o.test A@o.test", NULL},
    {"no address", {0}, {"a", "b c"}, "\r\n", "64 recipient \"b c\"", NULL},
    {"nobody", {0}, {"(a)", ""}, "\r\n", "64 no recipients", NULL},
    {"not from the header", {0}, {"a"}, "To: b\r\nCc: c\r\n\r\n", "ann@o.test > a@o.test", NULL},
    /* -t */
    {"-t",
     {.take_recipients = true},
     {0},
     "Cc: c@d.test\r\nTo: \"X, Y\" <a@b.test>,\r\n\tb\r\nBcc: e\r\n" FULL "\r\nTo: g\r\n",
     "ann@o.test > c@d.test a@b.test b@o.test e@o.test",
     "Cc: c@d.test\r\nTo: \"X, Y\" <a@b.test>,\r\n\tb\r\n" FULL "\r\nTo: g\r\n"},
    {"-t and words",
     {.take_recipients = true},
     {"z", "b"},
     "To: a, b\r\n\r\n",
     "ann@o.test > z@o.test b@o.test a@o.test",
     NULL},
    {"-t Bcc alone",
     {.take_recipients = true},
     {0},
     "Bcc: a\r\n",
     "ann@o.test > a@o.test",
     FROM DATE ID "\r\n"},
    {"-t Resent",
     {.take_recipients = true},
     {0},
     "Resent-To: r\r\nResent-Bcc: s\r\nTo: a\r\nBcc: b\r\n" FULL "\r\n",
     "ann@o.test > r@o.test s@o.test",
     "Resent-To: r\r\nTo: a\r\n" FULL "\r\n"},
    {"-t Resent-From without recipients",
     {.take_recipients = true},
     {0},
     "Resent-From: r\r\nTo: a\r\n\r\n",
     "65 no Resent-To",
     NULL},
    {"-t nobody", {.take_recipients = true}, {0}, "Subject: x\r\n\r\n", "65 no recipients", NULL},
    {"-t undisclosed",
     {.take_recipients = true},
     {0},
     "To: undisclosed-recipients:;\r\n\r\n",
     "65 no recipients",
     NULL},
    {"-t a bad one",
     {.take_recipients = true},
     {0},
     "To: a@b.test\r\nCC: <b@c.test\r\n\r\n",
     "65 the field CC: an address without its >",
     NULL},
    {"a bad one without -t", {0}, {"a"}, "To: <b@c.test\r\n\r\n", "ann@o.test > a@o.test", NULL},
    /* what the text needs */
    {"8 bit", {0}, {"a"}, "Subject: x\r\n\r\n\xe9\r\n", "ann@o.test > a@o.test 8bit", NULL},
    {"8 bit in the header",
     {0},
     {"a"},
     "Subject: \xc3\xa9\r\n\r\n",
     "ann@o.test > a@o.test 8bit",
     NULL},
    {"-B8BITMIME", {.eight_bit = true}, {"a"}, "\r\n", "ann@o.test > a@o.test 8bit", NULL},
    {"UTF-8 address", {0}, {"\xc3\xa9@b.test"}, "\r\n", "ann@o.test > \xc3\xa9@b.test utf8", NULL},
    {"UTF-8 sender",
     {.sender = "\xc3\xa9"},
     {"a"},
     "From: x\r\n\r\n",
     "\xc3\xa9@o.test > a@o.test utf8",
     NULL},
};

static void expect_refusal(const struct row *row, int code, const char *why)
{
    struct buffer got CLEANUP(buffer_free) = {0};
    buffer_print(&got, "%d ", code);
    ck_assert_msg(row->envelope && span_starts_nocase(span_of(row->envelope), buffer_span(&got)) &&
                      strstr(why, row->envelope + 3) && !strchr(why, '\n'),
                  "%s: %d %s", row->name, code, why);
}

static void expect(const struct row *row, const struct submission *submission)
{
    struct buffer got CLEANUP(buffer_free) = {0};
    buffer_print(&got, "%s >", submission->sender);
    for (unsigned i = 0; i < submission->recipients.count; i++)
        buffer_print(&got, " %s", submission->recipients.items[i]);
    if (submission->eight_bit || submission->utf8)
        buffer_print(&got, submission->utf8 ? " utf8" : " 8bit");
    if (row->envelope != NULL)
        ck_assert_msg(span_equal(buffer_span(&got), span_of(row->envelope)), "%s: %.*s", row->name,
                      SPAN_FORMAT(buffer_span(&got)));
    if (row->out != NULL)
        ck_assert_msg(span_equal(buffer_span(&submission->text), span_of(row->out)), "%s:\n%.*s",
                      row->name, SPAN_FORMAT(buffer_span(&submission->text)));
}

static void try_row(const struct row *row)
{
    struct submission submission CLEANUP(submission_free) = {0};
    struct sendmail_options options = row->options;
    char words[4][64], *recipients[4], why[COMPOSE_WHY_MAX] = "";
    for (; options.count < 4 && row->recipients[options.count]; options.count++) {
        strcpy(words[options.count], row->recipients[options.count]);
        recipients[options.count] = words[options.count];
    }
    options.recipients = recipients;
    int code = compose(&submission, &options, &ann, span_of(row->in), why);
    if (code != EX_OK)
        expect_refusal(row, code, why);
    else
        expect(row, &submission);
}

START_TEST(messages)
{
    for (size_t i = 0; i < countof(rows); i++)
        try_row(&rows[i]);
}
END_TEST

/* ---- names ---- */

START_TEST(phrases)
{
    static const char *const names[][2] = {
        {"", ""},
        {"  ", ""},
        {"Ann Lee", "Ann Lee"},
        {" Ann ", "Ann"},
        {"CronDaemon", "CronDaemon"},
        {"A. Lee", "\"A. Lee\""},
        {"Lee, Ann", "\"Lee, Ann\""},
        {"\"x\\y\"", "\"\\\"x\\\\y\\\"\""},
        {"<a@b.test>", "\"<a@b.test>\""},
        {"=?UTF-8?Q?x?=", "\"=?UTF-8?Q?x?=\""},
        {"a\nb\tc\x7f"
         "d",
         "a b c d"},
        {"Z\xc3\xbc", "=?UTF-8?Q?Z=C3=BC?="},
        {"Z\xc3\xbc, \"x\" _?", "=?UTF-8?Q?Z=C3=BC=2C_=22x=22_=5F=3F?="},
        {"\xff", ""},
        {"a\xc3", ""},
    };
    for (size_t i = 0; i < countof(names); i++) {
        struct buffer got CLEANUP(buffer_free) = {0};
        write_phrase(span_of(names[i][0]), &got);
        ck_assert_msg(span_equal(buffer_span(&got), span_of(names[i][1])), "%s: %.*s", names[i][0],
                      SPAN_FORMAT(buffer_span(&got)));
    }
}
END_TEST

/* RFC 2047 2: no encoded word over 75 characters, none that ends within a character. */
START_TEST(long_phrases_are_folded)
{
    struct buffer name CLEANUP(buffer_free) = {0}, got CLEANUP(buffer_free) = {0};
    for (int i = 0; i < 100; i++)
        buffer_append(&name, SPAN("\xe2\x82\xac")); /* € */
    write_phrase(buffer_span(&name), &got);
    struct span rest = buffer_span(&got), line;
    size_t characters = 0, lines = 0;
    for (; span_line(&rest, &line); lines++) {
        line = span_trim(line);
        ck_assert_uint_le(line.length, 75);
        ck_assert(span_starts_nocase(line, SPAN("=?UTF-8?Q?=E2")));
        ck_assert(line.data[line.length - 1] == '=' && line.data[line.length - 2] == '?');
        ck_assert_uint_eq((line.length - 12) % 9, 0);
        characters += (line.length - 12) / 9;
    }
    ck_assert_uint_gt(lines, 1);
    ck_assert_uint_eq(characters, 66); /* as many as 200 bytes hold */
}
END_TEST

TEST_MAIN("relay/sendmail/compose", messages, phrases, long_phrases_are_folded)
