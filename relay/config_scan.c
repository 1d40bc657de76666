#include "relay/config_scan.h"

#include "relay/config_lexer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scanner {
    struct scan *scan;
    struct report *report;
    struct lexer files[CONFIG_DEPTH_MAX]; /* each includes the next */
    unsigned depth;
    struct lexer *lexer; /* of the last of them, the file in hand */
    size_t section;      /* the one we are in */
    unsigned order, file_count;
    bool mute; /* reading over something that must not reach libconfuse */
};

static void *grow(void *take, size_t count, size_t size)
{
    bool full = (count & (count - 1)) == 0; /* capacities are powers of two */
    return full ? must_realloc(take, (count ? 2 * count : 1) * size) : take;
}

/* ---- the text that libconfuse will read ---- */

static void begin_line(struct scan *scan, const struct place *place)
{
    scan->lines = grow(scan->lines, scan->line_count, sizeof(*scan->lines));
    scan->lines[scan->line_count++] = *place;
    if (scan->line_count > 1)
        buffer_append(&scan->text, SPAN("\n"));
}

static void put(struct scanner *scanner, unsigned line, struct span word)
{
    struct scan *scan = scanner->scan;
    const struct place place = {scanner->lexer->file, line, scanner->order};
    if (scanner->mute)
        return;
    const struct place *last = &scan->lines[scan->line_count - 1];
    if (last->line != line || last->order != place.order)
        begin_line(scan, &place);
    buffer_append(&scan->text, word);
    buffer_append(&scan->text, SPAN(" "));
}

static void put_token(struct scanner *scanner)
{
    put(scanner, scanner->lexer->token.line, scanner->lexer->token.raw);
}

/* ---- what was met ---- */

static size_t add_section(struct scanner *scanner, enum section_kind kind,
                          const struct place *place)
{
    struct scan *scan = scanner->scan;
    scan->sections = grow(scan->sections, scan->section_count, sizeof(*scan->sections));
    scan->sections[scan->section_count] =
        (struct scan_section){.place = *place, .kind = kind, .first_entry = scan->entry_count};
    return scan->section_count++;
}

static void add_entry(struct scanner *scanner, const struct key *key, const struct place *place)
{
    struct scan *scan = scanner->scan;
    scan->entries = grow(scan->entries, scan->entry_count, sizeof(*scan->entries));
    scan->entries[scan->entry_count++] =
        (struct scan_entry){.place = *place, .section = scanner->section, .key = key};
}

/* Entries of the top level stand between others', those of a section side by side. */
const struct place *scan_entry_place(const struct scan *scan, size_t section, const struct key *key)
{
    for (size_t i = scan->sections[section].first_entry; i < scan->entry_count; i++) {
        const struct scan_entry *entry = &scan->entries[i];
        if (entry->section == section && entry->key == key)
            return &entry->place;
        if (section > 0 && entry->section != section)
            break;
    }
    return NULL;
}

static enum section_kind kind_in_hand(const struct scanner *scanner)
{
    return scanner->scan->sections[scanner->section].kind;
}

/* ---- syntax ---- */

/* Always false: nothing behind a syntax error can be trusted. */
static bool broken(struct scanner *scanner, const char *wanted)
{
    const struct lexer *lexer = scanner->lexer;
    struct place place = {lexer->file, lexer->token.line, scanner->order};
    scanner->scan->broken = true;
    if (lexer->token.kind == TOKEN_END)
        report_add(scanner->report, &place, "%s is missing at the end of the file", wanted);
    else if (lexer->token.kind != TOKEN_BAD)
        report_add(scanner->report, &place, "%s is missing before %.*s", wanted,
                   SPAN_FORMAT(lexer->token.raw));
    return false;
}

static bool take_mark(struct scanner *scanner, char mark, const char *wanted)
{
    if (!lexer_at_mark(scanner->lexer, mark))
        return broken(scanner, wanted);
    lexer_next(scanner->lexer);
    return true;
}

