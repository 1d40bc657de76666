/* What people read: text made harmless, and tables. */
#pragma once

#include "base/arena.h"
#include "base/span.h"

#include <stdio.h>

/* A copy in which nothing can move a cursor, end a line or pass for something else: all but
 * printable ASCII is escaped as JSON does. The caller frees it. */
char *terminal_text(const char *text);

#define TABLE_COLUMNS_MAX 12

enum table_side {
    TABLE_LEFT,
    TABLE_RIGHT,
};

struct table_column {
    const char *title;
    enum table_side side;
    size_t most; /* wider cells are cut and end in "..."; 0: none are */
};

/* Rows of cells, kept until all widths are known. */
struct table {
    const struct table_column *columns;
    size_t column_count;
    char **cells;
    size_t cell_count, capacity;
    struct arena arena;
};

void table_init(struct table *table, const struct table_column *columns, size_t count);
void table_free(struct table *table);
/* The next cell, row by row; the text is escaped as above. */
void table_cell(struct table *table, const char *text);
void table_print(const struct table *table, FILE *to);
