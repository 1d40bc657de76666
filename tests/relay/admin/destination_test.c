/* dest, explain and queue cat over the control socket. */
#include "tests/relay/admin/control_world.h"

START_TEST(destinations_are_listed)
{
    static const struct {
        const char *request;
        const char *names[4];
        bool more;
    } table[] = {
        {"{\"command\":\"dest list\"}", {"one.test", "sub.one.test", "two.test"}, false},
        {"{\"command\":\"dest list\",\"busiest\":true}",
         {"one.test", "sub.one.test", "two.test"},
         false},
        {"{\"command\":\"dest list\",\"limit\":2}", {"one.test", "sub.one.test"}, true},
        {"{\"command\":\"dest list\",\"domain\":\".one.test\"}", {"sub.one.test"}, false},
        {"{\"command\":\"dest list\",\"domain\":\"no.test\"}", {NULL}, false},
    };
    begin();
    for (size_t i = 0; i < countof(table); i++) {
        json_t *all = ask(table[i].request);
        size_t count = 0;
        for (; table[i].names[count] != NULL; count++)
            assert_text(all, count, "destination", table[i].names[count]);
        assert_number(all, count, "count", (json_int_t)count);
        ck_assert(json_is_true(json_object_get(json_array_get(all, count), "more")) ==
                  table[i].more);
        ck_assert_uint_eq(json_array_size(all), count + 2);
        json_decref(all);
    }
    end();
}
END_TEST

START_TEST(one_destination_in_full)
{
    begin();
    json_t *all = ask("{\"command\":\"dest show\",\"what\":\"ONE.test\"}");
    assert_text(all, 0, "destination", "one.test");
    assert_number(all, 0, "waiting", 1);
    assert_number(all, 0, "out", 1);
    assert_number(all, 0, "connections", 2);
    assert_number(all, 0, "max_connections", 20);
    assert_number(all, 0, "failures", 3);
    assert_text(all, 0, "back_off_until", "2026-11-21T13:10:05.123Z");
    assert_text(all, 0, "last_failure", "connection refused");
    assert_text(all, 0, "route", "MX");
    assert_text(all, 0, "tls", "encrypt (tls \"*\")");
    const json_t *hosts = json_object_get(json_array_get(all, 0), "hosts");
    const json_t *host = json_array_get(hosts, 0);
    ck_assert_str_eq(json_string_value(json_object_get(host, "name")), "mx.one.test");
    assert_text(hosts, 0, "tls", "verify");
    assert_text(hosts, 0, "tls_source", "sts");
    assert_text(hosts, 0, "refused", "not in its policy");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(host, "addresses"), 0)),
                     "192.0.2.1");
    json_decref(all);
    all = ask("{\"command\":\"dest show\",\"what\":\"sub.one.test\"}");
    assert_text(all, 0, "route", "route \".one.test\"");
    assert_text(all, 0, "back_off_until", NULL);
    json_decref(all);
    end();
}
END_TEST

START_TEST(mail_of_another_security_is_shown_apart)
{
    begin();
    json_t *all = ask("{\"command\":\"dest show\",\"what\":\"apart.test\"}");
    const json_t *others = json_object_get(json_array_get(all, 0), "others");
    assert_text(all, 0, "security", "usual");
    ck_assert_uint_eq(json_array_size(others), 1);
    assert_text(others, 0, "security", "required");
    assert_text(others, 0, "destination", "apart.test");
    json_decref(all);
    all = ask("{\"command\":\"dest show\",\"what\":\"one.test\"}");
    ck_assert_ptr_null(json_object_get(json_array_get(all, 0), "others"));
    json_decref(all);
    end();
}
END_TEST

