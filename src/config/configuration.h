/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration as a plain struct: built once, checked, then never written again. A reload
 * builds another one and compares the two. This room owns the struct, its defaults, the checks and
 * the comparison; config_file.c fills it from a file, directives.c describes every field.
 * It does not log, bind or open anything.
 */
#ifndef ECHOD_CONFIG_CONFIGURATION_H
#define ECHOD_CONFIG_CONFIGURATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/error_list.h"
#include "config/directive.h"

/* Upper bound of directives in one section: the size of each section's table of origins. */
#define CONFIG_SECTION_MAX 32
/* Most worker threads, however many CPUs there are. */
#define CONFIG_WORKERS_MAX 64

/* Where a value comes from; file is NULL for a default. The config owns the file name. */
struct config_origin {
	const char *file;
	unsigned line;
	bool refused; /* the value given there was a mistake: the field still has its default */
};

/* The sections of the file; directive_table() has their tables. */
enum config_section {
	CONFIG_TOP, /* keys outside every group, such as workers */
	CONFIG_LISTENERS,
	CONFIG_LIMITS,
	CONFIG_LOG,
	CONFIG_CONTROL,
	CONFIG_SHUTDOWN,
};
#define CONFIG_SECTIONS 6

/* As log.target, beside enum log_target: the journal if stderr is connected to it, else stderr. */
#define CONFIG_LOG_AUTO (-1)

/* Which ended connections get a line of their own. */
enum config_log_connections {
	CONFIG_LOG_CONNECTIONS_OFF,
	CONFIG_LOG_CONNECTIONS_ERRORS, /* those that an error, a reset, a stall or a deadline cut */
	CONFIG_LOG_CONNECTIONS_CLOSE,  /* all, when they end */
	CONFIG_LOG_CONNECTIONS_ALL,    /* all, when they begin and when they end */
};

struct listener_config {
	char *name;         /* owned; label in metrics, FileDescriptorName= under systemd */
	char *address_text; /* owned; as written, normalised */
	struct address address;
	bool enabled;
	int64_t backlog;
	bool v6only;
	bool freebind;
	bool nodelay;
	int64_t dscp;              /* 0 to 63 */
	int64_t mss;               /* bytes, 0: the kernel's choice */
	int64_t keepalive;         /* ns of silence before probes, 0: none */
	int64_t mode;              /* permission bits of a UNIX socket's file */
	char *group;               /* owned; "" for the daemon's own */
	gid_t gid;                 /* of group, after config_find_groups() */
	int64_t connections;       /* cap, 0: only limits.connections */
	int64_t idle_timeout;      /* ns, 0: none */
	int64_t lifetime;          /* ns, 0: none */
	int64_t byte_limit;        /* bytes, 0: none */
	int64_t min_source_port;   /* datagrams from lower ports are dropped, 0: none are */
	int64_t rate_per_source;   /* datagrams a second, 0: no limit */
	int64_t burst_per_source;  /* datagrams at once, before rate_per_source counts */
	int64_t rate_total;        /* datagrams a second over all sources, 0: no limit */
	int64_t budget_per_source; /* echoes after each of which one is dropped, 0: none is */
	struct config_list allow;  /* networks; when not empty, all others are denied */
	struct config_list deny;   /* networks; looked at before allow */
	struct config_origin origins[CONFIG_SECTION_MAX]; /* by row of listener_directives */
};

struct limits_config {
	int64_t connections;
	int64_t output_high;    /* bytes waiting for a peer at which reading stops */
	int64_t output_low;     /* bytes waiting at which reading goes on */
	int64_t stall_timeout;  /* ns without progress of a waiting output, 0: none */
	int64_t linger_timeout; /* ns that a connection may wait for the peer's FIN after ours */
};

struct log_config {
	int64_t level;       /* enum log_level */
	int64_t target;      /* enum log_target or CONFIG_LOG_AUTO */
	int64_t format;      /* enum log_format */
	char *file;          /* owned; "" unless target is file */
	int64_t mode;        /* permission bits of a file that is made */
	int64_t connections; /* enum config_log_connections */
	int64_t rate_limit;  /* lines per second, 0: none */
};

struct control_config {
	char *http;                    /* owned; HOST:PORT, "" for no TCP port */
	struct address http_address;   /* valid when http is not "" */
	struct config_list http_hosts; /* names and addresses that a Host header may have too */
	char *socket;                  /* owned; a path, "auto", or "" for no UNIX socket */
	int64_t mode;                  /* permission bits of the socket's file */
	char *group;                   /* owned; "" for the daemon's own */
	gid_t gid;                     /* of group, after config_find_groups() */
	int64_t clients;               /* at a time, of each of the two */
	int64_t timeout;               /* ns for a whole request */
};