/* Passes over everything up to the brace that closes the one in hand. */
static bool skip_braces(struct scanner *scanner)
{
    struct lexer *lexer = scanner->lexer;
    unsigned depth = 0;
    do {
        depth += lexer_at_mark(lexer, '{');
        depth -= lexer_at_mark(lexer, '}');
        lexer_next(lexer);
        if (lexer->token.kind == TOKEN_BAD || (lexer->token.kind == TOKEN_END && depth > 0))
            return broken(scanner, "\"}\"");
    } while (depth > 0);
    return true;
}

/* What is behind a name that is not known: NAME = VALUE, NAME = {…}, NAME TITLE {…}, NAME (…). */
static bool skip_statement(struct scanner *scanner)
{
    struct lexer *lexer = scanner->lexer;
    if (lexer_at_mark(lexer, '=') || lexer_at_mark(lexer, '+'))
        lexer_next(lexer);
    if (lexer_at_mark(lexer, '('))
        while (lexer_at_text(lexer) || lexer_at_mark(lexer, '(') || lexer_at_mark(lexer, ','))
            lexer_next(lexer);
    if (lexer_at_text(lexer) || lexer_at_mark(lexer, ')'))
        lexer_next(lexer);
    if (lexer_at_mark(lexer, '{'))
        return skip_braces(scanner);
    return lexer->token.kind != TOKEN_BAD || broken(scanner, "");
}

static void report_unknown(struct scanner *scanner, struct span name, const struct place *place)
{
    char text[CONFIG_UNKNOWN_MAX];
    bool is_key = lexer_at_mark(scanner->lexer, '=') || lexer_at_mark(scanner->lexer, '+');
    config_unknown(kind_in_hand(scanner), name, is_key, text);
    report_add(scanner->report, place, "%s", text);
}

/* ---- NAME = VALUE ---- */

static bool read_list(struct scanner *scanner)
{
    struct lexer *lexer = scanner->lexer;
    put_token(scanner);
    lexer_next(lexer);
    while (lexer_at_text(lexer)) {
        put_token(scanner);
        lexer_next(lexer);
        if (!lexer_at_mark(lexer, ','))
            break;
        put_token(scanner);
        lexer_next(lexer);
    }
    put(scanner, lexer->token.line, SPAN("}"));
    return take_mark(scanner, '}', "\",\" or \"}\"");
}

static bool read_value(struct scanner *scanner, const struct key *key, const struct place *place)
{
    struct lexer *lexer = scanner->lexer;
    if (lexer_at_mark(lexer, '{') && !key_is_list(key)) {
        report_add(scanner->report, place, "%s takes one value, not a list", key->name);
        return skip_braces(scanner);
    }
    if (!lexer_at_mark(lexer, '{') && !lexer_at_text(lexer))
        return broken(scanner, "a value");
    put(scanner, place->line, span_of(key->name));
    put(scanner, place->line, SPAN("="));
    if (lexer_at_mark(lexer, '{'))
        return read_list(scanner);
    put_token(scanner);
    lexer_next(lexer);
    return true;
}

static bool read_setting(struct scanner *scanner, const struct key *key, const struct place *place)
{
    const struct place *before = scan_entry_place(scanner->scan, scanner->section, key);
    bool muted = scanner->mute;
    if (before != NULL) {
        report_add(scanner->report, place, "%s is set twice: the first time in %s:%u", key->name,
                   before->file, before->line);
        scanner->mute = true;
    }
    if (lexer_at_mark(scanner->lexer, '+')) {
        report_add(scanner->report, place, "%s cannot be added to: write all of it behind \"=\"",
                   key->name);
        scanner->lexer->token.mark = '=';
    }
    if (!take_mark(scanner, '=', "\"=\""))
        return false;
    add_entry(scanner, key, place);
    bool fine = read_value(scanner, key, place);
    scanner->mute = muted;
    return fine;
}

/* ---- NAME TITLE { … } ---- */

