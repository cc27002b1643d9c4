/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/draw.h"

#include <math.h>

#include "base/attributes.h"

#define DRAW_LINES 20
#define DRAW_BAR_COLUMNS 44

/* Preferred numbers within a decade, rounded as people expect them; the finest first. */
static const double tenths[] = { 1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8 };
static const double fifths[] = { 1, 1.6, 2.5, 4, 6.3 };
static const double thirds[] = { 1, 2, 5 };
static const double whole[] = { 1 };

static const struct draw_scale {
	const double *steps;
	unsigned count;
} scales[] = {
	{ tenths, ARRAY_SIZE(tenths) },
	{ fifths, ARRAY_SIZE(fifths) },
	{ thirds, ARRAY_SIZE(thirds) },
	{ whole, ARRAY_SIZE(whole) },
};

char *
echoping_draw_time(double ns, char *buffer, size_t size)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	size_t unit = 0;
	int digits;

	/* 999.5 would be rounded to a fourth digit */
	while (ns >= 999.5 && unit + 1 < ARRAY_SIZE(units)) {
		ns /= 1000;
		unit++;
	}
	digits = unit == 0 || ns >= 99.95 ? 0 : ns >= 9.995 ? 1 : 2;
	(void)snprintf(buffer, size, "%.*f %s", digits, ns, units[unit]);
	return buffer;
}

/* Step STEP of a scale, counted from 1 ns on. */
static int64_t
draw_border(const struct draw_scale *scale, unsigned step)
{
	double ns = pow(10, step / scale->count) * scale->steps[step % scale->count];

	return ns < (double)INT64_MAX ? (int64_t)llround(ns) : INT64_MAX;
}

/* The last step that is not above a time. */
static unsigned
draw_step(const struct draw_scale *scale, int64_t ns)
{
	unsigned step = 0;

	while (step < 18 * scale->count && draw_border(scale, step + 1) <= ns)
		step++;
	return step;
}

static void
draw_bar(FILE *out, double share, bool unicode)
{
	static const char *const eighths[] = { "", "\xe2\x96\x8f", "\xe2\x96\x8e", "\xe2\x96\x8d",
		"\xe2\x96\x8c", "\xe2\x96\x8b", "\xe2\x96\x8a", "\xe2\x96\x89" };
	unsigned length = (unsigned)llround(share * DRAW_BAR_COLUMNS * 8);
	unsigned columns = length / 8, rest = length % 8;

	for (unsigned i = 0; i < columns; i++)
		(void)fputs(unicode ? "\xe2\x96\x88" : "#", out);
	if (unicode)
		(void)fputs(eighths[rest], out);
	else if (rest >= 4)
		(void)fputs("#", out);
	else
		rest = 0;
	for (unsigned i = columns + (rest > 0); i < DRAW_BAR_COLUMNS; i++)
		(void)fputs(" ", out);
}

void
echoping_draw_histogram(FILE *out, const struct histogram *histogram, bool unicode)
{
	const struct draw_scale *scale = scales;
	unsigned first = draw_step(scale, histogram->min_ns), last;
	uint64_t most = 0, seen;

	if (histogram->count == 0)
		return;
	last = draw_step(scale, histogram->max_ns);
	while (last - first >= DRAW_LINES && scale < scales + ARRAY_SIZE(scales) - 1) {
		scale++;
		first = draw_step(scale, histogram->min_ns);
		last = draw_step(scale, histogram->max_ns);
	}
	seen = 0;
	for (unsigned step = first; step <= last; step++) {
		uint64_t upto = histogram_count_up_to(histogram, draw_border(scale, step + 1) - 1);

		if (upto - seen > most)
			most = upto - seen;
		seen = upto;
	}
	seen = 0;
	for (unsigned step = first; step <= last; step++) {
		uint64_t upto = histogram_count_up_to(histogram, draw_border(scale, step + 1) - 1);
		double share = (double)(upto - seen) / (double)histogram->count;
		char from[ECHOPING_TIME_TEXT_MAX], to[ECHOPING_TIME_TEXT_MAX];

		echoping_draw_time((double)draw_border(scale, step), from, sizeof(from));
		echoping_draw_time((double)draw_border(scale, step + 1), to, sizeof(to));
		(void)fprintf(out, "  %7s - %-7s |", from, to);
		draw_bar(out, (double)(upto - seen) / (double)most, unicode);
		(void)fprintf(out, "| %6.2f %%\n", share * 100);
		seen = upto;
	}
}
