/* Whatever a client says in an exchange: it ends, nobody is let in who has not proved it, and what
 * is told of him is fit for a log. The first byte chooses the mechanism; lines are responses. */
#include "relay/inbound/sasl.h"

#include "relay/users.h"
#include "tests/fuzz/fuzz.h"

#define KEYS                                                                                       \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"   \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static struct users *make_users(void)
{
    struct buffer errors = {0};
    struct users *users = users_parse("u", SPAN("user:" KEYS ":{CLEAR}pencil\n"), &errors);
    must(users != NULL);
    return users;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct users *users;
    struct span rest = {(const char *)data + 1, size - 1}, line = SPAN("");
    if (users == NULL)
        users = make_users();
    if (size == 0)
        return 0;
    struct sasl *sasl = sasl_begin((enum sasl_mechanism)(data[0] % SASL_MECHANISMS), users);
    enum sasl_result result = SASL_CHALLENGE;
    while (result == SASL_CHALLENGE && span_line(&rest, &line))
        result = sasl_step(sasl, line);
    if (result == SASL_CHECK) /* in place of the derivation, which takes too long here */
        result = sasl_checked(sasl, span_equal(span_of(sasl_password(sasl)), SPAN("pencil")) &&
                                        users_have(users, sasl_name(sasl)));
    must_be_text(span_of(sasl_name(sasl)));
    must(result != SASL_DONE || users_have(users, sasl_name(sasl)));
    sasl_free(&sasl);
    return 0;
}
