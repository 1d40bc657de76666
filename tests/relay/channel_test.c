/* Channels over socket pairs and loopback, in clear and inside TLS; and the event loop under
 * them. Both ends are in this thread: nothing waits for a clock. */
#include "relay/channel.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY (2u << 20) /* more than sockets and channels hold together */

static struct channel here, there;

static void open_pair(void)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    channel_open(&here, pair[0]);
    channel_open(&there, pair[1]);
}

static void close_pair(void)
{
    channel_close(&here);
    channel_close(&there);
}

/* A text without period, so that a byte lost or moved shows. */
static char *noise(size_t length)
{
    char *text = must_calloc(length, 1);
    uint32_t state = 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525 + 1013904223;
        text[i] = (char)(state >> 24);
    }
    return text;
}

static void append_there(const char *text)
{
    buffer_append(&there.out, span_of(text));
    ck_assert_int_eq(channel_flush(&there), CHANNEL_OK);
    ck_assert(channel_flushed(&there));
}

static void assert_in(const struct channel *channel, const char *text)
{
    ck_assert(span_equal(buffer_span(&channel->in), span_of(text)));
}

/* ---- TLS at both ends ---- */

static struct tls_client *client;
static struct tls_server *server;
static char directory[] = "/tmp/channel-test-XXXXXX";

static void tls_up(void)
{
    char why[TLS_WHY_MAX], certificate[64], key[64];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_msg(tls_self_signed(directory, "sink.test", why), "%s", why);
    snprintf(certificate, sizeof(certificate), "%s/cert.pem", directory);
    snprintf(key, sizeof(key), "%s/key.pem", directory);
    const struct tls_server_options options = {.certificate = certificate, .key = key};
    server = tls_server_create(&options, why);
    ck_assert_msg(server != NULL, "%s", why);
    client = tls_client_create(NULL, os_wall);
    unlink(certificate);
    unlink(key);
    rmdir(directory);
}

static void tls_down(void)
{
    tls_server_destroy(&server);
    tls_client_destroy(&client);
}

static void start_tls(void)
{
    const struct tls_wants wants = {.sni = "sink.test"};
    channel_start_tls(&here, tls_connect(client, &wants));
    channel_start_tls(&there, tls_accept(server));
}

/* Turns with both until neither wants more. */
static void shake_hands(enum tls_progress *ours, enum tls_progress *theirs)
{
    *ours = *theirs = TLS_MORE;
    for (int turn = 0; turn < 10 && (*ours == TLS_MORE || *theirs == TLS_MORE); turn++) {
        if (*ours == TLS_MORE)
            *ours = channel_handshake(&here);
        if (*theirs == TLS_MORE)
            *theirs = channel_handshake(&there);
    }
}

static void open_tls_pair(void)
{
    enum tls_progress ours, theirs;
    open_pair();
    start_tls();
    shake_hands(&ours, &theirs);
    ck_assert_int_eq(ours, TLS_DONE);
    ck_assert_int_eq(theirs, TLS_DONE);
}

/* The tests that must hold in clear and inside TLS run once with each. */
static void (*const openers[])(void) = {open_pair, open_tls_pair};
#define OPENERS (int)countof(openers)

/* ---- in clear and inside TLS ---- */

START_TEST(carries_bytes_both_ways)
{
    openers[_i]();
    append_there("220 sink.test\r\n");
    ck_assert_int_eq(channel_fill(&here), CHANNEL_OK);
    assert_in(&here, "220 sink.test\r\n");
    ck_assert(!here.in_stalled && !here.ended);

    buffer_append(&here.out, SPAN("EHLO relay.test\r\n"));
    ck_assert(!channel_flushed(&here));
    ck_assert_int_eq(channel_flush(&here), CHANNEL_OK);
    ck_assert(channel_flushed(&here));
    ck_assert_int_eq(channel_fill(&there), CHANNEL_OK);
    assert_in(&there, "EHLO relay.test\r\n");
    close_pair();
}
END_TEST

START_TEST(fills_without_data_and_says_so)
{
    openers[_i]();
    ck_assert_int_eq(channel_fill(&here), CHANNEL_OK);
    ck_assert_uint_eq(buffer_length(&here.in), 0);
    close_pair();
}
END_TEST

