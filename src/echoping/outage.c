/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/outage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
echoping_outage_extend(
    struct echoping_outage *outage, int64_t now_ns, uint64_t lost, const char *cause)
{
	if (outage->begin_ns == 0) {
		*outage = (struct echoping_outage){ .begin_ns = now_ns, .connections = 1 };
		(void)snprintf(outage->cause, sizeof(outage->cause), "%s", cause);
	}
	outage->lost += lost;
}

/* Let INTO have happened together with FROM, which overlaps it. */
static void
outage_join(struct echoping_outage *into, const struct echoping_outage *from)
{
	if (from->begin_ns < into->begin_ns) {
		into->begin_ns = from->begin_ns;
		memcpy(into->cause, from->cause, sizeof(into->cause));
	}
	if (from->end_ns > into->end_ns)
		into->end_ns = from->end_ns;
	into->lost += from->lost;
	into->connections += from->connections;
}

/* Thousands of connections may have the same one: joined at once, they take one place. */
static void
outages_add(struct echoping_outages *outages, const struct echoping_outage *outage)
{
	for (size_t i = 0; i < outages->count; i++) {
		struct echoping_outage *other = &outages->list[i];

		if (outage->begin_ns <= other->end_ns && other->begin_ns <= outage->end_ns) {
			outage_join(other, outage);
			return;
		}
	}
	if (outages->count < ECHOPING_OUTAGES_MAX)
		outages->list[outages->count++] = *outage;
	else
		outages->more++;
}

void
echoping_outage_end(
    struct echoping_outage *outage, int64_t end_ns, struct echoping_outages *outages)
{
	if (outage->begin_ns == 0)
		return;
	outage->end_ns = end_ns;
	outages_add(outages, outage);
	outage->begin_ns = 0;
}

void
echoping_outages_merge(struct echoping_outages *into, const struct echoping_outages *from)
{
	for (size_t i = 0; i < from->count; i++)
		outages_add(into, &from->list[i]);
	into->more += from->more;
}

static int
outage_compare(const void *a, const void *b)
{
	const struct echoping_outage *x = a, *y = b;

	return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

void
echoping_outages_join(struct echoping_outages *outages, uint64_t connections)
{
	struct echoping_outage *last = outages->list;

	if (outages->count == 0)
		return;
	qsort(outages->list, outages->count, sizeof(outages->list[0]), outage_compare);
	for (size_t i = 1; i < outages->count; i++) {
		const struct echoping_outage *next = &outages->list[i];

		if (next->begin_ns > last->end_ns)
			*++last = *next;
		else
			outage_join(last, next);
	}
	outages->count = (size_t)(last - outages->list) + 1;
	/* one that had several of those that are joined now was counted with each */
	for (size_t i = 0; i < outages->count; i++)
		if (outages->list[i].connections > connections)
			outages->list[i].connections = connections;
}
