/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client can read, by its Accept header (RFC 9110, section 12.5.1). Plain functions on text.
 */
#ifndef ECHOD_CONTROL_MEDIA_TYPE_H
#define ECHOD_CONTROL_MEDIA_TYPE_H

#include <stdbool.h>

/*
 * Return whether ACCEPT (NULL: there was none) asks for OpenMetrics: names it, in a version that
 * is written here, and does not like plain text better.
 */
bool media_type_is_openmetrics(const char *accept);

#endif
