/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "echoctl/text.h"

#define ENTER "\033[?1049h\033[?25l\033[H\033[2J"
#define LEAVE "\033[0m\033[?25h\033[?1049l"
#define HOME "\033[H"
#define ERASE_BELOW "\033[J"
/* How long to wait, at the end, for a terminal that takes no output. */
#define LEAVE_TIMEOUT_NS NS_PER_S

/* Where in an escape sequence (arrow keys and the like) the keyboard is: none of it is a key. */
enum escape {
	ESCAPE_NONE,
	ESCAPE_BEGUN,   /* ESC */
	ESCAPE_CONTROL, /* ESC [: up to a letter */
	ESCAPE_SINGLE,  /* ESC O: one more */
};

struct echoctl_screen {
	struct termios before;
	sigset_t mask_before;
	int signal_fd;
	int out_fd;   /* non-blocking; opened anew, so that others keep their mode */
	bool entered; /* the terminal is ours */
	enum escape escape;
};

/*
 * Write all of TEXT, however slowly the terminal takes it. Gives up at UNTIL_NS, or, when that is
 * 0, as soon as a signal wants attention. Returns whether all went.
 */
static bool
screen_write(struct echoctl_screen *screen, const char *text, size_t length, int64_t until_ns)
{
	while (length > 0) {
		struct pollfd fds[] = { { .fd = screen->out_fd, .events = POLLOUT },
			{ .fd = until_ns == 0 ? screen->signal_fd : -1, .events = POLLIN } };
		ssize_t n = write(screen->out_fd, text, length);
		int wait_ms = -1;

		if (n > 0) {
			text += n;
			length -= (size_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (until_ns != 0) {
			int64_t left_ns = until_ns - clock_now_ns();

			if (left_ns <= 0)
				return false;
			wait_ms = (int)(left_ns / NS_PER_MS) + 1;
		}
		(void)poll(fds, ARRAY_SIZE(fds), wait_ms);
		if ((fds[1].revents & POLLIN) != 0 && (fds[0].revents & POLLOUT) == 0)
			return false;
	}
	return true;
}

static int
screen_enter(struct echoctl_screen *screen)
{
	struct termios mode = screen->before;

	/* each key at once and without echo; ^C and ^Z work; ^S would stop the drawing */
	mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	mode.c_iflag &= ~(tcflag_t)IXON;
	mode.c_cc[VMIN] = 0;
	mode.c_cc[VTIME] = 0;
	screen->entered = true;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &mode) < 0)
		return -errno;
	(void)screen_write(screen, ENTER, strlen(ENTER), 0);
	return 0;
}

static void
screen_leave(struct echoctl_screen *screen)
{
	if (!screen->entered)
		return;
	screen->entered = false;
	(void)screen_write(screen, LEAVE, strlen(LEAVE), clock_now_ns() + LEAVE_TIMEOUT_NS);
	/* drop keys that nobody read, so that the shell does not get them; never wait for output */
	(void)tcflush(STDIN_FILENO, TCIFLUSH);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
}

/* A descriptor of our own for the terminal, or -1. */
static int
screen_open_terminal(void)
{
	char name[64];

	if (ttyname_r(STDOUT_FILENO, name, sizeof(name)) != 0)
		return -1;
	return open(name, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

int
echoctl_screen_open(struct echoctl_screen **ret_screen)
{
	/* the signals that become events */
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT,
		SIGWINCH };
	struct echoctl_screen *screen = calloc(1, sizeof(*screen));
	sigset_t set;
	int r = 0;

	if (screen == NULL)
		return -ENOMEM;
	screen->signal_fd = -1;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &screen->mask_before);
	screen->out_fd = screen_open_terminal();
	if (screen->out_fd < 0)
		screen->out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	screen->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (screen->out_fd < 0 || screen->signal_fd < 0 ||
	    tcgetattr(STDIN_FILENO, &screen->before) < 0)
		r = -errno;
	if (r == 0)
		r = screen_enter(screen);
	if (r < 0) {
		echoctl_screen_close(screen);
		return r;
	}
	*ret_screen = screen;
	return 0;
}

void
echoctl_screen_close(struct echoctl_screen *screen)
{
	if (screen == NULL)
		return;
	screen_leave(screen);
	if (screen->signal_fd >= 0)
		(void)close(screen->signal_fd);
	if (screen->out_fd >= 0)
		(void)close(screen->out_fd);
	(void)sigprocmask(SIG_SETMASK, &screen->mask_before, NULL);
	free(screen);
}

