#include "relay/users.h"

#include "tests/relay/scratch.h"
#include "tests/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* RFC 7677 3: the password is "pencil". */
#define KEYS                                                                                       \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"   \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
/* As `gsasl --mkpasswd` writes it, for "secret". */
#define OTHER_KEYS                                                                                 \
    "{SCRAM-SHA-256}65536,Y6IjK0JF3L106yPu,s6BkLIcY4C2EFzj9DyJG3MQ7kQkKuKHbiuTL5bOixVM=,"          \
    "tIh86Un299+lZ6m1ONXIIOyxjJoxHY4oyCmYdqvqSrg="
#define NAME_129                                                                                   \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct users *read_fine(const char *text)
{
    struct buffer errors = {0};
    struct users *users = users_parse("u", span_of(text), &errors);
    ck_assert_msg(users != NULL, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    ck_assert_uint_eq(buffer_length(&errors), 0);
    buffer_free(&errors);
    return users;
}

START_TEST(passwords)
{
    static const struct {
        const char *name, *password;
        bool fits;
    } rows[] = {
        {"user", "pencil", true},
        {"user", "pencil ", false},
        {"user", "", false},
        {"USER", "pencil", false},
        {"use", "pencil", false},
        {"", "pencil", false},
        {"app@corp", "secret", true},
        {"app@corp", "pencil", false},
        {"nobody", "pencil", false},
        {"user", "\xf0\x9f\x94\x91", false}, /* not assigned in Unicode 3.2 */
    };
    struct users *users CLEANUP(users_drop) =
        read_fine("# a comment\n\nuser:" KEYS "\r\napp@corp:" OTHER_KEYS);
    for (size_t i = 0; i < countof(rows); i++) {
        const char *name = rows[i].name, *password = rows[i].password;
        ck_assert(!users_recall(users, name, password, 1000));
        ck_assert_msg(users_check(users, name, password, 1000) == rows[i].fits, "row %zu", i);
        ck_assert_msg(users_recall(users, name, password, 1001) == rows[i].fits, "row %zu", i);
    }
}
END_TEST

START_TEST(a_password_is_known_for_a_while)
{
    struct users *users CLEANUP(users_drop) = read_fine("user:" KEYS "\n");
    ck_assert(users_check(users, "user", "pencil", 1000));
    ck_assert(users_recall(users, "user", "pencil", 1000 + USERS_KNOWN_MS - 1));
    ck_assert(!users_recall(users, "user", "pencil", 1000 + USERS_KNOWN_MS));
    ck_assert(!users_recall(users, "user", "pencils", 1001));
    ck_assert(!users_recall(users, "users", "pencil", 1001));
    ck_assert(!users_check(users, "user", "wrong", 1001));
    ck_assert(users_recall(users, "user", "pencil", 1001)); /* a wrong one forgets nothing */
}
END_TEST

/* ---- strangers ---- */

static bool same_credentials(const struct credentials *a, const struct credentials *b)
{
    return a->iterations == b->iterations && a->salt_length == b->salt_length &&
           memcmp(a->salt, b->salt, a->salt_length) == 0 &&
           scram_keys_equal(a->keys.stored, b->keys.stored) &&
           scram_keys_equal(a->keys.server, b->keys.server);
}

START_TEST(a_stranger_is_given_what_looks_right)
{
    struct credentials real, one, again, two, restarted, elsewhere;
    struct users *users CLEANUP(users_drop) = read_fine("user:" KEYS "\napp:" OTHER_KEYS "\n");
    struct users *later CLEANUP(users_drop) = read_fine("user:" KEYS "\nnew:" OTHER_KEYS "\n");
    struct users *other CLEANUP(users_drop) = read_fine("user:" OTHER_KEYS "\n");
    users_credentials(users, "user", &real);
    users_credentials(users, "one", &one);
    users_credentials(users, "one", &again);
    users_credentials(users, "two", &two);
    users_credentials(later, "one", &restarted);
    users_credentials(other, "one", &elsewhere);
    ck_assert_uint_eq(one.iterations, real.iterations);
    ck_assert_uint_eq(one.salt_length, real.salt_length);
    ck_assert(same_credentials(&one, &again));
    ck_assert(same_credentials(&one, &restarted));
    ck_assert(!same_credentials(&one, &real));
    ck_assert(memcmp(one.salt, two.salt, one.salt_length) != 0);
    ck_assert(memcmp(one.salt, elsewhere.salt, elsewhere.salt_length) != 0);
}
END_TEST

START_TEST(an_empty_file_lets_nobody_in)
{
    struct credentials credentials;
    struct users *users CLEANUP(users_drop) = read_fine("");
    users_credentials(users, "user", &credentials);
    ck_assert_uint_eq(credentials.iterations, USERS_ITERATIONS);
    ck_assert(!users_check(users, "user", "pencil", 1));
    ck_assert(!users_have(users, "user") && !users_have_clear(users));
}
END_TEST

START_TEST(passwords_in_clear)
{
    struct users *users CLEANUP(users_drop) =
        read_fine("user:" KEYS "\ncram:" KEYS ":{CLEAR}pen:cil\n");
    ck_assert(users_have_clear(users));
    ck_assert_str_eq(users_clear(users, "cram"), "pen:cil");
    ck_assert_str_eq(users_clear(users, "user"), users_clear(users, "nobody"));
    ck_assert_uint_ge(strlen(users_clear(users, "nobody")), 40);
    struct users *others CLEANUP(users_drop) = read_fine("");
    ck_assert_str_ne(users_clear(users, "nobody"), users_clear(others, "nobody"));
}
END_TEST

/* ---- what is wrong with a file ---- */

#define NOT_KEYS(line, name)                                                                       \
    "u:" line ": user " name ": not {SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY with 4096 " \
    "to 1000000 iterations: make them anew with millrace passwd " name "\n"
#define NO_NAME(why) "u:1: not a user's name: " why "\n"
#define S "W22ZaJ0SNY7soEsUEjb6gQ=="
#define K "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="

START_TEST(faults)
{
    static const struct {
        const char *text, *errors;
    } rows[] = {
        {"secret\n", "u:1: not NAME:{SCRAM-SHA-256}…: make it with millrace passwd NAME\n"},
        {":" KEYS, NO_NAME("it is empty")},
        {" a:" KEYS, NO_NAME("it must not begin or end with a blank")},
        {"a :" KEYS, NO_NAME("it must not begin or end with a blank")},
        {"a\tb:" KEYS, NO_NAME("it holds characters that no name has (RFC 4013)")},
        {"a\xff:" KEYS, NO_NAME("it holds characters that no name has (RFC 4013)")},
        {"\xc2\xaa:" KEYS, NO_NAME("it holds characters that no name has (RFC 4013)")},
        {NAME_129 ":" KEYS, NO_NAME("it has more than 128 bytes")},
        {"a:secret\nb:{PLAIN}secret", NOT_KEYS("1", "a") NOT_KEYS("2", "b")},
        {"a:", NOT_KEYS("1", "a")},
        {"a:{SCRAM-SHA-256}4095," S "," K "," K, NOT_KEYS("1", "a")},
        {"a:{SCRAM-SHA-256}1000001," S "," K "," K, NOT_KEYS("1", "a")},
        {"a:{SCRAM-SHA-256}4096,," K "," K, NOT_KEYS("1", "a")},
        {"a:{SCRAM-SHA-256}4096," S "," K, NOT_KEYS("1", "a")},
        {"a:{SCRAM-SHA-256}4096," S "," S "," K, NOT_KEYS("1", "a")},
        {"a:{SCRAM-SHA-256}4096," S "," K "," S, NOT_KEYS("1", "a")},
        {"a:{SCRAM-SHA-256}4096," S "," K "," K ",", NOT_KEYS("1", "a")},
        {"a:{SCRAM-SHA-256}4096,!," K "," K, NOT_KEYS("1", "a")},
        {"a:" KEYS ":pencil",
         "u:1: user a: what stands behind the credentials is not {CLEAR}PASSWORD\n"},
        {"a:" KEYS ":{CLEAR}",
         "u:1: user a: what stands behind the credentials is not {CLEAR}PASSWORD\n"},
        {"a:" KEYS "\n#\na:" KEYS ":{CLEAR}x", "u:3: user a is there twice, in line 1 already\n"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer errors CLEANUP(buffer_free) = {0};
        ck_assert(users_parse("u", span_of(rows[i].text), &errors) == NULL);
        ck_assert_msg(span_equal(buffer_span(&errors), span_of(rows[i].errors)),
                      "row %zu:\n%.*s--- but should be:\n%s", i, SPAN_FORMAT(buffer_span(&errors)),
                      rows[i].errors);
    }
}
END_TEST

START_TEST(many_faults_are_counted)
{
    struct buffer text CLEANUP(buffer_free) = {0}, errors CLEANUP(buffer_free) = {0};
    for (int i = 0; i < 50; i++)
        buffer_print(&text, "x\n");
    ck_assert(users_parse("u", buffer_span(&text), &errors) == NULL);
    buffer_append(&errors, (struct span){"", 1});
    ck_assert(strstr(buffer_span(&errors).data, "u:20: ") != NULL);
    ck_assert(strstr(buffer_span(&errors).data, "u:21: ") == NULL);
    ck_assert(strstr(buffer_span(&errors).data, "\nu: and 30 more\n") != NULL);
}
END_TEST

START_TEST(a_file_is_its_owners)
{
    static const struct {
        mode_t mode;
        const char *error; /* behind the file's name */
    } rows[] = {
        {0600, NULL},
        {0400, NULL},
        {0640, "others may use it (mode 0640): chmod 600 "},
        {0604, "others may use it (mode 0604): chmod 600 "},
        {0620, "others may use it (mode 0620): chmod 600 "},
    };
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    char path[SCRATCH_FILE_MAX], wanted[SCRATCH_FILE_MAX * 3];
    snprintf(path, sizeof(path), "%s/users", scratch.path);
    FILE *file = fopen(path, "w");
    fputs("user:" KEYS "\n", file);
    fclose(file);
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer errors CLEANUP(buffer_free) = {0};
        ck_assert_int_eq(chmod(path, rows[i].mode), 0);
        struct users *users CLEANUP(users_drop) = users_read(path, "c:3", &errors);
        snprintf(wanted, sizeof(wanted), "c:3: users %s: %s%s\n", path,
                 rows[i].error ? rows[i].error : "", path);
        ck_assert_int_eq(users != NULL, rows[i].error == NULL);
        if (rows[i].error != NULL)
            ck_assert_msg(span_equal(buffer_span(&errors), span_of(wanted)), "%.*s",
                          SPAN_FORMAT(buffer_span(&errors)));
    }
}
END_TEST

START_TEST(what_is_no_file)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct buffer errors CLEANUP(buffer_free) = {0};
    char path[SCRATCH_FILE_MAX];
    ck_assert(users_read(scratch.path, "c:3", &errors) == NULL);
    snprintf(path, sizeof(path), "%s/none", scratch.path);
    ck_assert(users_read(path, "c:4", &errors) == NULL);
    buffer_append(&errors, (struct span){"", 1});
    ck_assert(strstr(buffer_span(&errors).data, "it is not a file\n") != NULL);
    ck_assert(strstr(buffer_span(&errors).data, "No such file or directory\n") != NULL);
}
END_TEST

