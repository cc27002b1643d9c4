/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/gzip.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include <event2/buffer.h>

/* The answers repeat themselves so much that more effort would gain little. */
#define LEVEL Z_BEST_SPEED

/* What zlib adds to the bits of a window for the format of gzip. */
#define WINDOW_BITS (MAX_WBITS + 16)
#define MEMORY_LEVEL 8

/* What one call gives out. */
#define OUTPUT_MAX 4096

struct gzip {
	z_stream stream;
	struct evbuffer *input; /* owned */
};

struct gzip *
gzip_new(void)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (gzip == NULL)
		return NULL;
	gzip->input = evbuffer_new();
	if (gzip->input != NULL && deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, WINDOW_BITS,
				       MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK)
		return gzip;
	if (gzip->input != NULL)
		evbuffer_free(gzip->input);
	free(gzip);
	return NULL;
}

void
gzip_free(struct gzip *gzip)
{
	if (gzip == NULL)
		return;
	(void)deflateEnd(&gzip->stream);
	evbuffer_free(gzip->input);
	free(gzip);
}

struct evbuffer *
gzip_input(struct gzip *gzip)
{
	return gzip->input;
}

/* Compress the LENGTH bytes at DATA. FLUSH is Z_FINISH for the last ones. */
static int
gzip_deflate(struct gzip *gzip, unsigned char *data, size_t length, int flush, struct evbuffer *out)
{
	unsigned char output[OUTPUT_MAX];

	gzip->stream.next_in = data;
	gzip->stream.avail_in = (uInt)length;
	/* where it fills the output there may be more */
	do {
		gzip->stream.next_out = output;
		gzip->stream.avail_out = sizeof(output);
		(void)deflate(&gzip->stream, flush);
		if (evbuffer_add(out, output, sizeof(output) - gzip->stream.avail_out) < 0)
			return -ENOMEM;
	} while (gzip->stream.avail_out == 0);
	return 0;
}

int
gzip_run(struct gzip *gzip, bool end, struct evbuffer *out)
{
	size_t length;
	int r = 0;

	while (r == 0 && (length = evbuffer_get_contiguous_space(gzip->input)) > 0) {
		unsigned char *data = evbuffer_pullup(gzip->input, (ev_ssize_t)length);

		r = gzip_deflate(gzip, data, length, Z_NO_FLUSH, out);
		(void)evbuffer_drain(gzip->input, length);
	}
	return r == 0 && end ? gzip_deflate(gzip, NULL, 0, Z_FINISH, out) : r;
}
