/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The main() of every unit test program. CK_RUN_CASE=NAME runs one test case of it, CK_FORK=no
 * runs its tests in the program itself, for a debugger.
 */
#include <config.h>

#include "suite.h"

#include <stdlib.h>

int
main(void)
{
	SRunner *runner = srunner_create(test_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
