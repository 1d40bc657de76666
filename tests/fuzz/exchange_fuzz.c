/* Whatever a server says in an exchange: it ends, nothing is complete that was refused, and what is
 * told of it is fit for a log. The first byte chooses the mechanism; lines are challenges. */
#include "relay/outbound/exchange.h"
#include "tests/fuzz/fuzz.h"

#define TURNS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span rest = {(const char *)data + 1, size - 1}, line = SPAN("");
    const struct exchange_terms terms = {.mechanism =
                                             (enum auth_mechanism)(data[0] % AUTH_MECHANISMS),
                                         .user = "user",
                                         .host = "mail.test",
                                         .port = 587};
    struct exchange *exchange = exchange_begin(&terms);
    enum exchange_result result = EXCHANGE_SAYS;
    if (exchange_client_begins(terms.mechanism))
        result = exchange_step(exchange, SPAN(""));
    for (int turn = 0; turn < TURNS_MAX && result != EXCHANGE_REFUSED; turn++) {
        if (result == EXCHANGE_WANTS)
            result = exchange_give(exchange, exchange_want(exchange).salted
                                                 ? "c4a49510323ab4f952cac1fa99441939"
                                                   "e78ea74d6be81ddf7096e87513dc615d"
                                                 : "pencil");
        else if (span_line(&rest, &line))
            result = exchange_step(exchange, line);
        else
            break;
    }
    must(result != EXCHANGE_REFUSED || !exchange_is_complete(exchange));
    must(result != EXCHANGE_REFUSED || exchange_why(exchange) != NULL);
    if (exchange_why(exchange) != NULL)
        must_be_printable(span_of(exchange_why(exchange)));
    exchange_is_repeated(exchange, rest);
    exchange_free(&exchange);
    return 0;
}
