/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of status_page/ as arrays, not NUL-terminated. status_page/embed.sh writes the
 * definitions into the build folder.
 */
#ifndef ECHOD_CONTROL_STATUS_PAGE_PARTS_H
#define ECHOD_CONTROL_STATUS_PAGE_PARTS_H

#include <stddef.h>

/* The document; {{name}} stands for a figure or a part. */
extern const unsigned char status_page_template[];
/* Its length in bytes. */
extern const size_t status_page_template_length;
/* What goes into its style element. */
extern const unsigned char status_page_style[];
/* Its length in bytes. */
extern const size_t status_page_style_length;
/* What goes into its script element. */
extern const unsigned char status_page_script[];
/* Its length in bytes. */
extern const size_t status_page_script_length;

#endif
