/* What a service manager hears; the sockets it hands over are in peers/service.py. */
#include "relay/service.h"

#include "tests/queue/scratch.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static int manager; /* its socket */
static struct scratch scratch;

/* A manager that listens at `path` ("@" for the abstract namespace). */
static void begin(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, size), 0);
    setenv("NOTIFY_SOCKET", path, 1);
}

/* The next that it has heard; "" for nothing. */
static const char *heard(void)
{
    static char text[2048];
    ssize_t length = recv(manager, text, sizeof(text) - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    return text;
}

START_TEST(a_manager_hears)
{
    char path[SCRATCH_MAX * 2];
    scratch = scratch_make();
    scratch_file(&scratch, "notify", path);
    char abstract[60];
    snprintf(abstract, sizeof(abstract), "@millrace-test-%d", (int)getpid());
    for (int round = 0; round < 2; round++) {
        begin(round ? abstract : path);
        struct service *service = service_create();
        service_tell(service, "READY=1\nSTATUS=%d", 7);
        ck_assert_str_eq(heard(), "READY=1\nSTATUS=7");
        service_tell_reloading(service);
        ck_assert_int_eq(strncmp(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
        service_ping(service); /* there is no watchdog */
        ck_assert_int_eq(service_watchdog_ms(service), 0);
        ck_assert_str_eq(heard(), "");
        service_destroy(&service);
        ck_assert_ptr_null(service);
        close(manager);
    }
    scratch_remove(&scratch);
}
END_TEST

START_TEST(a_watchdog_hears_when_it_is_time)
{
    char path[60], pid[20];
    snprintf(path, sizeof(path), "@millrace-test-%d", (int)getpid());
    begin(path);
    setenv("WATCHDOG_USEC", "3600000000", 1);
    struct service *service = service_create();
    ck_assert_int_eq(service_watchdog_ms(service), 1800000);
    service_ping(service);
    ck_assert_str_eq(heard(), "WATCHDOG=1");
    service_ping(service);
    ck_assert_str_eq(heard(), "");
    service_destroy(&service);

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    service = service_create();
    ck_assert_int_eq(service_watchdog_ms(service), 1800000);
    service_destroy(&service);
    setenv("WATCHDOG_PID", "1", 1); /* another process is watched */
    service = service_create();
    ck_assert_int_eq(service_watchdog_ms(service), 0);
    service_destroy(&service);
}
END_TEST

/* None of these is an error: there is nobody to tell, or nobody listens. */
START_TEST(no_manager)
{
    static const char *const paths[] = {
        NULL, "", "@", "relative", "vsock:2:1", "/nonexistent/notify", "@nobody-listens-here"};
    struct endpoint at = {.port = 25};
    setenv("WATCHDOG_USEC", "what?", 1);
    setenv("LISTEN_FDS", "2", 1); /* for whom? */
    for (size_t i = 0; i < countof(paths); i++) {
        if (paths[i] != NULL)
            setenv("NOTIFY_SOCKET", paths[i], 1);
        struct service *service = service_create();
        service_tell(service, "READY=1");
        service_ping(service);
        ck_assert_int_eq(service_take(service, &at), -1);
        ck_assert_int_eq(service_take_path(service, "/run/x"), -1);
        service_tell_unused(service);
        service_destroy(&service);
    }
}
END_TEST

TEST_MAIN("relay/service", a_manager_hears, a_watchdog_hears_when_it_is_time, no_manager)
