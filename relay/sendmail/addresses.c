#include "relay/sendmail/addresses.h"

#include "base/buffer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- the set ---- */

/* Local parts are told apart by case (RFC 5321 2.4), domains are not. */
static uint64_t hash_of(const void *item)
{
    return span_hash_nocase(span_of(item));
}

static bool is_same(const void *item, const void *key)
{
    struct span a = span_of(item), b = span_of(key);
    const char *at = strrchr(a.data, '@');
    size_t local = at ? (size_t)(at - a.data) : a.length;
    return span_equal_nocase(a, b) && memcmp(a.data, b.data, local) == 0;
}

void addresses_init(struct address_list *addresses, const char *origin)
{
    *addresses = (struct address_list){.origin = origin};
    map_init(&addresses->known, hash_of, is_same);
}

void addresses_free(struct address_list *addresses)
{
    map_free(&addresses->known);
    free(addresses->items);
    arena_free(&addresses->arena);
}

static const char *add(struct address_list *addresses, struct span text)
{
    unsigned count = addresses->count;
    char *address = arena_copy(&addresses->arena, text);
    if (map_find(&addresses->known, hash_of(address), address) != NULL)
        return NULL;
    if (count == ADDRESSES_MAX)
        return "more addresses than anybody can mean";
    if ((count & (count - 1)) == 0) /* 0, 1, 2, 4, …: room for twice as many */
        addresses->items =
            must_realloc(addresses->items, (count ? count * 2 : 1) * sizeof(*addresses->items));
    addresses->items[addresses->count++] = address;
    map_add(&addresses->known, address);
    return NULL;
}

/* ---- tokens (RFC 5322 3.2) ---- */

enum token_kind {
    TOKEN_WORD,    /* an atom, with the dots in it; UTF-8 is as good as letters (RFC 6532 3.2) */
    TOKEN_QUOTED,  /* with its quotes */
    TOKEN_LITERAL, /* with its brackets */
    TOKEN_SPECIAL, /* one of < > , ; : @ */
    TOKEN_ODD,     /* what has no business in an address, but is met in names */
    TOKEN_END,
};

struct reader {
    struct address_list *addresses;
    struct span rest;
    enum token_kind kind; /* of the token at hand, */
    struct span token;    /* and its text */
    const char *fault;    /* NULL: all is well so far */
    bool in_group;

    /* The words that were read: a name, or a local part. */
    struct buffer words;
    unsigned word_count; /* those joined by a dot are one */
    bool only_name;      /* there is something in them that no local part has */

    struct buffer address; /* empty: none was met yet */
};

static bool is_one_of(char c, const char *characters)
{
    return c != '\0' && strchr(characters, c) != NULL;
}

static bool is_atext(char c)
{
    return isalnum((unsigned char)c) || (c & 0x80) || is_one_of(c, "!#$%&'*+-/=?^_`{|}~.");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* How long the text is from its opening to its closing character, both included; 0 when it does
 * not close. "\x" stands for any x. */
static size_t enclosed(struct span text, char open, char close)
{
    size_t depth = 1;
    for (size_t i = 1; i < text.length; i++) {
        char c = text.data[i];
        if (c == '\\')
            i++;
        else if (c == close && --depth == 0) /* looked at first: a quote opens as it closes */
            return i + 1;
        else if (c == open)
            depth++;
    }
    return 0;
}

static void find_fault(struct reader *reader, const char *fault)
{
    if (reader->fault == NULL)
        reader->fault = fault;
    reader->kind = TOKEN_END;
}

static void skip_blanks_and_comments(struct reader *reader)
{
    while (reader->rest.length > 0) {
        size_t length = is_blank(reader->rest.data[0]);
        if (reader->rest.data[0] == '(') {
            length = enclosed(reader->rest, '(', ')');
            if (length == 0)
                find_fault(reader, "a comment without its )");
        }
        if (length == 0)
            return;
        reader->rest = span_skip(reader->rest, length);
    }
}

static size_t measure(struct reader *reader)
{
    struct span rest = reader->rest;
    size_t length = 0;
    while (length < rest.length && is_atext(rest.data[length]))
        length++;
    reader->kind = TOKEN_WORD;
    if (length > 0)
        return length;
    bool quote = rest.data[0] == '"';
    if (quote || rest.data[0] == '[')
        length = enclosed(rest, rest.data[0], quote ? '"' : ']');
    reader->kind = quote ? TOKEN_QUOTED : TOKEN_LITERAL;
    if (length > 0)
        return length;
    if (quote)
        find_fault(reader, "a quote without its end");
    else
        reader->kind = is_one_of(rest.data[0], "<>,;:@") ? TOKEN_SPECIAL : TOKEN_ODD;
    return 1;
}

static void next_token(struct reader *reader)
{
    if (reader->fault == NULL)
        skip_blanks_and_comments(reader);
    if (reader->fault != NULL || reader->rest.length == 0) {
        reader->kind = TOKEN_END;
        return;
    }
    size_t length = measure(reader);
    reader->token = (struct span){reader->rest.data, length};
    reader->rest = span_skip(reader->rest, length);
}

static bool is_special(const struct reader *reader, char c)
{
    return reader->kind == TOKEN_SPECIAL && reader->token.data[0] == c;
}

static bool at_end(const struct reader *reader)
{
    return reader->kind == TOKEN_END || is_special(reader, ',') || is_special(reader, ';');
}

/* ---- words ---- */

static void forget_words(struct reader *reader)
{
    buffer_clear(&reader->words);
    reader->word_count = 0;
    reader->only_name = false;
}

static bool joins(const struct buffer *before, struct span token)
{
    struct span text = buffer_span(before);
    if (text.data == NULL || text.length == 0)
        return false;
    return text.data[text.length - 1] == '.' || token.data[0] == '.';
}

static bool is_printable(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
            return false;
    return true;
}

/* The token at hand is one more word. */
static void take_word(struct reader *reader)
{
    bool word = reader->kind == TOKEN_WORD || reader->kind == TOKEN_QUOTED;
    if (!word || !is_printable(reader->token))
        reader->only_name = true;
    if (!joins(&reader->words, reader->token))
        reader->word_count++;
    buffer_append(&reader->words, reader->token);
    next_token(reader);
}

static bool is_local_part(const struct reader *reader)
{
    return reader->word_count == 1 && !reader->only_name;
}

/* ---- addresses (RFC 5322 3.4.1) ---- */

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 4.1.3) */
static bool is_plain_literal(struct span literal)
{
    for (size_t i = 1; i + 1 < literal.length; i++)
        if (!isalnum((unsigned char)literal.data[i]) && !is_one_of(literal.data[i], ":.-"))
            return false;
    return true;
}