static bool read_title(struct scanner *scanner, const struct section *section,
                       const struct place *place, struct token *title)
{
    struct lexer *lexer = scanner->lexer;
    if (!lexer_at_text(lexer)) {
        if (!section->titled || !lexer_at_mark(lexer, '{'))
            return section->titled ? broken(scanner, "a name in quotes") : true;
        report_add(scanner->report, place, "%s needs a name: %s \"…\" { }", section->name,
                   section->name);
        scanner->mute = true;
        return true;
    }
    if (!section->titled)
        report_add(scanner->report, place, "%s takes no name: %s { }", section->name,
                   section->name);
    *title = lexer->token;
    lexer_next(lexer);
    return true;
}

/* A section without title must be the only one. */
static void check_only(struct scanner *scanner, enum section_kind kind, const struct place *place)
{
    const struct scan *scan = scanner->scan;
    for (size_t i = 0; i < scan->section_count && !config_section(kind)->titled; i++)
        if (scan->sections[i].kind == kind) {
            report_add(scanner->report, place, "%s is there twice: the first time in %s:%u",
                       config_section(kind)->name, scan->sections[i].place.file,
                       scan->sections[i].place.line);
            scanner->mute = true;
            return;
        }
}

static bool begin_section(struct scanner *scanner, enum section_kind kind,
                          const struct place *place)
{
    const struct section *section = config_section(kind);
    struct token title = {.line = place->line, .raw = SPAN("\"\"")};
    if (!read_title(scanner, section, place, &title) || !take_mark(scanner, '{', "\"{\""))
        return false;
    check_only(scanner, kind, place);
    put(scanner, place->line, span_of(section->name));
    put(scanner, place->line, SPAN("{ " CONFIG_TITLE " ="));
    put(scanner, place->line, title.raw);
    scanner->section = add_section(scanner, kind, place);
    scanner->scan->sections[scanner->section].muted = scanner->mute;
    return true;
}

static void end_section(struct scanner *scanner)
{
    put_token(scanner);
    lexer_next(scanner->lexer);
    scanner->section = 0;
    scanner->mute = false;
}

/* ---- include("FILE") ---- */

/* NULL with `why` set. */
static char *load(struct arena *arena, const char *path, size_t *length, const char **why)
{
    char *text = NULL;
    FILE *file = fopen(path, "re");
    *why = strerror(errno);
    if (file == NULL)
        return NULL;
    struct buffer content CLEANUP(buffer_free) = {0};
    errno = 0;
    for (size_t got = 1; got > 0 && buffer_length(&content) <= CONFIG_BYTES_MAX;) {
        got = fread(buffer_room(&content, 65536), 1, 65536, file);
        buffer_grew(&content, got);
    }
    *why = ferror(file) ? strerror(errno) : "it is too large";
    if (!ferror(file) && buffer_length(&content) <= CONFIG_BYTES_MAX) {
        *length = buffer_length(&content);
        text = arena_copy(arena, buffer_span(&content));
    }
    fclose(file);
    return text;
}

/* Takes the text in hand, before the rest of the one that was. */
static void begin_text(struct scanner *scanner, const char *name, struct span text)
{
    scanner->file_count++;
    scanner->lexer = &scanner->files[scanner->depth++];
    *scanner->lexer = (struct lexer){
        .file = name, .line = 1, .report = scanner->report, .order = &scanner->order, .rest = text};
    lexer_next(scanner->lexer);
}

/* `place` is where the file is named. */
static void begin_file(struct scanner *scanner, const char *path, const struct place *place)
{
    const char *why;
    struct span text;
    text.data = load(&scanner->scan->arena, path, &text.length, &why);
    if (text.data != NULL)
        begin_text(scanner, path, text);
    else if (place->line > 0)
        report_add(scanner->report, place, "cannot read %s: %s", path, why);
    else
        report_add(scanner->report, place, "cannot read this file: %s", why);
}

static void end_file(struct scanner *scanner)
{
    scanner->depth--;
    scanner->lexer = scanner->depth > 0 ? &scanner->files[scanner->depth - 1] : NULL;
}