/* ---- writing ---- */

START_TEST(what_is_written_is_read)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    users_line_write("ann", "pass:word", SPAN("0123456789abcdef"), false, &text);
    users_line_write("bob", "pass:word", SPAN("0123456789abcdef"), true, &text);
    buffer_append(&text, (struct span){"", 1});
    struct users *users CLEANUP(users_drop) = read_fine(buffer_span(&text).data);
    ck_assert(users_check(users, "ann", "pass:word", 1));
    ck_assert(users_check(users, "bob", "pass:word", 1));
    ck_assert_str_eq(users_clear(users, "bob"), "pass:word");
    ck_assert_str_ne(users_clear(users, "ann"), "pass:word");
}
END_TEST

/* ---- editing the file ---- */

#define OLD "# ours\n\nann:" KEYS "\r\nbob:" OTHER_KEYS

START_TEST(edits)
{
    static const struct {
        const char *before, *name, *line; /* before NULL: there is no file */
        enum users_edited edited;
        const char *after, *errors; /* after NULL: as before */
    } rows[] = {
        {NULL, "ann", "ann:" KEYS "\n", USERS_EDITED, "ann:" KEYS "\n", ""},
        {"", "ann", "ann:" KEYS "\n", USERS_EDITED, "ann:" KEYS "\n", ""},
        {OLD, "ann", "ann:" OTHER_KEYS "\n", USERS_EDITED,
         "# ours\n\nann:" OTHER_KEYS "\nbob:" OTHER_KEYS "\n", ""},
        {OLD, "bob", "bob:" KEYS "\n", USERS_EDITED, "# ours\n\nann:" KEYS "\nbob:" KEYS "\n", ""},
        {OLD, "an", "an:" KEYS "\n", USERS_EDITED,
         "# ours\n\nann:" KEYS "\nbob:" OTHER_KEYS "\nan:" KEYS "\n", ""},
        {OLD, "ann", "", USERS_EDITED, "# ours\n\nbob:" OTHER_KEYS "\n", ""},
        {OLD, "# ours", "", USERS_NOT_THERE, NULL, ""},
        {OLD, "eve", "", USERS_NOT_THERE, NULL, ""},
        {"x\nann:" KEYS, "ann", "ann:" OTHER_KEYS "\n", USERS_NOT_EDITED, NULL,
         ":1: not NAME:{SCRAM-SHA-256}…: make it with millrace passwd NAME\n"},
        /* one that is there twice is there once then */
        {"ann:" KEYS "\nann:" KEYS, "ann", "ann:" OTHER_KEYS "\n", USERS_EDITED,
         "ann:" OTHER_KEYS "\n", ""},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
        struct buffer errors CLEANUP(buffer_free) = {0};
        char path[SCRATCH_FILE_MAX], text[4096] = "";
        struct stat facts;
        scratch_name(&scratch, "users", path);
        if (rows[i].before != NULL)
            scratch_write(&scratch, "users", span_of(rows[i].before));
        enum users_edited edited =
            users_edit(path, "/nowhere", rows[i].name, span_of(rows[i].line), &errors);
        ck_assert_msg(edited == rows[i].edited, "row %zu: %d", i, (int)edited);
        struct span said = buffer_span(&errors);
        size_t length = strlen(rows[i].errors);
        ck_assert_msg(said.length >= length && span_equal(span_skip(said, said.length - length),
                                                          span_of(rows[i].errors)),
                      "row %zu: %.*s", i, SPAN_FORMAT(said));
        FILE *file = fopen(path, "r");
        ck_assert(file != NULL && fread(text, 1, sizeof(text) - 1, file) < sizeof(text) - 1);
        ck_assert_int_eq(fstat(fileno(file), &facts), 0);
        fclose(file);
        ck_assert_str_eq(text, rows[i].after ? rows[i].after : rows[i].before);
        if (edited == USERS_EDITED)
            ck_assert_uint_eq(facts.st_mode & 07777, 0600);
    }
}
END_TEST

