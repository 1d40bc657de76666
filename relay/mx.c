#include "relay/mx.h"

#include "relay/smtp/address.h"

#include <string.h>

#define LABEL_MAX 63

/* A name as RFC 1035 3.1 has it, as text. False when it is cut off or too long. */
static bool read_name(struct span wire, char name[MX_NAME_MAX])
{
    size_t used = 0;
    while (wire.length > 0 && wire.data[0] != 0) {
        size_t label = (unsigned char)wire.data[0];
        if (label > LABEL_MAX || label + 1 > wire.length || used + label + 2 > MX_NAME_MAX)
            return false;
        if (used > 0)
            name[used++] = '.';
        memcpy(name + used, wire.data + 1, label);
        used += label;
        wire = span_skip(wire, label + 1);
    }
    name[used] = '\0';
    return wire.length == 1 && strlen(name) == used;
}

static void remove_at(struct mx_list *list, unsigned at)
{
    list->count--;
    memmove(&list->hosts[at], &list->hosts[at + 1], (list->count - at) * sizeof(*list->hosts));
}

static void insert(struct mx_list *list, const struct mx *mx)
{
    unsigned at = list->count;
    while (at > 0 && list->hosts[at - 1].preference > mx->preference)
        at--;
    memmove(&list->hosts[at + 1], &list->hosts[at], (list->count - at) * sizeof(*list->hosts));
    list->hosts[at] = *mx;
    list->count++;
}

void mx_add(struct mx_list *list, struct span data)
{
    struct mx mx;
    if (data.length < 3 || list->count == MX_RECORDS_MAX || !read_name(span_skip(data, 2), mx.name))
        return;
    mx.preference = (uint16_t)((unsigned char)data.data[0] << 8 | (unsigned char)data.data[1]);
    list->null |= mx.name[0] == '\0';
    if (!domain_is_valid(span_of(mx.name)))
        return;
    text_lower(mx.name);
    for (unsigned i = 0; i < list->count; i++)
        if (strcmp(list->hosts[i].name, mx.name) == 0) {
            if (list->hosts[i].preference <= mx.preference)
                return;
            remove_at(list, i);
            break;
        }
    insert(list, &mx);
}
