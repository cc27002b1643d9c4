/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets, and bound ones for datagrams: made from a listener's configuration (the
 * control port writes one for each of its own), or passed in by the service manager
 * (sd_listen_fds(3)), checked for family, type and state, and matched by name, then by address.
 * This room owns what the kernel holds for a listener, and the file of a UNIX socket; it knows
 * nothing of connections. Main loop only.
 */
#ifndef ECHOD_ENGINE_LISTEN_SOCKET_H
#define ECHOD_ENGINE_LISTEN_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/error_list.h"
#include "base/socket_file.h"
#include "config/configuration.h"

/* Large enough for "listeners.NAME". */
#define LISTEN_KEY_MAX (CONFIG_LISTENER_NAME_MAX + 16)

/* What a passed socket keeps as its unit has set it, unless the file names it: bits of a set. */
enum listen_option {
	LISTEN_BACKLOG = 1,
	LISTEN_NODELAY = 2,
	LISTEN_DSCP = 4,
	LISTEN_MSS = 8,
	LISTEN_KEEPALIVE = 16,
};

/* What a listening socket is set to, and may be set to again while it is open. */
struct listen_options {
	char key[LISTEN_KEY_MAX]; /* of what is configured: each message starts with it */
	int backlog;
	bool nodelay;
	int dscp;
	int mss;        /* bytes, 0: the kernel's choice */
	int keepalive;  /* seconds of silence before probes, 0: none */
	mode_t mode;    /* of a UNIX socket's file */
	gid_t group;    /* the same */
	unsigned named; /* set of enum listen_option: what the file names */
	bool overlap;   /* a datagram socket of ours at the same address is about to be closed */
};

struct listen_socket {
	int fd;                    /* owned; -1: none */
	struct address address;    /* as bound: port 0 is resolved */
	bool inherited;            /* from the service manager: its file is not ours */
	unsigned early;            /* connections in its backlog that are older than the options */
	bool loss_told;            /* that nobody reaches it was logged */
	struct address configured; /* what a reload compares */
	struct listen_options options; /* in force */
	struct socket_file file;       /* of a UNIX socket with a path that we bound */
};

/* Return what CFG, whose group has been found, sets. */
struct listen_options listen_options_of(const struct listener_config *cfg);

/*
 * Make, bind and listen as CFG says, with OPTIONS. An address that is in use is tried again until
 * TIMEOUT_NS have passed: a predecessor that was just killed may not have closed it yet. LOST is a
 * socket of ours at the address that nobody reaches any more (NULL: there is none). Returns 0, or
 * -errno with a line in ERRORS that names the listener, the step and the address; -ENODEV where the
 * interface is not there.
 */
ATTR_MUSTCHECK int listen_socket_open(const struct listener_config *cfg,
    const struct listen_options *options, int64_t timeout_ns, const struct listen_socket *lost,
    struct listen_socket *ret_socket, struct error_list *errors);

/*
 * Return why nobody reaches SOCK any more, though it is open: a few words; NULL when somebody may.
 * That is so when the interface was made anew, or the file removed or replaced.
 */
const char *listen_socket_loss(const struct listen_socket *sock);

/*
 * Take over FD for CFG: make it non-blocking and close-on-exec, set those of OPTIONS that the file
 * names. Takes FD in any
 * case. Returns 0, or -errno with a line in ERRORS.
 */
ATTR_MUSTCHECK int listen_socket_adopt(const struct listener_config *cfg,
    const struct listen_options *options, int fd, struct listen_socket *ret_socket,
    struct error_list *errors);

/*
 * Have FD tell where each datagram went to, coalesce bursts, ignore what ICMP says, and hold as
 * much as it may. FAMILY is the socket's; nothing is done for AF_UNIX. For a socket that is not
 * served yet: this undoes batch_pin_socket(). Returns 0, or -errno when the kernel cannot tell
 * where datagrams went to. Any thread.
 */
ATTR_MUSTCHECK int listen_socket_prepare_datagrams(int fd, sa_family_t family);

/* Set FD, accepted from SOCK, to the options if it came too early to inherit them. */
void listen_socket_set_early(struct listen_socket *sock, int fd);

/*
 * Set a socket that may be served already to OPTIONS: the backlog, what accepted connections
 * inherit, and the access of a socket file that is ours. A passed socket keeps what the file does
 * not name, and what it was set to while the file named it. Returns 0, or -errno with a line in
 * ERRORS; then options still says what to go back to.
 */
ATTR_MUSTCHECK int listen_socket_update(struct listen_socket *sock,
    const struct listener_config *cfg, const struct listen_options *options,
    struct error_list *errors);

/*
 * Make room for another datagram socket at the address of this one, which is about to be closed:
 * its file goes now, and its port may be bound by a socket with the option overlap.
 */
void listen_socket_yield(struct listen_socket *sock);

/*
 * Let no new connection in; an inherited socket stays as it is. Returns how many connections may
 * still be accepted before the close: those that waited, or UINT_MAX where handshakes that are
 * under way may end a moment later and nothing else comes.
 */
unsigned listen_socket_shut(struct listen_socket *sock);

/* Close, and remove the file if it is still ours. A socket that is not open is fine. */
void listen_socket_close(struct listen_socket *sock);

struct inherited_socket {
	int fd;                 /* owned until taken; then -1 */
	char *name;             /* owned; FileDescriptorName=, "" when the manager gave none */
	struct address address; /* valid after inheritance_check() */
};

struct inheritance {
	struct inherited_socket *sockets; /* owned */
	size_t count;
};

#define INHERITANCE_NONE \
	{ \
		NULL, 0 \
	}

/*
 * Refuse what no listener could serve. Returns 0, or -EINVAL with one line in ERRORS for each
 * descriptor that is neither a listening stream socket nor a bound datagram socket of a known
 * family, with its number and name.
 */
ATTR_MUSTCHECK int inheritance_check(struct inheritance *inheritance, struct error_list *errors);

/*
 * Find the descriptor for CFG and give it to the caller: the one with the listener's name and
 * address, else with its name, else with its address. Returns -ENOENT where there is none
 * (INHERITANCE may be NULL), or -EPROTOTYPE with a line in ERRORS where the one with its name is of
 * another kind, datagrams for a stream or the other way round.
 */
ATTR_MUSTCHECK int inheritance_take(
    struct inheritance *inheritance, const struct listener_config *cfg, struct error_list *errors);

/* Close and forget what was not taken; with WARN, a line in the log for each. */
void inheritance_done(struct inheritance *inheritance, bool warn);

#endif
