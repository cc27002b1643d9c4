/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes over a terminal for full-screen drawing and restores it afterwards: termios, cursor,
 * alternate screen, signal mask. Signals arrive as events, like keys. A terminal that takes no more
 * output does not block the program.
 */
#ifndef ECHOD_ECHOCTL_SCREEN_H
#define ECHOD_ECHOCTL_SCREEN_H

#include <stddef.h>

#include "base/attributes.h"

#define ECHOCTL_SCREEN_FDS 2

enum echoctl_event_kind {
	ECHOCTL_EVENT_NONE,   /* nothing more for now */
	ECHOCTL_EVENT_KEY,    /* value is the character */
	ECHOCTL_EVENT_REDRAW, /* the size changed, or the terminal was somebody else's */
	ECHOCTL_EVENT_END,    /* value is the signal that says so; 0: the keyboard is gone */
};

/* One thing that happened. */
struct echoctl_event {
	enum echoctl_event_kind kind;
	int value;
};

struct echoctl_screen;

/*
 * Take over the terminal on standard input and output. Blocks the signals that it turns into
 * events. Returns 0 or -errno, with the terminal as it was.
 */
ATTR_MUSTCHECK int echoctl_screen_open(struct echoctl_screen **ret_screen);

/* Give the terminal back and free SCREEN; NULL is fine. Takes a second at most. */
void echoctl_screen_close(struct echoctl_screen *screen);

/* Fill FDS with the descriptors that have something to read when there is an event. */
void echoctl_screen_fds(const struct echoctl_screen *screen, int fds[ECHOCTL_SCREEN_FDS]);

/*
 * Return the next event; never waits. When the user wants the shell (SIGTSTP), give the terminal
 * back and stop the process first; the event REDRAW comes when it continues.
 */
struct echoctl_event echoctl_screen_next(struct echoctl_screen *screen);

/*
 * Show TEXT (LENGTH bytes of lines that end with "\n", none wider than the screen) in place of
 * what was there; lines that do not fit are left out. Gives up when a signal comes while the
 * terminal takes nothing.
 */
void echoctl_screen_show(struct echoctl_screen *screen, const char *text, size_t length);

#endif
