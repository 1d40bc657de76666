/* The control socket as a client sees it. */
#include "tests/relay/admin/control_world.h"

/* ---- list and show ---- */

START_TEST(an_envelope_in_full)
{
    begin();
    json_t *all = ask("{\"command\":\"queue list\"}");
    ck_assert_uint_eq(json_array_size(all), 6);
    assert_text(all, 0, "id", "0000000000034");
    assert_text(all, 1, "id", "0000000000034");
    assert_text(all, 1, "envelope", "0000000000034.1");
    assert_text(all, 0, "state", "waiting");
    assert_text(all, 0, "sender", "a@app.test");
    assert_text(all, 0, "destination", "one.test");
    assert_text(all, 0, "arrived", "2026-11-21T12:58:34.623Z");
    assert_text(all, 0, "due", "2026-11-21T13:00:10.123Z");
    assert_text(all, 0, "last_host", "mx.one.test[192.0.2.1]:25");
    assert_number(all, 0, "age_seconds", 90);
    assert_number(all, 0, "size", 4096);
    assert_number(all, 0, "attempts", 3);
    const json_t *recipients = json_object_get(json_array_get(all, 0), "recipients");
    ck_assert_uint_eq(json_array_size(recipients), 1);
    ck_assert_str_eq(json_string_value(json_array_get(recipients, 0)), "x@one.test");

    assert_text(all, 0, "last_reply", "451 4.3.0 later");    /* its own goes before the site's */
    assert_text(all, 1, "last_reply", "connection refused"); /* the site's last failure */
    assert_text(all, 1, "state", "ready");
    assert_text(all, 1, "due", NULL);
    assert_text(all, 2, "state", "out");
    assert_text(all, 2, "due", NULL);
    assert_text(all, 2, "last_reply", "");
    assert_text(all, 3, "state", "loading");
    assert_text(all, 3, "last_reply", "4.4.3 SERVFAIL"); /* local: no code */
    assert_text(all, 3, "due", "2026-11-21T13:00:04.123Z");
    assert_text(all, 3, "sender", "b\\xff@app.test"); /* no UTF-8: no JSON as it is */
    assert_number(all, 4, "count", 4);
    ck_assert(json_is_false(json_object_get(json_array_get(all, 4), "more")));
    json_decref(all);
    end();
}
END_TEST

START_TEST(filters)
{
    begin();
    assert_rows("{\"command\":\"queue list\",\"domain\":\"one.test\"}", (int[]){0, 2}, 2);
    assert_rows("{\"command\":\"queue list\",\"domain\":\".one.test\"}", (int[]){3}, 1);
    assert_rows("{\"command\":\"queue list\",\"sender\":\"<>\"}", (int[]){2}, 1);
    assert_rows("{\"command\":\"queue list\",\"recipient\":\"x@two.test\"}", (int[]){1}, 1);
    assert_rows("{\"command\":\"queue list\",\"state\":\"ready\"}", (int[]){1}, 1);
    assert_rows("{\"command\":\"queue list\",\"state\":\"loading\"}", (int[]){3}, 1);
    assert_rows("{\"command\":\"queue list\",\"older_than_ms\":90500}", (int[]){0, 1, 2, 3}, 4);
    assert_rows("{\"command\":\"queue list\",\"older_than_ms\":90501}", NULL, 0);
    assert_rows("{\"command\":\"queue list\",\"domain\":\"one.test\",\"state\":\"out\"}",
                (int[]){2}, 1);
    end();
}
END_TEST

/* Once the spool has been read, what is in memory answers: the same, without a walk of the spool.
 */
START_TEST(filters_once_all_is_known)
{
    begin();
    rows[3].unknown = false;
    is_whole = true;
    scans = 0;
    assert_rows("{\"command\":\"queue list\",\"domain\":\"one.test\"}", (int[]){0, 2}, 2);
    assert_rows("{\"command\":\"queue list\",\"domain\":\".one.test\"}", (int[]){3}, 1);
    assert_rows("{\"command\":\"queue list\",\"state\":\"ready\"}", (int[]){1}, 1);
    assert_rows("{\"command\":\"queue list\",\"domain\":\"none.test\"}", NULL, 0);
    assert_rows("{\"command\":\"queue list\",\"domain\":\"one.test\",\"sender\":\"<>\"}",
                (int[]){2}, 1);
    ck_assert_uint_eq(scans, 0);
    assert_rows("{\"command\":\"queue list\",\"state\":\"loading\"}", NULL, 0);
    assert_rows("{\"command\":\"queue list\",\"sender\":\"<>\"}", (int[]){2}, 1);
    ck_assert_uint_gt(scans, 0);
    end();
}
END_TEST

