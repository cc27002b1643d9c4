/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/history_json.h"

#include <inttypes.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "control/document.h"

/* Values written at a time. */
#define CHUNK 60

struct history_json {
	struct document document; /* first: the two have one address */
	int64_t end_wall_ns;      /* of the last step */
	uint64_t first;           /* number of the oldest step */
	/* a copy, 26 KiB: a step that ends while this is written must not part the series */
	struct history history;
};

static bool
history_json_head(struct document *document)
{
	const struct history_json *json = (struct history_json *)document;

	document_print(
	    document, "{\"step_seconds\":%" PRId64 ",\"end\":", HISTORY_STEP_NS / NS_PER_S);
	document_add(document, document_moment(json->end_wall_ns));
	document_print(document, ",\"series\":{");
	return false;
}

static void
history_json_value(struct document *document, int64_t value)
{
	if (value == HISTORY_UNKNOWN)
		document_print(document, "null");
	else
		document_print(document, "%" PRId64, value);
}

/* A part of one series. */
static bool
history_json_series(struct document *document)
{
	static const char *const keys[] = {
#define X(ID, key) #key,
		HISTORY_SERIES_LIST(X)
#undef X
	};
	const struct history_json *json = (struct history_json *)document;
	size_t chunks = HISTORY_STEPS / CHUNK;
	size_t series = document->piece / chunks, chunk = document->piece % chunks;
	uint64_t step = json->first + chunk * CHUNK, end = step + CHUNK;

	if (chunk == 0)
		document_print(document, "%s\"%s\":[", series > 0 ? "," : "", keys[series]);
	for (; step < end && step < json->history.steps; step++) {
		if (step > json->first)
			document_print(document, ",");
		history_json_value(document, json->history.ring[step % HISTORY_STEPS][series]);
	}
	if (chunk + 1 == chunks)
		document_print(document, "]");
	return document->piece + 1 < ARRAY_SIZE(keys) * chunks;
}

static bool
history_json_tail(struct document *document)
{
	document_print(document, "}}\n");
	return false;
}

struct document *
history_json_new(const struct history *history)
{
	static document_step *const steps[] = { history_json_head, history_json_series,
		history_json_tail, NULL };
	struct history_json *json = document_new(sizeof(*json), DOCUMENT_JSON, steps);

	if (json == NULL)
		return NULL;
	json->history = *history;
	json->first = history->steps > HISTORY_STEPS ? history->steps - HISTORY_STEPS : 0;
	/* the wall clock as it is now, however it was set since */
	json->end_wall_ns = clock_wall_ns() - clock_now_ns() + history->step_end_ns -
			    HISTORY_STEP_NS;
	return &json->document;
}

json_t *
history_json_peaks(const struct peaks *peaks)
{
	const struct document_member members[] = {
		{ "connections", json_integer(peaks->connections) },
#define X(ID, key) { #key, document_count(peaks->rates[PEAK_##ID]) },
		PEAK_RATE_LIST(X)
#undef X
	};

	return document_object(members, ARRAY_SIZE(members));
}