START_TEST(sends_the_rest_when_the_socket_takes_more)
{
    char *text = noise(MANY);
    openers[_i]();
    buffer_append(&there.out, (struct span){text, MANY});
    size_t at = 0;
    unsigned partial = 0;
    while (at < MANY) {
        ck_assert_int_eq(channel_flush(&there), CHANNEL_OK);
        partial += !channel_flushed(&there);
        ck_assert_int_eq(channel_fill(&here), CHANNEL_OK);
        struct span in = buffer_span(&here.in);
        ck_assert_uint_gt(in.length, 0);
        ck_assert_uint_le(at + in.length, MANY);
        ck_assert(memcmp(in.data, text + at, in.length) == 0);
        at += in.length;
        buffer_consume(&here.in, in.length);
    }
    ck_assert_uint_gt(partial, 0);
    ck_assert(channel_flushed(&there));
    free(text);
    close_pair();
}
END_TEST

START_TEST(stalls_at_the_bound_and_goes_on)
{
    char *text = noise(MANY);
    openers[_i]();
    buffer_append(&there.out, (struct span){text, MANY});
    for (int turn = 0; turn < 1000 && !here.in_stalled; turn++) {
        ck_assert_int_eq(channel_flush(&there), CHANNEL_OK);
        ck_assert_int_eq(channel_fill(&here), CHANNEL_OK);
    }
    ck_assert(here.in_stalled);
    ck_assert_uint_eq(buffer_length(&here.in), CHANNEL_IN_MAX);
    ck_assert_int_eq(channel_fill(&here), CHANNEL_OK);
    ck_assert(here.in_stalled);
    ck_assert_uint_eq(buffer_length(&here.in), CHANNEL_IN_MAX);

    ck_assert_int_eq(channel_flush(&there), CHANNEL_OK);
    buffer_consume(&here.in, 1000);
    ck_assert_int_eq(channel_fill(&here), CHANNEL_OK);
    ck_assert_uint_eq(buffer_length(&here.in), CHANNEL_IN_MAX);
    struct span in = buffer_span(&here.in);
    ck_assert(memcmp(in.data, text + 1000, in.length) == 0);
    free(text);
    close_pair();
}
END_TEST

START_TEST(gives_all_data_before_the_end)
{
    openers[_i]();
    append_there("421 going away\r\n");
    channel_close(&there);
    ck_assert_int_eq(there.socket, -1);
    enum channel_result result = channel_fill(&here);
    if (result == CHANNEL_OK) /* nothing said that the peer ended: the next fill will */
        result = channel_fill(&here);
    ck_assert_int_eq(result, CHANNEL_ENDED);
    ck_assert(here.ended);
    assert_in(&here, "421 going away\r\n");
    ck_assert_int_eq(channel_fill(&here), CHANNEL_ENDED);
    close_pair();
    close_pair();
}
END_TEST

/* The case for watcher.ended: data and end come as one event. */
START_TEST(one_event_brings_data_and_end)
{
    struct os_event events[OS_EVENTS_MAX];
    struct os_loop *loop = os_loop_create();
    openers[_i]();
    append_there("421 going away\r\n");
    channel_close(&there);
    ck_assert_int_eq(os_watch(loop, here.socket, &here.watcher), 0);
    ck_assert_int_eq(os_wait(loop, events, -1), 1);
    ck_assert_ptr_eq(events[0].watcher, &here.watcher);
    ck_assert_uint_ne(events[0].what & OS_READABLE, 0);
    ck_assert(here.watcher.ended);
    ck_assert_int_eq(channel_fill(&here), CHANNEL_ENDED);
    assert_in(&here, "421 going away\r\n");
    close_pair();
    os_loop_destroy(&loop);
    ck_assert_ptr_null(loop);
}
END_TEST

START_TEST(says_why_a_write_failed)
{
    openers[_i]();
    shutdown(here.socket, SHUT_WR);
    buffer_append(&here.out, SPAN("QUIT\r\n"));
    ck_assert_int_eq(channel_flush(&here), CHANNEL_FAILED);
    ck_assert_str_eq(channel_why(&here), "Broken pipe");
    close_pair();
}
END_TEST

/* ---- TLS only ---- */

START_TEST(ends_with_close_notify)
{
    open_tls_pair();
    buffer_append(&there.out, SPAN("221 bye\r\n"));
    channel_part(&there);
    ck_assert_int_eq(channel_flush(&there), CHANNEL_OK);
    ck_assert_int_eq(channel_fill(&here), CHANNEL_ENDED); /* the socket is still open */
    assert_in(&here, "221 bye\r\n");
    close_pair();
}
END_TEST