START_TEST(show)
{
    begin();
    assert_rows("{\"command\":\"queue show\",\"ids\":[\"0000000000034\"]}", (int[]){0, 1}, 2);
    assert_rows("{\"command\":\"queue show\",\"ids\":[\"0000000000034.0\"]}", (int[]){0}, 1);
    assert_rows("{\"command\":\"queue show\",\"ids\":[\"0000000000034.1\"]}", (int[]){1}, 1);
    assert_failure("{\"command\":\"queue show\",\"ids\":[\"0000000000034.2\"]}", EX_DATAERR,
                   "0000000000034.2 is not in the queue");
    assert_failure("{\"command\":\"queue show\",\"ids\":[\"0000000000035\"]}", EX_DATAERR,
                   "not in the queue");
    assert_failure("{\"command\":\"queue show\",\"ids\":[\"0000000000000\"]}", EX_DATAERR,
                   "not in the queue");
    end();
}
END_TEST

static void fill_rows(size_t count)
{
    row_count = count;
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct row){.id = 1 + i / 2,
                               .number = i % 2,
                               .destination = "many.test",
                               .sender = "",
                               .recipient = "x@many.test"};
}

static void assert_listed(const char *request, size_t count, bool more)
{
    json_t *all = ask(request);
    ck_assert_uint_eq(json_array_size(all), count + 2);
    assert_number(all, count, "count", (json_int_t)count);
    ck_assert(json_is_true(json_object_get(json_array_get(all, count), "more")) == more);
    json_decref(all);
}

/* Many pages; each envelope once, in order. */
START_TEST(long_lists_and_limits)
{
    begin();
    fill_rows(MANY);
    json_t *all = ask("{\"command\":\"queue list\"}");
    ck_assert_uint_eq(json_array_size(all), MANY + 2);
    for (size_t i = 0; i < MANY; i++) {
        char name[ENVELOPE_NAME_MAX];
        assert_text(all, i, "envelope", envelope_name(rows[i].id, rows[i].number, name));
    }
    json_decref(all);
    assert_listed("{\"command\":\"queue list\",\"limit\":7}", 7, true);
    assert_listed("{\"command\":\"queue list\",\"limit\":999}", 999, true);
    assert_listed("{\"command\":\"queue list\",\"limit\":1000}", 1000, false);
    assert_listed("{\"command\":\"queue list\",\"limit\":1001}", 1000, false);
    end();
}
END_TEST

/* ---- orders ---- */

static void assert_acted(const char *request, json_int_t count, json_int_t loading)
{
    json_t *all = ask(request);
    assert_number(all, 0, "count", count);
    assert_number(all, 0, "loading", loading);
    const json_t *exit = json_object_get(last_of(all), "exit");
    ck_assert_int_eq(json_integer_value(exit), loading > 0 ? EX_TEMPFAIL : 0);
    json_decref(all);
}

START_TEST(retry)
{
    begin();
    assert_acted("{\"command\":\"queue retry\",\"ids\":[\"0000000000034\"]}", 2, 0);
    assert_acted("{\"command\":\"queue retry\",\"ids\":[\"0000000000034.1\"]}", 1, 0);
    assert_acted("{\"command\":\"queue retry\",\"all\":true,\"reason\":\"x\"}", 3, 1);
    ck_assert_uint_eq(rows[0].retried, 2);
    ck_assert_uint_eq(rows[1].retried, 3);
    ck_assert_uint_eq(rows[2].retried, 1);
    ck_assert_uint_eq(rows[3].retried, 0);
    end();
}
END_TEST

START_TEST(hold_release_and_fail)
{
    begin();
    assert_failure("{\"command\":\"queue hold\",\"ids\":[\"0000000000034.1\"]}", EX_USAGE,
                   "--reason");
    assert_acted("{\"command\":\"queue hold\",\"domain\":\"one.test\",\"reason\":\"a look first\"}",
                 2, 0);
    ck_assert(rows[0].held && !rows[1].held && rows[2].held && !rows[3].held);
    assert_rows("{\"command\":\"queue list\",\"state\":\"held\"}", (int[]){0, 2}, 2);
    json_t *all = ask("{\"command\":\"queue show\",\"ids\":[\"0000000000034.0\"]}");
    assert_text(all, 0, "state", "held");
    assert_text(all, 0, "hold_reason", "a look first");
    ck_assert(json_is_null(json_object_get(json_array_get(all, 0), "due")));
    json_decref(all);
    /* of all, those are released that are held */
    assert_acted("{\"command\":\"queue release\",\"all\":true,\"reason\":\"x\"}", 2, 1);
    ck_assert(!rows[0].held && !rows[2].held);
    assert_acted("{\"command\":\"queue fail\",\"ids\":[\"0000000000034.1\"],"
                 "\"reason\":\"no such thing\"}",
                 1, 0);
    ck_assert(rows[1].failed && !rows[0].failed);
    end();
}
END_TEST