/* Relative names start from the directory of the file that includes. */
static const char *include_path(struct scanner *scanner, struct span name)
{
    struct arena *arena = &scanner->scan->arena;
    const char *slash = strrchr(scanner->lexer->file, '/');
    if (slash == NULL || (name.length > 0 && name.data[0] == '/'))
        return arena_copy(arena, name);
    return arena_print(arena, "%.*s/%.*s", (int)(slash - scanner->lexer->file),
                       scanner->lexer->file, SPAN_FORMAT(name));
}

static bool read_include(struct scanner *scanner, const struct place *place)
{
    struct lexer *lexer = scanner->lexer;
    if (!take_mark(scanner, '(', "\"(\""))
        return false;
    if (!lexer_at_text(lexer))
        return broken(scanner, "the name of a file in quotes");
    const char *path = include_path(scanner, lexer->token.text);
    lexer_next(lexer);
    if (!take_mark(scanner, ')', "\")\""))
        return false;
    if (scanner->depth == CONFIG_DEPTH_MAX || scanner->file_count == CONFIG_FILES_MAX)
        report_add(scanner->report, place, "too many includes: does a file include itself?");
    else
        begin_file(scanner, path, place);
    return true;
}

/* ---- all of it ---- */

static bool read_statement(struct scanner *scanner)
{
    struct lexer *lexer = scanner->lexer;
    if (!lexer_at_text(lexer))
        return broken(scanner, lexer_at_mark(lexer, '}') ? "the \"{\" to this" : "a name");
    struct place place = {lexer->file, lexer->token.line, ++scanner->order};
    struct span name = lexer->token.text;
    enum section_kind here = kind_in_hand(scanner);
    const struct key *key = config_key_find(here, name);
    enum section_kind inner = config_section_find(name);
    lexer_next(lexer);
    if (here == SECTION_TOP && span_equal(name, SPAN("include")))
        return read_include(scanner, &place);
    if (key != NULL)
        return read_setting(scanner, key, &place);
    if (here == SECTION_TOP && inner != SECTION_TOP)
        return begin_section(scanner, inner, &place);
    report_unknown(scanner, name, &place);
    return skip_statement(scanner);
}

static bool end_in_section(struct scanner *scanner)
{
    const struct scan_section *section = &scanner->scan->sections[scanner->section];
    report_add(scanner->report, &section->place, "%s { has no end: \"}\" is missing",
               config_section(section->kind)->name);
    scanner->scan->broken = true;
    return false;
}

/* False when nothing more can be read. */
static bool read_next(struct scanner *scanner)
{
    bool in_section = scanner->section > 0;
    if (in_section && scanner->lexer->token.kind == TOKEN_END)
        return end_in_section(scanner);
    if (in_section && lexer_at_mark(scanner->lexer, '}'))
        end_section(scanner);
    else if (scanner->lexer->token.kind == TOKEN_END)
        end_file(scanner);
    else
        return read_statement(scanner);
    return true;
}

static bool read_to_the_end(struct scanner *scanner)
{
    while (scanner->depth > 0)
        if (!read_next(scanner))
            return false;
    return true;
}

void scan_read(struct scan *scan, const char *path, const struct builtin *builtin,
               struct report *report)
{
    *scan = (struct scan){0};
    struct place start = {.file = path ? arena_copy(&scan->arena, span_of(path)) : "defaults"};
    struct scanner scanner = {.scan = scan, .report = report};
    add_section(&scanner, SECTION_TOP, &start);
    begin_line(scan, &start);
    if (path != NULL)
        begin_file(&scanner, start.file, &start);
    if (read_to_the_end(&scanner)) {
        begin_text(&scanner, builtin->name, span_of(builtin->text));
        must(read_to_the_end(&scanner));
    }
    buffer_append(&scan->text, (struct span){"\n", 2}); /* its NUL too */
}

void scan_free(struct scan *scan)
{
    buffer_free(&scan->text);
    free(scan->lines);
    free(scan->sections);
    free(scan->entries);
    arena_free(&scan->arena);
}
