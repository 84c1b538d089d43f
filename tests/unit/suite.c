// SPDX-License-Identifier: MIT
/* Runs a suite; see suite.h. */
#include <stdlib.h>

#include "tests/unit/suite.h"

int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
