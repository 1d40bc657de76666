/* millrace top: what the relay does now, on one screen. */
#include "base/must.h"
#include "base/units.h"
#include "relay/admin/client.h"
#include "relay/admin/destination_print.h"
#include "relay/admin/screen.h"
#include "relay/commands.h"
#include "relay/options.h"
#include "relay/os.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define COMMAND "millrace top"
#define EVERY_MS 2000
#define BUSIEST 10 /* destinations shown */

static const char help[] =
    "usage: millrace top [--every TIME] [--count N] [-c FILE | --control PATH]\n"
    "\n"
    "A live screen: rates, queue, connections, handshakes, delays, and the destinations with\n"
    "most envelopes. q ends it. In a pipe it prints one picture below the other.\n"
    "\n"
    "      --every TIME        a new picture so often: 500ms, 2s (default), 1m\n"
    "      --count N           ends after so many pictures\n"
    "  -c, --config FILE       the relay's configuration, which names its control socket\n"
    "      --control PATH      the control socket itself\n"
    "\n"
    "example: millrace top --every 5s\n";

struct top {
    struct client_options client;
    int64_t every_ms;
    uint64_t count; /* of pictures; 0: no end */
    char *path;
    bool live; /* on a terminal */

    json_t *before, *now; /* stats */
    int64_t before_ms, now_ms;
    struct destination_list busiest;
};

/* ---- options ---- */

enum {
    OPTION_EVERY = 256,
    OPTION_COUNT,
};

static int take_option(struct top *top, int option)
{
    switch (option) {
    case OPTION_EVERY:
        if (units_duration(span_of(optarg), &top->every_ms) && top->every_ms >= 100)
            return OPTION_END;
        fprintf(stderr, COMMAND ": --every \"%s\": 100ms or more is meant: 2s\n", optarg);
        return EX_USAGE;
    case OPTION_COUNT:
        if (span_number(span_of(optarg), &top->count) && top->count > 0)
            return OPTION_END;
        fprintf(stderr, COMMAND ": --count \"%s\": a number above 0 is meant\n", optarg);
        return EX_USAGE;
    case 'h': fputs(help, stdout); return EX_OK;
    default: return client_option(&top->client, option) ? OPTION_END : EX_USAGE;
    }
}

static int read_options(int argc, char **argv, struct top *top)
{
    static const struct option names[] = {
        {"every", required_argument, NULL, OPTION_EVERY},
        {"count", required_argument, NULL, OPTION_COUNT},
        CLIENT_PLACE_OPTIONS,
        {0},
    };
    int code;
    optind = 0;
    for (int found; (found = options_next(argc, argv, COMMAND, names)) != OPTION_END;)
        if ((code = take_option(top, found)) != OPTION_END)
            return code;
    if (optind == argc)
        return OPTION_END;
    fprintf(stderr, COMMAND ": \"%s\" is one word too many: see " COMMAND " --help\n",
            argv[optind]);
    return EX_USAGE;
}

/* ---- asking ---- */

static void take_stats(json_t *object, void *with)
{
    struct top *top = with;
    json_decref(top->now);
    top->now = json_incref(object);
}

static int ask(struct top *top)
{
    json_decref(top->before);
    top->before = top->now;
    top->before_ms = top->now_ms;
    top->now = NULL;
    json_t *stats = json_pack("{s:s}", "command", "stats");
    json_t *busiest =
        json_pack("{s:s, s:i, s:b}", "command", "dest list", "limit", BUSIEST, "busiest", 1);
    int code = control_ask(COMMAND, top->path, stats, take_stats, top);
    top->now_ms = os_now();
    destination_list_free(&top->busiest);
    destination_list_init(&top->busiest);
    if (code == EX_OK)
        code = control_ask(COMMAND, top->path, busiest, destination_list_take, &top->busiest);
    json_decref(stats);
    json_decref(busiest);
    return code;
}

/* ---- the picture ---- */

static void end_line(const struct top *top)
{
    fputs(top->live ? "\033[K\n" : "\n", stdout); /* what the old picture had there goes */
}

static double rate_of(const struct top *top, const char *key)
{
    if (top->before == NULL || top->now_ms <= top->before_ms)
        return 0;
    int64_t change = json_number_of(top->now, key) - json_number_of(top->before, key);
    return (double)change * 1000 / (double)(top->now_ms - top->before_ms);
}

static void draw_counter(const struct top *top, const char *key)
{
    char total[SHORT_TEXT_MAX];
    printf("  %-12s %12.1f/s %18s", key, rate_of(top, key),
           short_count(json_number_of(top->now, key), total));
    end_line(top);
}

static void draw_head(const struct top *top)
{
    char up[SHORT_TEXT_MAX];
    printf("millrace %s, up %s, the books %s", json_text_of(top->now, "version"),
           short_age(json_number_of(top->now, "uptime_seconds"), up),
           json_is_true(json_object_get(top->now, "balanced")) ? "balance" : "are in motion");
    end_line(top);
    end_line(top);
}

/* "queue        12 waiting, 3 ready": a group of the statistics on one line. */
static void draw_group(const struct top *top, const char *name, const char *unit)
{
    const char *key, *separator = "";
    json_t *value;
    json_t *group = json_object_get(top->now, name);
    printf("  %-12s ", name);
    json_object_foreach(group, key, value)
    {
        char text[SHORT_TEXT_MAX];
        if (json_is_integer(value))
            printf("%s%s %s%s", separator, key, short_count(json_integer_value(value), text), unit);
        else if (json_is_real(value))
            printf("%s%s %.1f%s", separator, key, json_real_value(value), unit);
        separator = ", ";
    }
    end_line(top);
}

static void draw(struct top *top)
{
    static const char *const counters[] = {"received", "delivered", "deferrals",
                                           "bounced",  "expired",   "dropped"};
    if (top->live)
        screen_begin();
    draw_head(top);
    for (size_t i = 0; i < countof(counters); i++)
        draw_counter(top, counters[i]);
    end_line(top);
    draw_group(top, "queue", "");
    draw_group(top, "connections", "");
    draw_group(top, "inbound", "");
    draw_group(top, "handshakes", "");
    draw_group(top, "delay_ms", " ms");
    end_line(top);
    if (top->live)
        fputs("\033[J", stdout); /* the table's lines may be shorter than the old ones */
    destination_list_print(&top->busiest, true);
    if (top->live)
        screen_end();
    else
        fflush(stdout);
}

static int run(struct top *top)
{
    int code = ask(top);
    if (code != EX_OK)
        return code;
    top->live = screen_open();
    draw(top);
    for (uint64_t drawn = 1; top->count == 0 || drawn < top->count; drawn++) {
        if (!screen_wait(top->every_ms))
            break;
        code = ask(top);
        if (code != EX_OK)
            break;
        draw(top);
    }
    screen_close();
    if (top->live && code != EX_OK) /* what was said on the screen has gone with it */
        fputs(COMMAND ": the relay does not answer any more\n", stderr);
    return code;
}

int command_top(int argc, char **argv)
{
    struct top top = {.every_ms = EVERY_MS};
    destination_list_init(&top.busiest);
    int code = read_options(argc, argv, &top);
    if (code == OPTION_END)
        code = control_find(top.client.control, top.client.config, &top.path);
    if (top.path != NULL)
        code = run(&top);
    destination_list_free(&top.busiest);
    json_decref(top.before);
    json_decref(top.now);
    free(top.path);
    return code;
}