START_TEST(drop_takes_what_was_named_and_no_more)
{
    begin();
    assert_failure("{\"command\":\"queue drop\"}", EX_USAGE, "--all");
    /* --all beside ids says that several are meant: not that all others are, too */
    assert_acted("{\"command\":\"queue drop\",\"ids\":[\"0000000000034.1\",\"0000000000068\"],"
                 "\"all\":true,\"reason\":\"x\"}",
                 2, 0);
    ck_assert(rows[1].gone && rows[2].gone);
    ck_assert(!rows[0].gone && !rows[3].gone);
    end();
}
END_TEST

START_TEST(drop_by_filter)
{
    begin();
    assert_acted("{\"command\":\"queue drop\",\"sender\":\"@app.test\",\"state\":\"ready\","
                 "\"reason\":\"x\"}",
                 1, 0);
    ck_assert(rows[1].gone);
    assert_acted("{\"command\":\"queue drop\",\"recipient\":\"nobody@one.test\","
                 "\"reason\":\"x\"}",
                 0, 0);
    assert_acted("{\"command\":\"queue drop\",\"domain\":\".one.test\",\"reason\":\"x\"}", 0, 1);
    ck_assert(!rows[0].gone && !rows[2].gone && !rows[3].gone);
    assert_failure("{\"command\":\"queue drop\",\"ids\":[\"0000000000034.1\"]}", EX_DATAERR,
                   "not in the queue");
    end();
}
END_TEST

START_TEST(drop_many)
{
    begin();
    fill_rows(MANY);
    assert_acted("{\"command\":\"queue drop\",\"limit\":300,\"all\":true,\"reason\":\"x\"}", 300,
                 0);
    assert_acted("{\"command\":\"queue drop\",\"all\":true,\"reason\":\"x\"}", 700, 0);
    for (size_t i = 0; i < MANY; i++)
        ck_assert(rows[i].gone);
    end();
}
END_TEST

START_TEST(a_drop_is_answered_when_it_is_done)
{
    begin();
    looks_until_done = 3;
    assert_acted("{\"command\":\"queue drop\",\"ids\":[\"0000000000034.1\"]}", 1, 0);
    ck_assert(rows[1].gone);
    end();
}
END_TEST

START_TEST(a_drop_waits_for_room)
{
    begin();
    fill_rows(MOST);
    looks_when_full = 3;
    full_after = 1000;
    json_t *all = ask("{\"command\":\"queue drop\",\"all\":true,\"reason\":\"x\"}");
    assert_number(all, 0, "progress", 4096);
    assert_number(all, 1, "count", MOST);
    ck_assert_uint_eq(looks_when_full, 0);
    json_decref(all);
    end();
}
END_TEST

START_TEST(a_drop_ends_when_its_client_leaves)
{
    struct lines lines;
    struct span line;
    begin();
    fill_rows(MOST);
    looks_when_full = UINT_MAX;
    full_after = 4096;
    open_client(&lines);
    lines_write(&lines, INT64_MAX,
                SPAN("{\"command\":\"queue drop\",\"all\":true,\"reason\":\"x\"}\n"));
    ck_assert_int_eq(lines_read(&lines, INT64_MAX, &line), LINES_OK);
    ck_assert_msg(span_equal(line, SPAN("{\"progress\":4096}")), "%.*s", SPAN_FORMAT(line));
    lines_free(&lines);
    assert_listed("{\"command\":\"queue list\"}", MOST - 4096, false);
    end();
}
END_TEST

/* ---- stats ---- */

static json_int_t stat_of(const json_t *stats, const char *group, const char *key)
{
    const json_t *from = group ? json_object_get(stats, group) : stats;
    const json_t *value = json_object_get(from, key);
    ck_assert_msg(json_is_integer(value), "%s %s", group ? group : "", key);
    return json_integer_value(value);
}

