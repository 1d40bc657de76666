#include "base/names.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

struct name {
    char *key;
    void *value;
};

static uint64_t name_hash(const void *item)
{
    const struct name *name = item;
    return span_hash_nocase(span_of(name->key));
}

static bool name_same(const void *item, const void *key)
{
    const struct name *name = item;
    const struct span *wanted = key;
    return span_equal_nocase(span_of(name->key), *wanted);
}

void names_init(struct names *names)
{
    map_init(&names->map, name_hash, name_same);
}

void names_free(struct names *names)
{
    size_t at = 0;
    for (struct name *name; (name = map_walk(&names->map, &at)) != NULL;) {
        free(name->key);
        free(name);
    }
    map_free(&names->map);
}

bool names_add(struct names *names, struct span key, void *value)
{
    if (map_find(&names->map, span_hash_nocase(key), &key))
        return false;
    struct name *name = must_calloc(1, sizeof(*name));
    name->key = span_copy(key);
    text_lower(name->key);
    name->value = value;
    map_add(&names->map, name);
    return true;
}

void *names_exact(const struct names *names, struct span key)
{
    struct name *name = map_find(&names->map, span_hash_nocase(key), &key);
    return name ? name->value : NULL;
}

void *names_find(const struct names *names, struct span name)
{
    void *value = names_exact(names, name);
    while (value == NULL && name.length > 0) {
        const char *dot = memchr(name.data + 1, '.', name.length - 1);
        name = dot ? span_skip(name, (size_t)(dot - name.data)) : (struct span){0};
        if (name.length > 0)
            value = names_exact(names, name);
    }
    return value ? value : names_exact(names, SPAN("*"));
}
