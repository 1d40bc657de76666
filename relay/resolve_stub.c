/* A resolver on this machine that validates, and whose word is taken for it: c-ares asks, and the
 * AD bit of what it says decides (RFC 4035 3.2.3, RFC 7672 2.1: only over a channel that nobody
 * else can speak on, so only on loopback). It caches, too: nothing is kept here. */
#include "relay/resolve_inside.h"

#include <ares.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNDER_WAY_MAX 200 /* questions: as many answers as surely fit a socket's buffer */
#define TIMEOUT_MS 2000   /* of the first try; doubled with each */
#define TRIES 3
#define UDP_BYTES 4096
#define SOCKETS_MAX 16 /* c-ares has one for UDP and one for TCP with each server */
#define FLAG_AUTHENTIC                                                                             \
    0x20 /* of byte 3: asks for the bit, without all the signatures (RFC 6840 5.7) */

enum { CLASS_IN = 1 };

struct stub_socket {
    struct watcher watcher;
    struct stub *stub;
    int socket; /* -1: free */
};

/* A question that waits, or is under way at c-ares, which cannot forget a single one. */
struct asked {
    struct list_node waiting; /* in the stub's list until it is sent */
    struct stub *stub;
    struct question *question; /* NULL: nobody waits for the answer any more */
    bool sent;
};

struct stub {
    ares_channel channel;
    struct os_loop *loop; /* borrowed */
    struct random_state random;
    struct list waiting; /* asked, in order */
    unsigned under_way;
    struct stub_socket sockets[SOCKETS_MAX];
};

/* ---- sockets ---- */

static void on_ready(struct watcher *watcher, unsigned what)
{
    struct stub_socket *ready = container_of(watcher, struct stub_socket, watcher);
    int socket = ready->socket;
    if (socket < 0) /* closed by an event before this one */
        return;
    ares_process_fd(ready->stub->channel, what & OS_READABLE ? socket : ARES_SOCKET_BAD,
                    what & OS_WRITABLE ? socket : ARES_SOCKET_BAD);
    /* c-ares does not always read all that is there, and is told once more. */
    if (ready->socket == socket && what & OS_READABLE)
        os_rewatch(ready->stub->loop, socket, &ready->watcher);
}

static struct stub_socket *find_socket(struct stub *stub, int socket)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (stub->sockets[i].socket == socket)
            return &stub->sockets[i];
    return NULL;
}

/* What is not watched is not answered, and times out. */
static void on_socket(void *with, ares_socket_t socket, int readable, int writable)
{
    struct stub *stub = with;
    struct stub_socket *known = find_socket(stub, socket);
    if (!readable && !writable) {
        if (known != NULL)
            known->socket = -1;
        return;
    }
    if (known != NULL && writable) /* there is something new to write */
        os_rewatch(stub->loop, socket, &known->watcher);
    if (known != NULL || (known = find_socket(stub, -1)) == NULL)
        return;
    known->socket = socket;
    if (os_watch(stub->loop, socket, &known->watcher) != 0)
        known->socket = -1;
}

/* ---- set up ---- */

/* NULL, or what is wrong: the first server that others might answer for. */
static bool check_servers(ares_channel channel, char *why, size_t why_size)
{
    struct ares_addr_port_node *servers = NULL;
    bool fine = true;
    if (ares_get_servers_ports(channel, &servers) != ARES_SUCCESS || servers == NULL) {
        snprintf(why, why_size, "dnssec = trust-ad: there is no name server");
        return false;
    }
    for (struct ares_addr_port_node *at = servers; at != NULL && fine; at = at->next) {
        char text[IP_TEXT_MAX];
        struct ip ip = ip_of_bytes(at->family == AF_INET ? 4 : 6, (const uint8_t *)&at->addr);
        fine = ip_is_loopback(&ip);
        if (!fine)
            snprintf(why, why_size,
                     "dnssec = trust-ad: the name server %s is not on this machine, and others "
                     "might answer in its place: set resolver to one that is, or dnssec = validate",
                     ip_format(&ip, text));
    }
    ares_free_data(servers);
    return fine;
}

