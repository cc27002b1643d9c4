/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Figures as text: for people ("12.3 MiB", "4m10s") or exact ("12897485", "250.120").
 */
#ifndef ECHOD_ECHOCTL_UNITS_H
#define ECHOD_ECHOCTL_UNITS_H

#include <stdbool.h>
#include <stddef.h>

/* Large enough for every text that this room writes, NUL included. */
#define ECHOCTL_UNITS_TEXT_MAX 48

/* Write a number of bytes: "512 B", "12.3 MiB"; exact: digits. Returns BUFFER. */
char *echoctl_units_bytes(double bytes, bool human, char *buffer, size_t size);

/* Write SECONDS: "350us", "12.3ms", "4.2s", "4m10s", "1d02h"; exact: "0.012300". Returns BUFFER. */
char *echoctl_units_seconds(double seconds, bool human, char *buffer, size_t size);

/* Write a number without a unit: three digits below 100, whole above. Returns BUFFER. */
char *echoctl_units_number(double number, char *buffer, size_t size);

#endif