struct shutdown_config {
	int64_t delay;      /* ns to go on accepting after /readyz turned 503 */
	int64_t timeout;    /* ns for the drain */
	int64_t idle_grace; /* ns without traffic after which a drain may close a connection */
};

/* A directive of which the file says something that only a restart puts in force. */
struct config_waiting {
	const void *base; /* what the row's offset counts from */
	const struct directive *row;
	char *key;  /* owned; "limits.connections", "listeners.echo.v6only" */
	char *text; /* owned; the value in the file */
};

struct config {
	atomic_uint references;            /* the creator's, and those of config_ref() */
	char *path;                        /* owned; NULL when built from defaults alone */
	struct listener_config *listeners; /* owned */
	size_t listener_count;
	struct limits_config limits;
	int64_t workers; /* 0: one per CPU */
	struct log_config log;
	struct control_config control;
	struct shutdown_config shutdown;
	/*
	 * By enum config_section and row of that section's table. Listeners have their own; the
	 * first place of CONFIG_LISTENERS is the origin of the list.
	 */
	struct config_origin origins[CONFIG_SECTIONS][CONFIG_SECTION_MAX];
	char **file_names; /* owned; what origins point to, escaped for printing */
	size_t file_name_count;
	struct config_waiting *waiting; /* owned; see config_carry_over() */
	size_t waiting_count;
};

/*
 * Return NAME, of a file, as CONFIG keeps it for origins: the same pointer for the same text. NULL:
 * out of memory.
 */
const char *config_keep_file_name(struct config *config, const char *name);

/* Return the table of a section. */
const struct directive_table *directive_table(enum config_section section);

/*
 * Return the struct that the rows' offsets of SECTION count from; NULL for CONFIG_LISTENERS, whose
 * rows count from a struct listener_config. The caller writes only to a config of its own making.
 */
void *directive_base(const struct config *config, enum config_section section);

/* Build the configuration that echod runs with when there is no file. NULL: out of memory. */
struct config *config_new_default(void);

/* The same without any listener: what a file is read into. NULL: out of memory. */
struct config *config_new_empty(void);

/*
 * Append a listener with defaults, without name and address. The config owns it; it moves when
 * another one is added. NULL: out of memory.
 */
struct listener_config *config_add_listener(struct config *config);

/* Return where the value of KEY, a directive of SECTION (not of listeners), comes from. */
const struct config_origin *config_origin_of(
    const struct config *config, enum config_section section, const char *key);

/* Return where the value of KEY, a directive of listeners, comes from. */
const struct config_origin *config_listener_origin(
    const struct listener_config *lis, const char *key);
/* Return whether a file gives KEY of LIS; else it has its default. */
bool config_listener_names(const struct listener_config *lis, const char *key);

/*
 * Add a line about what ORIGIN is the place of, which starts with FILE:LINE (nothing for a
 * default). Returns -EINVAL, for the caller to return.
 */
int config_add_error(struct error_list *errors, const struct config_origin *origin,
    const char *format, ...) ATTR_PRINTF(3, 4);

/* Room for " (WHAT at FILE:LINE)" of an origin: a path is at most PATH_MAX. */
#define CONFIG_PLACE_MAX 4200

/* Write " (WHAT at FILE:LINE)" to BUFFER, nothing for a default. Returns BUFFER. */
char *config_format_place(
    const struct config_origin *origin, const char *what, char *buffer, size_t size);

/*
 * Check what one directive alone cannot show: no enabled listener, marks in the wrong order, keys
 * that do not suit the address, a log file that does not suit the target. Adds a line per mistake,
 * with FILE:LINE where known. Values refused before are not judged. What two listeners cannot both
 * have is for config_overlap_check(), whether there are such groups for config_find_groups().
 */
void config_check(const struct config *config, struct error_list *errors);

/* Return whether the settings of the log have no mistake, whatever the others have. */
bool config_log_is_good(const struct config *config);

/* Take one more reference to CONFIG, which is returned. Any thread. */
const struct config *config_ref(const struct config *config);

/* Give a reference back; the last one frees the configuration. NULL is fine. Any thread. */
void config_unref(const struct config *config);

/*
 * Call CHANGED once for each directive whose value differs between OLD and NEW: key is the full
 * path ("limits.connections", "listeners.echo.idle_timeout"; "listeners.echo" for one that came
 * or went), from and to are the values as text ("" when absent).
 */
void config_diff(const struct config *old, const struct config *new,
    void (*changed)(void *context, const char *key, const char *from, const char *to),
    void *context);

#endif