static bool set_server(ares_channel channel, const char *server, char *why, size_t why_size)
{
    char text[ENDPOINT_TEXT_MAX];
    struct endpoint endpoint;
    if (server == NULL)
        return true;
    if (endpoint_parse(span_of(server), &endpoint) &&
        ares_set_servers_ports_csv(channel, endpoint_format(&endpoint, text)) == ARES_SUCCESS)
        return true;
    snprintf(why, why_size, "name server %s cannot be used: it is not ADDRESS:PORT", server);
    return false;
}

static int open_channel(struct stub *stub)
{
    struct ares_options options = {
        .flags = ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP | ARES_FLAG_STAYOPEN,
        .timeout = TIMEOUT_MS,
        .tries = TRIES,
        .ednspsz = UDP_BYTES,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = stub,
    };
    return ares_init_options(&stub->channel, &options,
                             ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                 ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);
}

struct stub *stub_create(const struct resolve_settings *settings, struct os_loop *loop, char *why,
                         size_t why_size)
{
    struct stub *stub = must_calloc(1, sizeof(*stub));
    int error = ares_library_init(ARES_LIB_INIT_ALL);
    stub->loop = loop;
    list_init(&stub->waiting);
    os_random(&stub->random, sizeof(stub->random));
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        stub->sockets[i] =
            (struct stub_socket){.watcher.ready = on_ready, .stub = stub, .socket = -1};
    if (error == ARES_SUCCESS)
        error = open_channel(stub);
    if (error != ARES_SUCCESS)
        snprintf(why, why_size, "c-ares cannot be started: %s", ares_strerror(error));
    else if (set_server(stub->channel, settings->server, why, why_size) &&
             check_servers(stub->channel, why, why_size))
        return stub;
    stub_destroy(&stub);
    return NULL;
}

void stub_destroy(struct stub **stub)
{
    if ((*stub)->channel != NULL)
        ares_destroy((*stub)->channel); /* ends all that is under way */
    ares_library_cleanup();
    free(*stub);
    *stub = NULL;
}

int stub_wait_ms(const struct stub *stub, int most)
{
    struct timeval left;
    if (ares_timeout(stub->channel, NULL, &left) == NULL)
        return most;
    int64_t ms = (int64_t)left.tv_sec * 1000 + left.tv_usec / 1000 + 1;
    return most >= 0 && most < ms ? most : (int)ms;
}

/* ---- questions ---- */

static void on_answer(void *with, int status, int timeouts, unsigned char *message, int length)
{
    struct asked *asked = with;
    struct question *question = asked->question;
    struct dns_answer answer = {.answer = ANSWER_FAILED, .failure = ares_strerror(status)};
    (void)timeouts;
    asked->stub->under_way--;
    free(asked);
    if (question == NULL)
        return;
    if (status == ARES_SUCCESS)
        dns_message_read((struct span){(const char *)message, (size_t)length}, question->name,
                         question->type, &question->task->resolution->arena, &answer);
    question_answered(question, &answer);
}

/* on_answer may be called before this returns. */
static void send_question(struct asked *asked)
{
    struct stub *stub = asked->stub;
    const struct question *question = asked->question;
    unsigned char *message = NULL;
    int length = 0, id = (int)random_below(&stub->random, UINT16_MAX + 1);
    int error = ares_create_query(question->name, CLASS_IN, (int)question->type, (unsigned short)id,
                                  1, &message, &length, UDP_BYTES);
    stub->under_way++;
    asked->sent = true;
    if (error != ARES_SUCCESS) {
        on_answer(asked, error, 0, NULL, 0);
        return;
    }
    message[3] |= FLAG_AUTHENTIC;
    ares_send(stub->channel, message, length, on_answer, asked);
    ares_free_string(message);
}

void stub_go_on(struct stub *stub)
{
    ares_process_fd(stub->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* what has timed out */
    while (stub->under_way < UNDER_WAY_MAX && !list_empty(&stub->waiting))
        send_question(container_of(list_pop(&stub->waiting), struct asked, waiting));
}

void stub_ask(struct stub *stub, struct question *question)
{
    struct asked *asked = must_calloc(1, sizeof(*asked));
    *asked = (struct asked){.stub = stub, .question = question};
    list_append(&stub->waiting, &asked->waiting);
    question->asked = asked;
}

void stub_cancel(struct question *question)
{
    struct asked *asked = question->asked;
    asked->question = NULL;
    if (asked->sent)
        return;
    list_remove(&asked->waiting);
    free(asked);
}
