/* Whatever is in a users file: either it is said what is wrong, in lines without a control
 * character and a bounded number of them, or all that was read can be asked for. */
#include "relay/users.h"
#include "tests/fuzz/fuzz.h"

static void ask(void *context, const char *name, unsigned iterations, bool clear)
{
    const struct users *users = context;
    struct credentials credentials;
    must(user_name_fault(name) == NULL && users_have(users, name));
    must(iterations >= USERS_ITERATIONS_LEAST && iterations <= USERS_ITERATIONS_MOST);
    must(!clear || users_have_clear(users));
    users_credentials(users, name, &credentials);
    must(credentials.iterations == iterations && credentials.salt_length > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct users *users = users_parse("users", (struct span){(const char *)data, size}, &errors);
    if (users == NULL)
        must_be_errors(buffer_span(&errors), 29);
    else
        users_each(users, ask, users);
    users_drop(&users);
    return 0;
}
