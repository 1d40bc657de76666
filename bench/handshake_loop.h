/* One client that connects, shakes hands and parts, again and again, in two ways: with nothing but
 * OpenSSL on a blocking socket, and with the code that the relay's connections are made of. Both
 * drive the same server and are asked for the same, so what lies between them is the relay's.
 *
 * A client belongs to one thread. What goes wrong ends the process: a loop that is not whole
 * measures nothing. */
#pragma once

#include "base/ip.h"
#include "base/span.h"

#define LOOP_NAME "mx.test" /* what the certificate must say, and SNI */

struct loop_plan {
    struct endpoint to; /* speaks TLS from the first byte, then greets */
    const char *ca;     /* PEM file: chain and name are checked; NULL: nothing is */
    bool resumes;       /* with a ticket, where there is one */
};

struct loop_way {
    const char *name;
    void *(*open)(const struct loop_plan *plan);
    bool (*connect)(void *client); /* until the handshake is over; true: it was resumed */
    void (*say)(void *client, struct span bytes);
    void (*hear)(void *client, unsigned lines); /* until so many more have come */
    void (*part)(void *client);                 /* close_notify, close */
    void (*close)(void **client);
};

extern const struct loop_way loop_bare, loop_relay;

/* Ends the process with 1. */
_Noreturn void loop_fail(const char *way, const char *what, const char *why);
