/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What main.c, the main() of every unit test program, wants of the program's own file.
 */
#ifndef ECHOD_TESTS_SUITE_H
#define ECHOD_TESTS_SUITE_H

#include <check.h>

/* Make the suite of this program. main() runs it and frees it. */
Suite *test_suite(void);

#endif
