/* The relay as a service: what it tells the service manager (sd_notify(3): a datagram to
 * $NOTIFY_SOCKET), the watchdog, and the listening sockets it is handed (sd_listen_fds(3)). Main
 * thread only. Without a manager all of it does nothing. */
#pragma once

#include "base/ip.h"
#include "base/must.h"

#define SERVICE_SOCKETS_MAX 64 /* more that are handed over are closed, and told */

struct service;

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC, $LISTEN_FDS and their kin. */
struct service *service_create(void);
void service_destroy(struct service **service); /* closes what was handed over */

/* Lines of sd_notify(3): "READY=1\nSTATUS=…". Never waits; lost when nobody listens. */
void service_tell(const struct service *service, const char *format, ...) PRINTF_LIKE(2, 3);
/* "RELOADING=1"; READY=1 must follow. */
void service_tell_reloading(const struct service *service);

/* How often the watchdog wants to hear: half its patience, in ms; 0: there is none. */
int64_t service_watchdog_ms(const struct service *service);
/* To be called at least that often: says WATCHDOG=1 when it is time for it. */
void service_ping(struct service *service);

/* The listening socket that was handed over for this address, or path of a unix socket; it is the
 * caller's then. -1: none was. */
int service_take(struct service *service, const struct endpoint *at);
int service_take_path(struct service *service, const char *path);
/* Logs what was handed over and nobody took. */
void service_tell_unused(const struct service *service);