START_TEST(an_edit_leaves_a_link_and_nothing_else)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct buffer errors CLEANUP(buffer_free) = {0};
    char path[SCRATCH_FILE_MAX], link[SCRATCH_FILE_MAX], none[SCRATCH_FILE_MAX];
    struct stat facts;
    scratch_write(&scratch, "users", SPAN(OLD));
    scratch_name(&scratch, "link", link);
    ck_assert_int_eq(symlink(scratch_name(&scratch, "users", path), link), 0);
    ck_assert_int_eq(users_edit(link, "/", "ann", SPAN(""), &errors), USERS_EDITED);
    ck_assert(lstat(link, &facts) == 0 && S_ISLNK(facts.st_mode));
    ck_assert(stat(path, &facts) == 0 && facts.st_size == sizeof("# ours\n\nbob:" OTHER_KEYS));
    ck_assert_int_eq(
        users_edit(scratch_name(&scratch, "none", none), "/", "ann", SPAN(""), &errors),
        USERS_NOT_EDITED);
    ck_assert_int_eq(stat(none, &facts), -1);
    ck_assert_int_eq(users_edit("/nowhere/users", "/", "a", SPAN("a:" KEYS "\n"), &errors),
                     USERS_NOT_EDITED);
    unlink(link);
    unlink(path);
    ck_assert_int_eq(rmdir(scratch.path), 0); /* no temporary file is left */
    ck_assert_int_eq(mkdir(scratch.path, 0700), 0);
}
END_TEST

