#include "relay/admin/terminal.h"

#include "tests/suite.h"

#include <string.h>

START_TEST(text_is_harmless)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"", ""},
        {"451 4.3.0 \"later\" ~", "451 4.3.0 \"later\" ~"},
        {"\x1b]0;evil\x07\x1b[2J", "\\u001b]0;evil\\u0007\\u001b[2J"},
        {"a\r\nb\tc\x7f", "a\\u000d\\u000ab\\u0009c\\u007f"},
        {"back\\slash", "back\\\\slash"},
        {"\xc2\x9b"
         "31m",
         "\\u009b31m"}, /* CSI as one C1 character */
        {"\xe2\x80\xae"
         "evil",
         "\\u202eevil"}, /* right-to-left override */
        {"\xff", "\\ufffd"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char *shown = terminal_text(rows[i].text);
        ck_assert_str_eq(shown, rows[i].shown);
        free(shown);
    }
}
END_TEST

static const struct table_column columns[] = {
    {"NAME", TABLE_LEFT, 0}, {"N", TABLE_RIGHT, 0}, {"TEXT", TABLE_LEFT, 8}};

static void assert_printed(const char *const *cells, size_t count, const char *wanted)
{
    struct table table;
    char *printed = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&printed, &length);
    table_init(&table, columns, countof(columns));
    for (size_t i = 0; i < count; i++)
        table_cell(&table, cells[i]);
    table_print(&table, to);
    fclose(to);
    ck_assert_str_eq(printed, wanted);
    free(printed);
    table_free(&table);
}

START_TEST(tables)
{
    static const char *const cells[] = {"a",  "1", "12345678", "longer", "100",  "123456789",
                                        "\n", "",  "",         "x",      "1000", "y"};
    assert_printed(cells, countof(cells),
                   "NAME       N  TEXT\n"
                   "a          1  12345678\n"
                   "longer   100  12345...\n"
                   "\\u000a        \n"
                   "x       1000  y\n");
    assert_printed(NULL, 0, "NAME  N  TEXT\n");
}
END_TEST

START_TEST(large_tables)
{
    struct table table;
    table_init(&table, columns, countof(columns));
    for (int i = 0; i < 3000; i++)
        table_cell(&table, "cell");
    ck_assert_uint_eq(table.cell_count, 3000);
    ck_assert_str_eq(table.cells[2999], "cell");
    table_free(&table);
}
END_TEST

TEST_MAIN("relay/admin/terminal", text_is_harmless, tables, large_tables)
