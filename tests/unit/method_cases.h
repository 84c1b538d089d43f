/* SPDX-License-Identifier: MIT */
/* Every method that lf_train() trains, made alike on the tiny model: for tests that hold for all of them. */
#ifndef TESTS_UNIT_METHOD_CASES_H
#define TESTS_UNIT_METHOD_CASES_H

#include "tests/unit/tiny_fixture.h"

enum method_case {
	CASE_LORAFUSION_SUM,
	CASE_LORAFUSION_PRODUCT,
	CASE_LORA,
	CASE_LORA_ONCE,
	CASE_LORA_EACH_STEP,
	CASE_DORA,
	CASE_BITFIT,
	CASE_IA3,
	CASE_VERA,
	CASE_MAGNITUDE,
	CASE_FULL,
	CASE_FULL_ONCE,
	CASE_FULL_EACH_STEP,
	METHOD_CASES,
};

/** method_case_name() - for messages */
const char *method_case_name(enum method_case number);

/**
 * method_case_create() - make it; not started, not attached
 * @tiny: the model
 * @number: which
 * @pool: receives the pool of a method that has one, else NULL; close with lf_pool_close() behind the method
 */
struct lf_method *method_case_create(struct tiny *tiny, enum method_case number,
				     struct lf_pool **pool);

#endif
