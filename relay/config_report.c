#include "relay/config_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 1024

const char *place_text(const struct place *place, struct arena *arena)
{
    if (place->line == 0)
        return arena_copy(arena, span_of(place->file));
    return arena_print(arena, "%s:%u", place->file, place->line);
}

void report_free(struct report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free(report->problems[i].text);
    free(report->problems);
    *report = (struct report){0};
}

/* What stands in the file must not play with the terminal. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

void report_add(struct report *report, const struct place *place, const char *format, ...)
{
    char text[TEXT_MAX];
    if (report->count == REPORT_PROBLEMS_MAX) {
        report->left_out++;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    make_printable(text);
    report->problems =
        must_realloc(report->problems, (report->count + 1) * sizeof(*report->problems));
    report->problems[report->count] =
        (struct problem){.place = *place, .number = report->count, .text = must_strdup(text)};
    report->count++;
}

static int compare(const void *left, const void *right)
{
    const struct problem *a = left, *b = right;
    if (a->place.order != b->place.order)
        return a->place.order < b->place.order ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

void report_write(struct report *report, struct buffer *to)
{
    if (report->count > 0)
        qsort(report->problems, report->count, sizeof(*report->problems), compare);
    for (size_t i = 0; i < report->count; i++) {
        const struct problem *problem = &report->problems[i];
        buffer_print(to, "%s:", problem->place.file);
        if (problem->place.line > 0)
            buffer_print(to, "%u:", problem->place.line);
        buffer_print(to, " %s\n", problem->text);
    }
    if (report->left_out > 0)
        buffer_print(to, "%s: %zu more errors are not shown\n", report->problems[0].place.file,
                     report->left_out);
}