void
echoctl_screen_fds(const struct echoctl_screen *screen, int fds[ECHOCTL_SCREEN_FDS])
{
	fds[0] = screen->signal_fd;
	fds[1] = STDIN_FILENO;
}

static struct echoctl_event
screen_take_signal(struct echoctl_screen *screen, int number)
{
	switch (number) {
	case SIGTSTP:
		screen_leave(screen);
		/* SIGCONT waits in signal_fd when this returns */
		(void)raise(SIGSTOP);
		return (struct echoctl_event){ .kind = ECHOCTL_EVENT_NONE };
	case SIGCONT:
		if (screen_enter(screen) < 0)
			return (struct echoctl_event){ .kind = ECHOCTL_EVENT_END };
		return (struct echoctl_event){ .kind = ECHOCTL_EVENT_REDRAW };
	case SIGWINCH:
		return (struct echoctl_event){ .kind = ECHOCTL_EVENT_REDRAW };
	default:
		return (struct echoctl_event){ ECHOCTL_EVENT_END, number };
	}
}

/* Return whether CHARACTER is a key of its own, not part of an escape sequence. */
static bool
screen_is_key(struct echoctl_screen *screen, unsigned char character)
{
	switch (screen->escape) {
	case ESCAPE_BEGUN:
		screen->escape = character == '['   ? ESCAPE_CONTROL
				 : character == 'O' ? ESCAPE_SINGLE
						    : ESCAPE_NONE;
		return false;
	case ESCAPE_CONTROL:
		if (character >= 0x40 && character <= 0x7e)
			screen->escape = ESCAPE_NONE;
		return false;
	case ESCAPE_SINGLE:
		screen->escape = ESCAPE_NONE;
		return false;
	case ESCAPE_NONE:
		break;
	}
	if (character == '\033')
		screen->escape = ESCAPE_BEGUN;
	return character != '\033';
}

static struct echoctl_event
screen_next_key(struct echoctl_screen *screen)
{
	unsigned char character;

	while (read(STDIN_FILENO, &character, 1) == 1)
		if (screen_is_key(screen, character))
			return (struct echoctl_event){ ECHOCTL_EVENT_KEY, character };
	/* an Escape key alone: nothing follows at once */
	if (screen->escape == ESCAPE_BEGUN)
		screen->escape = ESCAPE_NONE;
	return (struct echoctl_event){ .kind = ECHOCTL_EVENT_NONE };
}

/*
 * With VMIN 0 read(2) returns 0 for a terminal without input and for one that is gone; poll(2)
 * tells them apart.
 */
static bool
screen_keyboard_is_gone(void)
{
	struct pollfd keyboard = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&keyboard, 1, 0) > 0 && (keyboard.revents & (POLLHUP | POLLERR)) != 0;
}

struct echoctl_event
echoctl_screen_next(struct echoctl_screen *screen)
{
	struct signalfd_siginfo info;
	struct echoctl_event event;

	if (read(screen->signal_fd, &info, sizeof(info)) == sizeof(info))
		return screen_take_signal(screen, (int)info.ssi_signo);
	if (!screen->entered)
		return (struct echoctl_event){ .kind = ECHOCTL_EVENT_NONE };
	event = screen_next_key(screen);
	if (event.kind == ECHOCTL_EVENT_NONE && screen_keyboard_is_gone())
		event.kind = ECHOCTL_EVENT_END;
	return event;
}

void
echoctl_screen_show(struct echoctl_screen *screen, const char *text, size_t length)
{
	size_t lines, columns, shown = 0;
	const char *end = text + length, *stop = text;

	echoctl_style_size(screen->out_fd, &lines, &columns);
	while (stop < end && shown < lines) {
		const char *newline = memchr(stop, '\n', (size_t)(end - stop));

		stop = newline != NULL ? newline + 1 : end;
		shown++;
	}
	/* no newline after the last line: it would scroll the first one away */
	if (stop > text && stop[-1] == '\n')
		stop--;
	(void)(screen_write(screen, HOME, strlen(HOME), 0) &&
	       screen_write(screen, text, (size_t)(stop - text), 0) &&
	       screen_write(screen, ERASE_BELOW, strlen(ERASE_BELOW), 0));
}
