#include "tests/crash/image.h"

#include "base/must.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512

/* Files and what they are called. */
struct tree {
    struct bytes *contents; /* by node */
    struct disk_entry *entries;
    size_t entry_count;
};

struct image_walk {
    const struct disk_log *log;
    size_t at;
    size_t *unsynced; /* operations, in order */
    size_t unsynced_count;
    struct tree durable;
};

const char *image_kind_name(enum image_kind kind)
{
    static const char *const names[] = {"nothing", "all", "some", "torn", "reordered", "grown"};
    _Static_assert(sizeof(names) / sizeof(names[0]) == IMAGE_KINDS, "a name for each kind");
    return names[kind];
}

/* ---- trees ---- */

static void tree_name(struct tree *tree, const char *name, unsigned node)
{
    for (size_t i = 0; i < tree->entry_count; i++)
        if (strcmp(tree->entries[i].name, name) == 0) {
            tree->entries[i].node = node;
            return;
        }
    tree->entries = must_realloc(tree->entries, (tree->entry_count + 1) * sizeof(*tree->entries));
    struct disk_entry *entry = &tree->entries[tree->entry_count++];
    entry->node = node;
    snprintf(entry->name, sizeof(entry->name), "%s", name);
}

static void tree_forget(struct tree *tree, const char *name)
{
    for (size_t i = 0; i < tree->entry_count; i++)
        if (strcmp(tree->entries[i].name, name) == 0) {
            tree->entries[i] = tree->entries[--tree->entry_count];
            return;
        }
}

static void tree_do(struct tree *tree, const struct disk_op *op)
{
    switch (op->kind) {
    case DISK_CREATE: tree_name(tree, op->name, op->node); return;
    case DISK_RENAME:
        tree_forget(tree, op->from);
        tree_name(tree, op->name, op->node);
        return;
    case DISK_UNLINK: tree_forget(tree, op->name); return;
    case DISK_WRITE:
        bytes_put(&tree->contents[op->node], op->offset, op->bytes, op->length);
        return;
    case DISK_RESIZE: bytes_resize(&tree->contents[op->node], op->offset); return;
    case DISK_SYNC:
    case DISK_SYNC_WRITE: return;
    }
    must_not_reach();
}

static struct tree tree_copy(const struct tree *tree, size_t node_count)
{
    struct tree copy = {.contents = must_calloc(node_count, sizeof(*copy.contents)),
                        .entries = must_calloc(tree->entry_count + 1, sizeof(*copy.entries)),
                        .entry_count = tree->entry_count};
    for (size_t i = 0; i < node_count; i++)
        bytes_put(&copy.contents[i], 0, tree->contents[i].memory, tree->contents[i].size);
    for (size_t i = 0; i < tree->entry_count; i++)
        copy.entries[i] = tree->entries[i];
    return copy;
}

static void tree_free(struct tree *tree, size_t node_count)
{
    for (size_t i = 0; i < node_count; i++)
        bytes_free(&tree->contents[i]);
    free(tree->contents);
    free(tree->entries);
}

/* ---- the walk ---- */

struct image_walk *image_walk_begin(const struct disk_log *log)
{
    struct image_walk *walk = must_calloc(1, sizeof(*walk));
    walk->log = log;
    walk->unsynced = must_calloc(log->count + 1, sizeof(*walk->unsynced));
    walk->durable.contents = must_calloc(log->node_count, sizeof(*walk->durable.contents));
    for (size_t i = 0; i < log->node_count; i++) {
        const struct bytes *content = &log->nodes[i].content;
        bytes_put(&walk->durable.contents[i], 0, content->memory, content->size);
    }
    for (size_t i = 0; i < log->entry_count; i++)
        tree_name(&walk->durable, log->entries[i].name, log->entries[i].node);
    return walk;
}

void image_walk_end(struct image_walk **walk)
{
    struct image_walk *ended = *walk;
    *walk = NULL;
    tree_free(&ended->durable, ended->log->node_count);
    free(ended->unsynced);
    free(ended);
}

static bool is_of_name(const struct disk_op *op)
{
    return op->kind == DISK_CREATE || op->kind == DISK_RENAME || op->kind == DISK_UNLINK;
}

