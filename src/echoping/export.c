/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures for programs. JSON and CSV come from one list, so that they have the same names: in
 * CSV those of an inner object are joined by an underscore.
 */
#include <config.h>

#include "echoping/report.h"

#include <errno.h>
#include <inttypes.h>

#include <jansson.h>

#include "base/clock.h"

#define EXPORT_FIGURES_MAX 48

enum figure_type { FIGURE_TEXT, FIGURE_FLAG, FIGURE_COUNT, FIGURE_REAL };

struct figure {
	const char *group; /* inner object; NULL: outside */
	const char *name;
	enum figure_type type;
	const char *text; /* NULL: null, and empty in CSV */
	uint64_t count;   /* FIGURE_FLAG: 0 or 1 */
	double real;
};

struct figures {
	struct figure rows[EXPORT_FIGURES_MAX];
	size_t used;
	char url[ADDRESS_TEXT_MAX];
};

static struct figure *
figures_next(struct figures *figures, const char *group, const char *name)
{
	struct figure *figure = &figures->rows[figures->used++];

	figure->group = group;
	figure->name = name;
	return figure;
}

static void
figures_add_text(struct figures *figures, const char *name, const char *text)
{
	struct figure *figure = figures_next(figures, NULL, name);

	figure->type = FIGURE_TEXT;
	figure->text = text;
}

static void
figures_add_count(struct figures *figures, const char *name, uint64_t count)
{
	struct figure *figure = figures_next(figures, NULL, name);

	figure->type = FIGURE_COUNT;
	figure->count = count;
}

static void
figures_add_flag(struct figures *figures, const char *name, bool flag)
{
	figures_add_count(figures, name, flag);
	figures->rows[figures->used - 1].type = FIGURE_FLAG;
}

static void
figures_add_real(struct figures *figures, const char *group, const char *name, double real)
{
	struct figure *figure = figures_next(figures, group, name);

	figure->type = FIGURE_REAL;
	figure->real = real;
}

static void
figures_add_options(struct figures *figures, const struct echoping_options *options)
{
	bool load = options->action == ECHOPING_LOAD;

	figures_add_text(figures, "form", load ? "load" : "ping");
	figures_add_text(figures, "target", figures->url);
	figures_add_text(
	    figures, "transport", echoping_target_transport_name(options->target.transport));
	figures_add_count(figures, "size_bytes", options->size);
	figures_add_count(figures, "connections", options->connections);
	figures_add_count(figures, "pipeline", options->pipeline);
	figures_add_count(figures, "threads", options->threads);
	figures_add_count(figures, "rate", options->rate);
	figures_add_count(figures, "idle", options->idle);
	figures_add_count(figures, "sample", options->sample);
	figures_add_flag(figures, "burst", options->burst);
	figures_add_flag(figures, "churn", options->churn);
}

static void
figures_add_tally(struct figures *figures, const struct echoping_tally *tally, size_t size)
{
	double seconds = clock_seconds(tally->elapsed_ns);
	double rate = seconds > 0 ? (double)tally->received / seconds : 0;

	figures_add_text(figures, "result", echoping_tally_result(tally));
	figures_add_text(
	    figures, "first_trouble", tally->trouble[0] != '\0' ? tally->trouble : NULL);
	figures_add_count(figures, "sent", tally->sent);
	figures_add_count(figures, "received", tally->received);
	figures_add_count(figures, "lost", tally->lost);
	figures_add_count(figures, "mismatched", tally->mismatched);
	figures_add_count(figures, "broken", tally->broken);
	figures_add_count(figures, "unsent", tally->unsent);
	figures_add_count(figures, "duplicates", tally->duplicates);
	figures_add_count(figures, "reordered", tally->reordered);
	figures_add_count(figures, "late", tally->late);
	figures_add_count(figures, "idle_lost", tally->idle_lost);
	figures_add_count(figures, "port_waits", tally->port_waits);
	figures_add_real(figures, NULL, "loss_ratio",
	    tally->sent > 0 ? (double)tally->lost / (double)tally->sent : 0);
	figures_add_real(figures, NULL, "seconds", seconds);
	figures_add_real(figures, NULL, "messages_per_second", rate);
	figures_add_real(figures, NULL, "bytes_per_second", rate * (double)size);
	figures_add_real(figures, NULL, "cpu_seconds", clock_seconds(tally->cpu_ns));
}