START_TEST(what_was_counted)
{
    begin();
    metric_add(METRIC_MESSAGES_RECEIVED, 8);
    metric_add(METRIC_RECEIVED, 10);
    metric_add(METRIC_DELIVERED, 7);
    metric_add(METRIC_QUEUED, 3);
    metric_add(METRIC_HANDSHAKES_RESUMED_1_3, 5);
    metric_add(METRIC_CONNECTIONS_IDLE, 2);
    metric_add(METRIC_THROTTLED_CLIENT, 1);
    json_t *all = ask("{\"command\":\"stats\"}");
    ck_assert_uint_eq(json_array_size(all), 2);
    const json_t *stats = json_array_get(all, 0);
    ck_assert_str_eq(json_string_value(json_object_get(stats, "version")), MILLRACE_VERSION);
    ck_assert_int_ge(stat_of(stats, NULL, "uptime_seconds"), 7);
    ck_assert_int_eq(stat_of(stats, NULL, "messages_received"), 8);
    ck_assert_int_eq(stat_of(stats, NULL, "received"), 10);
    ck_assert_int_eq(stat_of(stats, NULL, "restored"), 0);
    ck_assert_int_eq(stat_of(stats, NULL, "delivered"), 7);
    ck_assert_int_eq(stat_of(stats, NULL, "in_doubt"), 0);
    ck_assert_int_eq(stat_of(stats, NULL, "queued"), 3);
    ck_assert(json_is_true(json_object_get(stats, "balanced")));
    ck_assert_int_eq(stat_of(stats, "queue", "waiting"), 1);
    ck_assert_int_eq(stat_of(stats, "queue", "ready"), 2);
    ck_assert_int_eq(stat_of(stats, "queue", "out"), 3);
    ck_assert_int_eq(stat_of(stats, "connections", "open"), 2);
    ck_assert_int_eq(stat_of(stats, "inbound", "refused"), 1);
    ck_assert_int_eq(stat_of(stats, "handshakes", "resumed"), 5);
    ck_assert_int_eq(stat_of(stats, "delay_ms", "max"), 0);
    ck_assert_int_eq(stat_of(stats, "spool", "messages"), 3);
    ck_assert_int_eq(stat_of(stats, "spool", "free_bytes"), 6);
    ck_assert_int_eq(stat_of(stats, "spool", "commit_us_mean"), 100);
    const json_t *batch = json_object_get(json_object_get(stats, "spool"), "batch_mean");
    ck_assert_double_eq(json_real_value(batch), 2.5);
    json_decref(all);

    metric_add(METRIC_QUEUED, 1);
    all = ask("{\"command\":\"stats\"}");
    ck_assert(json_is_false(json_object_get(json_array_get(all, 0), "balanced")));
    json_decref(all);
    end();
}
END_TEST

/* ---- clients that misbehave ---- */

START_TEST(requests_that_are_none)
{
    begin();
    assert_failure("", EX_DATAERR, "JSON");
    assert_failure("{", EX_DATAERR, "JSON");
    assert_failure("\xff\xfe", EX_DATAERR, "JSON");
    assert_failure("[1]", EX_USAGE, "not understood");
    assert_failure("{\"command\":\"stats\",\"command\":\"queue list\"}", EX_DATAERR, "JSON");
    assert_failure("{\"command\":\"quit\"}", EX_USAGE, "no command");
    end();
}
END_TEST

START_TEST(an_over_long_line_is_refused)
{
    static char text[CONTROL_LINE_MAX];
    struct lines lines;
    begin();
    open_client(&lines);
    memset(text, ' ', sizeof(text));
    ck_assert_int_eq(lines_write(&lines, INT64_MAX, (struct span){text, sizeof(text)}), LINES_OK);
    json_t *all = read_all(&lines);
    ck_assert_uint_eq(json_array_size(all), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(last_of(all), "exit")), EX_DATAERR);
    json_decref(all);
    lines_free(&lines);
    assert_rows("{\"command\":\"queue list\",\"limit\":1}", (int[]){0}, 1);
    end();
}
END_TEST

START_TEST(clients_that_leave_harm_nobody)
{
    struct lines lines;
    begin();
    fill_rows(MANY);
    for (int i = 0; i < 20; i++) {
        open_client(&lines);
        if (i % 2) /* the answer finds nobody */
            lines_write(&lines, INT64_MAX, SPAN("{\"command\":\"queue list\"}\n"));
        lines_free(&lines);
    }
    assert_listed("{\"command\":\"queue list\",\"limit\":1}", 1, true);
    end();
}
END_TEST

