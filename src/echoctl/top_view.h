/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `echoctl top` shows of a sample, as text for a screen of some size.
 */
#ifndef ECHOD_ECHOCTL_TOP_VIEW_H
#define ECHOD_ECHOCTL_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"
#include "echoctl/sample.h"
#include "echoctl/style.h"

/* What the user chose. */
struct echoctl_top_choice {
	enum echoctl_sort sort;
	bool ascending; /* the smallest first */
	bool paused;
};

/*
 * Take KEY: r, i, o, p, a choose what to sort by, the same one again turns the order round, space
 * pauses. Returns whether the choice has changed.
 */
bool echoctl_top_choice_take(struct echoctl_top_choice *choice, int key);

/*
 * Draw SAMPLE (already sorted) to OUT in LINES lines of less than COLUMNS columns; each erases
 * what was to the right of it. Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoctl_top_view(const struct echoctl_sample *sample,
    const struct echoctl_top_choice *choice, const struct echoctl_style *style, size_t lines,
    size_t columns, FILE *out);

#endif
