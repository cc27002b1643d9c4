/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status page: one document that holds all it needs and is the same for everybody. embed.sh
 * makes page.c of the other files of this folder, in the build folder. The page's script draws
 * every figure from /stats and /connections.
 */
#ifndef ECHOD_CONTROL_PAGE_PAGE_H
#define ECHOD_CONTROL_PAGE_PAGE_H

#include <stddef.h>

/* The document, HTML in UTF-8; not NUL-terminated. */
extern const unsigned char page_document[];
/* Its length in bytes. */
extern const size_t page_document_length;
/* Its Content-Security-Policy: allows its one script and its one style by their hashes. */
extern const char page_policy[];

#endif
