/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compresses an answer while it is written, piece by piece, so that no piece takes long (gzip, RFC
 * 1952, by zlib). Main loop only.
 */
#ifndef ECHOD_CONTROL_GZIP_H
#define ECHOD_CONTROL_GZIP_H

#include <stdbool.h>

#include "base/attributes.h"

struct evbuffer;
struct gzip;

/* Build what compresses one answer; takes some 270 KB. NULL: out of memory. */
struct gzip *gzip_new(void);

/* NULL is fine. */
void gzip_free(struct gzip *gzip);

/* Return the buffer (owned by GZIP) to append the next piece to. */
struct evbuffer *gzip_input(struct gzip *gzip);

/*
 * Take what was appended, and append to OUT what comes of it so far, or with END all of it. Returns
 * 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int gzip_run(struct gzip *gzip, bool end, struct evbuffer *out);

#endif
