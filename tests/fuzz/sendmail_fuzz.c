/* Whatever comes on standard input of `sendmail -t`: what is handed in has lines that end in CRLF
 * only, no NUL and no Bcc:, and its addresses are one word of a command each. */
#include "relay/sendmail/compose.h"

#include "relay/sendmail/headers.h"
#include "relay/sendmail/input.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sysexits.h>

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
    must(memchr(buffer_span(&submission.text).data, 0, buffer_length(&submission.text)) == NULL);
    for (struct span rest = buffer_span(&submission.text); field_next(&rest, &field);)
        must(field.kind != FIELD_BCC && field.kind != FIELD_RESENT_BCC);
    for (unsigned i = 0; i < submission.recipients.count; i++)
        must_be_a_word(submission.recipients.items[i]);
    return 0;
}
