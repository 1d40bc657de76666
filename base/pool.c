#include "base/pool.h"

#include "base/must.h"

#include <sanitizer/asan_interface.h> /* its macros do nothing without that sanitizer */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 65536ul /* and so aligned: an item's address leads to its page */
#define ITEM_LEAST 16
#define ITEM_MOST 4096
#define ITEMS_MOST (PAGE_BYTES / ITEM_LEAST)

struct pool_page {
    struct list_node roomy; /* in pool->roomy while a place is free */
    size_t index;           /* in pool->pages */
    unsigned used;
    uint64_t taken[ITEMS_MOST / 64]; /* a bit each */
    _Alignas(16) char items[];
};

static size_t page_items(const struct pool *pool)
{
    return (PAGE_BYTES - sizeof(struct pool_page)) / pool->item_bytes;
}

void pool_init(struct pool *pool, size_t item_bytes)
{
    must(item_bytes > 0 && item_bytes <= ITEM_MOST);
    *pool = (struct pool){.item_bytes = (item_bytes + 7) / 8 * 8};
    if (pool->item_bytes < ITEM_LEAST)
        pool->item_bytes = ITEM_LEAST;
    list_init(&pool->roomy);
}

/* ---- pages ---- */

/* Twice as much as is wanted has an aligned page in it; the rest goes back at once. */
static struct pool_page *page_map(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    /* cppcheck-suppress invalidFunctionArg ; without a file it is -1 */
    char *area = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    must(area != MAP_FAILED); /* as must_calloc has it */
    size_t before = -(uintptr_t)area % PAGE_BYTES;
    if (before > 0)
        munmap(area, before);
    munmap(area + before + PAGE_BYTES, PAGE_BYTES - before);
    /* cppcheck-suppress deallocret ; what is returned lies between what went back */
    return (struct pool_page *)(void *)(area + before);
}

static void page_unmap(struct pool_page *page)
{
    ASAN_UNPOISON_MEMORY_REGION(page, PAGE_BYTES);
    munmap(page, PAGE_BYTES);
}

static size_t find_index(struct pool *pool)
{
    for (size_t i = 0; i < pool->page_count; i++)
        if (pool->pages[i] == NULL)
            return i;
    size_t index = pool->page_count++;
    pool->pages = must_realloc(pool->pages, pool->page_count * sizeof(struct pool_page *));
    return index;
}

static struct pool_page *page_create(struct pool *pool)
{
    struct pool_page *page = page_map();
    page->index = find_index(pool);
    pool->pages[page->index] = page;
    list_append(&pool->roomy, &page->roomy);
    ASAN_POISON_MEMORY_REGION(page->items, PAGE_BYTES - sizeof(*page));
    return page;
}

static void page_forget(struct pool *pool, struct pool_page *page)
{
    list_remove(&page->roomy);
    pool->pages[page->index] = NULL;
    page_unmap(page);
}

void pool_free(struct pool *pool)
{
    for (size_t i = 0; i < pool->page_count; i++)
        if (pool->pages[i] != NULL)
            page_unmap(pool->pages[i]);
    free(pool->pages);
    *pool = (struct pool){0};
}

/* ---- items ---- */

static size_t free_place(const struct pool_page *page)
{
    size_t word = 0;
    while (page->taken[word] == UINT64_MAX)
        word++;
    return word * 64 + (size_t)__builtin_ctzll(~page->taken[word]);
}

void *pool_take(struct pool *pool)
{
    struct list_node *node = list_first(&pool->roomy);
    struct pool_page *page =
        node != NULL ? container_of(node, struct pool_page, roomy) : page_create(pool);
    size_t place = free_place(page);
    must(place < page_items(pool));
    page->taken[place / 64] |= 1ull << place % 64;
    if (++page->used == page_items(pool))
        list_remove(&page->roomy);
    pool->count++;
    void *item = page->items + place * pool->item_bytes;
    ASAN_UNPOISON_MEMORY_REGION(item, pool->item_bytes);
    return memset(item, 0, pool->item_bytes);
}

void pool_give(struct pool *pool, void *take_item)
{
    size_t offset = (uintptr_t)take_item % PAGE_BYTES - sizeof(struct pool_page);
    struct pool_page *page =
        (void *)((char *)take_item - offset - sizeof(struct pool_page)); /* its first byte */
    size_t place = offset / pool->item_bytes;
    uint64_t bit = 1ull << place % 64;
    must(offset % pool->item_bytes == 0 && (page->taken[place / 64] & bit) != 0);
    page->taken[place / 64] &= ~bit;
    pool->count--;
    ASAN_POISON_MEMORY_REGION(take_item, pool->item_bytes);
    if (--page->used == 0)
        page_forget(pool, page);
    else if (!list_linked(&page->roomy))
        list_append(&pool->roomy, &page->roomy);
}

void *pool_walk(const struct pool *pool, size_t *at)
{
    size_t items = page_items(pool);
    while (*at / items < pool->page_count) {
        struct pool_page *page = pool->pages[*at / items];
        size_t place = *at % items;
        if (page == NULL) {
            *at += items - place;
            continue;
        }
        ++*at;
        if (page->taken[place / 64] & 1ull << place % 64)
            return page->items + place * pool->item_bytes;
    }
    return NULL;
}
