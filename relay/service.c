#include "relay/service.h"

#include "base/log.h"
#include "relay/os.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_SOCKET 3 /* sd_listen_fds(3): SD_LISTEN_FDS_START */
#define TOLD_MAX 1024

struct handed {
    int socket; /* -1: taken */
    struct endpoint at;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* of a unix socket; "" */
    char name[64];                                              /* of $LISTEN_FDNAMES */
    const char *fault; /* NULL, or why it cannot be listened on */
};

struct service {
    int notify; /* a datagram socket; -1: nobody is told */
    struct sockaddr_un manager;
    socklen_t manager_length;
    int64_t watchdog_ms, next_ping_ms;
    unsigned count;
    struct handed handed[SERVICE_SOCKETS_MAX];
};

/* ---- the environment ---- */

/* A number from there; 0 when there is none, or it is meant for another process (`pid_name`). */
static uint64_t number_for_us(const char *name, const char *pid_name)
{
    uint64_t number = 0, pid = (uint64_t)getpid();
    const char *text = getenv(name), *pid_text = getenv(pid_name);
    if (pid_text != NULL && (!span_number(span_of(pid_text), &pid) || pid != (uint64_t)getpid()))
        return 0;
    return text != NULL && span_number(span_of(text), &number) ? number : 0;
}

/* ---- telling ---- */

/* An absolute path, or "@name": of the abstract namespace, without a NUL behind it. */
static void find_manager(struct service *service)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path != NULL ? strlen(path) : 0;
    service->notify = -1;
    if (length < 2 || (path[0] != '/' && path[0] != '@') ||
        length >= sizeof(service->manager.sun_path))
        return;
    service->manager.sun_family = AF_UNIX;
    memcpy(service->manager.sun_path, path, length);
    service->manager_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '/'));
    if (path[0] == '@')
        service->manager.sun_path[0] = '\0';
    service->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void service_tell(const struct service *service, const char *format, ...)
{
    char text[TOLD_MAX];
    va_list arguments;
    if (service->notify < 0)
        return;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    must(length >= 0);
    if (length >= TOLD_MAX)
        length = TOLD_MAX - 1;
    sendto(service->notify, text, (size_t)length, MSG_NOSIGNAL,
           (const struct sockaddr *)&service->manager, service->manager_length);
}

void service_tell_reloading(const struct service *service)
{
    service_tell(service, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, os_now_us());
}

int64_t service_watchdog_ms(const struct service *service)
{
    return service->watchdog_ms;
}

void service_ping(struct service *service)
{
    int64_t now_ms = os_now();
    if (service->watchdog_ms == 0 || now_ms < service->next_ping_ms)
        return;
    service->next_ping_ms = now_ms + service->watchdog_ms;
    service_tell(service, "WATCHDOG=1");
}

/* ---- sockets that were handed over ---- */

static int option_of(int socket, int name)
{
    int value = 0;
    socklen_t length = sizeof(value);
    return getsockopt(socket, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

static void look_at(struct handed *handed)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_un unix_address = {0};
    socklen_t length = sizeof(address);
    if (option_of(handed->socket, SO_TYPE) != SOCK_STREAM)
        handed->fault = "it is no stream socket";
    else if (option_of(handed->socket, SO_ACCEPTCONN) != 1)
        handed->fault = "it does not listen";
    else if (getsockname(handed->socket, (struct sockaddr *)&address, &length) != 0)
        handed->fault = strerror(errno);
    else if (address.ss_family != AF_UNIX)
        os_local(handed->socket, &handed->at);
    if (address.ss_family != AF_UNIX)
        return;
    memcpy(&unix_address, &address, sizeof(unix_address));
    memcpy(handed->path, unix_address.sun_path, sizeof(unix_address.sun_path));
}

/* The next name of "one:two:three". */
static void next_name(struct span *names, char *name, size_t size)
{
    size_t length = 0;
    while (length < names->length && names->data[length] != ':')
        length++;
    snprintf(name, size, "%.*s", (int)length, length > 0 ? names->data : "");
    *names = span_skip(*names, length + 1);
}

static void find_sockets(struct service *service)
{
    uint64_t count = number_for_us("LISTEN_FDS", "LISTEN_PID");
    const char *names_text = getenv("LISTEN_FDNAMES");
    struct span names = span_of(names_text != NULL ? names_text : "");
    if (getenv("LISTEN_PID") == NULL) /* without it they are somebody else's */
        return;
    for (uint64_t i = 0; i < count && i < SERVICE_SOCKETS_MAX; i++) {
        struct handed *handed = &service->handed[service->count];
        handed->socket = FIRST_SOCKET + (int)i;
        next_name(&names, handed->name, sizeof(handed->name));
        if (fcntl(handed->socket, F_SETFD, FD_CLOEXEC) != 0)
            continue; /* it is not there */
        look_at(handed);
        service->count++;
    }
    if (count > SERVICE_SOCKETS_MAX)
        log_note("warning", "why",
                 "%" PRIu64 " sockets were handed over: those beyond %d are not "
                 "looked at",
                 count, SERVICE_SOCKETS_MAX);
}

static int take(struct handed *handed)
{
    int socket = handed->socket;
    handed->socket = -1;
    os_adopt(socket);
    return socket;
}

int service_take(struct service *service, const struct endpoint *at)
{
    for (unsigned i = 0; i < service->count; i++) {
        struct handed *handed = &service->handed[i];
        if (handed->socket >= 0 && handed->fault == NULL && handed->path[0] == '\0' &&
            at->port != 0 && handed->at.port == at->port && ip_equal(&handed->at.ip, &at->ip))
            return take(handed);
    }
    return -1;
}

int service_take_path(struct service *service, const char *path)
{
    for (unsigned i = 0; i < service->count; i++) {
        struct handed *handed = &service->handed[i];
        if (handed->socket >= 0 && handed->fault == NULL && strcmp(handed->path, path) == 0)
            return take(handed);
    }
    return -1;
}

void service_tell_unused(const struct service *service)
{
    char at[ENDPOINT_TEXT_MAX];
    for (unsigned i = 0; i < service->count; i++) {
        const struct handed *handed = &service->handed[i];
        struct log_line line;
        if (handed->socket < 0)
            continue;
        log_begin(&line, "socket-unused");
        log_number(&line, "fd", handed->socket);
        log_string(&line, "name", handed->name);
        log_string(&line, "address",
                   handed->path[0] != '\0' ? handed->path : endpoint_format(&handed->at, at));
        log_string(&line, "why",
                   handed->fault != NULL ? handed->fault
                                         : "no listen or admin section has this address");
        log_end(&line);
    }
}

/* ---- life ---- */

struct service *service_create(void)
{
    struct service *service = must_calloc(1, sizeof(*service));
    find_manager(service);
    uint64_t watchdog_us = number_for_us("WATCHDOG_USEC", "WATCHDOG_PID");
    if (service->notify >= 0 && watchdog_us / 2000 < INT32_MAX)
        service->watchdog_ms = (int64_t)(watchdog_us / 2000);
    find_sockets(service);
    return service;
}

void service_destroy(struct service **service)
{
    struct service *self = *service;
    *service = NULL;
    if (self == NULL)
        return;
    for (unsigned i = 0; i < self->count; i++)
        if (self->handed[i].socket >= 0)
            close(self->handed[i].socket);
    if (self->notify >= 0)
        close(self->notify);
    free(self);
}
