#include "bench/stop.h"

#include "base/must.h"

#include <pthread.h>
#include <string.h>

static const int signals[] = {SIGINT, SIGTERM};

static volatile sig_atomic_t asked;
static struct os_loop *watching;

static void on_signal(int signal)
{
    (void)signal;
    asked = 1;
    os_wake(watching); /* an atomic exchange and a write(): both may be done here */
}

void stop_watch(struct os_loop *loop)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    watching = loop;
    asked = 0;
    for (size_t i = 0; i < countof(signals); i++)
        must(sigaction(signals[i], &action, NULL) == 0);
}

bool stop_asked(void)
{
    return asked != 0;
}

void stop_mask(sigset_t *before)
{
    sigset_t mine;
    sigemptyset(&mine);
    for (size_t i = 0; i < countof(signals); i++)
        sigaddset(&mine, signals[i]);
    must(pthread_sigmask(SIG_BLOCK, &mine, before) == 0);
}

void stop_unmask(const sigset_t *before)
{
    must(pthread_sigmask(SIG_SETMASK, before, NULL) == 0);
}
