/* HTTPS as a client, where it comes to nothing; what a real server answers is for tests/peers. */
#include "relay/https.h"

#include "relay/os.h"
#include "tests/suite.h"

#include <string.h>

static unsigned ended;

static void done(struct https_request *request)
{
    (void)request;
    ended++;
}

static struct https_request request_to(const struct endpoint *at)
{
    return (struct https_request){.host = "policy.test",
                                  .path = "/",
                                  .port = at->port,
                                  .addresses = &at->ip,
                                  .address_count = 1,
                                  .within_ms = 100,
                                  .bytes_max = 1000,
                                  .done = done};
}

/* Somebody who takes connections and says nothing. */
static int listen_silently(struct endpoint *at)
{
    *at = (struct endpoint){0};
    ck_assert(ip_parse(SPAN("127.0.0.1"), &at->ip));
    int listener = os_listen(at);
    ck_assert_int_ge(listener, 0);
    os_local(listener, at);
    return listener;
}

static void expect_end(struct https_request *request, enum https_result result)
{
    struct https *https = https_create();
    ended = 0;
    https_begin(https, request);
    while (ended == 0)
        https_wait(https, -1);
    ck_assert_msg(request->result == result, "%s", request->why);
    ck_assert_uint_gt(strlen(request->why), 0);
    https_destroy(&https);
    buffer_free(&request->answer);
}

/* RFC 8461 3.3: a policy host that does not answer is given up. */
START_TEST(one_that_says_nothing)
{
    struct endpoint at;
    int listener = listen_silently(&at);
    struct https_request request = request_to(&at);
    expect_end(&request, HTTPS_SLOW);
    os_close(listener);
}
END_TEST

START_TEST(one_that_is_not_there)
{
    struct endpoint at;
    os_close(listen_silently(&at));
    struct https_request request = request_to(&at);
    request.within_ms = 60000;
    expect_end(&request, HTTPS_FAILED);
}
END_TEST

START_TEST(a_wait_is_woken)
{
    struct https *https = https_create();
    https_wake(https);
    https_wait(https, -1);
    https_destroy(&https);
}
END_TEST

START_TEST(what_is_under_way_may_be_abandoned)
{
    struct endpoint at;
    int listener = listen_silently(&at);
    struct https_request request = request_to(&at);
    struct https *https = https_create();
    ended = 0;
    https_begin(https, &request);
    https_wait(https, 0);
    https_destroy(&https);
    ck_assert_uint_eq(ended, 0);
    os_close(listener);
}
END_TEST

TEST_MAIN("relay/https", one_that_says_nothing, one_that_is_not_there, a_wait_is_woken,
          what_is_under_way_may_be_abandoned);