/* One is silent, and one reads nothing of a long answer. */
START_TEST(clients_that_take_their_time_keep_nobody_waiting)
{
    struct lines silent, slow;
    struct span line;
    begin();
    fill_rows(MOST);
    open_client(&silent);
    open_client(&slow);
    ck_assert_int_eq(lines_write(&slow, INT64_MAX, SPAN("{\"command\":\"queue list\"}\n")),
                     LINES_OK);
    ck_assert_int_eq(lines_read(&slow, INT64_MAX, &line), LINES_OK); /* it is being served */
    int64_t before_ms = os_now();
    json_t *all = ask("{\"command\":\"stats\"}");
    ck_assert_uint_eq(json_array_size(all), 2);
    ck_assert_int_lt(os_now() - before_ms, CONTROL_IDLE_MS);
    json_decref(all);
    all = read_all(&slow); /* nothing of it was lost */
    ck_assert_uint_eq(json_array_size(all), MOST - 1 + 2);
    json_decref(all);
    lines_free(&silent);
    lines_free(&slow);
    end();
}
END_TEST

/* Those beyond the cap are served when others have left. */
START_TEST(more_clients_than_are_served_at_once)
{
    struct lines clients[2 * CONTROL_CLIENTS];
    begin();
    for (size_t i = 0; i < countof(clients); i++)
        open_client(&clients[i]);
    for (size_t i = 0; i < countof(clients); i++) {
        ck_assert_int_eq(lines_write(&clients[i], INT64_MAX, SPAN("{\"command\":\"stats\"}\n")),
                         LINES_OK);
        json_t *all = read_all(&clients[i]);
        ck_assert_uint_eq(json_array_size(all), 2);
        json_decref(all);
        lines_free(&clients[i]);
    }
    end();
}
END_TEST

/* Ended at once, though one client is silent and the next one waits behind it. */
START_TEST(stop_waits_for_no_client)
{
    struct lines silent, behind;
    begin();
    open_client(&silent);
    open_client(&behind);
    int64_t before_ms = os_now();
    end();
    ck_assert_int_lt(os_now() - before_ms, CONTROL_IDLE_MS);
    lines_free(&silent);
    lines_free(&behind);
}
END_TEST

START_TEST(sessions_of_today)
{
    begin();
    struct tlsrpt_session session = {.domain = "a.test",
                                     .record = "v=TLSRPTv1; rua=mailto:r@a.test",
                                     .policy = {.domain = "a.test"},
                                     .mx_host = "",
                                     .helo = "",
                                     .reason = ""};
    tlsrpt_count(tlsrpt, &session, NOW_MS - TLSRPT_DAY_MS);
    tlsrpt_count(tlsrpt, &session, NOW_MS);
    session.domain = "b.a.test";
    tlsrpt_count(tlsrpt, &session, NOW_MS);
    json_t *all = ask("{\"command\":\"tlsrpt show\"}");
    ck_assert_uint_eq(json_array_size(all), 4);
    assert_text(all, 0, "domain", "a.test");
    assert_text(all, 0, "day", "2026-11-21");
    assert_text(all, 0, "record", "v=TLSRPTv1; rua=mailto:r@a.test");
    const json_t *policies = json_object_get(json_array_get(all, 0), "policies");
    json_int_t successes;
    ck_assert_int_eq(json_unpack(json_array_get(policies, 0), "{s:{s:I}}", "summary",
                                 "total-successful-session-count", &successes),
                     0);
    ck_assert_int_eq(successes, 1);
    assert_text(all, 1, "domain", "b.a.test");
    assert_number(all, 2, "count", 2);
    assert_number(all, 2, "uncounted", 0);
    json_decref(all);
    all = ask("{\"command\":\"tlsrpt show\",\"domain\":\".a.test\"}");
    ck_assert_uint_eq(json_array_size(all), 3);
    assert_text(all, 0, "domain", "b.a.test");
    json_decref(all);
    end();
}
END_TEST

START_TEST(two_relays_cannot_share_a_socket)
{
    char why[300] = "";
    begin();
    struct control_parts parts = {.path = path};
    ck_assert_ptr_null(control_start(&parts, why, sizeof(why)));
    ck_assert_msg(strstr(why, path) != NULL, "%s", why);
    assert_rows("{\"command\":\"queue list\",\"limit\":1}", (int[]){0}, 1);
    end();
}
END_TEST

TEST_MAIN("relay/admin/control", an_envelope_in_full, filters, filters_once_all_is_known, show,
          long_lists_and_limits, retry, hold_release_and_fail,
          drop_takes_what_was_named_and_no_more, drop_by_filter, drop_many,
          a_drop_is_answered_when_it_is_done, what_was_counted, a_drop_waits_for_room,
          a_drop_ends_when_its_client_leaves, requests_that_are_none, an_over_long_line_is_refused,
          clients_that_leave_harm_nobody, clients_that_take_their_time_keep_nobody_waiting,
          more_clients_than_are_served_at_once, stop_waits_for_no_client, sessions_of_today,
          two_relays_cannot_share_a_socket)
