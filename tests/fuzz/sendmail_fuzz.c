/* Whatever comes on standard input of `sendmail -t`: what is handed in has lines that end in CRLF
 * only, no NUL and no Bcc:, and its addresses are one word of a command each. */
#include "relay/sendmail/compose.h"

#include "base/must.h"
#include "relay/sendmail/headers.h"
#include "relay/sendmail/input.h"

#include <string.h>
#include <sysexits.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_a_word(const char *address)
{
    bool quoted = false;
    must(strchr(address, '@') != NULL && strlen(address) <= ADDRESS_BYTES_MAX);
    for (const char *c = address; *c != '\0'; c++) {
        must((unsigned char)*c >= ' ' && *c != 0x7f && (quoted || strchr(" <>", *c) == NULL));
        if (quoted && *c == '\\')
            c++;
        else if (*c == '"')
            quoted = !quoted;
    }
    must(!quoted);
}

static void must_be_lines(struct span text)
{
    must(text.length >= 2 && memcmp(text.data + text.length - 2, "\r\n", 2) == 0);
    for (size_t i = 0; i < text.length; i++) {
        must(text.data[i] != '\0');
        must((text.data[i] == '\n') == (i > 0 && text.data[i - 1] == '\r'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct caller caller = {
        .login = "ann", .full_name = "Ann", .hostname = "host.test", .origin = "o.test"};
    const struct sendmail_options options = {.take_recipients = true};
    struct submission submission CLEANUP(submission_free) = {0};
    struct buffer text CLEANUP(buffer_free) = {0};
    struct input input = {.dot_ends = size % 2 == 0};
    struct field field;
    char why[COMPOSE_WHY_MAX];
    input_read(&input, (struct span){(const char *)data, size}, &text);
    input_end(&input, &text);
    if (compose(&submission, &options, &caller, buffer_span(&text), why) != EX_OK)
        return 0;
    must_be_lines(buffer_span(&submission.text));
    for (struct span rest = buffer_span(&submission.text); field_next(&rest, &field);)
        must(field.kind != FIELD_BCC && field.kind != FIELD_RESENT_BCC);
    for (unsigned i = 0; i < submission.recipients.count; i++)
        must_be_a_word(submission.recipients.items[i]);
    return 0;
}
