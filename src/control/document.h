/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A document of the control port that is written piece by piece, because it may be large: each
 * piece takes microseconds, and others have their turn in between. What writes one embeds a struct
 * document as its first member. Main loop only.
 */
#ifndef ECHOD_CONTROL_DOCUMENT_H
#define ECHOD_CONTROL_DOCUMENT_H

struct evbuffer;

struct document {
	const char *type; /* its Content-Type */
	/*
	 * Append the next piece to OUT, which holds nothing else. Returns 1 while there is more, 0
	 * at the end; or -errno, and OUT is not to be used.
	 */
	int (*write)(struct document *document, struct evbuffer *out);
	/* Free the whole. */
	void (*free)(struct document *document);
};

#endif