/* What was said there is told when it is asked for, and harmless. */
START_TEST(how_sessions_failed)
{
    begin();
    json_t *all = ask("{\"command\":\"dest show\",\"what\":\"one.test\"}");
    ck_assert_ptr_null(json_object_get(json_array_get(all, 0), "last_failures"));
    json_decref(all);
    all = ask("{\"command\":\"dest show\",\"what\":\"one.test\",\"last_failures\":true}");
    const json_t *failures = json_object_get(json_array_get(all, 0), "last_failures");
    ck_assert_uint_eq(json_array_size(failures), 1);
    assert_text(failures, 0, "time", "2026-11-21T13:00:05.123Z");
    assert_text(failures, 0, "event", "tls-failed");
    assert_text(failures, 0, "outcome", "stalled");
    assert_text(failures, 0, "relay", "mx.one.test[192.0.2.1]:25");
    assert_text(failures, 0, "status", "4.7.5");
    assert_text(failures, 0, "why", "timed out in the TLS handshake");
    assert_text(failures, 0, "tls", "none:sts");
    assert_text(failures, 0, "tls_required", "verify");
    assert_number(failures, 0, "times", 3);
    const json_t *lines = json_object_get(json_array_get(failures, 0), "dialogue");
    assert_text(lines, 0, "by", "server");
    assert_text(lines, 0, "line", "220 mx?[2J");
    assert_text(lines, 1, "by", "relay");
    assert_text(lines, 1, "line", "STARTTLS");
    assert_number(lines, 1, "ms", 1500);
    ck_assert_uint_eq(json_array_size(lines), 2);
    json_decref(all);
    all = ask("{\"command\":\"dest show\",\"what\":\"two.test\",\"last_failures\":true}");
    ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(all, 0), "last_failures")), 0);
    json_decref(all);
    end();
}
END_TEST

START_TEST(a_pause_is_told_when_it_is_durable)
{
    begin();
    json_t *all = ask("{\"command\":\"dest pause\",\"what\":\"Nothing.test\",\"for_ms\":60000,"
                      "\"reason\":\"they asked\"}");
    ck_assert_str_eq(suspended.destination, "nothing.test");
    ck_assert_uint_eq(looks_until_durable, 0);
    ck_assert_int_eq(suspended.since_ms, NOW_MS);
    ck_assert_int_eq(suspended.until_ms, NOW_MS + 60000);
    assert_text(all, 0, "paused_until", "2026-11-21T13:01:05.123Z");
    assert_text(all, 0, "pause_reason", "they asked");
    json_decref(all);
    all = ask("{\"command\":\"dest pause\",\"what\":\"nothing.test\",\"reason\":\"still\"}");
    ck_assert_int_eq(suspended.until_ms, 0);
    assert_text(all, 0, "paused_until", NULL);
    ck_assert(json_is_true(json_object_get(json_array_get(all, 0), "paused")));
    json_decref(all);
    all = ask("{\"command\":\"dest resume\",\"what\":\"nothing.test\"}");
    ck_assert(json_is_false(json_object_get(json_array_get(all, 0), "paused")));
    json_decref(all);
    assert_failure("{\"command\":\"dest resume\",\"what\":\"nothing.test\"}", EX_DATAERR,
                   "not paused");
    end();
}
END_TEST

static bool explains(const json_t *all, size_t at, const char *words)
{
    size_t i;
    const json_t *line;
    json_array_foreach(json_object_get(json_array_get(all, at), "explanation"), i, line)
    {
        if (strstr(json_string_value(line), words) != NULL)
            return true;
    }
    return false;
}