START_TEST(speaks_clear_first)
{
    enum tls_progress ours, theirs;
    open_pair();
    append_there("220 go ahead\r\n");
    ck_assert_int_eq(channel_fill(&here), CHANNEL_OK);
    buffer_consume(&here.in, buffer_length(&here.in));
    start_tls();
    ck_assert_int_eq(channel_fill(&here), CHANNEL_OK); /* nothing is read past the handshake */
    shake_hands(&ours, &theirs);
    ck_assert_int_eq(ours, TLS_DONE);
    ck_assert(here.secured && there.secured);
    append_there("250 ok\r\n");
    ck_assert_int_eq(channel_fill(&here), CHANNEL_OK);
    assert_in(&here, "250 ok\r\n");
    close_pair();
}
END_TEST

/* A client that says EHLO next: its last words of the handshake and its first in TLS are one piece.
 */
START_TEST(who_speaks_next_ends_the_handshake_with_that)
{
    enum tls_progress ours, theirs;
    open_pair();
    here.speaks_next = true;
    start_tls();
    ours = channel_handshake(&here);
    theirs = channel_handshake(&there);
    ck_assert(ours == TLS_MORE && theirs == TLS_MORE);
    ck_assert_int_eq(channel_handshake(&here), TLS_DONE);
    ck_assert(!channel_flushed(&here));
    ck_assert_int_eq(channel_handshake(&there), TLS_MORE); /* nothing came */
    buffer_append(&here.out, SPAN("EHLO relay.test\r\n"));
    ck_assert_int_eq(channel_flush(&here), CHANNEL_OK);
    ck_assert(channel_flushed(&here));
    ck_assert_int_eq(channel_handshake(&there), TLS_DONE);
    ck_assert_int_eq(channel_fill(&there), CHANNEL_OK);
    assert_in(&there, "EHLO relay.test\r\n");
    close_pair();
}
END_TEST

START_TEST(handshake_with_garbage_fails_at_both_ends)
{
    enum tls_progress ours, theirs = TLS_MORE;
    open_pair();
    channel_start_tls(&there, tls_accept(server));
    buffer_append(&here.out, SPAN("EHLO is not a ClientHello\r\n"));
    ck_assert_int_eq(channel_flush(&here), CHANNEL_OK);
    theirs = channel_handshake(&there);
    ck_assert_int_eq(theirs, TLS_FAILED);
    ck_assert_str_ne(channel_why(&there), "");
    const struct tls_wants wants = {0};
    channel_start_tls(&here, tls_connect(client, &wants));
    ours = channel_handshake(&here);
    if (ours == TLS_MORE) { /* no alert was sent: then the end of the connection tells */
        channel_close(&there);
        ours = channel_handshake(&here);
    }
    ck_assert_int_eq(ours, TLS_FAILED);
    ck_assert_str_ne(channel_why(&here), "");
    close_pair();
}
END_TEST

START_TEST(peer_closes_in_the_handshake)
{
    open_pair();
    const struct tls_wants wants = {0};
    channel_start_tls(&here, tls_connect(client, &wants));
    ck_assert_int_eq(channel_handshake(&here), TLS_MORE);
    ck_assert_int_eq(channel_fill(&there), CHANNEL_OK); /* else the close would be a reset */
    channel_close(&there);
    ck_assert_int_eq(channel_handshake(&here), TLS_FAILED);
    ck_assert_str_eq(channel_why(&here), "the peer closed in the TLS handshake");
    close_pair();
}
END_TEST

/* No event follows that would tell of it. */
START_TEST(peer_closed_before_the_handshake)
{
    open_pair();
    const struct tls_wants wants = {0};
    shutdown(there.socket, SHUT_WR);
    here.watcher.ended = true;
    channel_start_tls(&here, tls_connect(client, &wants));
    ck_assert_int_eq(channel_handshake(&here), TLS_FAILED);
    close_pair();
}
END_TEST

START_TEST(broken_record_fails)
{
    open_tls_pair();
    static const char record[] = "\x17\x03\x03\x00\x20 not what the keys would have made";
    ck_assert_int_gt(os_write(there.socket, record, 37), 0);
    ck_assert_int_eq(channel_fill(&here), CHANNEL_FAILED);
    ck_assert_str_ne(channel_why(&here), "");
    ck_assert_uint_eq(buffer_length(&here.in), 0);
    close_pair();
}
END_TEST

/* ---- the network ---- */

