/* A screen that is drawn again and again: the terminal is left as it was found, also when a signal
 * ends the program. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Takes over the terminal of stdin and stdout. False when they are none: then screen_wait only
 * waits, and nothing else may be called but screen_close. */
bool screen_open(void);
void screen_close(void);

/* The next picture begins at the top left; what is printed to stdout is the picture. */
void screen_begin(void);
/* The rest of the old picture goes. */
void screen_end(void);

/* Waits so long, or until a key is pressed. False when the key was q, or a signal came to end. */
bool screen_wait(int64_t ms);