static bool overlaps(const struct disk_op *a, const struct disk_op *b)
{
    return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

/* Whether a sync of that kind, of that node (and of that write alone), makes it durable. An older
 * write to the same bytes goes with the newer: there is one page of them. */
static bool is_made_durable(const struct disk_op *op, const struct disk_op *sync,
                            const struct disk_op *write)
{
    if (sync->kind == DISK_SYNC)
        return is_of_name(op) ? op->parent == sync->node : op->node == sync->node;
    return !is_of_name(op) && op->node == sync->node &&
           (op->kind == DISK_RESIZE || overlaps(op, write));
}

static void make_durable(struct image_walk *walk, size_t sync)
{
    const struct disk_op *ops = walk->log->ops;
    size_t kept = 0;
    for (size_t i = 0; i < walk->unsynced_count; i++) {
        const struct disk_op *op = &ops[walk->unsynced[i]];
        if (is_made_durable(op, &ops[sync], sync > 0 ? &ops[sync - 1] : NULL))
            tree_do(&walk->durable, op);
        else
            walk->unsynced[kept++] = walk->unsynced[i];
    }
    walk->unsynced_count = kept;
}

void image_walk_to(struct image_walk *walk, size_t position)
{
    must(position >= walk->at && position <= walk->log->count);
    for (; walk->at < position; walk->at++) {
        enum disk_op_kind kind = walk->log->ops[walk->at].kind;
        if (kind == DISK_SYNC || kind == DISK_SYNC_WRITE)
            make_durable(walk, walk->at);
        else
            walk->unsynced[walk->unsynced_count++] = walk->at;
    }
}

size_t image_unsynced(const struct image_walk *walk)
{
    return walk->unsynced_count;
}

/* ---- what reaches the disk ---- */

static void grow(struct tree *tree, const struct disk_op *op)
{
    struct bytes *content = &tree->contents[op->node];
    if (op->offset + op->length > content->size)
        bytes_resize(content, op->offset + op->length);
}

/* True: all of it. */
static bool write_torn(struct tree *tree, const struct disk_op *op, struct random_state *chance)
{
    bool whole = true;
    if (random_below(chance, 2) == 0)
        grow(tree, op);
    for (size_t at = 0; at < op->length;) {
        size_t sector = SECTOR - (op->offset + at) % SECTOR;
        size_t length = sector < op->length - at ? sector : op->length - at;
        if (random_below(chance, 2) == 0)
            bytes_put(&tree->contents[op->node], op->offset + at, op->bytes + at, length);
        else
            whole = false;
        at += length;
    }
    return whole;
}

/* True: the operation reached the disk as it was meant. `odds` of 100. */
static bool reach(struct tree *tree, const struct disk_op *op, enum image_kind kind, unsigned odds,
                  struct random_state *chance)
{
    bool drawn = random_below(chance, 100) < odds;
    switch (kind) {
    case IMAGE_NOTHING: return false;
    case IMAGE_ALL: drawn = true; break;
    case IMAGE_SOME:
    case IMAGE_REORDERED: break;
    case IMAGE_TORN:
        if (drawn && op->kind == DISK_WRITE)
            return write_torn(tree, op, chance);
        break;
    case IMAGE_GROWN:
        drawn = op->kind != DISK_WRITE;
        if (!drawn)
            grow(tree, op);
        break;
    }
    if (drawn)
        tree_do(tree, op);
    return drawn;
}

static void tell(const struct disk_op *op, size_t at)
{
    static const char *const names[] = {"create", "rename", "unlink", "write", "resize"};
    printf("    not as it was meant: %zu %s %s node %u, %zu bytes at %" PRIu64 "\n", at,
           names[op->kind], op->name, op->node, op->length, op->offset);
}

static void shuffle(size_t *items, size_t count, struct random_state *chance)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = random_below(chance, i);
        size_t kept = items[i - 1];
        items[i - 1] = items[other];
        items[other] = kept;
    }
}

/* ---- onto the real disk ---- */

static bool has_parent(const struct tree *tree, const char *name)
{
    const char *slash = strrchr(name, '/');
    for (size_t i = 0; slash != NULL && i < tree->entry_count; i++)
        if (strncmp(tree->entries[i].name, name, (size_t)(slash - name)) == 0 &&
            tree->entries[i].name[slash - name] == '\0')
            return true;
    return slash == NULL;
}

static void write_file(const char *path, const struct bytes *content)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(file >= 0);
    for (size_t at = 0; at < content->size;) {
        ssize_t count = pwrite(file, content->memory + at, content->size - at, (off_t)at);
        must(count > 0);
        at += (size_t)count;
    }
    close(file);
}

static void write_tree(const struct tree *tree, const struct disk_log *log, const char *directory)
{
    char path[PATH_MAX];
    for (int files = 0; files < 2; files++) /* directories first */
        for (size_t i = 0; i < tree->entry_count; i++) {
            const struct disk_entry *entry = &tree->entries[i];
            bool is_file = !log->nodes[entry->node].directory;
            snprintf(path, sizeof(path), "%s/%s", directory, entry->name);
            if (is_file != (files == 1) || !has_parent(tree, entry->name))
                continue;
            if (is_file)
                write_file(path, &tree->contents[entry->node]);
            else
                must(mkdir(path, 0700) == 0);
        }
}

size_t image_write(const struct image_walk *walk, enum image_kind kind, uint64_t seed,
                   const char *directory, bool told)
{
    const struct disk_log *log = walk->log;
    struct random_state chance = {seed};
    struct tree tree = tree_copy(&walk->durable, log->node_count);
    size_t *order = must_calloc(walk->unsynced_count + 1, sizeof(*order));
    unsigned odds = (unsigned[]){15, 50, 85}[random_below(&chance, 3)];
    size_t left_out = 0;
    if (walk->unsynced_count > 0)
        memcpy(order, walk->unsynced, walk->unsynced_count * sizeof(*order));
    if (kind == IMAGE_REORDERED)
        shuffle(order, walk->unsynced_count, &chance);
    for (size_t i = 0; i < walk->unsynced_count; i++) {
        bool whole = reach(&tree, &log->ops[order[i]], kind, odds, &chance);
        left_out += !whole;
        if (told && !whole)
            tell(&log->ops[order[i]], order[i]);
    }
    write_tree(&tree, log, directory);
    tree_free(&tree, log->node_count);
    free(order);
    return left_out;
}
