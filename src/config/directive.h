/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One directive: type, range, default and effect, and the one conversion between its text and its
 * field, both ways. Defaults, the file, -T and the comparison at a reload all pass here, so that
 * they cannot disagree. The rows themselves are in directives.c; what they are part of is unknown
 * here.
 */
#ifndef ECHOD_CONFIG_DIRECTIVE_H
#define ECHOD_CONFIG_DIRECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/error_list.h"

#define CONFIG_LISTENER_NAME_MAX 64

/* Several texts, in the order in which they were given. */
struct config_list {
	char **items; /* owned, as each of them is */
	size_t count;
};

/* Numbers first, then what owns memory. */
enum directive_type {
	DIRECTIVE_BOOLEAN,   /* bool: true or false */
	DIRECTIVE_COUNT,     /* int64_t: a bare whole number */
	DIRECTIVE_DURATION,  /* int64_t ns: a string with a unit */
	DIRECTIVE_SIZE,      /* int64_t bytes: a string with a unit */
	DIRECTIVE_WORD,      /* int64_t: one of a closed set of words */
	DIRECTIVE_MODE,      /* int64_t: octal permission bits in a string */
	DIRECTIVE_STRING,    /* char *, owned by the config; the maximum counts its bytes */
	DIRECTIVE_NAME,      /* char *: letters, digits, dot, hyphen, underscore; 1 to 64 */
	DIRECTIVE_ADDRESS,   /* char * as written; the struct address stands in a second field */
	DIRECTIVE_HOST_PORT, /* the same for HOST:PORT without a scheme, "" allowed */
	DIRECTIVE_HOSTS,     /* struct config_list of hosts; the maximum counts them */
	DIRECTIVE_NETWORKS,  /* the same of networks, each as network_parse() takes it */
};

/* When a reload makes a new value count. */
enum directive_effect {
	DIRECTIVE_LIVE,            /* at once, also for connections that are open */
	DIRECTIVE_NEW_CONNECTIONS, /* for connections accepted from then on */
	DIRECTIVE_RESTART,         /* only after a restart */
};

/* Which listeners a directive is for; one that is given for another kind is a mistake. */
enum directive_suits {
	DIRECTIVE_ANY,
	DIRECTIVE_STREAM, /* tcp:// and unix:, what has connections */
	DIRECTIVE_IP,     /* tcp:// and udp:// */
	DIRECTIVE_IPV6,   /* the same with an IPv6 address, or * */
	DIRECTIVE_TCP,
	DIRECTIVE_UDP,
	DIRECTIVE_DATAGRAM, /* udp:// and unixgram: */
	DIRECTIVE_FILE,     /* unix: and unixgram: with a path: an abstract name has no file */
};

/* Large enough for every text that directive_format() writes, also a full list; NUL included. */
#define DIRECTIVE_TEXT_MAX 16384

/* One word of a closed set, and what the field is set to. */
struct directive_word {
	const char *word;
	int64_t value;
};

struct directive {
	const char *key;
	enum directive_type type;
	enum directive_effect effect;
	enum directive_suits suits;
	size_t offset;         /* of the field in the section's struct */
	size_t address_offset; /* of the struct address for the two address types */
	int64_t minimum;       /* counts, durations (ns), sizes (bytes), modes */
	int64_t maximum;
	bool zero;                          /* 0 is fine too, although it is below the minimum */
	const struct directive_word *words; /* DIRECTIVE_WORD: ends with a NULL word */
	/* as a user would write it, without quotes; NULL: must be given */
	const char *default_text;
	const char *help; /* one sentence */
};

struct directive_table {
	const char *section; /* "limits"; "" for the top, "listeners" for the list */
	size_t offset;       /* of the section's struct in struct config; not for listeners */
	const struct directive *rows;
	size_t count;
};

/* Return the row with that key, NULL if there is none. */
const struct directive *directive_find(const struct directive_table *table, const char *key);

/* Return whether ROW is for a listener with ADDRESS. */
bool directive_suits_address(const struct directive *row, const struct address *address);

/* Return "live", "new connections" or "restart". */
const char *directive_effect_name(enum directive_effect effect);

/*
 * Set the field of ROW in BASE from TEXT: what a user wrote, without quotes; for a list, what
 * directive_list_set() does with no item. Returns 0; -ENOMEM; or -EINVAL with a line in ERRORS that
 * starts with PREFIX ("FILE:LINE: key: ") and says what is wrong and what would be right; the field
 * then keeps its value.
 */
ATTR_MUSTCHECK int directive_set(const struct directive *row, void *base, const char *text,
    const char *prefix, struct error_list *errors);

/*
 * Set the list of ROW in BASE from the COUNT texts of ITEMS; results as directive_set(), with a
 * line in ERRORS for each item that is wrong.
 */
ATTR_MUSTCHECK int directive_list_set(const struct directive *row, void *base,
    const char *const *items, size_t count, const char *prefix, struct error_list *errors);

/* Set the fields of all rows of TABLE that have a default. Results as directive_set(). */
ATTR_MUSTCHECK int directive_set_defaults(const struct directive_table *table, void *base);

/* Free what the fields of TABLE own in BASE, which is not used any more. */
void directive_free_fields(const struct directive_table *table, void *base);

/* Return whether a field of TYPE holds a struct config_list. */
bool directive_is_list(enum directive_type type);

/* Return whether a user writes this type's values in quotes. */
bool directive_is_quoted(enum directive_type type);

/*
 * Write the field's value as a user would write it, strings without quotes, a list with them and
 * its parentheses; cut where it does not fit. Returns BUFFER.
 */
char *directive_format(const struct directive *row, const void *base, char *buffer, size_t size);

/* Return whether ROW has the same value in A and B. */
bool directive_equal(const struct directive *row, const void *a, const void *b);

/* Say in BUFFER what a user may write ("a whole number: 1 to 64"); returns BUFFER. */
char *directive_describe(const struct directive *row, char *buffer, size_t size);

/*
 * Say in BUFFER what to write instead of DIGITS without a unit ("30s" in quotes), for a duration or
 * a size; returns BUFFER.
 */
char *directive_unit_hint(enum directive_type type, const char *digits, char *buffer, size_t size);

/*
 * Return whether WORD is so near to TEXT that it may have been meant, and nearer than NEAR, the
 * nearest one so far or NULL.
 */
bool directive_is_nearer(const char *text, const char *word, const char *near);

#endif
