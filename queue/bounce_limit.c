#include "queue/bounce_limit.h"

#include <stdlib.h>

struct window {
    struct list_node node;
    char *sender;
    int64_t began_ms;
    unsigned written;
    uint64_t withheld;
    bool over; /* before its time */
};

static uint64_t window_hash(const void *item)
{
    const struct window *window = item;
    return span_hash_nocase(span_of(window->sender));
}

static bool window_same(const void *item, const void *key)
{
    const struct window *window = item;
    const struct span *sender = key;
    return span_equal_nocase(span_of(window->sender), *sender);
}

void bounce_limit_init(struct bounce_limit *limit)
{
    map_init(&limit->senders, window_hash, window_same);
    list_init(&limit->windows);
}

static struct window *first_of(const struct bounce_limit *limit)
{
    struct list_node *first = list_first(&limit->windows);
    return first ? container_of(first, struct window, node) : NULL;
}

/* It is in the list no more. */
static void forget(struct bounce_limit *limit, struct window *window)
{
    if (!window->over)
        map_remove(&limit->senders, window);
    free(window->sender);
    free(window);
}

void bounce_limit_free(struct bounce_limit *limit)
{
    struct list_node *node = list_first(&limit->windows);
    while (node != NULL) {
        struct list_node *next = list_next(&limit->windows, node);
        forget(limit, container_of(node, struct window, node));
        node = next;
    }
    map_free(&limit->senders);
}

static bool is_over(const struct window *window, struct rate rate, int64_t now_ms)
{
    return window->over || rate.count == 0 || now_ms - window->began_ms >= rate.per_ms ||
           now_ms < window->began_ms; /* the clock went back */
}

/* Out of the table; what it withheld is still to be told. */
static void end_window(struct bounce_limit *limit, struct window *window)
{
    list_remove(&window->node);
    if (window->withheld == 0) {
        forget(limit, window);
        return;
    }
    map_remove(&limit->senders, window);
    window->over = true;
    list_prepend(&limit->windows, &window->node);
}

/* The first window that still counts. */
static struct window *oldest(const struct bounce_limit *limit)
{
    struct list_node *node = list_first(&limit->windows);
    while (node != NULL && container_of(node, struct window, node)->over)
        node = list_next(&limit->windows, node);
    return node ? container_of(node, struct window, node) : NULL;
}

static struct window *window_of(struct bounce_limit *limit, struct span sender, struct rate rate,
                                int64_t now_ms)
{
    struct window *window = map_find(&limit->senders, span_hash_nocase(sender), &sender);
    if (window != NULL && !is_over(window, rate, now_ms))
        return window;
    if (window != NULL)
        end_window(limit, window);
    else if (limit->senders.count >= BOUNCE_LIMIT_SENDERS)
        end_window(limit, oldest(limit));
    window = must_calloc(1, sizeof(*window));
    window->sender = span_copy(sender);
    window->began_ms = now_ms;
    map_add(&limit->senders, window);
    list_append(&limit->windows, &window->node);
    return window;
}

bool bounce_limit_allows(struct bounce_limit *limit, struct span sender, struct rate rate,
                         int64_t now_ms)
{
    if (rate.count == 0)
        return true;
    struct window *window = window_of(limit, sender, rate, now_ms);
    if (window->written < rate.count) {
        window->written++;
        return true;
    }
    window->withheld++;
    return false;
}

bool bounce_limit_over(struct bounce_limit *limit, struct rate rate, int64_t now_ms,
                       struct withheld *withheld)
{
    struct list_node *node = list_first(&limit->windows);
    while (node != NULL) {
        struct list_node *next = list_next(&limit->windows, node);
        struct window *window = container_of(node, struct window, node);
        if (!is_over(window, rate, now_ms))
            return false;
        *withheld = (struct withheld){NULL, window->withheld, window->began_ms};
        if (withheld->count > 0)
            withheld->sender = must_strdup(window->sender);
        list_remove(node);
        forget(limit, window);
        if (withheld->count > 0)
            return true;
        node = next;
    }
    return false;
}

int64_t bounce_limit_next_ms(const struct bounce_limit *limit, struct rate rate)
{
    const struct window *window = first_of(limit);
    if (window == NULL)
        return INT64_MAX;
    return window->over || rate.count == 0 ? window->began_ms : window->began_ms + rate.per_ms;
}