static void
figures_add_latency(struct figures *figures, const struct echoping_tally *tally)
{
	static const struct {
		const char *name;
		double percent;
	} rows[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p999", 99.9 } };
	static const char group[] = "latency_seconds";
	const struct histogram *latency = &tally->latency;

	figures_add_real(figures, group, "min", clock_seconds(latency->min_ns));
	figures_add_real(figures, group, "mean", histogram_mean(latency) / (double)NS_PER_S);
	figures_add_real(figures, group, "max", clock_seconds(latency->max_ns));
	figures_add_real(
	    figures, group, "stddev", echoping_tally_deviation(tally) / (double)NS_PER_S);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		figures_add_real(figures, group, rows[i].name,
		    clock_seconds(histogram_percentile(latency, rows[i].percent)));
}

static void
figures_fill(struct figures *figures, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_tally *tally)
{
	*figures = (struct figures){ .used = 0 };
	echoping_target_url(target, figures->url, sizeof(figures->url));
	figures_add_options(figures, options);
	figures_add_tally(figures, tally, options->size);
	figures_add_latency(figures, tally);
}

static json_t *
figure_json(const struct figure *figure)
{
	switch (figure->type) {
	case FIGURE_TEXT:
		return figure->text != NULL ? json_string(figure->text) : json_null();
	case FIGURE_FLAG:
		return json_boolean(figure->count);
	case FIGURE_COUNT:
		return json_integer((json_int_t)figure->count);
	case FIGURE_REAL:
		return json_real(figure->real);
	}
	return NULL;
}

int
echoping_report_json(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_tally *tally)
{
	struct figures figures;
	json_t *root = json_object();
	int r = 0;

	figures_fill(&figures, options, target, tally);
	for (size_t i = 0; i < figures.used && r == 0; i++) {
		const struct figure *figure = &figures.rows[i];
		json_t *object = root;

		if (figure->group != NULL) {
			object = json_object_get(root, figure->group);
			if (object == NULL) {
				object = json_object();
				r |= json_object_set_new(root, figure->group, object);
			}
		}
		r |= json_object_set_new(object, figure->name, figure_json(figure));
	}
	if (r == 0)
		r = json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	json_decref(root);
	(void)fputs("\n", out);
	return r == 0 ? 0 : -ENOMEM;
}

/* RFC 4180: a quote within quotes is doubled. */
static void
figure_quote(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			(void)fputc('"', out);
		(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

void
echoping_report_csv(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_tally *tally)
{
	struct figures figures;

	figures_fill(&figures, options, target, tally);
	for (size_t i = 0; i < figures.used; i++) {
		const struct figure *figure = &figures.rows[i];

		(void)fprintf(out, "%s%s%s%s", i > 0 ? "," : "",
		    figure->group != NULL ? figure->group : "", figure->group != NULL ? "_" : "",
		    figure->name);
	}
	(void)fputc('\n', out);
	for (size_t i = 0; i < figures.used; i++) {
		const struct figure *figure = &figures.rows[i];

		if (i > 0)
			(void)fputc(',', out);
		if (figure->type == FIGURE_COUNT || figure->type == FIGURE_FLAG)
			(void)fprintf(out, "%" PRIu64, figure->count);
		else if (figure->type == FIGURE_REAL)
			(void)fprintf(out, "%.9g", figure->real);
		else if (figure->text != NULL)
			figure_quote(out, figure->text);
	}
	(void)fputc('\n', out);
}
