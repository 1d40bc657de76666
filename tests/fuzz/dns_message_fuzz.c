/* Whatever a name server says: reading ends, and what it finds lies within the message or is a copy
 * of its own. */
#include "relay/dns_message.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum record_type types[] = {TYPE_A,   TYPE_CNAME, TYPE_MX,
                                             TYPE_TXT, TYPE_AAAA,  TYPE_TLSA};
    struct arena arena CLEANUP(arena_free) = {0};
    struct dns_answer answer;
    unsigned long sum = 0;
    if (size == 0 || size > UINT16_MAX)
        return 0;
    dns_message_read((struct span){(const char *)data + 1, size - 1}, "a.test",
                     types[data[0] % countof(types)], &arena, &answer);
    must((answer.answer == ANSWER_FAILED) == (answer.failure != NULL));
    must((answer.answer == ANSWER_RECORDS) == (answer.count > 0));
    must(answer.count <= DNS_RECORDS_MAX);
    must(answer.canonical == NULL || strlen(answer.canonical) < 255);
    for (unsigned i = 0; i < answer.count; i++)
        for (size_t at = 0; at < answer.records[i].length; at++)
            sum += (unsigned char)answer.records[i].data[at];
    must(sum <= 255UL * UINT16_MAX * DNS_RECORDS_MAX); /* each byte was looked at */
    return 0;
}