/* Behind the '@'. */
static void read_domain(struct reader *reader)
{
    struct buffer *address = &reader->address;
    size_t before = buffer_length(address);
    if (reader->kind == TOKEN_LITERAL && is_plain_literal(reader->token)) {
        buffer_append(address, reader->token);
        next_token(reader);
        return;
    }
    while (reader->kind == TOKEN_WORD &&
           (buffer_length(address) == before || joins(address, reader->token))) {
        buffer_append(address, reader->token);
        next_token(reader);
    }
    if (buffer_length(address) == before)
        find_fault(reader, "an address with nothing behind its @");
}

/* The words are the local part; the token at hand is the '@', or behind an address without one. */
static void take_address(struct reader *reader)
{
    buffer_clear(&reader->address);
    buffer_append(&reader->address, buffer_span(&reader->words));
    buffer_append(&reader->address, SPAN("@"));
    if (is_special(reader, '@')) {
        next_token(reader);
        read_domain(reader);
    } else {
        buffer_append(&reader->address, span_of(reader->addresses->origin));
    }
    forget_words(reader);
}

/* "@a.test,@b.test:" has had no meaning for long (RFC 5321 appendix C). */
static void skip_route(struct reader *reader)
{
    while (is_special(reader, '@') || is_special(reader, ',') || reader->kind == TOKEN_WORD)
        next_token(reader);
    if (is_special(reader, ':'))
        next_token(reader);
    else
        find_fault(reader, "a source route without its :");
}

/* The token at hand is the '<'. What stood before it was a name. */
static void read_angle(struct reader *reader)
{
    forget_words(reader);
    next_token(reader);
    if (is_special(reader, '@'))
        skip_route(reader);
    while (reader->kind != TOKEN_SPECIAL && reader->kind != TOKEN_END)
        take_word(reader);
    if (is_local_part(reader))
        take_address(reader);
    else
        find_fault(reader, "no address between < and >");
    if (!is_special(reader, '>'))
        find_fault(reader, "an address without its >");
    next_token(reader);
    if (!at_end(reader))
        find_fault(reader, "no comma behind an address in < and >");
}

static void begin_group(struct reader *reader)
{
    if (reader->in_group || buffer_length(&reader->address) > 0)
        find_fault(reader, "a : where no group can begin");
    reader->in_group = true;
    forget_words(reader);
    next_token(reader);
}

/* One token outside of < and >. */
static void read_outside(struct reader *reader)
{
    if (is_special(reader, '<'))
        read_angle(reader); /* and "a@b <a@b>" is met too: then that before was a name */
    else if (is_special(reader, ':'))
        begin_group(reader);
    else if (is_special(reader, '>'))
        find_fault(reader, "a > without its <");
    else if (is_special(reader, '@') && is_local_part(reader) &&
             buffer_length(&reader->address) == 0)
        take_address(reader);
    else
        take_word(reader);
}

static void end_address(struct reader *reader)
{
    if (reader->word_count > 0 && buffer_length(&reader->address) == 0 && is_local_part(reader))
        take_address(reader);
    if (reader->word_count > 0)
        find_fault(reader, "words that are no address");
    if (buffer_length(&reader->address) > ADDRESS_BYTES_MAX)
        find_fault(reader, "an address that is too long");
    if (reader->fault == NULL && buffer_length(&reader->address) > 0)
        reader->fault = add(reader->addresses, buffer_span(&reader->address));
    buffer_clear(&reader->address);
    forget_words(reader);
}

const char *addresses_read(struct address_list *addresses, struct span text)
{
    struct reader reader = {.addresses = addresses, .rest = text};
    next_token(&reader);
    for (;;) {
        while (!at_end(&reader))
            read_outside(&reader);
        end_address(&reader);
        if (reader.kind == TOKEN_END)
            break;
        if (is_special(&reader, ';'))
            reader.in_group = false;
        next_token(&reader);
    }
    buffer_free(&reader.words);
    buffer_free(&reader.address);
    return reader.fault;
}
