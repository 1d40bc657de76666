#include "relay/admin/screen.h"

#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define TENTHS_MAX 255 /* the longest that a terminal waits for a key */

static struct termios found; /* how the terminal was */
static bool taken;
static volatile sig_atomic_t ended;

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool screen_open(void)
{
    catch_signals();
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &found) != 0)
        return false;
    struct termios raw = found;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs("\033[?1049h\033[?25l", stdout); /* another page, no cursor */
    taken = true;
    return true;
}

void screen_close(void)
{
    if (!taken)
        return;
    taken = false;
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &found);
}

void screen_begin(void)
{
    fputs("\033[H", stdout);
}

void screen_end(void)
{
    fputs("\033[J", stdout);
    fflush(stdout);
}

static bool wait_for_key(int64_t ms)
{
    struct termios raw;
    char key = '\0';
    int64_t tenths = (ms + 99) / 100;
    tcgetattr(STDIN_FILENO, &raw);
    raw.c_cc[VTIME] = (cc_t)(tenths > TENTHS_MAX ? TENTHS_MAX : tenths);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    ssize_t got = read(STDIN_FILENO, &key, 1);
    return got < 1 || (key != 'q' && key != 'Q');
}

bool screen_wait(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (taken)
        return wait_for_key(ms) && !ended;
    nanosleep(&time, NULL);
    return !ended;
}
