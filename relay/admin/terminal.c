#include "relay/admin/terminal.h"

#include "base/buffer.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define GAP 2 /* blanks between columns */

char *terminal_text(const char *text)
{
    struct buffer shown = {0};
    struct span rest = span_of(text);
    while (rest.length > 0) {
        size_t plain = 0;
        while (plain < rest.length && rest.data[plain] >= ' ' && rest.data[plain] < 0x7f &&
               rest.data[plain] != '\\')
            plain++;
        buffer_append(&shown, (struct span){rest.data, plain});
        rest = span_skip(rest, plain);
        char escape[UTF8_ESCAPE_MAX];
        if (rest.length > 0)
            buffer_append(&shown, span_of(utf8_escape(&rest, escape)));
    }
    return buffer_detach(&shown);
}

void table_init(struct table *table, const struct table_column *columns, size_t count)
{
    must(count > 0 && count <= TABLE_COLUMNS_MAX);
    *table = (struct table){.columns = columns, .column_count = count};
}

void table_free(struct table *table)
{
    free(table->cells);
    arena_free(&table->arena);
    *table = (struct table){0};
}

void table_cell(struct table *table, const char *text)
{
    size_t most = table->columns[table->cell_count % table->column_count].most;
    if (table->cell_count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 256;
        table->cells = must_realloc(table->cells, table->capacity * sizeof(*table->cells));
    }
    char *shown = terminal_text(text);
    char *cell = arena_copy(&table->arena, span_of(shown));
    free(shown);
    if (most > 0 && strlen(cell) > most)
        memcpy(cell + most - 3, "...", 4);
    table->cells[table->cell_count++] = cell;
}

static void print_row(const struct table *table, const size_t *widths, const char *const *cells,
                      FILE *to)
{
    for (size_t i = 0; i < table->column_count; i++) {
        int width = (int)widths[i];
        bool last = i + 1 == table->column_count;
        if (table->columns[i].side == TABLE_RIGHT)
            fprintf(to, "%*s", width, cells[i]);
        else
            fprintf(to, "%-*s", last ? 0 : width, cells[i]);
        fprintf(to, "%*s", last ? 0 : GAP, "");
    }
    fputc('\n', to);
}

void table_print(const struct table *table, FILE *to)
{
    size_t widths[TABLE_COLUMNS_MAX];
    const char *titles[TABLE_COLUMNS_MAX];
    must(table->column_count > 0);
    for (size_t i = 0; i < table->column_count; i++) {
        titles[i] = table->columns[i].title;
        widths[i] = strlen(titles[i]);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t length = strlen(table->cells[i]);
        size_t *width = &widths[i % table->column_count];
        *width = length > *width ? length : *width;
    }
    print_row(table, widths, titles, to);
    for (size_t i = 0; i + table->column_count <= table->cell_count; i += table->column_count)
        print_row(table, widths, (const char *const *)&table->cells[i], to);
}
