/* A hashed timing wheel for timers that are set often and seldom fire (deadlines of
 * connections). Setting, moving and clearing is O(1). A timer fires at most one tick late,
 * never early. Timers are embedded in their owners; the wheel owns nothing. */
#pragma once

#include "base/list.h"

#include <stdint.h>

#define WHEEL_TICK_MS 16
#define WHEEL_SLOTS 1024

struct timer {
    struct list_node node;
    int64_t due_ms;
    void (*fire)(struct timer *timer);
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    int64_t tick; /* all timers due before this tick have fired */
    unsigned count;
};

void wheel_init(struct wheel *wheel, int64_t now_ms);

/* Arms the timer for `due_ms`, wherever it stood before. */
void wheel_set(struct wheel *wheel, struct timer *timer, int64_t due_ms);
void wheel_clear(struct wheel *wheel, struct timer *timer);

/* Fires all that is due. A timer is out of the wheel when its fire() runs; fire() may set
 * and clear any timer. */
void wheel_turn(struct wheel *wheel, int64_t now_ms);

/* How long until the next tick that may fire a timer: ms, or -1 when none is armed. */
int wheel_wait_ms(const struct wheel *wheel, int64_t now_ms);
