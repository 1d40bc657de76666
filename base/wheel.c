#include "base/wheel.h"

void wheel_init(struct wheel *wheel, int64_t now_ms)
{
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
    wheel->tick = now_ms / WHEEL_TICK_MS;
    wheel->count = 0;
}

/* The first tick at which a timer due at `due_ms` may fire. */
static int64_t tick_of(int64_t due_ms)
{
    return due_ms / WHEEL_TICK_MS + (due_ms % WHEEL_TICK_MS > 0); /* INT64_MAX: never */
}

void wheel_set(struct wheel *wheel, struct timer *timer, int64_t due_ms)
{
    wheel_clear(wheel, timer);
    int64_t tick = tick_of(due_ms);
    if (tick <= wheel->tick)
        tick = wheel->tick + 1;
    timer->due_ms = due_ms;
    list_append(&wheel->slots[tick % WHEEL_SLOTS], &timer->node);
    wheel->count++;
}

void wheel_clear(struct wheel *wheel, struct timer *timer)
{
    if (!list_linked(&timer->node))
        return;
    list_remove(&timer->node);
    wheel->count--;
}

/* Moves the due timers of one slot to `due`; those of a later round stay. */
static void collect(struct wheel *wheel, struct list *slot, int64_t now_ms, struct list *due)
{
    struct list_node *node = list_first(slot);
    while (node != NULL) {
        struct list_node *next = list_next(slot, node);
        struct timer *timer = container_of(node, struct timer, node);
        if (timer->due_ms <= now_ms) {
            wheel_clear(wheel, timer);
            list_append(due, node);
            wheel->count++; /* still armed, until it fires: fire() may clear another one */
        }
        node = next;
    }
}

void wheel_turn(struct wheel *wheel, int64_t now_ms)
{
    struct list due;
    list_init(&due);
    int64_t now_tick = now_ms / WHEEL_TICK_MS;
    int64_t first = wheel->tick + 1;
    if (now_tick - wheel->tick >= WHEEL_SLOTS)
        first = now_tick - WHEEL_SLOTS + 1;
    for (int64_t tick = first; tick <= now_tick; tick++)
        collect(wheel, &wheel->slots[tick % WHEEL_SLOTS], now_ms, &due);
    if (now_tick > wheel->tick)
        wheel->tick = now_tick;
    for (struct list_node *node; (node = list_first(&due)) != NULL;) {
        struct timer *timer = container_of(node, struct timer, node);
        wheel_clear(wheel, timer);
        timer->fire(timer);
    }
}

int wheel_wait_ms(const struct wheel *wheel, int64_t now_ms)
{
    if (wheel->count == 0)
        return -1;
    for (int64_t tick = wheel->tick + 1; tick <= wheel->tick + WHEEL_SLOTS; tick++) {
        if (list_empty(&wheel->slots[tick % WHEEL_SLOTS]))
            continue;
        int64_t wait = tick * WHEEL_TICK_MS - now_ms;
        return wait > 0 ? (int)wait : 0;
    }
    return 0; /* all that is armed is being fired right now */
}
