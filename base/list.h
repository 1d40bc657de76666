/* Intrusive doubly linked list. A node lives inside its owner and is in at most one
 * list at a time; the list never allocates and never frees. */
#pragma once

#include "base/must.h"

#include <stdbool.h>

struct list_node {
    struct list_node *next, *prev; /* both NULL while in no list */
};

struct list {
    struct list_node head;
};

static inline void list_init(struct list *list)
{
    list->head.next = list->head.prev = &list->head;
}

static inline bool list_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline bool list_linked(const struct list_node *node)
{
    return node->next != NULL;
}

static inline void list_insert(struct list_node *before, struct list_node *node)
{
    must(!list_linked(node));
    node->next = before;
    node->prev = before->prev;
    before->prev->next = node;
    before->prev = node;
}

static inline void list_append(struct list *list, struct list_node *node)
{
    list_insert(&list->head, node);
}

static inline void list_prepend(struct list *list, struct list_node *node)
{
    list_insert(list->head.next, node);
}

/* Takes the node out of its list; a node that is in none stays as it is. */
static inline void list_remove(struct list_node *node)
{
    if (!list_linked(node))
        return;
    node->next->prev = node->prev;
    node->prev->next = node->next;
    node->next = node->prev = NULL;
}

/* The first node, or NULL. */
static inline struct list_node *list_first(const struct list *list)
{
    return list_empty(list) ? NULL : list->head.next;
}

/* The node behind `node`, or NULL at the end. */
static inline struct list_node *list_next(const struct list *list, const struct list_node *node)
{
    return node->next == &list->head ? NULL : node->next;
}

/* Takes the first node out and returns it, or NULL. */
static inline struct list_node *list_pop(struct list *list)
{
    struct list_node *first = list_first(list);
    if (first == NULL)
        return NULL;
    list->head.next = first->next; /* not list_remove: so an analyser sees that it has gone */
    first->next->prev = &list->head;
    first->next = first->prev = NULL;
    return first;
}
