/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any JSON document as a list, one figure a line: "totals.connections_closed.drain  3". Whatever
 * the daemon tells is shown, also what this echoctl has never heard of.
 */
#ifndef ECHOD_ECHOCTL_FIGURES_H
#define ECHOD_ECHOCTL_FIGURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/attributes.h"
#include "echoctl/style.h"

/*
 * Print all values in DOCUMENT to OUT, in its order. A member of a list goes by its "name" or
 * "id", else by its number; null is "-". Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoctl_figures_print(
    const json_t *document, const struct echoctl_style *style, FILE *out);

/*
 * Write the number VALUE of the directive or field KEY as text; its unit is told by the name.
 * Returns BUFFER.
 */
char *echoctl_figures_format(const char *key, double value, bool human, char *buffer, size_t size);

#endif