START_TEST(what_is_explained)
{
    static const struct {
        const char *what;
        size_t at; /* which of the answer's objects */
        const char *words;
    } table[] = {
        {"0000000000034", 0, "from <a@app.test> to <x@one.test>, and arrived at 2026-11-21T12:58"},
        {"0000000000034", 0, "given up at 2026-11-26T12:58:34.623Z (in 119h): give-up = 5d"},
        {"0000000000034", 0, "next attempt is due at 2026-11-21T13:00:10.123Z (in 5s)"},
        {"0000000000034", 0,
         "tried 3 times. Last, mx.one.test[192.0.2.1]:25 said: 451 4.3.0 later"},
        {"0000000000034", 0, "back off until 2026-11-21T13:10:05.123Z (in 10m) after 3 failures"},
        {"0000000000034", 0, "TLS: encrypt, as tls \"*\" says"},
        {"0000000000034", 1, "ready, and waits for a connection"},
        {"0000000000034.1", 0, "ready, and waits for a connection"},
        {"0000000000068", 0, "A connection has it in hand now"},
        {"000000000009C", 0, "still reading its spool"},
        {"one.test", 0, "Of its envelopes 1 wait for their time, 1 are ready, 1 are out"},
        {"one.test", 0, "10 mx.one.test:25, 1 address, TLS: verify (sts)"},
        {"one.test", 0, "It is not used: not in its policy."},
        {"sub.one.test", 0, "those of route \".one.test\""},
        {"nothing.test", 0, "No mail for it is queued"},
        {"apart.test", 0, "security \"required\" (RFC 8689) goes there apart"},
    };
    begin();
    for (size_t i = 0; i < countof(table); i++) {
        char request[120];
        snprintf(request, sizeof(request), "{\"command\":\"explain\",\"what\":\"%s\"}",
                 table[i].what);
        json_t *all = ask(request);
        char *text = json_dumps(all, 0);
        ck_assert_msg(explains(all, table[i].at, table[i].words), "%s: no \"%s\" in %s",
                      table[i].what, table[i].words, text);
        free(text);
        json_decref(all);
    }
    assert_failure("{\"command\":\"explain\",\"what\":\"0000000000001\"}", EX_DATAERR,
                   "not in the queue");
    assert_failure("{\"command\":\"explain\",\"what\":\"-\"}", EX_USAGE, "neither");
    end();
}
END_TEST

START_TEST(a_pause_is_explained)
{
    begin();
    json_decref(ask("{\"command\":\"dest pause\",\"what\":\"one.test\",\"for_ms\":7200000,"
                    "\"reason\":\"they asked\"}"));
    json_t *all = ask("{\"command\":\"explain\",\"what\":\"0000000000034\"}");
    ck_assert(explains(all, 0, "paused until 2026-11-21T15:00:05.123Z (in 2h): they asked"));
    json_decref(all);
    end();
}
END_TEST

/* The bytes of the answer, and how it ended. */
static char *cat(const char *id, size_t *length, json_int_t *exit)
{
    char request[80];
    struct buffer bytes = {0};
    snprintf(request, sizeof(request), "{\"command\":\"queue cat\",\"ids\":[\"%s\"]}", id);
    json_t *all = ask(request);
    size_t i;
    const json_t *object;
    json_array_foreach(all, i, object)
    {
        const json_t *text = json_object_get(object, "bytes");
        struct span rest = {json_string_value(text), json_string_length(text)};
        for (uint32_t code; rest.length > 0;) {
            ck_assert(utf8_next(&rest, &code) && code < 256);
            char byte = (char)(uint8_t)code;
            buffer_append(&bytes, (struct span){&byte, 1});
        }
    }
    *exit = json_integer_value(json_object_get(last_of(all), "exit"));
    *length = buffer_length(&bytes);
    json_decref(all);
    return buffer_detach(&bytes);
}

START_TEST(a_message_byte_by_byte)
{
    size_t length;
    json_int_t exit;
    begin();
    char *bytes = cat("0000000000034", &length, &exit);
    ck_assert_uint_eq(length, 4096); /* the body again and again */
    for (size_t i = 0; i < length; i++)
        ck_assert_int_eq(bytes[i], body[i % (sizeof(body) - 1)]);
    ck_assert_int_eq(exit, EX_IOERR); /* its checksum is another */
    free(bytes);
    assert_failure("{\"command\":\"queue cat\",\"ids\":[\"0000000000001\"]}", EX_DATAERR,
                   "not in the queue");
    end();
}
END_TEST

TEST_MAIN("relay/admin/destination", destinations_are_listed, one_destination_in_full,
          how_sessions_failed, mail_of_another_security_is_shown_apart,
          a_pause_is_told_when_it_is_durable, what_is_explained, a_pause_is_explained,
          a_message_byte_by_byte)