static struct endpoint loopback(uint8_t family)
{
    struct endpoint at;
    struct span text = family == 6 ? SPAN("[::1]:0") : SPAN("127.0.0.1:0");
    ck_assert(endpoint_parse(text, &at));
    return at;
}

static int nodelay(int socket)
{
    int value = 0;
    socklen_t length = sizeof(value);
    ck_assert_int_eq(getsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
    return value;
}

/* A connection over loopback: what one end does, the other has before the call returns. */
static void connect_pair(int *near, int *far)
{
    struct endpoint at = loopback(4);
    int listener = os_listen(&at);
    ck_assert_int_ge(listener, 0);
    os_local(listener, &at);
    *near = os_connect(&at, NULL);
    *far = os_accept(listener, NULL);
    ck_assert(*near >= 0 && *far >= 0);
    os_close(listener);
}

START_TEST(what_a_closed_end_has_seen)
{
    char bytes[8];
    int near, far;
    connect_pair(&near, &far);
    ck_assert_int_eq(os_write(near, "read", 4), 4);
    ck_assert_int_eq(os_read(far, bytes, sizeof(bytes)), 4);
    os_close(far);
    ck_assert_int_eq(os_read(near, bytes, sizeof(bytes)), 0);
    ck_assert_int_eq(os_unacknowledged(near), 0);
    os_close(near);

    connect_pair(&near, &far);
    os_close(far);
    ck_assert_int_eq(os_write(near, "late", 4), 4);
    ck_assert_int_eq(os_read(near, bytes, sizeof(bytes)), 0);
    ck_assert_int_eq(os_unacknowledged(near), 4);
    os_close(near);
}
END_TEST

START_TEST(listens_connects_and_accepts)
{
    struct endpoint at = loopback(_i == 0 ? 4 : 6), peer, local;
    int listener = os_listen(&at);
    if (_i == 1 && listener == -EADDRNOTAVAIL)
        return; /* a machine without IPv6 */
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(os_accept(listener, NULL), -EAGAIN);
    os_local(listener, &at);
    ck_assert_uint_ne(at.port, 0);
    struct endpoint from = {.ip = at.ip};
    int client_socket = os_connect(&at, &from);
    ck_assert_int_ge(client_socket, 0);
    int accepted = os_accept(listener, &peer);
    ck_assert_int_ge(accepted, 0);
    ck_assert_int_eq(os_connect_result(client_socket), 0);
    os_local(client_socket, &local);
    ck_assert_uint_eq(local.port, peer.port);
    ck_assert(ip_equal(&local.ip, &peer.ip));
    ck_assert(nodelay(client_socket) && nodelay(accepted));
    os_close(client_socket);
    char byte;
    ck_assert_int_eq(os_read(accepted, &byte, 1), 0);
    os_close(accepted);
    os_close(listener);
}
END_TEST

START_TEST(refused_connection_is_told)
{
    struct os_event events[OS_EVENTS_MAX];
    struct os_loop *loop = os_loop_create();
    struct endpoint at = loopback(4);
    int listener = os_listen(&at);
    os_local(listener, &at);
    os_close(listener);
    struct watcher watcher = {0};
    int made = os_connect(&at, NULL);
    if (made >= 0) {
        ck_assert_int_eq(os_watch(loop, made, &watcher), 0);
        ck_assert_int_eq(os_wait(loop, events, -1), 1);
        ck_assert_uint_ne(events[0].what & OS_WRITABLE, 0);
        ck_assert_int_eq(os_connect_result(made), -ECONNREFUSED);
        os_close(made);
    } else {
        ck_assert_int_eq(made, -ECONNREFUSED);
    }
    os_loop_destroy(&loop);
}
END_TEST

START_TEST(port_in_use_is_seen)
{
    struct endpoint at = loopback(4);
    int first = os_listen(&at);
    os_local(first, &at);
    ck_assert_int_eq(os_listen_check(&at), -EADDRINUSE);
    int second = os_listen(&at); /* which is why one has to ask */
    ck_assert_int_ge(second, 0);
    os_close(first);
    os_close(second);
    ck_assert_int_eq(os_listen_check(&at), 0);
}
END_TEST

START_TEST(reset_fails_the_channel)
{
    struct endpoint at = loopback(4);
    int listener = os_listen(&at);
    os_local(listener, &at);
    channel_open(&here, os_connect(&at, NULL));
    int accepted = os_accept(listener, NULL);
    ck_assert_int_ge(accepted, 0);
    const struct linger at_once = {.l_onoff = 1};
    ck_assert_int_eq(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    os_close(accepted);
    ck_assert_int_eq(channel_fill(&here), CHANNEL_FAILED);
    ck_assert_str_eq(channel_why(&here), "Connection reset by peer");
    channel_close(&here);
    os_close(listener);
}
END_TEST

/* ---- waking ---- */

START_TEST(wake_before_the_wait_is_not_lost)
{
    struct os_event events[OS_EVENTS_MAX];
    struct os_loop *loop = os_loop_create();
    for (int i = 0; i < 3; i++) {
        os_wake(loop);
        os_wake(loop);
        ck_assert_int_eq(os_wait(loop, events, -1), 0);
    }
    ck_assert_int_eq(os_wait(loop, events, 0), 0);
    os_loop_destroy(&loop);
}
END_TEST

#define ROUNDS 5000

struct partner {
    struct os_loop *mine, *other;
    _Atomic int ball;
};

static struct partner partners[2];

/* Waits for each ball and throws the next one: a wake that is lost would hang here. */
static void *play(void *argument)
{
    struct os_event events[OS_EVENTS_MAX];
    struct partner *self = argument, *other = &partners[self == partners];
    for (int round = 1; round <= ROUNDS; round++) {
        while (self->ball < round)
            os_wait(self->mine, events, -1);
        other->ball = self == partners ? round : round + 1;
        os_wake(self->other);
    }
    return NULL;
}

START_TEST(two_threads_wake_each_other)
{
    pthread_t thread;
    partners[0].mine = partners[1].other = os_loop_create();
    partners[1].mine = partners[0].other = os_loop_create();
    partners[0].ball = 1;
    ck_assert_int_eq(pthread_create(&thread, NULL, play, &partners[1]), 0);
    play(&partners[0]);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(partners[0].ball, ROUNDS + 1);
    os_loop_destroy(&partners[0].mine);
    os_loop_destroy(&partners[1].mine);
}
END_TEST

START_TEST(randomness_differs)
{
    char one[32] = {0}, two[32] = {0};
    os_random(one, sizeof(one));
    os_random(two, sizeof(two));
    ck_assert(memcmp(one, two, sizeof(one)) != 0);
    ck_assert_uint_ge(os_cores(), 1);
    ck_assert_int_le(os_now(), os_now_us() / 1000 + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relay/channel");
    TCase *both = tcase_create("clear and TLS");
    tcase_add_checked_fixture(both, tls_up, tls_down);
    tcase_add_loop_test(both, carries_bytes_both_ways, 0, OPENERS);
    tcase_add_loop_test(both, fills_without_data_and_says_so, 0, OPENERS);
    tcase_add_loop_test(both, sends_the_rest_when_the_socket_takes_more, 0, OPENERS);
    tcase_add_loop_test(both, stalls_at_the_bound_and_goes_on, 0, OPENERS);
    tcase_add_loop_test(both, gives_all_data_before_the_end, 0, OPENERS);
    tcase_add_loop_test(both, one_event_brings_data_and_end, 0, OPENERS);
    tcase_add_loop_test(both, says_why_a_write_failed, 0, OPENERS);
    suite_add_tcase(suite, both);

    TCase *tls = tcase_create("TLS");
    tcase_add_checked_fixture(tls, tls_up, tls_down);
    tcase_add_test(tls, ends_with_close_notify);
    tcase_add_test(tls, speaks_clear_first);
    tcase_add_test(tls, who_speaks_next_ends_the_handshake_with_that);
    tcase_add_test(tls, handshake_with_garbage_fails_at_both_ends);
    tcase_add_test(tls, peer_closes_in_the_handshake);
    tcase_add_test(tls, peer_closed_before_the_handshake);
    tcase_add_test(tls, broken_record_fails);
    suite_add_tcase(suite, tls);

    TCase *os = tcase_create("os");
    tcase_add_loop_test(os, listens_connects_and_accepts, 0, 2);
    tcase_add_test(os, what_a_closed_end_has_seen);
    tcase_add_test(os, refused_connection_is_told);
    tcase_add_test(os, port_in_use_is_seen);
    tcase_add_test(os, reset_fails_the_channel);
    tcase_add_test(os, wake_before_the_wait_is_not_lost);
    tcase_add_test(os, two_threads_wake_each_other);
    tcase_add_test(os, randomness_differs);
    suite_add_tcase(suite, os);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