START_TEST(a_new_file_is_whose_the_model_is)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct buffer errors CLEANUP(buffer_free) = {0};
    char path[SCRATCH_FILE_MAX], model[SCRATCH_FILE_MAX];
    struct stat facts;
    if (geteuid() != 0)
        return; /* nobody else can give a file away */
    scratch_write(&scratch, "model", SPAN(""));
    ck_assert_int_eq(chown(scratch_name(&scratch, "model", model), 64000, 64001), 0);
    scratch_name(&scratch, "users", path);
    ck_assert_int_eq(users_edit(path, model, "ann", SPAN("ann:" KEYS "\n"), &errors), USERS_EDITED);
    ck_assert(stat(path, &facts) == 0 && facts.st_uid == 64000 && facts.st_gid == 64001);
    ck_assert_int_eq(chown(path, 64002, 64003), 0);
    ck_assert_int_eq(users_edit(path, model, "bob", SPAN("bob:" KEYS "\n"), &errors), USERS_EDITED);
    ck_assert(stat(path, &facts) == 0 && facts.st_uid == 64002 && facts.st_gid == 64003);
}
END_TEST

START_TEST(names_of_lines)
{
    static const struct {
        struct span line;
        const char *name;
    } rows[] = {{SPAN("ann:x"), "ann"}, {SPAN("ann"), ""}, {SPAN("# ann:x"), ""},
                {SPAN(""), ""},         {SPAN(":x"), ""},  {SPAN("a b:c:d"), "a b"}};
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert(span_equal(users_line_name(rows[i].line), span_of(rows[i].name)));
}
END_TEST

TEST_MAIN("relay/users", passwords, a_password_is_known_for_a_while,
          a_stranger_is_given_what_looks_right, an_empty_file_lets_nobody_in, passwords_in_clear,
          faults, many_faults_are_counted, a_file_is_its_owners, what_is_no_file,
          what_is_written_is_read, edits, an_edit_leaves_a_link_and_nothing_else,
          a_new_file_is_whose_the_model_is, names_of_lines)
